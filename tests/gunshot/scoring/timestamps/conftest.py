"""WAV and FLAC files with what recorders write into them."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest


def chunk(name: bytes, content: bytes, *, is_padded: bool = True) -> bytes:
    return name + struct.pack("<I", len(content)) + content + (b"\0" if len(content) % 2 and is_padded else b"")


def wav(*before: bytes, after: tuple[bytes, ...] = (), n_samples: int = 1000) -> bytes:
    """A mono WAV of 16 bit at 8 kHz with chunks before and after its sound."""
    fmt = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16))
    body = b"WAVE" + fmt + b"".join(before) + chunk(b"data", b"\x01\x00" * n_samples) + b"".join(after)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def info(**entries: str) -> bytes:
    """A LIST chunk; its texts end in NUL, as AudioMoth's do."""
    return chunk(b"LIST", b"INFO" + b"".join(chunk(k.encode(), v.encode() + b"\0\0") for k, v in entries.items()))


def guano(**fields: str) -> bytes:
    lines = ["GUANO|Version: 1.0", *(f"{name.replace('_', ' ')}: {value}" for name, value in fields.items())]
    return chunk(b"guan", "\n".join(lines).encode() + b"\n")


def wamd(fields: dict[int, bytes]) -> bytes:
    return chunk(b"wamd", b"".join(struct.pack("<HI", name, len(value)) + value for name, value in fields.items()))


@pytest.fixture(scope="session")
def make_wav() -> Callable[..., bytes]:
    return wav


@pytest.fixture(scope="session")
def make_info() -> Callable[..., bytes]:
    return info


@pytest.fixture(scope="session")
def make_guano() -> Callable[..., bytes]:
    return guano


@pytest.fixture(scope="session")
def make_wamd() -> Callable[..., bytes]:
    return wamd


@pytest.fixture(scope="session")
def make_chunk() -> Callable[..., bytes]:
    return chunk
