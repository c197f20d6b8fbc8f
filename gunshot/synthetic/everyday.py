"""Sounds of everyday life that are no impulses: animals, cars, warning signals.

Conventions: as in the impulsive look-alikes: a function takes the sample rate `sr` [Hz], the longest sound
wanted `max_s` [s] and a random generator, and gives the pressure 1 m from the source [Pa], float32 and
one-dimensional, starting at sample 0. Partials above 0.45 times the sample rate are left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gunshot.synthetic.sampling import band_noise, silence
from gunshot.synthetic.waves import pascal

__all__ = ["bird_chirps", "car_horn", "car_passing", "dog_bark", "engine_idling", "siren"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def dog_bark(sr: int, max_s: float, rng: np.random.Generator) -> Float32:
    """Make one to three barks: a voiced source with an arched pitch, through two formants, with breath.

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
    peak_pa = pascal(rng.uniform(95.0, 112.0))
    pitch_hz, formant_hz = rng.uniform(250.0, 700.0), rng.uniform(700.0, 1400.0)
    start_s = 0.0
    for _ in range(int(rng.integers(1, 4))):
        length_s = rng.uniform(0.09, 0.22)
        first = round(start_s * sr)
        n_samples = min(round(length_s * sr), len(y) - first)
        if n_samples < 16:
            break
        along = np.arange(n_samples) / (length_s * sr)
        arch = pitch_hz * (0.75 + 0.5 * np.sin(np.pi * along**0.7))
        voice = _partials(arch, sr, _formants(pitch_hz, formant_hz), roughness=0.02, rng=rng)
        breath = band_noise(n_samples, sr, formant_hz * 0.7, formant_hz * 3.0, rng)
        shape = np.minimum(along / 0.06, 1.0) * (1.0 - along) ** 0.8
        y[first : first + n_samples] += peak_pa * shape * (voice + 0.2 * breath)
        start_s += length_s + rng.uniform(0.1, 0.35)
    return y.astype(np.float32)


def bird_chirps(sr: int, max_s: float, rng: np.random.Generator) -> Float32:
    """Make a phrase of short whistles that sweep between 2 and 7 kHz (and below 0.4 times the rate).

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
    peak_pa = pascal(rng.uniform(80.0, 97.0))
    top_hz = min(7000.0, 0.4 * sr)
    start_s = 0.0
    while start_s < max_s:
        length_s = rng.uniform(0.04, 0.16)
        first = round(start_s * sr)
        n_samples = min(round(length_s * sr), len(y) - first)
        if n_samples < 16:
            break
        along = np.arange(n_samples) / n_samples
        ends_hz = rng.uniform(2000.0, top_hz, 2)
        warble = 1.0 + 0.04 * np.sin(2.0 * np.pi * rng.uniform(0.0, 6.0) * along)
        phase = 2.0 * np.pi * np.cumsum((ends_hz[0] + (ends_hz[1] - ends_hz[0]) * along) * warble) / sr
        y[first : first + n_samples] += peak_pa * np.sin(np.pi * along) ** 0.7 * np.sin(phase)
        start_s += length_s + rng.uniform(0.03, 0.2)
    return y.astype(np.float32)


def car_passing(sr: int, max_s: float, rng: np.random.Generator) -> Float32:
    """Make a car that comes near: tyres, wind and engine, with level and pitch that follow its way.

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
    n_samples = max(16, round(max_s * sr))
    t_s = np.arange(n_samples) / sr
    speed_m_s, nearest_m = rng.uniform(8.0, 25.0), rng.uniform(3.0, 9.0)
    along_m = speed_m_s * (t_s - rng.uniform(0.3, 0.8))
    away_m = np.hypot(along_m, nearest_m)
    doppler = 1.0 - speed_m_s * along_m / away_m / 343.0
    tyres = band_noise(n_samples, sr, 350.0, 2200.0, rng)
    rumble = band_noise(n_samples, sr, 40.0, 300.0, rng)
    engine = _partials(rng.uniform(50.0, 110.0) * doppler, sr, 1.0 / np.arange(1.0, 9.0), 0.01, rng)
    mix = tyres + 0.8 * rumble + rng.uniform(0.2, 0.8) * engine
    peak_pa = pascal(rng.uniform(88.0, 102.0))
    return (peak_pa * mix * nearest_m / away_m * np.minimum(t_s / 0.04, 1.0)).astype(np.float32)


