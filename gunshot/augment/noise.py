"""Additive noise.

Conventions
-----------
Signal-to-noise ratios are mean power over the clip, in decibels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["gaussian_noise"]


def gaussian_noise(y: NDArray[np.float32], snr_db: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Add white Gaussian noise, the paper's distortion.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float32
        Clip.
    snr_db : float
        Power of the clip over the expected power of the noise [dB].
    rng : numpy.random.Generator
        Where the noise is drawn from.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        The distorted clip; a clip of zeros stays as it is.
    """
    power = float(np.mean(np.square(y, dtype=np.float64)))
    sigma = np.sqrt(power * 10.0 ** (-snr_db / 10.0))
    return np.asarray(y + rng.standard_normal(y.size) * sigma, dtype=np.float32)
