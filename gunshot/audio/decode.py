"""Samples: a recording opened once, read whole, by segment or block after block.

Conventions
-----------
Samples are float32 in [-1, 1] at the file's own rate, mixed to mono by the mean of the channels. Positions count frames
from the start of the recording. What cannot be used raises `AudioError` with its state: ``unreadable`` or ``empty``.
A recording that breaks off is read as far as it goes; `Recording.defect` then says how it is short.
"""

from __future__ import annotations

import io
import stat as stat_flags
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from gunshot.audio.probe import AudioHeader, missing_wav_bytes
from gunshot.errors import AudioError, StorageError
from gunshot.storage import is_remote, read_bytes

__all__ = ["Recording"]

_BLOCK_FRAMES = 1 << 16


def _open(uri: str) -> tuple[BinaryIO, int]:
    """The file to decode and its size [bytes]: a local file as it is, an object fetched whole."""
    if is_remote(uri):
        content = read_bytes(uri)
        return io.BytesIO(content), len(content)
    path = Path(uri)
    try:
        status = path.stat()
        if not stat_flags.S_ISREG(status.st_mode):  # opening a FIFO would wait for ever
            raise AudioError("unreadable", "not a regular file")
        return path.open("rb"), status.st_size
    except AudioError:
        raise
    except OSError as error:
        raise AudioError("unreadable", error.strerror or str(error)) from error


class Recording:
    """One audio file, open for reading; a context manager.

    Parameters
    ----------
    uri : str
        Local path or remote object.

    Attributes
    ----------
    header : AudioHeader
        What the header says.
    defect : str or None
        How the recording is short of what its header declares, as far as is known by now.

    Raises
    ------
    AudioError
        ``unreadable`` if no decoder takes it, ``empty`` if it holds no samples.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.defect: str | None = None
        try:
            self._file, size = _open(uri)
        except StorageError as error:
            raise AudioError("unreadable", str(error)) from error
        try:
            self._open_decoder(size)
        except BaseException:
            self._file.close()
            raise

    def _open_decoder(self, size: int) -> None:
        if size == 0:
            raise AudioError("empty", "the file has 0 bytes")
        missing = missing_wav_bytes(self._file, size)
        self._file.seek(0)
        try:
            self._sound = sf.SoundFile(self._file)
        except (sf.LibsndfileError, TypeError) as error:  # TypeError: headerless RAW by its ending
            raise AudioError("unreadable", f"no decoder takes it: {_reason(error)}") from error
        sound = self._sound
        self.header = AudioHeader(sound.samplerate, sound.channels, sound.frames, sound.format, sound.subtype)
        if sound.frames <= 0:
            sound.close()
            raise AudioError("empty", "the header declares no samples (recorder stopped before finalising?)")
        if missing:
            self.defect = f"truncated: {missing} bytes fewer than the header declares"

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the decoder and the file."""
        self._sound.close()
        self._file.close()

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Decode a span of the recording.

        Parameters
        ----------
        start, stop : int
            First frame and the frame after the last; clipped to the recording.

        Returns
        -------
        ndarray of shape (n_frames,), float32
            Mono samples; fewer than asked where the recording breaks off (see `defect`).

        Raises
        ------
        AudioError
            ``unreadable`` if nothing of the span can be decoded, or a sample is not finite.
        """
        end = self.header.n_frames if stop is None else min(stop, self.header.n_frames)
        parts = list(self._blocks(min(max(start, 0), end), end, _BLOCK_FRAMES))
        if not parts and end > start:
            raise AudioError("unreadable", self.defect or "no samples could be decoded")
        return np.concatenate(parts) if len(parts) != 1 else parts[0]

    def blocks(self, block_frames: int) -> Iterator[NDArray[np.float32]]:
        """Decode the recording forward, block after block.

        Parameters
        ----------
        block_frames : int
            Length of a block [frames]; the last one may be shorter.

        Yields
        ------
        ndarray of shape (<= block_frames,), float32
            Mono samples.

        Raises
        ------
        AudioError
            As :meth:`read`.
        """
        got = 0
        for block in self._blocks(0, self.header.n_frames, block_frames):
            got += block.size
            yield block
        if got == 0:
            raise AudioError("unreadable", self.defect or "no samples could be decoded")

    def _blocks(self, start: int, stop: int, block_frames: int) -> Iterator[NDArray[np.float32]]:
        position = start
        try:
            if self._sound.tell() != start:
                self._sound.seek(start)
            while position < stop:
                frames = self._sound.read(min(block_frames, stop - position), dtype="float32", always_2d=True)
                if len(frames) == 0:
                    self._break_off(position, "the data ends")
                    return
                position += len(frames)
                yield _mono(frames)
        except sf.LibsndfileError as error:
            self._break_off(position, _reason(error))

    def _break_off(self, position: int, why: str) -> None:
        self.defect = f"breaks off after {position / self.header.sr:.3f} s: {why}"


def _mono(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    y = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1, dtype=np.float32)
    if not np.isfinite(y).all():
        raise AudioError("unreadable", "holds samples that are not finite (NaN or infinity)")
    return np.ascontiguousarray(y)


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or str(error)
    return str(text).strip().rstrip(".")
