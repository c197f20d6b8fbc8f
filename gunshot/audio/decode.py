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
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import BinaryIO, cast

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from gunshot.audio.content import open_content
from gunshot.audio.frames import check_frames, mono
from gunshot.audio.pcm import PlainSamples, plain_header
from gunshot.audio.probe import AudioHeader, sound_data, wav_data
from gunshot.errors import AudioError
from gunshot.storage import read_bytes
from gunshot.wanted import check_wanted

__all__ = ["Recording"]

_BLOCK_SAMPLES = 1 << 20
"""Samples of all channels together that are decoded at a time."""

_STEP_FRAMES = 512

_HOLD_FRAMES = 1 << 22
"""Recordings of at most so many frames are held decoded: 16 MB."""

_NO_SEEK = {"OGG", "MP3"}
"""Containers in which libsndfile's seek misses the place, by up to 0.1 s in Vorbis (its issue 885), or loses what the
decoder knew of the frames before: they are decoded on to the place instead."""

_UNKNOWN_FRAMES = 1 << 62
"""libsndfile gives a number above this for a FLAC whose header was never finalised."""

_LEAST_SR = 1000
"""Lower rates come from damaged headers [Hz]; resampling from 1 Hz would take days and all memory."""

_LARGEST_SR = 10_000_000
"""Higher rates come from damaged headers [Hz]: a minute of sound would be a sample."""


