"""What a file's header says, before any sample is decoded.

Conventions
-----------
Only the container's header is read. libsndfile counts the frames that are *there*; a truncated WAV reads short
without an error, so the size that the header declares is read here and compared.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["AUDIO_SUFFIXES", "AudioHeader", "WavData", "missing_wav_bytes", "sound_data", "wav_data"]

AUDIO_SUFFIXES = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".w64", ".rf64", ".caf", ".au",
    ".snd", ".wve",
)  # fmt: skip
"""Endings of files that a folder or prefix is searched for; a file named itself may have any."""

_UNKNOWN_SIZES = {0, 0xFFFFFFFF}  # written by recorders and streams that never finalised the header


_FORMAT_BYTES = 40  # of the longest fmt chunk, that of WAVE_FORMAT_EXTENSIBLE


@dataclass(frozen=True, slots=True)
class AudioHeader:
    """The facts in a recording's header.

    Attributes
    ----------
    sr : int
        Sample rate [Hz].
    n_channels : int
        Channels.
    n_frames : int
        Frames that are there, as libsndfile counts them.
    container, subtype : str
        libsndfile's names, such as ``WAV`` and ``PCM_24``.
    """

    sr: int
    n_channels: int
    n_frames: int
    container: str
    subtype: str

    @property
    def duration_s(self) -> float:
        """Duration [s]."""
        return self.n_frames / self.sr


@dataclass(frozen=True, slots=True)
class WavData:
    """Where the sound of a file of chunks lies.

    Attributes
    ----------
    offset_bytes : int
        Of its first byte in the file.
    declared_bytes : int or None
        Its length as the header declares it; None in a header that was never finalised.
    form : bytes
        What kind of WAV it is: ``RIFF``, ``RF64`` or ``BW64``.
    format_chunk : bytes
        The beginning of the ``fmt`` chunk, at most 40 bytes.
    """

    offset_bytes: int
    declared_bytes: int | None
    form: bytes
    format_chunk: bytes

    def missing_bytes(self, size: int) -> int:
        """How much of it lies beyond the end of a file.

        Parameters
        ----------
        size : int
            The file's size [bytes].

        Returns
        -------
        int
            Missing bytes; 0 where the header does not tell.
        """
        return 0 if self.declared_bytes is None else max(0, self.offset_bytes + self.declared_bytes - size)


def wav_data(file: BinaryIO, size: int) -> WavData | None:
    """Find the ``data`` chunk of a WAV.

    Parameters
    ----------
    file : binary file
        The file; its position is changed.
    size : int
        Its size [bytes].

    Returns
    -------
    WavData or None
        None for other containers and where no such chunk is found.
    """
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] not in {b"RIFF", b"RF64", b"BW64"} or head[8:] != b"WAVE":
        return None
    declared_64: int | None = None
    format_chunk = b""
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if not all(0x20 <= letter < 0x7F for letter in name):  # not a chunk: nothing that follows can be trusted
            return None
        if name == b"ds64" and position + 24 <= size:
            declared_64 = struct.unpack("<8xQ", file.read(16))[0]
        if name == b"fmt ":
            format_chunk = file.read(min(length, _FORMAT_BYTES))
        if name == b"data":
            if length == 0xFFFFFFFF and declared_64 is not None:
                length = declared_64
            is_unknown = length in _UNKNOWN_SIZES and not _ends_in_chunks(file, position + 8, size)
            return WavData(position + 8, None if is_unknown else length, head[:4], format_chunk)
        position += 8 + length + length % 2
    return None


def _ends_in_chunks(file: BinaryIO, position: int, size: int) -> bool:
    """Whether whole chunks, and no sound, are between here and the end of a WAV."""
    if position == size:
        return False
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if not all(0x20 <= letter < 0x7F for letter in name):
            return False
        position += 8 + length + length % 2
    return position == size


_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


def sound_data(file: BinaryIO, size: int) -> WavData | None:
    """Find the sound of a RIFX, AIFF, W64 or AU file, whose lengths libsndfile corrects without a word.

    Parameters
    ----------
    file : binary file
        The file; its position is changed.
    size : int
        Its size [bytes].

    Returns
    -------
    WavData or None
        None for other containers and where no sound is found.
    """
    file.seek(0)
    head = file.read(40)
    if head[:4] == b".snd" and len(head) >= 24:
        offset, length = struct.unpack(">II", head[4:12])
        return WavData(offset, None if length in _UNKNOWN_SIZES else length, head[:4], b"")
    if (head[:4], head[8:12]) in {(b"RIFX", b"WAVE"), (b"FORM", b"AIFF"), (b"FORM", b"AIFC")}:
        chunks = _big_endian_chunks(file, size)
    elif head[:4] == b"riff" and head[24:28] == b"wave":
        chunks = _w64_chunks(file, size)
    else:
        return None
    for name, offset, length in chunks:
        if name in {b"data", b"SSND", _W64_DATA}:
            return WavData(offset, None if length in _UNKNOWN_SIZES else length, head[:4], b"")
    return None


def _big_endian_chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of each chunk of RIFX and AIFF."""
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack(">4sI", file.read(8))
        if not all(0x20 <= letter < 0x7F for letter in name):
            return
        yield name, position + 8, length
        position += 8 + length + length % 2


def _w64_chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of each chunk of W64, whose lengths include their own 24 bytes."""
    position = 40
    while position + 24 <= size:
        file.seek(position)
        name, length = struct.unpack("<16sQ", file.read(24))
        if length < 24:
            return
        yield name, position + 24, length - 24
        position += (length + 7) // 8 * 8


def missing_wav_bytes(file: BinaryIO, size: int) -> int:
    """How many bytes of sound a RIFF, RF64 or BW64 WAV declares beyond the end of the file.

    Parameters
    ----------
    file : binary file
        The file; its position is changed.
    size : int
        Its size [bytes].

    Returns
    -------
    int
        Missing bytes; 0 for whole files, other containers, and headers that were never finalised.
    """
    data = wav_data(file, size)
    return 0 if data is None else data.missing_bytes(size)
