"""The gate: candidates in a recording of any length, with flat memory.

Conventions
-----------
The recording is decoded forward, block after block, and resampled as a stream onto the recipe's grid, each channel
that is asked for by itself. Onsets are found by `gunshot.clips.find_onsets` and clips cut by `gunshot.clips.cut`, the
code of training. Each stretch between two block edges is decided with enough sound on both sides, so the size of the
blocks changes nothing.

Without the gate (``exhaustive``) the candidates are the points of a grid, a quarter of a clip apart from the
recording's start on; those whose clip holds only digital zeros are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gunshot.audio.decode import Recording
from gunshot.audio.frames import mono
from gunshot.clips import context_samples, cut, find_onsets
from gunshot.dsp.resample import Resampler
from gunshot.errors import AudioError
from gunshot.recipe import Recipe
from gunshot.scoring.rule import ScoringRule

__all__ = ["BLOCK_S", "Candidates", "Gate", "slide_samples", "stream_candidates"]

BLOCK_S = 30.0
"""Sound decoded at a time [s]."""

_MOST_BLOCK_SAMPLES = 1 << 24
"""A block holds at most so many samples of all channels together: 64 MB."""

_SLIDES = 4
"""Sliding clips that begin within one clip's length."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Onsets not yet scored, with their clips.

    Attributes
    ----------
    onset_s : ndarray of shape (n,), float64
        Times in the recording [s], increasing.
    waveforms : ndarray of shape (n, n_samples), float32
        Clips.
    read_s : float
        How much of the recording has been read so far [s].
    is_silent : bool
        Whether all of that is digital zero: the recorder wrote, but heard nothing.
    channel : int or None
        The channel, counted from 0; None is the mean of all.
    """

    onset_s: NDArray[np.float64]
    waveforms: NDArray[np.float32]
    read_s: float
    is_silent: bool
    channel: int | None = None


def slide_samples(recipe: Recipe) -> int:
    """Step between sliding clips.

    Parameters
    ----------
    recipe : Recipe
        The recipe.

    Returns
    -------
    int
        Samples at the recipe's rate: a quarter of a clip.
    """
    return max(1, recipe.n_samples // _SLIDES)


class Gate:
    """The candidates of one channel, block after block.

    Parameters
    ----------
    sr : int
        The recording's sample rate [Hz].
    recipe : Recipe
        The recipe.
    exhaustive : bool
        Sliding clips instead of onsets.
    """

    def __init__(self, sr: int, recipe: Recipe, *, exhaustive: bool = False) -> None:
        self._recipe = recipe
        self._resampler = Resampler(sr, recipe.sr_hz)
        self._hop = recipe.onset.hop_length
        self._exhaustive = exhaustive
        context = 0 if exhaustive else context_samples(recipe)
        self._before = -(-(context + recipe.lead_samples) // self._hop) * self._hop
        self._after = context + recipe.n_samples
        self._y = np.empty(0, dtype=np.float32)
        self._base = self._done = 0  # the recording's index of y[0], and the first sample not yet decided

    def push(self, block: NDArray[np.float32], *, last: bool) -> tuple[NDArray[np.float64], NDArray[np.float32]] | None:
        """Give the next block; get the candidates that are sure by now.

        Parameters
        ----------
        block : ndarray of shape (n_samples,), float32
            Samples at the recording's rate.
        last : bool
            Whether the recording ends with it.

        Returns
        -------
        onset_s : ndarray of shape (n,), float64
            Times in the recording [s], increasing.
        waveforms : ndarray of shape (n, recipe.n_samples), float32
            Their clips.
        None
            Where nothing more can be decided yet.
        """
        fresh = self._resampler.push(block, last=last)
        self._y = np.concatenate([self._y, fresh]) if self._y.size else fresh
        end = self._base + self._y.size
        ready = end if last else (end - self._after) // self._hop * self._hop
        if ready <= self._done and not last:
            return None
        onsets = self._candidates(ready)
        clips = np.empty((onsets.size, self._recipe.n_samples), dtype=np.float32)
        for clip, onset in zip(clips, onsets.tolist(), strict=True):
            clip[:] = cut(self._y, onset - self._base, self._recipe)
        if self._exhaustive:
            heard = clips.any(axis=1)
            onsets, clips = onsets[heard], clips[heard]
        self._done = ready
        drop = max(0, self._done - self._before - self._base) // self._hop * self._hop
        self._y, self._base = self._y[drop:].copy(), self._base + drop
        return onsets / self._recipe.sr_hz, clips

    def _candidates(self, ready: int) -> NDArray[np.int64]:
        """Samples of the recording, from the first one not decided up to `ready`."""
        if self._exhaustive:
            step = slide_samples(self._recipe)
            return np.arange(-(-self._done // step) * step, ready, step, dtype=np.int64)
        onsets = find_onsets(self._y, self._recipe, from_start=self._base == 0).sample + self._base
        return onsets[(onsets >= self._done) & (onsets < ready)]


def stream_candidates(
    recording: Recording,
    recipe: Recipe,
    *,
    block_s: float = BLOCK_S,
    rule: ScoringRule | None = None,
    listen: Callable[[NDArray[np.float32]], None] | None = None,
) -> Iterator[Candidates]:
    """Find the candidates of a recording.

    Parameters
    ----------
    recording : Recording
        Open, not yet read.
    recipe : Recipe
        The recipe.
    block_s : float
        Sound decoded at a time [s]; less where a recording has very many channels.
    rule : ScoringRule, optional
        Which channels, and whether by the gate; the mean of all channels by the gate if not given.
    listen : callable, optional
        Is given each block as it was decoded, of shape (n_frames, n_channels).

    Yields
    ------
    Candidates
        A block's, of each channel in turn; the last one tells how much could be read.

    Raises
    ------
    AudioError
        If nothing can be decoded, a sample is not finite, or there is no such channel.
    """
    rule = rule or ScoringRule()
    header = recording.header
    channels = _channels(rule, header.n_channels)
    gates = [Gate(header.sr, recipe, exhaustive=rule.exhaustive) for _ in channels]
    most = _MOST_BLOCK_SAMPLES // header.n_channels
    n_read, is_silent = 0, True
    for frames, last in _with_last(recording.frames(max(1, min(int(block_s * header.sr), most)))):
        if listen is not None:
            listen(frames)
        n_read += len(frames)
        scored = [mono(frames) if channel is None else np.ascontiguousarray(frames[:, channel]) for channel in channels]
        is_silent = is_silent and not any(np.any(y) for y in scored)  # channels in antiphase leave no mix
        for channel, gate, y in zip(channels, gates, scored, strict=True):
            if (found := gate.push(y, last=last)) is not None:
                yield Candidates(*found, n_read / header.sr, is_silent, channel)


def _channels(rule: ScoringRule, n_channels: int) -> list[int | None]:
    if rule.channels == "mix":
        return [None]
    if rule.channels == "each":
        return list(range(n_channels))
    if int(rule.channels) >= n_channels:
        raise AudioError("unreadable", f"has no channel {rule.channels}: {n_channels} channels, counted from 0")
    return [int(rule.channels)]


def _with_last(blocks: Iterator[NDArray[np.float32]]) -> Iterator[tuple[NDArray[np.float32], bool]]:
    """Each block, and whether it is the last one; a recording may end before its header says."""
    held = next(blocks)
    for block in blocks:
        yield held, False
        held = block
    yield held, True
