"""Distortions of a spectrogram: bands and moments that are not there.

Conventions
-----------
A spectrogram is of shape (n_mels, n_frames), float32, in decibels. What is taken out is filled with the clip's mean,
which a network that standardises its input reads as nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_BANDS", "MOST_FRAMES", "masked"]

MOST_BANDS = 0.3
"""Largest share of the bands that is taken out."""

MOST_FRAMES = 0.2
"""Largest share of the frames that is taken out."""


def masked(log_mel: NDArray[np.float32], probability: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Take out some neighbouring bands, and some neighbouring frames.

    Parameters
    ----------
    log_mel : ndarray of shape (n_mels, n_frames), float32
        The spectrogram [dB].
    probability : float
        Of each of the two, in [0, 1].
    rng : numpy.random.Generator
        Of the copy.

    Returns
    -------
    ndarray of shape (n_mels, n_frames), float32
        The copy.

    Notes
    -----
    Frequency and time masking of SpecAugment (Park et al. 2019), without warping.
    """
    kept = log_mel.copy()
    mean = log_mel.mean()
    if rng.random() < probability:
        kept[_span(log_mel.shape[0], MOST_BANDS, rng)] = mean
    if rng.random() < probability:
        kept[:, _span(log_mel.shape[1], MOST_FRAMES, rng)] = mean
    return kept


def _span(length: int, most: float, rng: np.random.Generator) -> slice:
    n = int(rng.integers(1, max(2, round(most * length) + 1)))
    start = int(rng.integers(0, max(1, length - n + 1)))
    return slice(start, start + n)
