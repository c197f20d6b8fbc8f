"""THE clip: cut from its onset, and its features. Training and scoring both come through here.

Conventions
-----------
Everything is computed at the recipe's rate on the *recording's* time grid: onset frames begin at multiples of the
recipe's hop, counted from the start of the recording, wherever reading began. The clip around an onset is
therefore the same whether it is reached through a labelled segment or through a day of sound. A clip
is ``lead_samples`` before its onset and the rest after it; what lies outside the recording, or past the
limit where its label ends, is zero. Features depend on the clip's samples alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from gunshot.audio.decode import Recording
from gunshot.dsp.onset import onset_strength, pick_peaks, refine_onset
from gunshot.dsp.resample import EDGE_S, grid_step, resample
from gunshot.dsp.spectral import log_mel
from gunshot.errors import AudioError
from gunshot.recipe import Recipe

__all__ = [
    "MAX_SEARCH_S",
    "Clip",
    "Onsets",
    "Segment",
    "clip_of_segment",
    "context_samples",
    "cut",
    "features",
    "find_onsets",
    "margins_s",
]

MAX_SEARCH_S = 300.0
"""In a row without segment the sound is looked for in this much of the recording [s]."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The labelled span of a recording.

    Attributes
    ----------
    start_s, end_s : float or None
        The span [s]; ``None`` is the recording's start or end.
    limit_s : float or None
        Where the next segment with another label begins [s]; the clip holds nothing after it.
    """

    start_s: float | None = None
    end_s: float | None = None
    limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip and how it was found.

    Attributes
    ----------
    y : ndarray of shape (n_samples,), float32
        Waveform at the recipe's rate.
    onset_s : float
        Time of the onset in the recording [s].
    strength_db : float
        Onset strength there [dB].
    is_onset : bool
        False where the segment has no onset that passes the rule (steady sound): its strongest rise was taken.
    padded_s : float
        How much of the clip's end is padding [s].
    """

    y: NDArray[np.float32]
    onset_s: float
    strength_db: float
    is_onset: bool
    padded_s: float


@dataclass(frozen=True, slots=True)
class Onsets:
    """Onsets in a piece of sound.

    Attributes
    ----------
    sample : ndarray of shape (n_onsets,), int64
        Where each begins, counted from the start of the piece [samples]; increasing.
    strength_db : ndarray of shape (n_onsets,), float32
        Onset strength of each [dB].
    """

    sample: NDArray[np.int64]
    strength_db: NDArray[np.float32]


def context_samples(recipe: Recipe) -> int:
    """Sound needed on each side of an onset for it to be found as in the whole recording.

    Parameters
    ----------
    recipe : Recipe
        The recipe.

    Returns
    -------
    int
        Samples at the recipe's rate; a multiple of the onset hop.
    """
    rule = recipe.onset
    span = max(_frames(rule.reach_s, recipe), _frames(rule.average_s, recipe)) + 2
    return rule.hop_length * (span + ceil(rule.n_fft / rule.hop_length))


def margins_s(recipe: Recipe) -> tuple[float, float]:
    """Sound to read before and after a segment, so that its onsets and its clip are those of the whole recording.

    Parameters
    ----------
    recipe : Recipe
        The recipe.

    Returns
    -------
    tuple of (float, float)
        Before and after [s].
    """
    context, lead = context_samples(recipe), recipe.lead_samples
    return EDGE_S + max(context, lead) / recipe.sr_hz, EDGE_S + max(context, recipe.n_samples - lead) / recipe.sr_hz


def _frames(time_s: float, recipe: Recipe) -> int:
    return max(1, round(time_s * recipe.sr_hz / recipe.onset.hop_length))


