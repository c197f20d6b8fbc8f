"""Closed-form pressure waves.

Conventions: times in seconds from the wave's own front, pressures in pascal, arrays float64 and
one-dimensional. A formula takes times and gives pressures.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import ParameterError

__all__ = [
    "berlage",
    "friedlander",
    "friedlander_impulse",
    "n_wave",
    "pascal",
    "require_positive",
    "ringing",
]

Float64 = NDArray[np.float64]

REFERENCE_PA = 20e-6
"""Reference of sound pressure levels in air [Pa]."""


def pascal(level_db: float) -> float:
    """Peak pressure of a peak sound pressure level.

    Parameters
    ----------
    level_db : float
        Peak level [dB re 20 uPa].

    Returns
    -------
    float
        Peak pressure [Pa].

    Examples
    --------
    >>> round(pascal(94.0), 2)
    1.0
    """
    return float(REFERENCE_PA * 10.0 ** (level_db / 20.0))


def friedlander(t_s: Float64, peak_pa: float, positive_s: float, decay: float = 1.0) -> Float64:
    """Pressure of a blast wave: a jump, a decay, a long shallow suction.

    The modified Friedlander wave ``p(t) = P (1 - t/T) exp(-b t/T)`` for ``t >= 0`` (Friedlander 1946;
    with the decay ``b`` free: Baker 1973). With ``b = 1`` the whole wave has no net impulse and its
    spectrum peaks at ``1 / (2 pi T)``.

    Parameters
    ----------
    t_s : ndarray of shape (n,), float64
        Times from the front [s]; before the front the pressure is 0.
    peak_pa : float
        Peak overpressure ``P`` [Pa].
    positive_s : float
        Duration of the positive phase ``T`` [s], positive.
    decay : float
        The decay ``b`` [1], positive.

    Returns
    -------
    ndarray of shape (n,), float64
        Pressure [Pa].

    Raises
    ------
    ParameterError
        If `positive_s` or `decay` is not positive.

    Examples
    --------
    >>> friedlander(np.array([-1e-3, 0.0, 5e-4]), 100.0, 5e-4).round(3).tolist()
    [0.0, 100.0, 0.0]
    """
    require_positive(positive_s=positive_s, decay=decay)
    x = np.maximum(np.asarray(t_s, np.float64), 0.0) / positive_s
    wave: Float64 = np.where(np.asarray(t_s) >= 0.0, peak_pa * (1.0 - x) * np.exp(-decay * x), 0.0)
    return wave


def friedlander_impulse(peak_pa: float, positive_s: float, decay: float = 1.0) -> float:
    """Impulse of the positive phase of a `friedlander` wave.

    ``I = P T (1/b - (1 - exp(-b)) / b**2)`` (Baker 1973), the integral of the wave from 0 to ``T``.

    Parameters
    ----------
    peak_pa : float
        Peak overpressure [Pa].
    positive_s : float
        Duration of the positive phase [s], positive.
    decay : float
        The decay [1], positive.

    Returns
    -------
    float
        Impulse [Pa s].

    Raises
    ------
    ParameterError
        If `positive_s` or `decay` is not positive.
    """
    require_positive(positive_s=positive_s, decay=decay)
    return peak_pa * positive_s * (1.0 / decay - (1.0 - math.exp(-decay)) / decay**2)


def n_wave(t_s: Float64, peak_pa: float, duration_s: float) -> Float64:
    """Pressure of a shock pair: up, straight down through zero, up again (Whitham 1952).

    Parameters
    ----------
    t_s : ndarray of shape (n,), float64
        Times from the first shock [s].
    peak_pa : float
        Overpressure of the first shock [Pa].
    duration_s : float
        Time between the two shocks [s], positive.

    Returns
    -------
    ndarray of shape (n,), float64
        Pressure [Pa]; 0 outside of ``[0, duration_s]``.

    Raises
    ------
    ParameterError
        If `duration_s` is not positive.

    Examples
    --------
    >>> n_wave(np.array([0.0, 1e-4, 2e-4, 3e-4]), 10.0, 2e-4).tolist()
    [10.0, 0.0, -10.0, 0.0]
    """
    require_positive(duration_s=duration_s)
    t = np.asarray(t_s, np.float64)
    inside = (t >= 0.0) & (t <= duration_s)
    wave: Float64 = np.where(inside, peak_pa * (1.0 - 2.0 * t / duration_s), 0.0)
    return wave


def berlage(t_s: Float64, amplitude_pa: float, freq_hz: float, rise: float, decay_s: float) -> Float64:
    """Pressure of a pulse that swells and rings down: ``A (e t/m)**n exp(-t/d) sin(2 pi f t)``.

    The Berlage pulse of seismology (Berlage 1932), scaled so that its envelope peaks at `amplitude_pa`
    at the time ``m = n d``.

    Parameters
    ----------
    t_s : ndarray of shape (n,), float64
        Times from the start [s]; before it the pressure is 0.
    amplitude_pa : float
        Peak of the envelope [Pa].
    freq_hz : float
        Frequency ``f`` [Hz].
    rise : float
        Exponent ``n`` of the rise [1], positive.
    decay_s : float
        Time constant ``d`` of the decay [s], positive.

    Returns
    -------
    ndarray of shape (n,), float64
        Pressure [Pa].

    Raises
    ------
    ParameterError
        If `rise` or `decay_s` is not positive.
    """
    require_positive(rise=rise, decay_s=decay_s)
    t = np.maximum(np.asarray(t_s, np.float64), 0.0)
    top_s = rise * decay_s
    envelope = (t / top_s) ** rise * np.exp(rise - t / decay_s)
    wave: Float64 = amplitude_pa * envelope * np.sin(2.0 * np.pi * freq_hz * t)
    return wave


def ringing(t_s: Float64, freqs_hz: Float64, decays_s: Float64, amplitudes_pa: Float64) -> Float64:
    """Pressure of struck modes: a sum of sines that decay, each from 0 at its start.

    Parameters
    ----------
    t_s : ndarray of shape (n,), float64
        Times from the blow [s]; before it the pressure is 0.
    freqs_hz, decays_s, amplitudes_pa : ndarray of shape (n_modes,), float64
        Frequency [Hz], amplitude time constant [s] and amplitude [Pa] of each mode.

    Returns
    -------
    ndarray of shape (n,), float64
        Pressure [Pa].
    """
    t = np.maximum(np.asarray(t_s, np.float64), 0.0)
    wave = np.zeros_like(t)
    for freq_hz, decay_s, amplitude_pa in zip(freqs_hz, decays_s, amplitudes_pa, strict=True):
        wave += amplitude_pa * np.exp(-t / decay_s) * np.sin(2.0 * np.pi * freq_hz * t)
    return wave


def require_positive(**values: float) -> None:
    """Refuse parameters that must be above 0.

    Parameters
    ----------
    **values : float
        The parameters by name.

    Raises
    ------
    ParameterError
        If one of them is not a finite number above 0.
    """
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0.0):
            raise ParameterError(f"{name} must be above 0; got {value}; give a positive number")