def engine_idling(sr: int, max_s: float, rng: np.random.Generator) -> Float32:
    """Make an idling engine: 20 to 45 firings a second, uneven, through the exhaust.

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
    n_samples = max(16, round(max_s * sr))
    t_s = np.arange(n_samples) / sr
    firing_hz = rng.uniform(20.0, 45.0) * (1.0 + 0.02 * np.sin(2.0 * np.pi * rng.uniform(0.5, 3.0) * t_s))
    cycle = np.cumsum(firing_hz) / sr % 1.0
    uneven = rng.uniform(0.6, 1.0, 4)[(np.cumsum(firing_hz) / sr).astype(np.int64) % 4]
    puffs = band_noise(n_samples, sr, 60.0, rng.uniform(500.0, 1600.0), rng) * np.exp(-6.0 * cycle)
    tone = _partials(firing_hz, sr, 1.0 / np.arange(1.0, 13.0) ** 0.8, 0.01, rng)
    peak_pa = pascal(rng.uniform(80.0, 95.0))
    mix = peak_pa * uneven * (puffs + rng.uniform(0.2, 0.7) * tone)
    return (mix * np.minimum(t_s / 0.03, 1.0)).astype(np.float32)


def siren(sr: int, max_s: float, rng: np.random.Generator) -> Float32:
    """Make a siren, wailing or yelping between about 600 and 1500 Hz.

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
    n_samples = max(16, round(max_s * sr))
    t_s = np.arange(n_samples) / sr
    low_hz, high_hz = rng.uniform(500.0, 700.0), rng.uniform(1100.0, 1600.0)
    sweeps_hz = rng.uniform(2.5, 4.0) if rng.random() < 0.5 else rng.uniform(0.2, 0.5)
    sweep = 0.5 - 0.5 * np.cos(2.0 * np.pi * (sweeps_hz * t_s + rng.random()))
    tone = _partials(low_hz + (high_hz - low_hz) * sweep, sr, np.array([1.0, 0.4, 0.25, 0.1]), 0.0, rng)
    peak_pa = pascal(rng.uniform(108.0, 120.0))
    return (peak_pa * tone * np.minimum(t_s / 0.02, 1.0)).astype(np.float32)


def car_horn(sr: int, max_s: float, rng: np.random.Generator) -> Float32:
    """Make a car's horn: two notes a third apart, rich in partials, one or two hoots.

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
    n_samples = max(16, round(max_s * sr))
    t_s = np.arange(n_samples) / sr
    note_hz = rng.uniform(330.0, 480.0)
    loud = 1.0 / np.arange(1.0, 11.0) ** 0.6
    notes = sum(_partials(np.full(n_samples, f), sr, loud, 0.0, rng) for f in (note_hz, 1.25 * note_hz))
    hoot_s, gap_s = rng.uniform(0.15, 0.9), rng.uniform(0.08, 0.25)
    again = float(rng.random() < 0.4)
    on = (t_s < hoot_s) + again * ((t_s > hoot_s + gap_s) & (t_s < 2.0 * hoot_s + gap_s))
    n_ramp = max(1, round(0.008 * sr))
    gate = np.minimum(t_s / 0.008, 1.0) * np.convolve(on, np.full(n_ramp, 1.0 / n_ramp))[:n_samples]
    return (pascal(rng.uniform(100.0, 112.0)) * notes * gate).astype(np.float32)


def _formants(pitch_hz: float, formant_hz: float) -> Float64:
    """Amplitudes of twelve partials under two formants."""
    freqs_hz = pitch_hz * np.arange(1.0, 13.0)
    first = 1.0 / (1.0 + ((freqs_hz - formant_hz) / (0.25 * formant_hz)) ** 2)
    second = 0.4 / (1.0 + ((freqs_hz - 2.3 * formant_hz) / (0.3 * formant_hz)) ** 2)
    amplitudes: Float64 = first + second + 0.05
    return amplitudes


def _partials(pitch_hz: Float64, sr: int, amplitudes: Float64, roughness: float, rng: np.random.Generator) -> Float64:
    """Sum of harmonics of a moving pitch, scaled to a peak near 1; `roughness` jitters the pitch."""
    if roughness:
        n_knots = len(pitch_hz) // max(1, sr // 200) + 2
        knots = 1.0 + roughness * rng.standard_normal(n_knots)
        jitter = np.interp(np.linspace(0.0, n_knots - 1.0, len(pitch_hz)), np.arange(n_knots), knots)
        pitch_hz = pitch_hz * jitter
    turns = np.exp(2j * np.pi * np.cumsum(pitch_hz) / sr)
    highest_hz = float(pitch_hz.max())
    tone, power = np.zeros(len(pitch_hz)), np.ones(len(pitch_hz), np.complex128)
    for order, amplitude in enumerate(amplitudes, start=1):
        power = power * turns
        if order * highest_hz < 0.45 * sr:
            tone += amplitude * (power * np.exp(2j * np.pi * rng.random())).imag
    return tone / float(np.sum(amplitudes)) * 2.0
