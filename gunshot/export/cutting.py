"""Pieces of a recording, with all its channels, at its own rate, as files.

Conventions
-----------
A piece is coded as its recording is where a lossless container can hold that, so 16 and 24 bit integers and floats in a
WAV are the recording's own to the last bit. The same piece is always the same bytes.
"""

from __future__ import annotations

import io
import struct
from typing import Literal

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from gunshot.audio.decode import Recording
from gunshot.audio.frames import check_frames
from gunshot.errors import AudioError

__all__ = ["ClipFormat", "RecordingChannels", "sound_file"]

ClipFormat = Literal["wav", "flac"]

Frames = NDArray[np.float32]

_WAV_CODINGS = {"PCM_24": "PCM_24", "PCM_32": "FLOAT", "FLOAT": "FLOAT", "DOUBLE": "FLOAT"}
_FLAC_CODINGS = {"PCM_24": "PCM_24", "PCM_32": "PCM_24", "FLOAT": "PCM_24", "DOUBLE": "PCM_24"}
"""By the recording's coding; 16 bits for all others, which have no more or are lossy."""

_FLAC_MOST_CHANNELS = 8
_FLAC_MOST_SR = 655_350


class RecordingChannels(Recording):
    """A recording whose channels are read as they are, not mixed."""

    def read_frames(self, start: int, stop: int) -> Frames:
        """Decode a span of all channels.

        Parameters
        ----------
        start, stop : int
            First frame and the frame after the last; clipped to the recording.

        Returns
        -------
        ndarray of shape (n_frames, n_channels), float32
            Fewer frames than asked where the recording breaks off (see `defect`).

        Raises
        ------
        AudioError
            ``unreadable`` if nothing of the span can be decoded, or a sample is not finite.
        """
        start, stop = max(start, 0), min(stop, self.header.n_frames)
        parts: list[Frames] = []
        while start < min(stop, self._end):
            try:
                frames = self._decode(start, min(self._block_frames, min(stop, self._end) - start))
            except sf.LibsndfileError as error:
                self._break_off(self._find_break(), str(error), start)
                continue
            if len(frames) == 0:
                self._break_off(self._position, "the data ends", start)
                continue
            check_frames(frames)
            parts.append(frames)
            start += len(frames)
        if stop > self._end:
            self.defect = self._break
        if not parts:
            raise AudioError("unreadable", self.defect or "no samples could be decoded")
        return np.concatenate(parts)


def sound_file(frames: Frames, sr: int, subtype: str, kind: ClipFormat, comment: str) -> bytes:
    """A file of a piece of sound.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_channels), float32
        Samples in [-1, 1].
    sr : int
        Sample rate [Hz].
    subtype : str
        The recording's coding, by libsndfile's name.
    kind : {"wav", "flac"}
        The container.
    comment : str
        Written into it.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    AudioError
        ``unreadable`` if the container cannot hold it: FLAC takes 8 channels and 655,350 Hz.
    """
    if kind == "flac" and (frames.shape[1] > _FLAC_MOST_CHANNELS or sr > _FLAC_MOST_SR):
        raise AudioError("unreadable", f"FLAC does not hold {frames.shape[1]} channels at {sr} Hz; take WAV")
    coding = (_WAV_CODINGS if kind == "wav" else _FLAC_CODINGS).get(subtype, "PCM_16")
    buffer = io.BytesIO()
    with sf.SoundFile(buffer, "w", sr, frames.shape[1], coding, format=kind.upper()) as file:
        file.comment = comment
        file.write(_integers(frames, coding))
    content = buffer.getvalue()
    return _without_clock(content) if coding == "FLOAT" else content


def _integers(frames: Frames, coding: str) -> NDArray[np.int16] | NDArray[np.int32] | Frames:
    """What the recording's integers were: libsndfile would scale by one less than the full scale."""
    if coding == "FLOAT":
        return frames
    bits = int(coding.removeprefix("PCM_"))
    full = 2 ** (bits - 1)
    values: NDArray[np.int32] = np.clip(np.rint(frames.astype(np.float64) * full), -full, full - 1).astype(np.int32)
    return values.astype(np.int16) if bits == 16 else np.left_shift(values, 32 - bits)


def _without_clock(content: bytes) -> bytes:
    """The same WAV without the time of writing, which libsndfile puts into the chunk of a float file's peaks."""
    position, edited = 12, bytearray(content)
    while position + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, position)
        if name == b"PEAK":
            edited[position + 12 : position + 16] = bytes(4)
        position += 8 + size + size % 2
    return bytes(edited)
