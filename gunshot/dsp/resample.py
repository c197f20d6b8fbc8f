"""Sample rates: one rate for all recordings, on one time grid.

Conventions
-----------
Sample ``k`` of the output lies at time ``k / sr`` of the *recording*, wherever reading began. A piece of
a recording that begins at a multiple of :func:`grid_step` input samples is resampled onto the very
samples that the whole recording would give (but for the edges, `EDGE_S`), so a clip cut from a long
recording is the clip cut from the same shot alone.
"""

from __future__ import annotations

from math import gcd, lcm

import numpy as np
import soxr
from numpy.typing import NDArray

__all__ = ["EDGE_S", "QUALITY", "Resampler", "grid_step", "resample"]

QUALITY = "HQ"
"""soxr's quality: linear phase, pass band to 0.91 of the lower Nyquist rate, what librosa uses (``soxr_hq``)."""

EDGE_S = 0.05
"""Reach of the resampling filter [s]: samples nearer than this to a cut edge differ from the whole's."""


def grid_step(sr_in: int, sr_out: int, multiple_of: int = 1) -> int:
    """Smallest step in input samples that falls on output samples `multiple_of` apart.

    Parameters
    ----------
    sr_in, sr_out : int
        Sample rates [Hz], positive.
    multiple_of : int
        The output index at each step is a multiple of this, for instance a hop length [samples].

    Returns
    -------
    int
        Input samples; ``step * sr_out / sr_in`` is a whole multiple of `multiple_of`.

    Examples
    --------
    >>> grid_step(44_100, 12_000)
    147
    >>> grid_step(44_100, 12_000, multiple_of=64) * 12_000 // 44_100
    320
    """
    common = gcd(sr_in, sr_out)
    out_step = sr_out // common
    return (sr_in // common) * (lcm(out_step, multiple_of) // out_step)


def resample(y: NDArray[np.float32], sr_in: int, sr_out: int) -> NDArray[np.float32]:
    """Resample a mono waveform (soxr, as ``librosa.resample(res_type="soxr_hq")``).

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float32
        Mono waveform.
    sr_in, sr_out : int
        Rate of `y` and of the result [Hz].

    Returns
    -------
    ndarray of shape (round(n_samples * sr_out / sr_in),), float32
        The waveform at `sr_out`; `y` itself where the rates are equal.
    """
    if sr_in == sr_out or y.size == 0:
        return y
    return np.asarray(soxr.resample(y, sr_in, sr_out, quality=QUALITY), dtype=np.float32)


class Resampler:
    """:func:`resample` for a stream of blocks: the same samples, with flat memory.

    Parameters
    ----------
    sr_in, sr_out : int
        Sample rates [Hz].
    """

    def __init__(self, sr_in: int, sr_out: int) -> None:
        self._stream = (
            None if sr_in == sr_out else soxr.ResampleStream(sr_in, sr_out, 1, dtype="float32", quality=QUALITY)
        )

    def push(self, y: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        """Give the next block; get what is ready by now.

        Parameters
        ----------
        y : ndarray of shape (n_samples,), float32
            The next block; may be empty.
        last : bool
            Whether this is the end of the recording.

        Returns
        -------
        ndarray of shape (n,), float32
            The next samples at `sr_out`; the blocks joined equal :func:`resample` of the whole.
        """
        if self._stream is None:
            return y
        return np.asarray(self._stream.resample_chunk(y, last=last), dtype=np.float32).reshape(-1)
