"""Frames as a decoder gives them: checked, and mixed to mono.

Conventions
-----------
Frames have the shape (n_frames, n_channels), float32, C-contiguous.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import AudioError

__all__ = ["check_frames", "mono"]

_LARGEST_SAMPLE = 1e12
"""Integers written as floats pass; noise read as floats does not, and would overflow a spectrum."""


def check_frames(frames: NDArray[np.float32]) -> None:
    """Look for samples that no recorder writes.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_channels), float32
        What was decoded.

    Raises
    ------
    AudioError
        ``unreadable`` if a sample is not finite or beyond all reason.
    """
    flat = frames.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        energy = float(np.dot(flat, flat))
    if energy <= _LARGEST_SAMPLE**2:  # no sample is larger than the root of all their squares
        return
    largest = float(np.abs(flat).max())
    if not np.isfinite(largest):
        raise AudioError("unreadable", "holds samples that are not finite (NaN or infinity)")
    if largest > _LARGEST_SAMPLE:
        raise AudioError("unreadable", f"holds samples of {largest:.3g}, which no recorder writes")


def mono(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of the channels.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_channels), float32
        Samples of all channels.

    Returns
    -------
    ndarray of shape (n_frames,), float32
        Of one channel a view.
    """
    y: NDArray[np.float32]
    n_channels = frames.shape[1]
    if n_channels == 1:
        y = frames.reshape(-1)
    elif n_channels == 2:  # many times faster than a mean over pairs
        y = frames[:, 0] + frames[:, 1]
        y *= np.float32(0.5)
    else:
        y = frames.mean(axis=1, dtype=np.float32)
    return y
