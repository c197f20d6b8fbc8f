"""Impulsive sounds that are no gunshots, each from its own physics.

Conventions: every function takes the sample rate `sr` [Hz], the longest sound wanted `max_s` [s] and a
random generator, and gives the pressure 1 m from the source [Pa], float32 and one-dimensional, starting
at sample 0. Peak levels, sizes and decays are drawn from ranges of everyday objects.

A balloon or a bag is a ball of compressed air let go at once: linear acoustics gives an N-wave as long as
sound needs to cross it (Blackstock 2000, Fundamentals of Physical Acoustics, chapter 10), so it is
shorter, and its spectrum higher, than a muzzle blast. Hand claps are broad-band clicks on top of the
resonance of the cavity between the hands (Repp 1987, JASA 81 1100). Struck things ring in their modes,
excited up to the inverse of the contact time (Hertz).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gunshot.synthetic.sampling import band_noise, place_friedlander, place_n_wave, place_ringing, silence
from gunshot.synthetic.waves import berlage, pascal

__all__ = [
    "balloon_pop",
    "car_backfire",
    "door_slam",
    "firecrackers",
    "firework",
    "hammering",
    "hand_clap",
    "plastic_bag_pop",
]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_SOUND_M_S = 343.0
_BAR_MODES = np.array([1.0, 2.756, 5.404, 8.933])
"""Frequencies of a free bar over its lowest (Fletcher and Rossing 1998)."""


def plastic_bag_pop(sr: int, max_s: float, rng: np.random.Generator) -> Float32:
    """Make the pop of an air-filled plastic bag: an N-wave, the bag's hollow ring, rustling film.

    Parameters
    ----------
    sr : int
        Sample rate [Hz].
    max_s : float
        Longest sound wanted [s].
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Pressure at 1 m [Pa].
    """
    y = silence(0.16, sr, max_s)
    peak_pa = pascal(rng.uniform(122.0, 138.0))
    across_s = 2.0 * rng.uniform(0.05, 0.11) / _SOUND_M_S
    for lag_s, share in zip(np.sort(rng.uniform(0.0, 4e-4, 3)), (0.5, 0.3, 0.2), strict=True):
        place_n_wave(y, sr, float(lag_s), share * peak_pa, across_s)  # the film tears over some 0.4 ms
    t_s = np.arange(len(y)) / sr
    hollow_hz = rng.uniform(0.25, 0.45) / across_s
    y += berlage(t_s, peak_pa * rng.uniform(0.1, 0.3), hollow_hz, 0.5, rng.uniform(0.002, 0.005))
    rustle = band_noise(len(y), sr, 1800.0, 9000.0, rng)
    crinkles = rustle * np.exp(-t_s / rng.uniform(0.012, 0.04)) * (rng.random(len(y)) ** 4)
    return _pressure(y + peak_pa * rng.uniform(0.03, 0.12) * crinkles)


def balloon_pop(sr: int, max_s: float, rng: np.random.Generator) -> Float32:
    """Make the burst of a rubber balloon: an N-wave as long as the balloon is wide, and snapping rubber.

    Parameters
    ----------
    sr : int
        Sample rate [Hz].
    max_s : float
        Longest sound wanted [s].
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Pressure at 1 m [Pa].
    """
    y = silence(0.06, sr, max_s)
    peak_pa = pascal(rng.uniform(128.0, 145.0))
    across_s = 2.0 * rng.uniform(0.09, 0.17) / _SOUND_M_S
    place_n_wave(y, sr, 0.0, peak_pa, across_s)
    place_n_wave(y, sr, across_s * 1.05, peak_pa * rng.uniform(0.1, 0.25), across_s * 0.8)
    snap = band_noise(len(y), sr, 2500.0, 12000.0, rng)
    t_s = np.arange(len(y)) / sr
    return _pressure(y + peak_pa * rng.uniform(0.05, 0.15) * snap * np.exp(-t_s / 0.004))


def hand_clap(sr: int, max_s: float, rng: np.random.Generator) -> Float32:
    """Make one to four hand claps: a click and the cavity between the palms.

    Parameters
    ----------
    sr : int
        Sample rate [Hz].
    max_s : float
        Longest sound wanted [s].
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Pressure at 1 m [Pa].
    """
    y = silence(max_s, sr, max_s)
    peak_pa = pascal(rng.uniform(105.0, 118.0))
    cavity_hz, cavity_s = rng.uniform(600.0, 1900.0), rng.uniform(0.0015, 0.005)
    high_hz = rng.uniform(2800.0, 6000.0)
    period_s = rng.uniform(0.22, 0.5)
    for k in range(int(rng.choice([1, 1, 1, 2, 3, 4]))):
        first = round(k * period_s * rng.normal(1.0, 0.03) * sr)
        n_samples = min(round(0.06 * sr), len(y) - first)
        if n_samples <= 8:
            break
        t_s = np.arange(n_samples) / sr
        click = band_noise(n_samples, sr, 700.0, high_hz, rng) * np.exp(-t_s / 0.003)
        cavity = berlage(t_s, 1.0, cavity_hz * rng.normal(1.0, 0.05), 0.3, cavity_s)
        y[first : first + n_samples] += peak_pa * (0.5 * click + cavity)
    return _pressure(y)


def door_slam(sr: int, max_s: float, rng: np.random.Generator) -> Float32:
    """Make the slam of a door: panel and frame modes, a thud of air, the latch.

    Parameters
    ----------
    sr : int
        Sample rate [Hz].
    max_s : float
        Longest sound wanted [s].
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Pressure at 1 m [Pa].
    """
    y = silence(0.7, sr, max_s)
    peak_pa = pascal(rng.uniform(100.0, 118.0))
    n_modes = 14
    freqs_hz = np.sort(rng.uniform(55.0, 190.0) * rng.uniform(1.0, 9.0, n_modes))
    weights = rng.uniform(0.3, 1.0, n_modes) * (100.0 / (100.0 + freqs_hz)) * np.sign(rng.normal(size=n_modes))
    place_ringing(y, sr, 0.0, freqs_hz, rng.uniform(2.0, 6.0) / freqs_hz, peak_pa * weights)
    place_friedlander(y, sr, 0.0, 0.6 * peak_pa, rng.uniform(0.003, 0.008))
    latch_hz = rng.uniform(1500.0, 5500.0, 5)
    for lag_s in (0.0, rng.uniform(0.008, 0.05)):
        loud = peak_pa * rng.uniform(0.1, 0.4, 5)
        place_ringing(y, sr, lag_s, latch_hz, rng.uniform(0.002, 0.012, 5), loud)
    return _pressure(y)


def hammering(sr: int, max_s: float, rng: np.random.Generator, *, metal: bool) -> Float32:
    """Make the blows of a hammer on wood or metal, two to four a second.

    Parameters
    ----------
    sr : int
        Sample rate [Hz].
    max_s : float
        Longest sound wanted [s].
    rng : numpy.random.Generator
        Source of all draws.
    metal : bool
        A ringing bar instead of damped wood.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Pressure at 1 m [Pa].
    """
    y = silence(max_s, sr, max_s)
    peak_pa = pascal(rng.uniform(108.0, 124.0))
    contact_s = rng.uniform(1e-4, 3e-4) if metal else rng.uniform(4e-4, 1.5e-3)
    if metal:
        freqs_hz = rng.uniform(500.0, 2200.0) * np.concatenate([_BAR_MODES, _BAR_MODES * rng.uniform(1.1, 1.6)])
        decays_s = rng.uniform(0.05, 0.3) * (freqs_hz[0] / freqs_hz) ** 0.6
    else:
        freqs_hz = np.sort(rng.uniform(150.0, 2600.0, 9))
        decays_s = rng.uniform(2.5, 6.0) / freqs_hz
    excited = 1.0 / (1.0 + (2.0 * freqs_hz * contact_s) ** 2) * rng.uniform(0.4, 1.0, len(freqs_hz))
    period_s = 1.0 / rng.uniform(1.8, 4.2)
    for k in range(int(rng.integers(1, 6))):
        start_s = k * period_s * float(rng.normal(1.0, 0.04))
        blow_pa = peak_pa * float(rng.uniform(0.6, 1.0))
        place_ringing(y, sr, start_s, freqs_hz, decays_s, blow_pa * excited)
        place_friedlander(y, sr, start_s, 0.5 * blow_pa, contact_s)
    return _pressure(y)


def firework(sr: int, max_s: float, rng: np.random.Generator) -> Float32:
    """Make an aerial shell: often a whistle, then the burst of a large charge, often crackle.

    Parameters
    ----------
    sr : int
        Sample rate [Hz].
    max_s : float
        Longest sound wanted [s].
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Pressure at 1 m [Pa].
    """
    y = silence(max_s, sr, max_s)
    peak_pa = pascal(rng.uniform(150.0, 165.0))
    burst_s = 0.0
    if rng.random() < 0.4:
        burst_s = rng.uniform(0.2, 0.5)
        n_samples = min(round(burst_s * sr), len(y))
        y[:n_samples] += _whistle(n_samples, sr, rng) * peak_pa * rng.uniform(0.05, 0.2)
    place_friedlander(y, sr, burst_s, peak_pa, rng.uniform(0.0012, 0.0035), rng.uniform(0.8, 1.2))
    if rng.random() < 0.6:
        n_cracks = int(rng.integers(15, 90))
        starts_s = burst_s + rng.uniform(0.05, 0.25) + rng.gamma(2.0, 0.15, n_cracks)
        for start_s in starts_s[starts_s < max_s]:
            crack_pa = peak_pa * float(rng.uniform(0.02, 0.12))
            place_friedlander(y, sr, float(start_s), crack_pa, float(rng.uniform(6e-5, 2e-4)))
    return _pressure(y)


def firecrackers(sr: int, max_s: float, rng: np.random.Generator) -> Float32:
    """Make a string of small crackers: sharp blasts at irregular times.

    Parameters
    ----------
    sr : int
        Sample rate [Hz].
    max_s : float
        Longest sound wanted [s].
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Pressure at 1 m [Pa].
    """
    y = silence(max_s, sr, max_s)
    peak_pa = pascal(rng.uniform(138.0, 152.0))
    positive_s = rng.uniform(8e-5, 2.2e-4)
    gaps_s = rng.exponential(rng.uniform(0.02, 0.08), int(rng.integers(4, 20)))
    for start_s in np.concatenate([np.zeros(1), np.cumsum(gaps_s)]):
        if start_s < max_s:
            loud_pa = peak_pa * float(rng.uniform(0.4, 1.0))
            place_friedlander(y, sr, float(start_s), loud_pa, positive_s * float(rng.uniform(0.7, 1.4)))
    return _pressure(y)


def car_backfire(sr: int, max_s: float, rng: np.random.Generator) -> Float32:
    """Make one to three explosions in an exhaust: a slow blast, and the pipe that rings with it.

    Parameters
    ----------
    sr : int
        Sample rate [Hz].
    max_s : float
        Longest sound wanted [s].
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Pressure at 1 m [Pa].
    """
    y = silence(max_s, sr, max_s)
    peak_pa = pascal(rng.uniform(118.0, 134.0))
    pipe_hz = _SOUND_M_S / (4.0 * rng.uniform(0.5, 1.6))  # a quarter wave of the tail pipe
    freqs_hz = pipe_hz * np.array([1.0, 3.0, 5.0, 7.0, 9.0])
    decays_s = rng.uniform(0.02, 0.05) * (pipe_hz / freqs_hz) ** 0.5
    starts_s = np.cumsum(rng.uniform(0.09, 0.35, int(rng.integers(1, 4))))
    for start_s in starts_s - starts_s[0]:
        loud_pa = peak_pa * float(rng.uniform(0.5, 1.0))
        place_friedlander(y, sr, float(start_s), loud_pa, float(rng.uniform(8e-4, 2e-3)))
        rings_pa = loud_pa * rng.uniform(0.2, 0.6) / np.sqrt(freqs_hz / pipe_hz)
        place_ringing(y, sr, float(start_s), freqs_hz, decays_s, rings_pa)
    return _pressure(y)


def _whistle(n_samples: int, sr: int, rng: np.random.Generator) -> Float64:
    """Make a screaming tone that slides, with its octave, and flutters."""
    t_s = np.arange(n_samples) / sr
    slide_hz = rng.uniform(1200.0, 2600.0) * np.exp(rng.uniform(-0.8, 0.8) * t_s)
    phase = 2.0 * np.pi * np.cumsum(slide_hz) / sr
    flutter = 1.0 + 0.3 * np.sin(2.0 * np.pi * rng.uniform(18.0, 45.0) * t_s)
    octave = 0.4 * np.sin(2.0 * phase) if slide_hz.max() < 0.2 * sr else 0.0
    tone: Float64 = flutter * (np.sin(phase) + octave) * np.minimum(t_s / 0.015, 1.0)
    return tone


def _pressure(y: Float64) -> Float32:
    """Give samples as float32."""
    return y.astype(np.float32)
