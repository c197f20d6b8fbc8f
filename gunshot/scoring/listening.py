"""Listening: how much of a recording was sound, measured as it is decoded.

Conventions
-----------
Silent is a run of exact digital zeros, in all channels at once, of at least 0.1 s: the microphone gave nothing, since
no microphone gives zeros for so long. Clipped is a stretch of 0.1 s, on a grid that begins with the recording, in which
some channel stays for at least three samples at the greatest, or at the least, value of the whole recording, and that
value is at least 0.985 of full scale. A lossy encoder rounds such tops off: clipping before it is not seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import ParameterError

__all__ = ["CLIPPED_RUN_SAMPLES", "CLIPPED_VALUE", "STRETCH_S", "Listening"]

STRETCH_S = 0.1
"""Shortest silence, and the stretches in which clipping is counted [s]."""

CLIPPED_RUN_SAMPLES = 3
"""Samples that follow each other at the extreme value: one or two are any loud sound's peak."""

CLIPPED_VALUE = 0.985
"""Share of full scale from which on an extreme value may be the converter's."""

_PLACES = 32
"""Zeros are looked for at this many places of a stretch before all samples of it are looked at: a third of the samples
of a quiet recording of 16 bit are zeros, though hardly ever 30 in a row."""

_FRAMES = 1 << 17
"""Frames whose extremes are sought together: they stay in the processor's cache from one look to the next."""

Samples = NDArray[np.float32]
Integers = NDArray[np.int64]


class Listening:
    """Counts what of a recording was silent or clipped; given its blocks in order, of whatever size.

    Parameters
    ----------
    sr : int
        Sample rate [Hz].

    Raises
    ------
    ParameterError
        If the sample rate is not positive.

    Examples
    --------
    >>> listening = Listening(1000)
    >>> listening.push(np.concatenate([np.full(500, 0.1), np.zeros(250), np.ones(3)]).astype(np.float32))
    >>> listening.silent_s, listening.clipped_s
    (0.25, 0.1)
    """

    def __init__(self, sr: int) -> None:
        if sr <= 0:
            raise ParameterError(f"sr must be greater than 0; got {sr}")
        self._sr = sr
        self._stretch = max(1, round(STRETCH_S * sr))
        self._n_read = 0
        self._silent = _Silence(self._stretch)
        self._tops: list[tuple[_Tops, _Tops]] = []  # of each channel

    def push(self, block: Samples) -> None:
        """Take the next block.

        Parameters
        ----------
        block : ndarray of shape (n_frames,) or (n_frames, n_channels), float32
            Samples in [-1, 1]; always the same number of channels.
        """
        if not block.shape[0]:
            return
        channels = [block] if block.ndim == 1 else list(block.T)
        if not self._tops:
            self._tops = [(_Tops(1), _Tops(-1)) for _ in channels]
        self._silent.push(block)
        for start in range(0, block.shape[0], _FRAMES):
            for channel, (highest, lowest) in zip(channels, self._tops, strict=True):
                y = channel[start : start + _FRAMES]
                highest.push(y, y.max(), self._n_read + start)
                lowest.push(y, -y.min(), self._n_read + start)
        self._n_read += block.shape[0]

    @property
    def silent_s(self) -> float:
        """Digital silence so far [s]."""
        return self._silent.n_samples / self._sr

    @property
    def clipped_s(self) -> float:
        """Stretches so far that are clipped, by the extreme values so far [s]."""
        runs = [tops.runs() for pair in self._tops for tops in pair]
        stretches = [np.concatenate([_stretches(run, self._stretch) for run in runs])] if runs else []
        n_stretches = np.unique(stretches).size if stretches else 0
        return min(n_stretches * self._stretch, self._n_read) / self._sr


