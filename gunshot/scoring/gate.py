"""The gate: candidates in a recording of any length, with flat memory.

Conventions
-----------
The recording is decoded forward, block after block, and resampled as a stream onto the recipe's grid. Onsets are
found by
`gunshot.clips.find_onsets` and clips cut by `gunshot.clips.cut`, the code of training. Each stretch between two
block edges is decided with enough sound on both sides, so the size of the blocks changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gunshot.audio.decode import Recording
from gunshot.clips import context_samples, cut, find_onsets
from gunshot.dsp.resample import Resampler
from gunshot.recipe import Recipe

__all__ = ["BLOCK_S", "Candidates", "stream_candidates"]

BLOCK_S = 30.0
"""Sound decoded at a time [s]."""


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
    """

    onset_s: NDArray[np.float64]
    waveforms: NDArray[np.float32]
    read_s: float
    is_silent: bool


def stream_candidates(recording: Recording, recipe: Recipe, *, block_s: float = BLOCK_S) -> Iterator[Candidates]:
    """Find the candidates of a recording.

    Parameters
    ----------
    recording : Recording
        Open, not yet read.
    recipe : Recipe
        The recipe.
    block_s : float
        Sound decoded at a time [s].

    Yields
    ------
    Candidates
        A block's; the last one tells how much could be read.

    Raises
    ------
    AudioError
        If nothing can be decoded or a sample is not finite.
    """
    sr_in, hop = recording.header.sr, recipe.onset.hop_length
    resampler = Resampler(sr_in, recipe.sr_hz)
    before = -(-(context_samples(recipe) + recipe.lead_samples) // hop) * hop
    after = context_samples(recipe) + recipe.n_samples
    y = np.empty(0, dtype=np.float32)
    base = done = n_read = 0  # `base` is the recording's index of y[0], `done` the first sample not yet decided
    is_silent = True
    for block, last in _with_last(recording.blocks(max(1, int(block_s * sr_in)))):
        n_read += block.size
        is_silent = is_silent and not np.any(block)
        y = np.concatenate([y, resampler.push(block, last=last)])
        ready = base + y.size if last else (base + y.size - after) // hop * hop
        if ready <= done and not last:
            continue
        onsets = find_onsets(y, recipe, from_start=base == 0).sample
        onsets = onsets[(onsets + base >= done) & (onsets + base < ready)]
        clips = [cut(y, int(onset), recipe) for onset in onsets]
        yield Candidates(
            (onsets + base) / recipe.sr_hz,
            np.stack(clips) if clips else np.empty((0, recipe.n_samples), dtype=np.float32),
            n_read / sr_in,
            is_silent,
        )
        done = ready
        drop = max(0, done - before - base) // hop * hop
        y, base = y[drop:], base + drop


def _with_last(blocks: Iterator[NDArray[np.float32]]) -> Iterator[tuple[NDArray[np.float32], bool]]:
    """Each block, and whether it is the last one; a recording may end before its header says."""
    held = next(blocks)
    for block in blocks:
        yield held, False
        held = block
    yield held, True