def _spectrum(y: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """Mel spectrogram [dB] in which onsets are looked for."""
    rule = recipe.onset
    return log_mel(
        y, sr=recipe.sr_hz, n_fft=rule.n_fft, hop_length=rule.hop_length, n_mels=rule.n_mels,
        fmin=rule.fmin_hz, fmax=rule.fmax_hz, floor_db=rule.floor_db,
    )  # fmt: skip


def _onsets(y: NDArray[np.float32], strength: NDArray[np.float32], recipe: Recipe) -> Onsets:
    rule = recipe.onset
    frames = pick_peaks(
        strength,
        reach_frames=_frames(rule.reach_s, recipe),
        average_frames=_frames(rule.average_s, recipe),
        delta_db=rule.delta_db,
    )
    begun: dict[int, int] = {}
    for frame in frames.tolist():
        start = frame * rule.hop_length
        # frames longer than the reach overlap, and two peaks may then find the same beginning: the first counts
        begun.setdefault(refine_onset(y, start, start + rule.n_fft, rule.rise), frame)
    sample = sorted(begun)
    return Onsets(np.array(sample, dtype=np.int64), strength[np.array([begun[s] for s in sample], dtype=np.intp)])


def find_onsets(y: NDArray[np.float32], recipe: Recipe, *, from_start: bool) -> Onsets:
    """Onsets of a piece of sound.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float32
        Waveform at the recipe's rate; its first sample lies on the onset hop of the recording.
    recipe : Recipe
        The recipe.
    from_start : bool
        Whether the piece begins where the recording does: a sound that is already on there counts as an onset.

    Returns
    -------
    Onsets
        Those nearer than :func:`context_samples` to a cut edge of the piece may differ from the whole's.
    """
    spectrum = _spectrum(y, recipe)
    onsets = _onsets(y, onset_strength(spectrum), recipe)
    first = _already_on(y, spectrum, recipe) if from_start else None
    if first is not None:
        later = onsets.sample > first.sample[0]
        return Onsets(
            np.concatenate([first.sample, onsets.sample[later]]),
            np.concatenate([first.strength_db, onsets.strength_db[later]]),
        )
    return onsets


def _already_on(y: NDArray[np.float32], spectrum: NDArray[np.float32], recipe: Recipe) -> Onsets | None:
    """The onset of a recording that was trimmed to its sound, if it was: it begins loud and falls."""
    rule = recipe.onset
    level_db = spectrum[:, : max(1, recipe.n_samples // rule.hop_length)].mean(axis=0)
    if level_db.size == 0 or level_db[0] < _median(level_db) + rule.already_on_db:
        return None
    sample = refine_onset(y, 0, rule.n_fft, rule.rise)
    return Onsets(np.array([sample]), np.array([level_db[0] - rule.floor_db], dtype=np.float32))


def _median(values: NDArray[np.float32]) -> np.float32:
    """The median: NumPy's own takes ten times as long over so few."""
    in_order = np.sort(values)
    middle: np.float32 = (in_order[(values.size - 1) // 2] + in_order[values.size // 2]) / np.float32(2.0)
    return middle


def cut(y: NDArray[np.float32], onset: int, recipe: Recipe, limit: int | None = None) -> NDArray[np.float32]:
    """Cut the clip around an onset.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float32
        Waveform at the recipe's rate.
    onset : int
        Sample of the onset in `y`.
    recipe : Recipe
        The recipe.
    limit : int, optional
        Sample of `y` from which on the clip holds zeros.

    Returns
    -------
    ndarray of shape (recipe.n_samples,), float32
        The clip; zeros where `y` has nothing.
    """
    clip = np.zeros(recipe.n_samples, dtype=np.float32)
    first = onset - recipe.lead_samples
    begin = max(first, 0)
    end = min(first + clip.size, y.size if limit is None else min(limit, y.size))
    if end > begin:
        clip[begin - first : end - first] = y[begin:end]
    return clip


def features(waveforms: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """Log-mel spectrograms of clips.

    Parameters
    ----------
    waveforms : ndarray of shape (n_clips, recipe.n_samples), float32
        Clips at the recipe's rate.
    recipe : Recipe
        The recipe.

    Returns
    -------
    ndarray of shape (n_clips, n_mels, n_frames), float32
        Decibels re 1.0.
    """
    rule = recipe.mel
    return log_mel(
        waveforms, sr=recipe.sr_hz, n_fft=rule.n_fft, hop_length=rule.hop_length, n_mels=rule.n_mels,
        fmin=rule.fmin_hz, fmax=rule.fmax_hz, floor_db=rule.floor_db,
    )  # fmt: skip


def clip_of_segment(recording: Recording, segment: Segment, recipe: Recipe) -> Clip:
    """Find the sound of a labelled segment and cut its clip.

    Parameters
    ----------
    recording : Recording
        The open recording.
    segment : Segment
        Where to look; the whole recording if empty.
    recipe : Recipe
        The recipe.

    Returns
    -------
    Clip
        The first onset of at least ``recipe.onset.strong`` of the segment's strongest.

    Raises
    ------
    AudioError
        ``short`` if the segment begins after the recording's end, ``silent`` if it holds only digital zeros.
    """
    header = recording.header
    start_s, end_s = segment.start_s or 0.0, segment.end_s or header.duration_s
    if start_s >= header.duration_s:
        raise AudioError("short", f"the segment begins at {start_s:g} s, the recording ends at {header.duration_s:g} s")
    end_s = min(end_s, header.duration_s, start_s + MAX_SEARCH_S)
    y, offset = _read_around(recording, start_s, end_s, recipe)
    sr = recipe.sr_hz
    low, high = round(start_s * sr) - offset, min(round(end_s * sr) - offset, y.size)
    if not np.any(y[low:high]):
        raise AudioError("silent", "only digital zeros")
    if segment.start_s:  # a labelled span starts in the middle of sound: leave room for the lead
        low = min(low + recipe.lead_samples, high - 1)
    limit = None if segment.limit_s is None else round(segment.limit_s * sr) - offset
    onset, strength_db, is_onset = _sound(y, low, high, limit, offset == 0 and low == 0, recipe)
    clip = cut(y, onset, recipe, limit)
    tail = onset - recipe.lead_samples + recipe.n_samples
    padded = max(0, tail - (y.size if limit is None else min(limit, y.size)))
    return Clip(clip, (onset + offset) / sr, strength_db, is_onset, min(padded, clip.size) / sr)


def _read_around(recording: Recording, start_s: float, end_s: float, recipe: Recipe) -> tuple[NDArray[np.float32], int]:
    """The span with what its onsets and clips need on both sides, and the index of its first sample."""
    sr_in, sr = recording.header.sr, recipe.sr_hz
    step = grid_step(sr_in, sr, recipe.onset.hop_length)
    before_s, after_s = margins_s(recipe)
    start = max(0, int((start_s - before_s) * sr_in) // step) * step
    stop = ceil((end_s + after_s) * sr_in)
    y = resample(recording.read(start, stop), sr_in, sr)
    if y.size == 0:
        raise AudioError("short", recording.defect or "fewer samples than one at the recipe's rate")
    return y, start * sr // sr_in


def _sound(
    y: NDArray[np.float32], low: int, high: int, limit: int | None, from_start: bool, recipe: Recipe
) -> tuple[int, float, bool]:
    """Sample and strength of the sound between `low` and `high`, and whether it is an onset."""
    rule = recipe.onset
    # onsets are looked for in no more than they depend on; `base` is the sample of `y` at which that begins
    context = context_samples(recipe)
    base = max(0, (low - context) // rule.hop_length * rule.hop_length)
    stop = high + context
    if from_start:
        stop = max(stop, recipe.n_samples + rule.n_fft)
    spectrum = _spectrum(y[base:stop], recipe)
    first = _already_on(y, spectrum, recipe) if from_start else None
    if first is not None:
        return int(first.sample[0]), float(first.strength_db[0]), True
    strength = onset_strength(spectrum)
    onsets = _onsets(y[base:stop], strength, recipe)
    inside = (onsets.sample >= low - base) & (onsets.sample < high - base)
    if inside.any():
        strengths = onsets.strength_db[inside]
        first_strong = int(np.argmax(strengths >= rule.strong * strengths.max()))
        return base + int(onsets.sample[inside][first_strong]), float(strengths[first_strong]), True
    # steady sound: its strongest rise, where the clip still fits before the limit or the end
    fitting = (y.size if limit is None else min(limit, y.size)) - (recipe.n_samples - recipe.lead_samples)
    last = min(high - 1, max(low, fitting))
    frames = slice(ceil((low - base) / rule.hop_length), (last - base) // rule.hop_length + 1)
    if frames.start >= min(frames.stop, strength.size):
        return low, 0.0, False
    best = frames.start + int(np.argmax(strength[frames]))
    return base + best * rule.hop_length, float(strength[best]), False