class _Silence:
    """Samples in runs of at least a stretch of zeros, across blocks."""

    def __init__(self, stretch: int) -> None:
        self._stretch = stretch
        self._closed = 0  # samples of runs that have ended
        self._open = 0  # length of the run that the last block ended with

    @property
    def n_samples(self) -> int:
        return self._closed + self._counted(self._open)

    def _counted(self, n_samples: int) -> int:
        return n_samples if n_samples >= self._stretch else 0

    def push(self, block: Samples) -> None:
        n_frames = block.shape[0]
        head = self._zeros_at_start(block)
        self._open += head
        if head == n_frames:
            return
        self._closed += self._counted(self._open)
        self._open = self._zeros_at_start(block[::-1])
        self._closed += self._inside(block[head : n_frames - self._open])

    def _inside(self, block: Samples) -> int:
        """Samples in long runs of a block that neither begins nor ends with a zero."""
        step = max(1, self._stretch // _PLACES)
        starts, stops = _runs(~_any(block[::step]))
        is_long = stops - starts >= max(1, self._stretch // step - 1)
        n_samples = 0
        # a run of zeros lies between two places that are not
        for start, stop in zip((starts[is_long] - 1) * step + 1, stops[is_long] * step, strict=True):
            first, after = _runs(~_any(block[max(start, 0) : stop]))
            lengths = after - first
            n_samples += int(lengths[lengths >= self._stretch].sum())
        return n_samples

    def _zeros_at_start(self, block: Samples) -> int:
        """Most blocks begin and end with sound, so little is looked at."""
        n_frames: int = block.shape[0]
        step, position = 64, 0
        while position < n_frames:
            sounding = _any(block[position : position + step])
            if sounding.any():
                return position + int(sounding.argmax())
            position, step = position + step, 4 * step
        return n_frames


class _Tops:
    """Runs at one extreme of one channel. A new extreme ends what was thought of the old one."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._extreme = np.float32(CLIPPED_VALUE)
        self._starts: list[Integers] = []
        self._stops: list[Integers] = []
        self._open = (0, 0)  # the run at the end of the last block, which may go on

    def push(self, y: Samples, top: np.float32, position: int) -> None:
        if top < self._extreme and not self._open[1]:  # nearly all sound
            return
        if top > self._extreme:
            self._extreme, self._starts, self._stops, self._open = top, [], [], (0, 0)
        if top < self._extreme:
            self._close()
            return
        starts, stops = _runs(y == self._sign * self._extreme)
        starts, stops = starts + position, stops + position
        if starts.size and starts[0] == self._open[1]:
            starts[0] = self._open[0]
            self._open = (0, 0)
        self._close()
        if starts.size and stops[-1] == position + y.size:
            self._open = (int(starts[-1]), int(stops[-1]))
            starts, stops = starts[:-1], stops[:-1]
        self._keep(starts, stops)

    def _close(self) -> None:
        self._keep(np.array([self._open[0]]), np.array([self._open[1]]))
        self._open = (0, 0)

    def _keep(self, starts: Integers, stops: Integers) -> None:
        is_long = stops - starts >= CLIPPED_RUN_SAMPLES
        if is_long.any():
            self._starts.append(starts[is_long])
            self._stops.append(stops[is_long])

    def runs(self) -> tuple[Integers, Integers]:
        starts = np.concatenate([*self._starts, np.array([self._open[0]])])
        stops = np.concatenate([*self._stops, np.array([self._open[1]])])
        is_long = stops - starts >= CLIPPED_RUN_SAMPLES
        return starts[is_long], stops[is_long]


def _any(block: Samples) -> NDArray[np.bool_]:
    """Which frames are not zero in some channel."""
    sounding: NDArray[np.bool_] = block != 0
    return sounding if block.ndim == 1 else np.any(sounding, axis=1)


def _runs(mask: NDArray[np.bool_]) -> tuple[Integers, Integers]:
    """First sample of each run of true, and the sample after its last."""
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    starts = np.concatenate([[0], edges]) if mask.size else np.empty(0, dtype=np.int64)
    stops = np.append(edges, mask.size) if mask.size else starts
    is_true = mask[starts] if mask.size else np.empty(0, dtype=bool)
    return starts[is_true], stops[is_true]


def _stretches(runs: tuple[Integers, Integers], stretch: int) -> Integers:
    """Numbers of the stretches that runs reach into."""
    first, last = runs[0] // stretch, (runs[1] - 1) // stretch
    lengths = last - first + 1
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    numbers: Integers = np.repeat(first, lengths) + within
    return numbers
