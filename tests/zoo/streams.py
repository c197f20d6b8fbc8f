"""FLAC, Ogg and MP3 that are cut, damaged, or say what is not so."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from tests.zoo.build import encoded, flac_frames_at, flipped, id3, pages, sound, with_checksum, with_flac_total
from tests.zoo.kinds import Kind, content

_UNREADABLE = {"state": "unreadable", "reason": "no decoder takes it", "decided": "header"}


def _flac(rng: np.random.Generator) -> bytes:
    return encoded(sound(rng, duration_s=2.0), "FLAC", "PCM_16")


def _ogg(rng: np.random.Generator, subtype: str = "VORBIS") -> bytes:
    return encoded(sound(rng, sr=24_000, duration_s=4.0), "OGG", subtype, sr=24_000)


def _mp3(rng: np.random.Generator) -> bytes:
    return encoded(sound(rng, sr=22_050, duration_s=2.0), "MP3", "MPEG_LAYER_III", sr=22_050)


def _of(name: str, file: str, made: str, make: Callable[[np.random.Generator], bytes], **expected: object) -> Kind:
    return Kind(name=name, file=file, made=made, make=content(make), **expected)


def _flac_flipped(place: float) -> Callable[[np.random.Generator], bytes]:
    """A bit of the frames the other way, at a part of their length."""

    def make(rng: np.random.Generator) -> bytes:
        whole = _flac(rng)
        first = flac_frames_at(whole)
        return flipped(whole, 8 * (first + round(place * (len(whole) - first))) + 3)

    return make


def _flac_zeroed(rng: np.random.Generator) -> bytes:
    whole = _flac(rng)
    middle = len(whole) // 2
    return whole[:middle] + bytes(512) + whole[middle + 512 :]


_BREAK = {"state": "short", "reason": "breaks off after"}

FLACS = (
    _of("FLAC cut in a frame", "a.flac", "60% of a FLAC", lambda rng: (w := _flac(rng))[: len(w) * 6 // 10], **_BREAK),
    _of("FLAC cut in its header", "a.flac", "20 bytes of a FLAC", lambda rng: _flac(rng)[:20], **_UNREADABLE),
    _of(
        "FLAC header alone", "a.flac", "a FLAC cut where its first frame begins",
        lambda rng: (w := _flac(rng))[: flac_frames_at(w)], state="unreadable", reason="breaks off after 0.000 s",
    ),
    _of(
        "FLAC without length", "a.flac", "no number of samples in the header: the recorder lost its power",
        lambda rng: with_flac_total(_flac(rng), 0), read_s=2.0,
    ),
    _of(
        "FLAC without length, cut", "a.flac", "60% of such a FLAC",
        lambda rng: with_flac_total((w := _flac(rng))[: len(w) * 6 // 10], 0),
    ),
    _of(
        "FLAC of immense length", "a.flac", "2**36 - 1 samples declared",
        lambda rng: with_flac_total(_flac(rng), 2**36 - 1), **_BREAK,
    ),
    _of(
        "FLAC of too small a length", "a.flac", "half of the samples declared; the rest is not read",
        lambda rng: with_flac_total(_flac(rng), 12_000), read_s=1.0,
    ),
    _of(
        "FLAC with a bit flipped in its name", "a.flac", "fLaC misspelt",
        lambda rng: flipped(_flac(rng), 3), **_UNREADABLE,
    ),
    _of(
        "FLAC with a bit flipped in its header", "a.flac", "bits a sample: 17 instead of 16",
        lambda rng: flipped(_flac(rng), 8 * 21 + 3), **_UNREADABLE,
    ),
    _of("FLAC with a bit flipped in the middle", "a.flac", "one bit of a frame", _flac_flipped(0.5), **_BREAK),
    _of("FLAC with a bit flipped at the end", "a.flac", "one bit of the last frame", _flac_flipped(0.99), **_BREAK),
    _of(
        "FLAC with a bit flipped at the beginning", "a.flac", "one bit of the first frame", _flac_flipped(0.02),
        state="unreadable", reason="breaks off after 0.000 s",
    ),
    _of("FLAC with zeros in the middle", "a.flac", "512 bytes set to 0", _flac_zeroed, **_BREAK),
    _of(
        "FLAC with frames of another", "a.flac", "half of a mono file, half of a stereo file",
        lambda rng: (w := _flac(rng))[: len(w) // 2] + encoded(sound(rng, n_channels=2), "FLAC", "PCM_16")[5000:],
        **_BREAK,
    ),
)  # fmt: skip


def _without_page(rng: np.random.Generator, number: int) -> bytes:
    return b"".join(page for index, page in enumerate(pages(_ogg(rng))) if index != number)


def _late_page(rng: np.random.Generator, subtype: str) -> bytes:
    """The last page says that an immense number of samples came before it; its checksum is right."""
    *first, last = pages(_ogg(rng, subtype))
    return b"".join(first) + with_checksum(last[:6] + struct.pack("<Q", 1 << 50) + last[14:])


OGGS = (
    _of("Vorbis cut in a page", "a.ogg", "70% of the file; what was left out is not known",
        lambda rng: (w := _ogg(rng))[: len(w) * 7 // 10]),
    _of("Opus cut in a page", "a.opus", "70% of the file; what was left out is not known",
        lambda rng: (w := _ogg(rng, "OPUS"))[: len(w) * 7 // 10]),
    _of("Vorbis cut in its header", "a.ogg", "100 bytes", lambda rng: _ogg(rng)[:100], **_UNREADABLE),
    _of("Vorbis header alone", "a.ogg", "the header's pages",
        lambda rng: b"".join(list(pages(_ogg(rng)))[:2]),
        state="empty", reason="declares no samples", decided="header"),
    _of("Vorbis with a page lost", "a.ogg", "a page taken out; what lies behind it comes too early",
        lambda rng: _without_page(rng, 4), state="short", reason="the data ends"),
    _of("Vorbis with a bit flipped in its header", "a.ogg", "one bit of the first page; its checksum tells",
        lambda rng: flipped(_ogg(rng), 8 * 40), **_UNREADABLE),
    _of("Vorbis with a bit flipped in the sound", "a.ogg", "one bit in the middle; its page is left out as above",
        lambda rng: flipped(w := _ogg(rng), 4 * len(w)), state="short", reason="the data ends"),
    _of("Vorbis of immense length", "a.ogg", "the last page counts 2**50 samples",
        lambda rng: _late_page(rng, "VORBIS"),
        state="short", reason="breaks off after"),
    _of("Opus of immense length", "a.opus", "the last page counts 2**50 samples",
        lambda rng: _late_page(rng, "OPUS"),
        state="short", reason="breaks off after"),
    _of("two Ogg files in one", "a.ogg", "a second file of Vorbis behind the first",
        lambda rng: _ogg(rng) + _ogg(rng)),
    _of("Ogg without sound", "a.ogg", "the first page says Theora", lambda rng: _ogg(rng).replace(b"vorbis", b"theora"),
        **_UNREADABLE),
)  # fmt: skip


def _xing_of_many_frames(rng: np.random.Generator) -> bytes:
    whole = _mp3(rng)
    at = max(whole.find(b"Xing"), whole.find(b"Info")) + 8
    return whole[:at] + b"\x00\xff\xff\xff" + whole[at + 4 :]


def _mp3_zeroed(rng: np.random.Generator) -> bytes:
    whole = _mp3(rng)
    middle = len(whole) // 2
    return whole[:middle] + bytes(600) + whole[middle + 600 :]


MP3S = (
    _of("MP3 cut in a frame", "a.mp3", "60% of the file", lambda rng: (w := _mp3(rng))[: len(w) * 6 // 10], **_BREAK),
    _of("MP3 cut in its first frame", "a.mp3", "100 bytes", lambda rng: _mp3(rng)[:100], **_UNREADABLE),
    _of("MP3 with garbage in front", "a.mp3", "1,000 random bytes ahead", lambda rng: rng.bytes(1000) + _mp3(rng),
        **_UNREADABLE),
    _of("MP3 with zeros in front", "a.mp3", "1,000 zeros ahead", lambda rng: bytes(1000) + _mp3(rng), **_UNREADABLE),
    _of("MP3 with garbage inside", "a.mp3", "600 bytes in the middle set to 0; what lies behind them comes too early",
        _mp3_zeroed, state="short", reason="the data ends"),
    _of("MP3 with garbage behind", "a.mp3", "1,000 random bytes behind", lambda rng: _mp3(rng) + rng.bytes(1000)),
    _of("MP3 of immense length", "a.mp3", "16 million frames declared", _xing_of_many_frames, **_BREAK),
    _of("ID3 alone", "a.mp3", "an ID3v2 tag and nothing else", lambda _: id3(5000), **_UNREADABLE),
    _of("ID3 of immense length", "a.mp3", "a tag that declares 256 MB",
        lambda rng: b"ID3\x03\0\0\x7f\x7f\x7f\x7f" + _mp3(rng), **_UNREADABLE),
)  # fmt: skip

_TEXT = b"The microphone stood by the river.\n" * 50

NO_SOUND = (
    _of("text named WAV", "notes.wav", "lines of text", lambda _: _TEXT, **_UNREADABLE),
    _of("text named MP3", "notes.mp3", "lines of text", lambda _: _TEXT, **_UNREADABLE),
    _of("a file of zeros", "a.wav", "100 kB of blocks never written", lambda _: bytes(100_000), **_UNREADABLE),
    _of("zeros named MP3", "a.mp3", "100 kB of zeros", lambda _: bytes(100_000), **_UNREADABLE),
    _of("random bytes", "a.flac", "20 kB of random bytes", lambda rng: rng.bytes(20_000), **_UNREADABLE),
    _of("random bytes named MP3", "a.mp3", "20 kB of random bytes", lambda rng: rng.bytes(20_000), **_UNREADABLE),
    _of("raw samples named WAV", "a.wav", "16-bit samples without a header",
        lambda rng: (sound(rng) * 32_767).astype("<i2").tobytes(), **_UNREADABLE),
    _of("AVI named WAV", "a.wav", "RIFF of another kind",
        lambda _: b"RIFF\0\1\0\0AVI LIST" + bytes(240), **_UNREADABLE),
    _of("one byte", "a.wav", "a byte", lambda _: b"R", **_UNREADABLE),
)  # fmt: skip
