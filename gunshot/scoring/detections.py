"""From scores to detections.

Conventions
-----------
Times are seconds in the recording. A detection is one or more clips above the threshold that follow each other
closely; its score is its best clip's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MERGE_GAP_S", "REFRACTORY_S", "Detection", "merge_clips"]

MERGE_GAP_S = 1.0
"""Shots at most this far apart are one detection, a burst [s]."""

REFRACTORY_S = 0.1
"""Onsets at most this far apart are one shot: its shock wave, blast and first echoes [s]."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One or more shots.

    Attributes
    ----------
    start_s, end_s : float
        First onset, and the end of the last clip [s].
    shots_s : tuple of float
        Onset of each shot [s], echoes within `REFRACTORY_S` not counted; the first is `start_s`.
    score : float
        The best clip's, in [0, 1].
    """

    start_s: float
    end_s: float
    shots_s: tuple[float, ...]
    score: float


def merge_clips(
    onset_s: NDArray[np.float64], score: NDArray[np.float32], threshold: float, tail_s: float
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
    bursts = np.split(np.arange(kept.size), np.flatnonzero(np.diff(times) > MERGE_GAP_S) + 1)
    return tuple(
        Detection(
            float(times[burst[0]]),
            round(float(times[burst[-1]]) + tail_s, 6),
            _shots(times[burst]),
            float(scores[burst].max()),
        )
        for burst in bursts
    )


def _shots(times: NDArray[np.float64]) -> tuple[float, ...]:
    shots: list[float] = []
    for time in times:
        if not shots or time - shots[-1] > REFRACTORY_S:
            shots.append(float(time))
    return tuple(shots)
