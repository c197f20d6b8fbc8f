"""Where recorders put text into a file: chunks of a WAV, tags of a FLAC.

Conventions
-----------
Only headers of chunks and the chunks asked for are read, so a file of any length costs a few reads. Any bytes give
chunks or none: a damaged file never raises, and every loop is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["MetadataChunks", "read_chunks"]

MetadataChunks = dict[str, bytes]
"""Contents by name: ``guan``, ``wamd``, ``ICMT``, ``IART``; the first of each name."""

_WANTED = {b"guan", b"wamd", b"LIST"}
_LARGEST_BYTES = 1 << 20  # of a chunk that is read; a voice note in `wamd` may be long, texts are not
_MOST_CHUNKS = 1000
_VORBIS_NAMES = {b"COMMENT": "ICMT", b"DESCRIPTION": "ICMT", b"ARTIST": "IART", b"GUANO": "guan"}


def read_chunks(file: BinaryIO, size: int) -> MetadataChunks:
    """The chunks in which recorders write.

    Parameters
    ----------
    file : binary file
        The file; its position is as before afterwards.
    size : int
        Its size [bytes].

    Returns
    -------
    dict of str to bytes
        Empty for other containers than WAV and FLAC, and for files without such chunks.
    """
    position = file.tell()
    found: MetadataChunks = {}
    try:
        file.seek(0)
        head = file.read(12)
        if head[:4] in {b"RIFF", b"RF64", b"BW64"} and head[8:] == b"WAVE":
            for name, content in _wav_chunks(file, size):
                _add_chunk(found, name, content)
        elif head[:4] == b"fLaC":
            _add_flac(found, file, size)
    finally:
        file.seek(position)
    return found


def _add_chunk(found: MetadataChunks, name: bytes, content: bytes) -> None:
    if name == b"LIST":
        if content[:4] == b"INFO":
            for entry, text in _sub_chunks(content[4:]):
                found.setdefault(entry.decode("latin-1"), text)
    elif name in _WANTED:
        found.setdefault(name.decode("latin-1"), content)


def _wav_chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, bytes]]:
    position, long_data = 12, 0
    for _ in range(_MOST_CHUNKS):
        file.seek(position - 1)
        head = file.read(9)
        if head[:4] in _WANTED:  # some writers leave out the byte that fills a chunk of odd length
            position -= 1
            head = b"\0" + head
        if len(head) < 9:
            return
        name, length = struct.unpack("<4sI", head[1:9])
        if not _is_name(name):
            return
        file.seek(position + 8)
        if name == b"ds64":
            content = file.read(16)
            long_data = int.from_bytes(content[8:16], "little")
        elif name in _WANTED:
            yield name, file.read(min(length, _LARGEST_BYTES))
        if name == b"data" and length == 0xFFFFFFFF and long_data:
            length = long_data
        position += 8 + length + length % 2
        if position >= size:
            return


def _sub_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, position)
        if not _is_name(name):
            return
        yield name, content[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _add_flac(found: MetadataChunks, file: BinaryIO, size: int) -> None:
    """Tags, and the chunks of the WAV that a FLAC was made of where the encoder kept them."""
    position = 4
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        head = file.read(4)
        if len(head) < 4:
            return
        kind, length = head[0] & 0x7F, int.from_bytes(head[1:], "big")
        if kind in {2, 4}:
            content = file.read(min(length, _LARGEST_BYTES))
            if kind == 2 and content[:4] == b"riff":
                for name, inner in _sub_chunks(content[4:]):
                    _add_chunk(found, name, inner)
            elif kind == 4:
                _add_tags(found, content)
        position += 4 + length
        if head[0] & 0x80 or position >= size:
            return


def _add_tags(found: MetadataChunks, content: bytes) -> None:
    position = 4 + int.from_bytes(content[:4], "little") + 4  # the encoder's name, and how many tags there are
    while position + 4 <= len(content):
        length = int.from_bytes(content[position : position + 4], "little")
        name, _, value = content[position + 4 : position + 4 + length].partition(b"=")
        if known := _VORBIS_NAMES.get(name.upper()):
            found.setdefault(known, value)
        position += 4 + length


def _is_name(name: bytes) -> bool:
    return all(0x20 <= letter < 0x7F for letter in name)