class Recording:
    """One audio file, open for reading; a context manager.

    Parameters
    ----------
    uri : str
        Local path or remote object.
    fetch : callable, optional
        Gets the content of a remote object; by default from its store, now.

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

    def __init__(self, uri: str, *, fetch: Callable[[str], bytes] = read_bytes) -> None:
        self.uri = uri
        self.defect: str | None = None
        self._break: str | None = None
        self._plain: PlainSamples | None = None  # else libsndfile decodes
        self._held = (0, np.empty(0, dtype=np.float32))  # a decoded span, and where it begins
        check_wanted()
        self._file, self._size = open_content(uri, fetch)
        try:
            self._open_decoder(self._size)
        except BaseException:
            self._file.close()
            raise

    def _open_decoder(self, size: int) -> None:
        if size == 0:
            raise AudioError("empty", "the file has 0 bytes")
        data = wav_data(self._file, size)
        header = plain_header(data, size)
        if data and header and _LEAST_SR <= header.sr <= _LARGEST_SR:
            self.header, self._end, self._seeks = header, header.n_frames, True
            self._plain = PlainSamples(self._file, data.offset_bytes, header)
            self._block_frames = _BLOCK_SAMPLES // header.n_channels
            return
        lies = data or sound_data(self._file, size)  # before the decoder, which shares the file's position
        self._start_decoder()
        self._seeks = sf.SoundFile.seekable(self._sound) and self._sound.format not in _NO_SEEK
        sound = self._sound
        self._end = sound.frames  # where reading ends: the declared end, until a break is found before it
        if sound.frames >= _UNKNOWN_FRAMES:
            self._end = self._count_frames()
            sound = self._sound
        self.header = AudioHeader(sound.samplerate, sound.channels, self._end, sound.format, sound.subtype)
        if self._end <= 0:
            sound.close()
            raise AudioError("empty", "the header declares no samples (recorder stopped before finalising?)")
        if not _LEAST_SR <= sound.samplerate <= _LARGEST_SR:
            sound.close()
            raise AudioError("unreadable", f"the header declares a sample rate of {sound.samplerate} Hz")
        if lies and (missing := lies.missing_bytes(size)):
            self.defect = f"truncated: {missing} bytes fewer than the header declares"

    def _start_decoder(self) -> None:
        self._file.seek(0)
        # a local file is read by libsndfile itself; by its number, as a name would let it guess by the ending
        source = self._file.fileno() if isinstance(self._file, io.FileIO) else self._file
        try:
            self._sound = sf.SoundFile(source, closefd=False)
        except sf.LibsndfileError as error:
            raise AudioError("unreadable", f"no decoder takes it: {_reason(error)}") from error
        self._block_frames = _BLOCK_SAMPLES // self._sound.channels
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
            while len(self._next_frames(self._block_frames)):
                pass
        except sf.LibsndfileError:
            return self._find_break()
        n_frames = self._position
        self._restart_decoder()
        return n_frames

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def content(self) -> tuple[BinaryIO, int]:
        """The open file and its size [bytes], for what else is written in it; its position is the decoder's."""
        return cast(BinaryIO, self._file), self._size

    def close(self) -> None:
        """Close the decoder and the file."""
        if self._plain is None:
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
            Mono samples, not to be written to; fewer than asked where the recording breaks off (see `defect`).

        Raises
        ------
        AudioError
            ``unreadable`` if nothing of the span can be decoded, or a sample is not finite.
        """
        stop = self.header.n_frames if stop is None else min(stop, self.header.n_frames)
        start = min(max(start, 0), stop)
        first, held = self._held
        # segments follow each other closely: what the span before this one holds of it is not decoded again
        y = held[start - first : stop - first] if start >= first else held[:0]
        parts = [y, *map(mono, self._frames(start + y.size, stop, self._block_frames))]
        if len(parts) > 1:
            y = parts[1] if len(parts) == 2 and not y.size else np.concatenate(parts)
            if not self._seeks:
                self._held = (start, y)
        if y.size == 0 and stop > start:
            raise AudioError("unreadable", self.defect or "no samples could be decoded")
        return y

    def hold(self) -> None:
        """Decode all of a short recording now, so that spans are slices of it: for many segments of a compressed file.

        What is read and what is raised afterwards is the same as without. Long recordings, and those in which a span
        is found without decoding, are left as they are.
        """
        if self._plain is not None or self.header.n_frames > _HOLD_FRAMES:
            return
        defect = self.defect
        try:
            self._held = (0, self.read())
        except AudioError:  # raised again by the spans that it concerns
            pass
        finally:
            self.defect = defect

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
        yield from map(mono, self.frames(block_frames))

    def frames(self, block_frames: int) -> Iterator[NDArray[np.float32]]:
        """Decode the recording forward, block after block, all channels.

        Parameters
        ----------
        block_frames : int
            Length of a block [frames]; the last one may be shorter.

        Yields
        ------
        ndarray of shape (<= block_frames, n_channels), float32
            Samples of all channels.

        Raises
        ------
        AudioError
            As :meth:`read`.
        """
        got = 0
        for frames in self._frames(0, self.header.n_frames, block_frames):
            got += len(frames)
            yield frames
        if got == 0:
            raise AudioError("unreadable", self.defect or "no samples could be decoded")

    def _frames(self, start: int, stop: int, block_frames: int) -> Iterator[NDArray[np.float32]]:
        """Samples of a span, as far as they go; a break that it reaches is the recording's defect."""
        while start < min(stop, self._end):
            check_wanted()
            try:
                frames = self._decode(start, min(block_frames, min(stop, self._end) - start))
            except sf.LibsndfileError as error:
                # nothing comes of a read that fails: what is good of it is read again, up to the break
                self._break_off(self._find_break(), _reason(error), start)
                continue
            if len(frames) == 0:
                self._break_off(self._position, "the data ends", start)
                continue
            if not self.header.subtype.startswith("PCM_"):  # integers are numbers below one, whatever is written
                check_frames(frames)
            yield frames
            start += len(frames)
        if stop > self._end:
            self.defect = self._break

    def _break_off(self, end: int, why: str, start: int) -> None:
        # before the end known so far, whatever a damaged file says: each break makes the rest shorter
        self._end = end if end < self._end else start
        self._break = f"breaks off after {self._end / self.header.sr:.3f} s: {why}"

    def _find_break(self) -> int:
        """Where the decoder fails, found by small reads.

        They end at multiples of the step, so that where a recording breaks off does not depend on the size of blocks.
        """
        position = self._position
        self._restart_decoder()
        with contextlib.suppress(sf.LibsndfileError):
            self._go_to(position)
            while len(self._next_frames(_STEP_FRAMES - self._position % _STEP_FRAMES)):
                pass
        end = self._position
        self._restart_decoder()
        return end

    def _decode(self, start: int, n_frames: int) -> NDArray[np.float32]:
        if self._plain is not None:
            self._position = start
            return self._plain.read(start, n_frames)
        self._go_to(start)
        return self._next_frames(n_frames)

    def _next_frames(self, n_frames: int) -> NDArray[np.float32]:
        frames: NDArray[np.float32] = self._sound.read(n_frames, dtype="float32", always_2d=True)
        self._position += len(frames)
        return frames

    def _go_to(self, frame: int) -> None:
        if self._seeks and frame != self._position:
            try:
                self._sound.seek(frame)
                self._position = frame
            except sf.LibsndfileError:  # a compressed file that breaks off: what is there can be decoded on to
                self._seeks = False
                self._restart_decoder()
        if frame < self._position:
            self._restart_decoder()
        while self._position < frame and len(self._next_frames(min(self._block_frames, frame - self._position))):
            pass


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or str(error)
    return str(text).strip().rstrip(".")
