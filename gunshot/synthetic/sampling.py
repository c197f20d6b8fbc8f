"""How waves become samples.

Conventions: a `place_*` function adds a wave of `gunshot.synthetic.waves` to float64 samples at a sample
rate, in place. A sample is the mean pressure over its interval ``[n / sr, (n + 1) / sr)``, taken from the
antiderivative: a front between two samples keeps its time and its impulse, and far less of what lies above
the Nyquist frequency folds down than if the formula were read at points.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from gunshot.synthetic.waves import require_positive, ringing

__all__ = ["band_noise", "place_friedlander", "place_n_wave", "place_ringing", "silence"]

Float64 = NDArray[np.float64]

_FRIEDLANDER_TAIL = 18.0  # positive durations after which less than 1e-6 of the peak is left


def place_friedlander(
    y: Float64, sr: int, start_s: float, peak_pa: float, positive_s: float, decay: float = 1.0
) -> None:
    """Add a `friedlander` wave to samples, in place.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float64
        Samples [Pa]; what falls outside of them is dropped.
    sr : int
        Sample rate [Hz].
    start_s : float
        Time of the front from the start of `y` [s]; need not fall on a sample.
    peak_pa, positive_s, decay : float
        As in `friedlander`.
    """
    require_positive(positive_s=positive_s, decay=decay)
    first, edges_s = _cells(len(y), sr, start_s, _FRIEDLANDER_TAIL * positive_s / min(decay, 1.0))
    x = np.maximum(edges_s, 0.0) / positive_s
    fading = np.exp(-decay * x)
    integral = (1.0 - fading) / decay - (1.0 - fading * (1.0 + decay * x)) / decay**2
    y[first : first + len(edges_s) - 1] += np.diff(integral) * (peak_pa * positive_s * sr)


def place_n_wave(y: Float64, sr: int, start_s: float, peak_pa: float, duration_s: float) -> None:
    """Add an `n_wave` to samples, in place.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float64
        Samples [Pa]; what falls outside of them is dropped.
    sr : int
        Sample rate [Hz].
    start_s : float
        Time of the first shock from the start of `y` [s]; need not fall on a sample.
    peak_pa, duration_s : float
        As in `n_wave`.
    """
    require_positive(duration_s=duration_s)
    first, edges_s = _cells(len(y), sr, start_s, duration_s)
    t = np.clip(edges_s, 0.0, duration_s)
    y[first : first + len(edges_s) - 1] += np.diff(t - t * t / duration_s) * (peak_pa * sr)


def place_ringing(
    y: Float64, sr: int, start_s: float, freqs_hz: Float64, decays_s: Float64, amplitudes_pa: Float64
) -> None:
    """Add `ringing` modes to samples, in place, leaving out modes above the Nyquist frequency.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float64
        Samples [Pa]; what falls outside of them is dropped.
    sr : int
        Sample rate [Hz].
    start_s : float
        Time of the blow from the start of `y` [s].
    freqs_hz, decays_s, amplitudes_pa : ndarray of shape (n_modes,), float64
        As in `ringing`.
    """
    kept = np.asarray(freqs_hz) < 0.45 * sr
    if not kept.any():
        return
    first, edges_s = _cells(len(y), sr, start_s, 9.0 * float(np.max(decays_s[kept])))
    wave = ringing(edges_s[:-1], freqs_hz[kept], decays_s[kept], amplitudes_pa[kept])
    y[first : first + len(wave)] += wave


def band_noise(n_samples: int, sr: int, low_hz: float, high_hz: float, rng: np.random.Generator) -> Float64:
    """Gaussian noise between two frequencies, of unit RMS.

    Parameters
    ----------
    n_samples : int
        Length [samples].
    sr : int
        Sample rate [Hz].
    low_hz, high_hz : float
        Edges of the band [Hz] (Butterworth, 12 dB per octave); cut to what the rate can hold.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    ndarray of shape (n_samples,), float64
        Noise [1].
    """
    high_hz = min(high_hz, 0.45 * sr)
    low_hz = min(low_hz, 0.6 * high_hz)
    sos = butter(2, (low_hz, high_hz), btype="bandpass", fs=sr, output="sos")
    noise: Float64 = sosfilt(sos, rng.standard_normal(n_samples))
    return noise * math.sqrt(0.5 * sr / (high_hz - low_hz))


def silence(length_s: float, sr: int, max_s: float) -> Float64:
    """Zeros to place waves in.

    Parameters
    ----------
    length_s : float
        Length of the sound [s].
    sr : int
        Sample rate [Hz].
    max_s : float
        The longest that is wanted [s]; the shorter one counts.

    Returns
    -------
    ndarray of shape (n_samples,), float64
        Zeros; at least 16.
    """
    return np.zeros(max(16, round(min(length_s, max_s) * sr)))


def _cells(n_samples: int, sr: int, start_s: float, length_s: float) -> tuple[int, Float64]:
    """First sample that a wave touches, and the edges of its samples' intervals from its front [s]."""
    first = min(max(math.floor(start_s * sr), 0), n_samples)
    last = min(max(math.ceil((start_s + length_s) * sr) + 1, first), n_samples)
    edges_s: Float64 = np.arange(first, last + 1, dtype=np.float64) / sr - start_s
    return first, edges_s
