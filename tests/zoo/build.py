"""Sounds and the bytes of files, for kinds to damage.

Conventions
-----------
Samples are float64 of shape (n_frames, n_channels). What is made depends on its arguments alone: the time and the
serial numbers that libsndfile writes into some files are replaced.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

Samples = NDArray[np.float64]

SR = 12_000
DURATION_S = 1.0


def sound(rng: np.random.Generator, *, sr: int = SR, n_channels: int = 1, duration_s: float = DURATION_S) -> Samples:
    """Noise with a burst in it, the same in all channels."""
    n_frames = round(duration_s * sr)
    t_s = np.arange(n_frames) / sr
    y = 0.003 * rng.standard_normal(n_frames)
    y += 0.2 * rng.standard_normal(n_frames) * np.exp(-np.maximum(t_s - 0.3, 0.0) / 0.05) * (t_s >= 0.3)
    return np.repeat(np.clip(y, -1.0, 1.0)[:, None], n_channels, axis=1)


def encoded(y: Samples, container: str, subtype: str, *, sr: int = SR) -> bytes:
    """A file as libsndfile writes it."""
    buffer = io.BytesIO()
    with sf.SoundFile(buffer, "w", sr, y.shape[1], format=container, subtype=subtype) as file:
        for start in range(0, len(y), 4096):  # its encoders of Ogg keep what they are given at once on the stack
            file.write(y[start : start + 4096])
    content = bytearray(buffer.getvalue())
    at = content.find(b"PEAK")
    if at > 0:
        content[at + 12 : at + 16] = bytes(4)  # the time of writing
    if container == "OGG":
        return b"".join(with_checksum(page[:14] + struct.pack("<I", 1) + page[18:]) for page in pages(bytes(content)))
    return bytes(content)


# ---- RIFF


def chunk(name: bytes, content: bytes, declared: int | None = None, *, order: str = "<", padded: bool = True) -> bytes:
    """A chunk, padded to an even length, that declares its size or another."""
    length = len(content) if declared is None else declared
    return name + struct.pack(f"{order}I", length) + content + b"\0" * (len(content) % 2 if padded else 0)


def riff(*chunks: bytes, name: bytes = b"RIFF", declared: int | None = None, order: str = "<") -> bytes:
    """A WAVE file of chunks."""
    content = b"WAVE" + b"".join(chunks)
    return name + struct.pack(f"{order}I", len(content) if declared is None else declared) + content


def fmt(
    sr: int = SR, n_channels: int = 1, bits: int = 16, tag: int = 1, *, frame_bytes: int | None = None, order: str = "<"
) -> bytes:
    """The format chunk of a WAVE file; each number may be wrong."""
    align = n_channels * bits // 8 if frame_bytes is None else frame_bytes
    rate = min(sr * align, 0xFFFFFFFF)
    return chunk(b"fmt ", struct.pack(f"{order}HHIIHH", tag, n_channels, sr, rate, align & 0xFFFF, bits), order=order)


def pcm(y: Samples, *, order: str = "<") -> bytes:
    """16-bit samples, channel beside channel."""
    return np.round(y * 32_767).astype(f"{order}i2").tobytes()


def wav(y: Samples, **numbers: int) -> bytes:
    """A 16-bit WAVE file; `numbers` are those of :func:`fmt`."""
    return riff(fmt(**{"n_channels": y.shape[1], **numbers}), chunk(b"data", pcm(y)))


def rifx(rng: np.random.Generator) -> bytes:
    """A 16-bit WAVE file with big-endian numbers."""
    data = chunk(b"data", pcm(sound(rng), order=">"), order=">")
    return riff(fmt(order=">"), data, name=b"RIFX", order=">")


# ---- Ogg


def pages(content: bytes) -> Iterator[bytes]:
    """The pages of an Ogg file."""
    at = 0
    while at < len(content):
        n_segments = content[at + 26]
        end = at + 27 + n_segments + sum(content[at + 27 : at + 27 + n_segments])
        yield content[at:end]
        at = end


def with_checksum(page: bytes) -> bytes:
    """A page with the checksum of RFC 3533 that its content asks for."""
    page = page[:22] + bytes(4) + page[26:]
    remainder = 0
    for byte in page:
        remainder = (remainder << 8 & 0xFFFFFFFF) ^ _CHECKSUMS[remainder >> 24 ^ byte]
    return page[:22] + struct.pack("<I", remainder) + page[26:]


def _checksum_of(byte: int) -> int:
    remainder = byte << 24
    for _ in range(8):
        remainder = (remainder << 1 ^ (0x04C11DB7 if remainder & 0x80000000 else 0)) & 0xFFFFFFFF
    return remainder


_CHECKSUMS = [_checksum_of(byte) for byte in range(256)]


# ---- FLAC and MP3


def flac_frames_at(content: bytes) -> int:
    """Where the first frame of a FLAC begins, behind its metadata."""
    at, is_last = 4, False
    while not is_last:
        is_last = bool(content[at] & 0x80)
        at += 4 + int.from_bytes(content[at + 1 : at + 4], "big")
    return at


def with_flac_total(content: bytes, n_frames: int) -> bytes:
    """A FLAC that declares another number of samples (36 bits behind the sample rate)."""
    packed = int.from_bytes(content[18:26], "big") >> 36 << 36 | n_frames
    return content[:18] + packed.to_bytes(8, "big") + content[26:]


def id3(n_bytes: int) -> bytes:
    """An ID3v2.3 tag with a comment of so many bytes."""
    frame = b"TIT2" + struct.pack(">I", n_bytes + 1) + b"\0\0\0" + b"x" * n_bytes
    size = len(frame)
    return b"ID3\x03\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + frame


def flipped(content: bytes, *bits: int) -> bytes:
    """Bytes with some bits the other way, counted from the beginning."""
    damaged = bytearray(content)
    for bit in bits:
        damaged[bit // 8] ^= 0x80 >> bit % 8
    return bytes(damaged)
