"""Plain WAV by arithmetic: a span is read at its place and scaled, some times faster than by a decoder.

Conventions
-----------
Header and samples are those of libsndfile to the last bit: integers over their full scale, floats as they are. Only
whole RIFF files of 16, 24 or 32 bit integers or 32 bit floats, whose header agrees with itself, are read
here; all else is left to libsndfile.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from gunshot.audio.probe import AudioHeader, WavData

__all__ = ["PlainSamples", "plain_header"]

_BYTES = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4}
_SUBTYPES = {(1, 16): "PCM_16", (1, 24): "PCM_24", (1, 32): "PCM_32", (3, 32): "FLOAT"}
_EXTENSIBLE = 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
"""What follows the format's number in the sub-format of WAVE_FORMAT_EXTENSIBLE."""

_MOST_CHANNELS = 1024


def plain_header(data: WavData | None, size: int) -> AudioHeader | None:
    """The facts in a plain WAV's header.

    Parameters
    ----------
    data : WavData or None
        From `gunshot.audio.probe.wav_data`.
    size : int
        The file's size [bytes].

    Returns
    -------
    AudioHeader or None
        None where the file is not plain.
    """
    if data is None or data.form != b"RIFF" or len(data.format_chunk) < 16:
        return None
    tag, n_channels, sr, byte_rate, frame_bytes, bits = struct.unpack("<HHIIHH", data.format_chunk[:16])
    container = "WAV"
    if tag == _EXTENSIBLE and len(data.format_chunk) == 40 and data.format_chunk[26:] == _GUID_TAIL:
        container = "WAVEX"
        valid_bits, tag = struct.unpack("<H4xH", data.format_chunk[18:26])
        if valid_bits != bits:
            return None
    subtype = _SUBTYPES.get((tag, bits))
    if subtype is None or not 1 <= n_channels <= _MOST_CHANNELS:
        return None
    if frame_bytes != n_channels * _BYTES[subtype] or byte_rate != sr * frame_bytes:
        return None
    n_bytes = data.declared_bytes
    if n_bytes is None:  # never finalised: libsndfile takes a 0 for true
        n_bytes = (size - data.offset_bytes) // frame_bytes * frame_bytes
    if not n_bytes or n_bytes % frame_bytes or data.missing_bytes(size):
        return None
    return AudioHeader(sr, n_channels, n_bytes // frame_bytes, container, subtype)


class PlainSamples:
    """The samples of a plain WAV.

    Parameters
    ----------
    file : binary file
        The file; its position is changed.
    offset_bytes : int
        Of the first sample.
    header : AudioHeader
        From :func:`plain_header`.
    """

    def __init__(self, file: BinaryIO, offset_bytes: int, header: AudioHeader) -> None:
        self._file = file
        self._offset_bytes = offset_bytes
        self._n_channels = header.n_channels
        self._subtype = header.subtype
        self._frame_bytes = header.n_channels * _BYTES[header.subtype]

    def read(self, start: int, n_frames: int) -> NDArray[np.float32]:
        """Read a span.

        Parameters
        ----------
        start : int
            First frame.
        n_frames : int
            How many.

        Returns
        -------
        ndarray of shape (<= n_frames, n_channels), float32
            Samples of all channels; fewer where the file has become shorter.
        """
        self._file.seek(self._offset_bytes + start * self._frame_bytes)
        content = _read(self._file, n_frames * self._frame_bytes)
        n_samples = len(content) // self._frame_bytes * self._n_channels
        return _as_floats(content, n_samples, self._subtype).reshape(-1, self._n_channels)


def _read(file: BinaryIO, n_bytes: int) -> bytes:
    """So many bytes, or all that are left: one call may give fewer."""
    content = file.read(n_bytes)
    while len(content) < n_bytes and (more := file.read(n_bytes - len(content))):
        content += more
    return content


def _as_floats(content: bytes, n_samples: int, subtype: str) -> NDArray[np.float32]:
    if n_samples == 0:
        return np.empty(0, dtype=np.float32)
    if subtype == "FLOAT":
        return np.frombuffer(content, "<f4", n_samples).astype(np.float32)
    if subtype == "PCM_24":  # the upper two bytes as they are, the lowest one added
        upper = np.ndarray((n_samples,), "<i2", content, offset=1, strides=(3,))
        y = upper.astype(np.float32)
        y *= np.float32(2**8)
        y += np.ndarray((n_samples,), np.uint8, content, strides=(3,))
        y *= np.float32(2.0**-23)
        return y
    bits = 8 * _BYTES[subtype]
    y = np.frombuffer(content, f"<i{bits // 8}", n_samples).astype(np.float32)
    y *= np.float32(2.0 ** (1 - bits))
    return y
