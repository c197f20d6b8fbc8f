"""Audio files whose bytes depend on their samples alone.

Conventions: samples are float32 of shape (n_samples, n_channels) in [-1, 1]. libsndfile puts two things
into files that change from run to run: the time of writing in the PEAK chunk of floating-point WAV, and a
random serial number in Ogg pages. Both are replaced by constants (and the checksums of the Ogg pages
computed anew, RFC 3533), so that the same samples give the same file.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from gunshot.errors import ParameterError

__all__ = ["COMMENT", "DEFAULT_FORMATS", "README", "AudioFormat", "encoded", "write_audio", "write_readme"]

Float32 = NDArray[np.float32]

COMMENT = "synthetic sound computed from formulas; not a recording"
"""Comment in the metadata of every file."""

README = """These sounds are synthetic.

Every file here was computed from formulas (blast and shock waves, propagation, noise) and a seed. Nothing
was recorded. The tables say so in their column `source`, the files in their comment.

They are for trying and testing software. No figure obtained on them is accuracy on real sound.

License: CC0 1.0.
"""
"""Text of the README.txt beside synthetic sounds."""

_EXTENSIONS = {"WAV": "wav", "FLAC": "flac", "OGG": "ogg"}
_BIT_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class AudioFormat:
    """How a recorder writes its files.

    Parameters
    ----------
    container : {"WAV", "FLAC", "OGG"}
        Container.
    subtype : str
        Coding of the samples as libsndfile names it, for example PCM_16 or VORBIS.
    sr : int
        Sample rate [Hz], at least 8000.
    n_channels : int
        1 or 2.

    Raises
    ------
    ParameterError
        If the container cannot hold the subtype, or a number is out of range.
    """

    container: str
    subtype: str
    sr: int
    n_channels: int = 1

    def __post_init__(self) -> None:
        """Check that such files exist."""
        if self.container not in _EXTENSIONS:
            raise ParameterError(
                f"container must be one of {', '.join(_EXTENSIONS)}; got {self.container!r}; choose one"
            )
        if not sf.check_format(self.container, self.subtype):
            choices = ", ".join(sf.available_subtypes(self.container))
            raise ParameterError(
                f"subtype must be one of {self.container}; got {self.subtype!r}; choose from {choices}"
            )
        if self.sr < 8000 or self.n_channels not in (1, 2):
            raise ParameterError(
                "sr must be at least 8000 Hz and n_channels 1 or 2; "
                f"got sr={self.sr}, n_channels={self.n_channels}; correct the format"
            )

    @property
    def extension(self) -> str:
        """File name extension without the dot."""
        return _EXTENSIONS[self.container]


DEFAULT_FORMATS: tuple[AudioFormat, ...] = (
    AudioFormat("WAV", "PCM_16", 44_100),
    AudioFormat("WAV", "PCM_16", 48_000, 2),
    AudioFormat("WAV", "PCM_24", 96_000),
    AudioFormat("WAV", "PCM_24", 192_000),
    AudioFormat("WAV", "FLOAT", 48_000),
    AudioFormat("WAV", "PCM_16", 16_000),
    AudioFormat("FLAC", "PCM_16", 12_000),
    AudioFormat("FLAC", "PCM_16", 22_050),
    AudioFormat("FLAC", "PCM_24", 48_000),
    AudioFormat("FLAC", "PCM_16", 44_100, 2),
    AudioFormat("OGG", "VORBIS", 44_100),
    AudioFormat("OGG", "VORBIS", 22_050, 2),
    AudioFormat("OGG", "VORBIS", 48_000),
)
"""A mix as collections have it."""


def encoded(y: Float32, audio_format: AudioFormat) -> bytes:
    """Bytes of an audio file.

    Parameters
    ----------
    y : ndarray of shape (n_samples, n_channels), float32
        Samples in [-1, 1].
    audio_format : AudioFormat
        The format.

    Returns
    -------
    bytes
        The file, a pure function of the arguments (and of libsndfile's version).
    """
    buffer = io.BytesIO()
    with sf.SoundFile(
        buffer,
        "w",
        samplerate=audio_format.sr,
        channels=audio_format.n_channels,
        format=audio_format.container,
        subtype=audio_format.subtype,
    ) as file:
        file.comment = COMMENT
        file.write(y)
    data = bytearray(buffer.getvalue())
    if audio_format.container == "OGG":
        _fix_ogg_serial(data)
    elif audio_format.container == "WAV":
        _fix_peak_time(data)
    return bytes(data)


def write_audio(path: Path, y: Float32, audio_format: AudioFormat) -> None:
    """Write an audio file.

    Parameters
    ----------
    path : Path
        Where.
    y : ndarray of shape (n_samples, n_channels), float32
        Samples in [-1, 1].
    audio_format : AudioFormat
        The format.
    """
    path.write_bytes(encoded(y, audio_format))


def write_readme(folder: Path) -> None:
    """Write the README.txt that says what these sounds are, and what they are not.

    Parameters
    ----------
    folder : Path
        Where.
    """
    (folder / "README.txt").write_text(README, encoding="utf-8")


def _fix_peak_time(data: bytearray) -> None:
    """Set the time stamp of a PEAK chunk ahead of the samples to 0, in place."""
    at = 12
    while at + 8 <= len(data) and data[at : at + 4] != b"data":
        if data[at : at + 4] == b"PEAK":
            data[at + 12 : at + 16] = bytes(4)  # after the chunk's name, size and version
            return
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2


def _fix_ogg_serial(data: bytearray) -> None:
    """Set the serial number of all pages to 1 and their checksums to match, in place."""
    at = 0
    while at < len(data):
        n_segments = data[at + 26]
        end = at + 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])
        data[at + 14 : at + 18] = (1).to_bytes(4, "little")
        data[at + 22 : at + 26] = bytes(4)
        data[at + 22 : at + 26] = _ogg_checksum(bytes(data[at:end])).to_bytes(4, "little")
        at = end


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 of RFC 3533: the polynomial of zlib's, with the bits the other way round and no inversions."""
    mirrored = zlib.crc32(page.translate(_BIT_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
