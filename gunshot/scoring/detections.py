"""From scores to detections.

Conventions
-----------
Times are seconds in the recording. A detection is one or more clips above the threshold that follow each other
closely; its score is its best clip's. Its shots are those clips, but for the echoes: onsets so soon after a shot that
they belong to it, and onsets well below a shot that was heard not long before (measured in docs/decisions.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from gunshot.recipe import Recipe

__all__ = [
    "ECHO_DB",
    "ECHO_S",
    "LEVEL_S",
    "MERGE_GAP_S",
    "REFRACTORY_S",
    "Detection",
    "level_db",
    "merge_clips",
    "merge_sliding",
]

MERGE_GAP_S = 1.0
"""Shots at most this far apart are one detection, a burst [s]."""

REFRACTORY_S = 0.1
"""Onsets at most this far apart are one shot: its shock wave, blast and first echoes [s]."""

ECHO_S = 1.0
"""An onset at most this long after a shot may be its echo [s]: sound comes back from 170 m."""

ECHO_DB = 3.0
"""It is one if it lies at least so far below that shot [dB]."""

LEVEL_S = 0.05
"""Level of an onset: the mean power of so much sound from it on [s]."""

_FLOOR = 1e-12


@dataclass(frozen=True, slots=True)
class Detection:
    """One or more shots.

    Attributes
    ----------
    start_s, end_s : float
        First onset, and the end of the last clip [s].
    shots_s : tuple of float
        Onset of each shot [s], echoes not counted; the first is `start_s`.
    score : float
        The best clip's, in [0, 1].
    """

    start_s: float
    end_s: float
    shots_s: tuple[float, ...]
    score: float


def level_db(waveforms: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """Levels of clips from their onsets on.

    Parameters
    ----------
    waveforms : ndarray of shape (n, recipe.n_samples), float32
        Clips.
    recipe : Recipe
        Says where in a clip its onset lies.

    Returns
    -------
    ndarray of shape (n,), float32
        Mean power of `LEVEL_S`, or of what the clip has of it [dB re 1.0].
    """
    first = recipe.lead_samples
    heard = waveforms[:, first : first + max(1, round(LEVEL_S * recipe.sr_hz))]
    power = np.einsum("ij,ij->i", heard, heard) / np.float32(heard.shape[1])
    level: NDArray[np.float32] = np.float32(10.0) * np.log10(power + np.float32(_FLOOR))
    return level


def merge_clips(
    onset_s: NDArray[np.float64],
    score: NDArray[np.float32],
    threshold: float,
    tail_s: float,
    *,
    level_db: NDArray[np.float32] | None = None,
) -> tuple[Detection, ...]:
    """Merge clips above the threshold into detections.

    Parameters
    ----------
    onset_s : ndarray of shape (n,), float64
        Onsets of scored clips [s], increasing.
    score : ndarray of shape (n,), float32
        Their scores.
    threshold : float
        A clip counts from here on.
    tail_s : float
        How long a clip lasts after its onset [s].
    level_db : ndarray of shape (n,), float32, optional
        Their levels [dB], to tell echoes by; without, only `REFRACTORY_S` does.

    Returns
    -------
    tuple of Detection
        By time.

    Examples
    --------
    >>> import numpy as np
    >>> merge_clips(np.array([1.0, 1.05, 1.6, 9.0]), np.array([0.9, 0.8, 0.95, 0.2], np.float32), 0.5, 0.45)
    (Detection(start_s=1.0, end_s=2.05, shots_s=(1.0, 1.6), score=0.949999988079071),)
    """
    kept = np.flatnonzero(score >= threshold)
    if not kept.size:
        return ()
    times, scores = onset_s[kept], score[kept]
    levels = np.zeros(kept.size, dtype=np.float32) if level_db is None else level_db[kept]
    bursts = np.split(np.arange(kept.size), np.flatnonzero(np.diff(times) > MERGE_GAP_S) + 1)
    return tuple(
        Detection(
            float(times[burst[0]]),
            round(float(times[burst[-1]]) + tail_s, 6),
            _shots(times[burst], levels[burst]),
            float(scores[burst].max()),
        )
        for burst in bursts
    )


def merge_sliding(
    onset_s: NDArray[np.float64], score: NDArray[np.float32], threshold: float, tail_s: float, *, step_s: float
) -> tuple[Detection, ...]:
    """Merge sliding clips into detections: of those that hold the same sound the best counts.

    Parameters
    ----------
    onset_s : ndarray of shape (n,), float64
        Onsets on a grid [s], increasing; clips without sound are not there.
    score : ndarray of shape (n,), float32
        Their scores.
    threshold : float
        A clip counts from here on.
    tail_s : float
        How long a clip lasts after its onset [s].
    step_s : float
        Step of the grid [s].

    Returns
    -------
    tuple of Detection
        By time.

    Examples
    --------
    >>> import numpy as np
    >>> merge_sliding(np.array([1.0, 1.125, 1.25]), np.array([0.7, 0.9, 0.8], np.float32), 0.5, 0.45, step_s=0.125)
    (Detection(start_s=1.125, end_s=1.575, shots_s=(1.125,), score=0.8999999761581421),)
    """
    if not onset_s.size:
        return ()
    place = np.rint(onset_s / step_s).astype(np.int64)
    on_grid = np.full(int(place[-1] - place[0]) + 1, -1.0, dtype=np.float32)
    on_grid[place - place[0]] = score
    reach = max(1, int(tail_s / step_s))
    best = np.flatnonzero((on_grid >= maximum_filter1d(on_grid, 2 * reach + 1, mode="nearest")) & (on_grid >= 0))
    if best.size > 1:  # equal ones within reach: only the first
        best = best[np.concatenate([[True], np.diff(best) > reach])]
    rows = np.searchsorted(place, best + place[0])
    return merge_clips(onset_s[rows], score[rows], threshold, tail_s)


def _shots(times: NDArray[np.float64], levels: NDArray[np.float32]) -> tuple[float, ...]:
    shots: list[tuple[float, float]] = []
    for time, level in zip(times.tolist(), levels.tolist(), strict=True):
        if not (shots and time - shots[-1][0] <= REFRACTORY_S) and not _is_echo(time, level, shots):
            shots.append((time, level))
    return tuple(time for time, _ in shots)


def _is_echo(time: float, level: float, shots: list[tuple[float, float]]) -> bool:
    for shot, loud in reversed(shots):
        if time - shot > ECHO_S:
            return False
        if level <= loud - ECHO_DB:
            return True
    return False
