"""WAV, AIFF and other files of chunks whose headers are cut, were never finished, or say what is not so."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from tests.zoo.build import DURATION_S, SR, chunk, encoded, fmt, pcm, riff, rifx, sound, wav
from tests.zoo.kinds import Kind, content

_N_BYTES = 2 * round(SR * DURATION_S)


def _cut(name: str, made: str, n_bytes: int, **expected: object) -> Kind:
    """The first bytes of a 16-bit WAV."""
    make = content(lambda rng: wav(sound(rng))[:n_bytes])
    return Kind(name=name, file="a.wav", made=made, make=make, **expected)


def _of(name: str, made: str, make: Callable[[np.random.Generator], bytes], **expected: object) -> Kind:
    file = str(expected.pop("file", "a.wav"))
    return Kind(name=name, file=file, made=made, make=content(make), **expected)


_UNREADABLE = {"state": "unreadable", "reason": "no decoder takes it", "decided": "header"}
_EMPTY = {"state": "empty", "reason": "declares no samples", "decided": "header"}

CUT = (
    _of("empty file", "no bytes", lambda _: b"", state="empty", reason="0 bytes", decided="header"),
    _cut("cut in the first name", "2 bytes of RIFF", 2, **_UNREADABLE),
    _cut("cut after the first name", "4 bytes: RIFF", 4, **_UNREADABLE),
    _cut("cut in the RIFF header", "10 bytes", 10, **_UNREADABLE),
    _cut("cut after the RIFF header", "12 bytes", 12, **_UNREADABLE),
    _cut("cut in the format chunk", "26 bytes", 26, **_UNREADABLE),
    _cut("cut after the format chunk", "36 bytes, no data chunk", 36, **_UNREADABLE),
    _cut("cut in the head of the data chunk", "41 bytes", 41, **_EMPTY),
    _cut("header alone, sound declared", "44 bytes of a file of 24,044", 44, **_EMPTY),
    _cut("cut in the first sample", "45 bytes of a file of 24,044", 45, **_EMPTY),
    _cut(
        "cut after the first sample", "46 bytes of a file of 24,044", 46, state="short", reason="truncated: 23998",
        read_s=1 / SR,
    ),
    _cut("cut in a sample", "10,045 bytes", 10_045, state="short", reason="truncated: 13999 bytes", read_s=5000 / SR),
    _of(
        "cut in a frame", "4 channels of 24 bits, cut in the second channel",
        lambda rng: (w := encoded(sound(rng, n_channels=4), "WAV", "PCM_24"))[: w.index(b"data") + 8 + 12 * 6000 + 4],
        state="short", reason="truncated:", read_s=6000 / SR,
    ),
    _of(
        "ADPCM cut in a block", "IMA ADPCM, half of the file",
        lambda rng: encoded(sound(rng), "WAV", "IMA_ADPCM")[:3300], state="short", reason="truncated:",
    ),
    _of(
        "last sample lacks a byte", "a WAV without its last byte", lambda rng: wav(sound(rng))[:-1],
        state="short", reason="truncated: 1 bytes", read_s=DURATION_S - 1 / SR,
    ),
    _of(
        "AIFF cut in the sound", "half of an AIFF", lambda rng: encoded(sound(rng), "AIFF", "PCM_16")[:12_000],
        file="a.aiff", state="short", reason="truncated:",
    ),
    _of(
        "W64 cut in the sound", "half of a W64", lambda rng: encoded(sound(rng), "W64", "PCM_16")[:12_000],
        file="a.w64", state="short", reason="truncated:",
    ),
    _of(
        "CAF cut in the sound", "half of a CAF", lambda rng: encoded(sound(rng), "CAF", "PCM_16")[:14_000],
        file="a.caf", **_UNREADABLE,
    ),
    _of(
        "RIFX cut in the sound", "half of a big-endian WAV", lambda rng: rifx(rng)[:12_044],
        state="short", reason="truncated: 12000 bytes", read_s=0.5,
    ),
    _of(
        "AU cut in the sound", "half of an AU", lambda rng: encoded(sound(rng), "AU", "PCM_16")[:12_000],
        file="a.au", state="short", reason="truncated:",
    ),
    _of(
        "RF64 cut in the sound", "half of an RF64", lambda rng: encoded(sound(rng), "RF64", "PCM_16")[:12_000],
        file="a.wav", state="short", reason="truncated:",
    ),
)  # fmt: skip


def _sized(data: int, riff_size: int | None = None) -> Callable[[np.random.Generator], bytes]:
    return lambda rng: riff(fmt(), chunk(b"data", pcm(sound(rng)), data), declared=riff_size)


def _aiff_of_many_frames(rng: np.random.Generator) -> bytes:
    whole = encoded(sound(rng), "AIFF", "PCM_16")
    at = whole.index(b"COMM") + 10
    return whole[:at] + b"\x7f\xff\xff\xff" + whole[at + 4 :]


_LONG = struct.pack("<QQQI", 1 << 62, 1 << 62, 1 << 61, 0)

SIZES = (
    _of("no samples", "a whole WAV of no samples", lambda _: wav(np.zeros((0, 1))), **_EMPTY),
    _of(
        "no samples, LIST behind", "data size 0, and a LIST chunk that is no sound",
        lambda _: riff(fmt(), chunk(b"data", b""), chunk(b"LIST", b"INFOICMT" + bytes(50))), **_EMPTY,
    ),
    _of("never finalised, sizes 0 and 8", "RIFF size 8, data size 0, sound behind it", _sized(0, 8), read_s=1.0),
    _of("never finalised, sizes 0", "RIFF and data size 0, sound behind them", _sized(0, 0), read_s=1.0),
    _of("never finalised, sizes of a header", "RIFF size 36, data size 0", _sized(0, 36), read_s=1.0),
    _of("never finalised, sizes -1", "RIFF and data size 0xFFFFFFFF", _sized(0xFFFFFFFF, 0xFFFFFFFF), read_s=1.0),
    _of(
        "never finalised, nothing there", "data size 0xFFFFFFFF and no sound",
        lambda _: riff(fmt(), chunk(b"data", b"", 0xFFFFFFFF)), **_EMPTY,
    ),
    _of("data size too large", "twice the size", _sized(2 * _N_BYTES), state="short", reason="truncated: 24000 bytes"),
    _of(
        "data size immense", "4 GB in a file of 24 kB", _sized(0xFFFFFFF0), state="short", reason="truncated:",
        read_s=1.0,
    ),
    _of(
        "RF64 size immense", "2**62 bytes in a file of 24 kB",
        lambda rng: riff(
            chunk(b"ds64", _LONG), fmt(), chunk(b"data", pcm(sound(rng)), 0xFFFFFFFF), name=b"RF64", declared=0xFFFFFFFF
        ),
        state="short", reason="truncated:",
    ),
    _of(
        "AIFF of immense length", "2**31 - 1 frames in a file of 24 kB", _aiff_of_many_frames, file="a.aiff",
        read_s=1.0,
    ),
    _of("data size too small", "half the size; the rest is not read", _sized(_N_BYTES // 2), read_s=0.5),
    _of("RIFF size too small", "100 bytes, the data size is right", _sized(_N_BYTES, 100), read_s=1.0),
    _of("RIFF size too large", "4 GB, the data size is right", _sized(_N_BYTES, 0xFFFFFF00), read_s=1.0),
    _of(
        "odd chunk, not padded", "a chunk of 3 bytes ahead of the data, without its padding",
        lambda rng: riff(fmt(), chunk(b"note", b"abc", padded=False), chunk(b"data", pcm(sound(rng)))),
        **_UNREADABLE,
    ),
    _of(
        "chunk of immense size", "a chunk ahead of the data that declares 4 GB",
        lambda rng: riff(fmt(), chunk(b"note", b"abcd", 0xFFFFFFF0), chunk(b"data", pcm(sound(rng)))), **_UNREADABLE,
    ),
    _of(
        "no format chunk", "the data chunk alone", lambda rng: riff(chunk(b"data", pcm(sound(rng)))), **_UNREADABLE,
    ),
    _of(
        "zeros behind the format", "a card that failed: zeros from byte 36 on",
        lambda rng: wav(sound(rng))[:36] + bytes(_N_BYTES), **_UNREADABLE,
    ),
)  # fmt: skip

NUMBERS = (
    _of("sample rate 0", "the header says 0 Hz", lambda rng: wav(sound(rng), sr=0), **_UNREADABLE),
    _of(
        "sample rate 1", "the header says 1 Hz", lambda rng: wav(sound(rng), sr=1),
        state="unreadable", reason="a sample rate of 1 Hz", decided="header",
    ),
    _of(
        "sample rate 1e9", "the header says 1 GHz", lambda rng: wav(sound(rng), sr=10**9),
        state="unreadable", reason="a sample rate of 1000000000 Hz", decided="header",
    ),
    _of("sample rate 4e9", "the header says 4 GHz", lambda rng: wav(sound(rng), sr=4 * 10**9), **_UNREADABLE),
    _of("0 channels", "the header says 0 channels", lambda rng: wav(sound(rng), n_channels=0), **_UNREADABLE),
    _of("255 channels", "the header says 255 channels", lambda rng: wav(sound(rng), n_channels=255)),
    _of("2000 channels", "the header says 2,000 channels", lambda rng: wav(sound(rng), n_channels=2000), **_UNREADABLE),
    _of("0 bits", "the header says 0 bits a sample", lambda rng: wav(sound(rng), bits=0), **_UNREADABLE),
    _of("unknown coding", "the header says format 0x1234", lambda rng: wav(sound(rng), tag=0x1234), **_UNREADABLE),
    _of(
        "wrong block size", "the header says 3 bytes a frame of 16 bits", lambda rng: wav(sound(rng), frame_bytes=3),
    ),
)  # fmt: skip
