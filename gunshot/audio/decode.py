"""Samples: a recording opened once, read whole, by segment or block after block.

Conventions
-----------
Samples are float32 in [-1, 1] at the file's own rate, mixed to mono by the mean of the channels. Positions count frames
from the start of the recording. What cannot be used raises `AudioError` with its state: ``unreadable`` or ``empty``.
A recording that breaks off is read as far as it goes; `Recording.defect` then says how it is short.
"""

from __future__ import annotations

import contextlib
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
from gunshot.errors import AudioError, StorageError, TransientStorageError
from gunshot.storage import is_remote, read_bytes

__all__ = ["Recording"]

_BLOCK_FRAMES = 1 << 16
_STEP_FRAMES = 512

_NO_SEEK = {"OGG", "MP3"}
"""Containers in which libsndfile's seek misses the place, by up to 0.1 s in Vorbis (its issue 885), or loses what the
decoder knew of the frames before: they are decoded on to the place instead."""

_UNKNOWN_FRAMES = 1 << 62
"""libsndfile gives a number above this for a FLAC whose header was never finalised."""

_LEAST_SR = 1000
"""Lower rates come from damaged headers [Hz]; resampling from 1 Hz would take days and all memory."""

_LARGEST_SAMPLE = 1e12
"""Integers written as floats pass; noise read as floats does not, and would overflow a spectrum."""


class _Source(io.BufferedReader):
    """A file for libsndfile, which a damaged header may send to before its beginning: no error of ours."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError):
            return self.tell()


def _open(uri: str) -> tuple[BinaryIO, int]:
    """The file to decode and its size [bytes]: a local file as it is, an object fetched whole."""
    if is_remote(uri):
        content = read_bytes(uri)
        return _Source(io.BytesIO(content)), len(content)
    path = Path(uri.removeprefix("file://"))
    try:
        status = path.stat()
        if not stat_flags.S_ISREG(status.st_mode):  # opening a FIFO would wait for ever
            raise AudioError("unreadable", "not a regular file")
        return _Source(io.FileIO(path)), status.st_size
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
        self._held = (0, np.empty(0, dtype=np.float32))  # the span last read, where the decoder does not seek
        try:
            self._file, size = _open(uri)
        except TransientStorageError:  # the store's fault, not the file's: tried again, never recorded
            raise
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
        self._start_decoder()
        self._seeks = sf.SoundFile.seekable(self._sound) and self._sound.format not in _NO_SEEK
        n_frames = self._sound.frames if self._sound.frames < _UNKNOWN_FRAMES else self._count_frames()
        sound = self._sound
        self.header = AudioHeader(sound.samplerate, sound.channels, n_frames, sound.format, sound.subtype)
        if n_frames <= 0:
            sound.close()
            raise AudioError("empty", "the header declares no samples (recorder stopped before finalising?)")
        if sound.samplerate < _LEAST_SR:
            sound.close()
            raise AudioError("unreadable", f"the header declares a sample rate of {sound.samplerate} Hz")
        if missing:
            self.defect = f"truncated: {missing} bytes fewer than the header declares"

    def _start_decoder(self) -> None:
        self._file.seek(0)
        try:
            self._sound = sf.SoundFile(self._file)
        except (sf.LibsndfileError, TypeError) as error:  # TypeError: headerless RAW by its ending
            raise AudioError("unreadable", f"no decoder takes it: {_reason(error)}") from error
        self._position = 0
        # else soundfile would seek after each read, which breaks the stream of frames of an MP3 or Opus
        self._sound.seekable = lambda: False

    def _restart_decoder(self) -> None:
        """Begin again: a decoder that has failed once fails for ever."""
        self._sound.close()
        self._start_decoder()

    def _count_frames(self) -> int:
        """Frames that can be decoded, where the header does not tell."""
        try:
            while len(self._next_frames(_BLOCK_FRAMES)):
                pass
        except sf.LibsndfileError:
            self._before_break(self._position + _BLOCK_FRAMES)
        n_frames = self._position
        self._restart_decoder()
        return n_frames

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
        start = min(max(start, 0), end)
        held = self._still_held(start, end)
        parts = [held, *self._blocks(start + held.size, end, _BLOCK_FRAMES)]
        y = np.concatenate(parts) if len(parts) != 2 or held.size else parts[1]
        if y.size == 0 and end > start:
            raise AudioError("unreadable", self.defect or "no samples could be decoded")
        if not self._seeks and start + y.size == self._position:
            self._held = (start, y)
        return y

    def _still_held(self, start: int, stop: int) -> NDArray[np.float32]:
        """The beginning of a span as far as the span read before it reaches: segments follow each other closely."""
        first, y = self._held
        return y[start - first : stop - first] if start >= first else y[:0]

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
        if start >= stop:
            return
        try:
            if self._position != start:
                self._go_to(start)
            while self._position < stop:
                frames = self._next_frames(min(block_frames, stop - self._position))
                if len(frames) == 0:
                    self._break_off("the data ends")
                    return
                yield _mono(frames)
        except sf.LibsndfileError as error:
            inside = self._position >= start  # not on the way to it
            rest = self._before_break(min(self._position + (block_frames if inside else _BLOCK_FRAMES), stop))
            self._break_off(_reason(error))
            self._restart_decoder()
            if inside and len(rest):
                yield _mono(rest)

    def _before_break(self, stop: int) -> NDArray[np.float32]:
        """Frames ahead of the place where the decoder fails: it gives none of the read that fails, so by small ones.

        They end at multiples of the step, so that where a recording breaks off does not depend on the size of blocks.
        """
        position = self._position
        parts = [np.empty((0, self._sound.channels), dtype=np.float32)]
        self._restart_decoder()
        with contextlib.suppress(sf.LibsndfileError):
            self._go_to(position)
            while self._position < stop:
                n_frames = min(_STEP_FRAMES - self._position % _STEP_FRAMES, stop - self._position)
                parts.append(self._next_frames(n_frames))
                if len(parts[-1]) == 0:
                    break
        return np.concatenate(parts)

    def _next_frames(self, n_frames: int) -> NDArray[np.float32]:
        frames: NDArray[np.float32] = self._sound.read(n_frames, dtype="float32", always_2d=True)
        self._position += len(frames)
        return frames

    def _go_to(self, frame: int) -> None:
        if self._seeks:
            try:
                self._sound.seek(frame)
                self._position = frame
                return
            except sf.LibsndfileError:  # a compressed file that breaks off: what is there can be decoded on to
                self._seeks = False
                self._restart_decoder()
        if frame < self._position:
            self._restart_decoder()
        while self._position < frame and len(self._next_frames(min(_BLOCK_FRAMES, frame - self._position))):
            pass

    def _break_off(self, why: str) -> None:
        self.defect = f"breaks off after {self._position / self.header.sr:.3f} s: {why}"


def _mono(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    largest = float(np.abs(frames).max())
    if not np.isfinite(largest):
        raise AudioError("unreadable", "holds samples that are not finite (NaN or infinity)")
    if largest > _LARGEST_SAMPLE:
        raise AudioError("unreadable", f"holds samples of {largest:.3g}, which no recorder writes")
    y = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1, dtype=np.float32)
    return np.ascontiguousarray(y)


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or str(error)
    return str(text).strip().rstrip(".")
