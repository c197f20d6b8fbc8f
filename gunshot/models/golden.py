"""Golden clips: what a bundle is checked by when it is loaded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import BundleError
from gunshot.recipe import Recipe

__all__ = ["GOLDEN_TOLERANCE", "check_golden", "golden_clips"]

GOLDEN_TOLERANCE = 1e-3
"""Largest difference of a golden score between machines; between two runs on one machine it is 0."""

_N_GOLDEN = 8


def golden_clips(recipe: Recipe) -> NDArray[np.float32]:
    """Clips made from a seed, to check a model by.

    Parameters
    ----------
    recipe : Recipe
        Length, lead and rate.

    Returns
    -------
    ndarray of shape (8, n_samples), float32
        Bursts of noise of different decay and level over a quiet background.
    """
    rng = np.random.default_rng(1215)
    time_s = (np.arange(recipe.n_samples) - recipe.lead_samples) / recipe.sr_hz
    clips = []
    for index in range(_N_GOLDEN):
        decay_s = 0.004 * 2.0**index
        envelope = np.where(time_s >= 0, np.exp(-np.maximum(time_s, 0) / decay_s), 0.0) * 10 ** (-index / 10)
        clips.append(envelope * rng.standard_normal(time_s.size) * 0.2 + rng.standard_normal(time_s.size) * 1e-3)
    return np.asarray(clips, dtype=np.float32)


def check_golden(uri: str, scores: NDArray[np.float32], expected: NDArray[np.float64]) -> None:
    """Hold the scores of the golden clips against those that the bundle was written with.

    Parameters
    ----------
    uri : str
        The bundle, for messages.
    scores : ndarray of shape (8,), float32
        Of this machine.
    expected : ndarray of shape (8,), float64
        As written.

    Raises
    ------
    BundleError
        If they differ by more than `GOLDEN_TOLERANCE`.
    """
    if expected.shape != scores.shape:
        raise BundleError(f"{uri}: {expected.size} golden scores, {scores.size} expected; train again")
    worst = float(np.abs(scores - expected).max())
    if not worst <= GOLDEN_TOLERANCE:
        raise BundleError(
            f"{uri}: golden scores differ by {worst:.2g} (allowed {GOLDEN_TOLERANCE:g}): features or runtime "
            "have changed on this machine; train again here, or use the versions it was made with"
        )
