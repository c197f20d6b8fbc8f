"""How far a clip's sound stands out of what was before it.

Conventions: waveforms in [-1, 1]; the onset is at sample `lead_samples`; levels and ratios in dB. Unknown is NaN.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import ParameterError

__all__ = ["GUARD_S", "LOUDEST_S", "SNR_BANDS_DB", "STRENGTH_BANDS_DB", "all_bands", "band_names", "estimated_snr_db"]

LOUDEST_S = 0.05
"""Length of the stretch after the onset whose power is the sound's [s]: a muzzle blast with its first reflections."""

GUARD_S = 0.005
"""End of the lead that is left out [s]: an onset is found to within a millisecond or so, and may be found late."""

SNR_BANDS_DB = (6.0, 12.0, 20.0, 30.0)
"""Edges of the bands of the estimated SNR [dB]."""

STRENGTH_BANDS_DB = (3.0, 6.0, 12.0, 20.0)
"""Edges of the bands of the onset strength, the mean rise over the mel bands [dB]."""


def estimated_snr_db(waveforms: NDArray[np.float32], sr: int, lead_samples: int) -> NDArray[np.float64]:
    """Estimate the signal-to-noise ratio of clips from the clips alone.

    Parameters
    ----------
    waveforms : ndarray of shape (n_clips, n_samples), float32
        Clips in [-1, 1].
    sr : int
        Sample rate [Hz].
    lead_samples : int
        Samples before the onset.

    Returns
    -------
    ndarray of shape (n_clips,), float64
        ``10 log10(P / N)`` [dB]: N is the mean power of the lead without its last `GUARD_S`, P the greatest mean
        power of any `LOUDEST_S` from the onset on. NaN where it cannot be told: no lead, more than half of it
        digital zeros (before the start of a recording, or muted by its publisher), or silence after the onset.

    Raises
    ------
    ParameterError
        If `waveforms` is not (n_clips, n_samples) with samples after the lead.

    Notes
    -----
    P holds the background too, so this is (S + N) / N: steady sound gives a little over 0 dB, and below some 6 dB the
    figure is more than the SNR proper. Sound that decays before the onset, an echo say, is taken for background.

    Examples
    --------
    >>> clip = np.concatenate([np.tile([0.01, -0.01], 300), np.tile([0.1, -0.1], 2700)]).astype(np.float32)
    >>> round(float(estimated_snr_db(clip[np.newaxis], sr=12_000, lead_samples=600)[0]), 6)
    20.0
    """
    if waveforms.ndim != 2 or not 0 <= lead_samples < waveforms.shape[1]:
        raise ParameterError(
            f"waveforms must have shape (n_clips, n_samples) with more than lead_samples={lead_samples} samples; got "
            f"shape {waveforms.shape}: pass rows of the store and the lead of its recipe"
        )
    quiet = np.asarray(waveforms[:, : max(0, lead_samples - round(GUARD_S * sr))], dtype=np.float64)
    after = np.asarray(waveforms[:, lead_samples:], dtype=np.float64)
    n_sounding = np.count_nonzero(quiet, axis=1)
    noise = np.full(len(waveforms), np.nan)
    # zeros are no sound: where some of the lead lies before the recording, the rest of it counts alone
    told = (n_sounding > 0) & (2 * n_sounding >= quiet.shape[1])
    noise[told] = np.square(quiet[told]).sum(axis=1) / n_sounding[told]
    width = min(max(1, round(LOUDEST_S * sr)), after.shape[1])
    total = np.cumsum(np.pad(np.square(after), ((0, 0), (1, 0))), axis=1)
    loudest = (total[:, width:] - total[:, :-width]).max(axis=1, initial=0.0) / width
    ratio = np.divide(loudest, noise, out=np.full(len(waveforms), np.nan), where=(noise > 0) & (loudest > 0))
    return np.asarray(10.0 * np.log10(ratio))


def band_names(values: NDArray[np.float64], edges: tuple[float, ...], unit: str = "dB") -> list[str]:
    """Name the band of each value.

    Parameters
    ----------
    values : ndarray of shape (n,), float
        NaN where unknown.
    edges : tuple of float
        Rising; a value on an edge belongs to the band above it.
    unit : str
        Written after the numbers.

    Returns
    -------
    list of str, length n
        ``"under 6 dB"``, ``"6 to 12 dB"``, ..., ``"30 dB or more"``, or ``"not known"``.

    Examples
    --------
    >>> band_names(np.array([5.9, 6.0, 31.0, np.nan]), (6.0, 30.0))
    ['under 6 dB', '6 to 30 dB', '30 dB or more', 'not known']
    """
    names = all_bands(edges, unit)
    index = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))
    return [names[number] for number in index]


def all_bands(edges: tuple[float, ...], unit: str = "dB") -> list[str]:
    """Names of all bands, the lowest first, and of the unknown.

    Parameters
    ----------
    edges : tuple of float
        Rising.
    unit : str
        Written after the numbers.

    Returns
    -------
    list of str
        ``len(edges) + 2`` names.
    """
    middle = [f"{low:g} to {high:g} {unit}" for low, high in pairwise(edges)]
    return [f"under {edges[0]:g} {unit}", *middle, f"{edges[-1]:g} {unit} or more", "not known"]
