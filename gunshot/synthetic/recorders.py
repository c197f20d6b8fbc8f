"""Recorders: what a device makes of the pressure at its microphone.

Conventions: seconds, Hz, dB re full scale (a full-scale sine has a peak of 1). The linear part (a high-pass,
a resonance, a low-pass, each second-order sections) can be run block by block with its state; the rest
(gain, self-noise, saturation) has no memory. Quantisation is left to the file's subtype.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

__all__ = ["RECORDERS", "Recorder", "digitised", "sections", "through"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """A kind of recording device.

    Parameters
    ----------
    high_pass_hz, high_pass_order : float, int
        Corner [Hz] and order of the high-pass of microphone and wind cut.
    resonance_hz, resonance_db, resonance_q : float
        Frequency [Hz], height [dB] and quality of the microphone's or housing's resonance.
    low_pass_hz : float
        Corner of the low-pass [Hz]; without effect where the sample rate cannot hold it.
    self_noise_dbfs : float
        RMS of the device's own noise [dB re full scale].
    knee : float
        Level above which the input stage saturates softly [re full scale]; 1 clips hard.
    """

    high_pass_hz: float
    high_pass_order: int = 2
    resonance_hz: float
    resonance_db: float
    resonance_q: float
    low_pass_hz: float
    self_noise_dbfs: float
    knee: float


RECORDERS: dict[str, Recorder] = {
    "phone": Recorder(
        high_pass_hz=110.0,
        resonance_hz=3600.0,
        resonance_db=5.0,
        resonance_q=1.5,
        low_pass_hz=16_000.0,
        self_noise_dbfs=-68.0,
        knee=0.7,
    ),
    "field recorder": Recorder(
        high_pass_hz=48.0,
        resonance_hz=9000.0,
        resonance_db=3.0,
        resonance_q=1.0,
        low_pass_hz=22_000.0,
        self_noise_dbfs=-78.0,
        knee=1.0,
    ),
    "street sensor": Recorder(
        high_pass_hz=90.0,
        resonance_hz=2200.0,
        resonance_db=2.0,
        resonance_q=0.9,
        low_pass_hz=9000.0,
        self_noise_dbfs=-70.0,
        knee=0.9,
    ),
    "handheld recorder": Recorder(
        high_pass_hz=30.0,
        resonance_hz=11_000.0,
        resonance_db=4.0,
        resonance_q=1.2,
        low_pass_hz=21_000.0,
        self_noise_dbfs=-80.0,
        knee=0.95,
    ),
    "body camera": Recorder(
        high_pass_hz=170.0,
        resonance_hz=2900.0,
        resonance_db=7.0,
        resonance_q=2.0,
        low_pass_hz=7500.0,
        self_noise_dbfs=-62.0,
        knee=0.5,
    ),
    "measurement microphone": Recorder(
        high_pass_hz=12.0,
        resonance_hz=20_000.0,
        resonance_db=1.0,
        resonance_q=0.7,
        low_pass_hz=60_000.0,
        self_noise_dbfs=-84.0,
        knee=1.0,
    ),
}
"""The recorders by name."""


def sections(recorder: Recorder, sr: int) -> Float64:
    """Second-order sections of a recorder's linear part.

    Parameters
    ----------
    recorder : Recorder
        The recorder.
    sr : int
        Sample rate [Hz].

    Returns
    -------
    ndarray of shape (n_sections, 6), float64
        Sections as `scipy.signal.sosfilt` takes them; what lies above 0.45 times the rate is left out.
    """
    parts = [butter(recorder.high_pass_order, recorder.high_pass_hz, "highpass", fs=sr, output="sos")]
    if recorder.resonance_hz < 0.45 * sr:
        parts.append(_peak_section(recorder, sr))
    if recorder.low_pass_hz < 0.45 * sr:
        parts.append(butter(4, recorder.low_pass_hz, "lowpass", fs=sr, output="sos"))
    stacked: Float64 = np.concatenate(parts)
    return stacked


def through(sos: Float64, y: Float32, state: Float64 | None = None) -> tuple[Float32, Float64]:
    """Run samples through the linear part of a recorder.

    Parameters
    ----------
    sos : ndarray of shape (n_sections, 6), float64
        From `sections`.
    y : ndarray of shape (n_samples, n_channels), float32
        Pressure.
    state : ndarray of shape (n_sections, 2, n_channels), float64, or None
        State that an earlier block left; None starts from rest.

    Returns
    -------
    y : ndarray of shape (n_samples, n_channels), float32
        Filtered samples.
    state : ndarray of shape (n_sections, 2, n_channels), float64
        State for the next block.
    """
    if state is None:
        state = np.zeros((len(sos), 2, y.shape[1]))
    filtered, after = sosfilt(sos, y, axis=0, zi=state)
    return filtered.astype(np.float32), after


def digitised(recorder: Recorder, y: Float32, rng: np.random.Generator) -> Float32:
    """Add the device's own noise, and saturate.

    Parameters
    ----------
    recorder : Recorder
        The recorder.
    y : ndarray of shape (n_samples, n_channels), float32
        Filtered samples after the gain [re full scale].
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    ndarray of shape (n_samples, n_channels), float32
        Samples in [-1, 1].
    """
    noise = rng.standard_normal(y.shape, dtype=np.float32)
    y = y + noise * np.float32(10.0 ** (recorder.self_noise_dbfs / 20.0))
    if recorder.knee < 1.0:
        over = np.abs(y) > recorder.knee
        room = 1.0 - recorder.knee
        beyond = (np.abs(y[over]) - recorder.knee) / room
        y[over] = np.sign(y[over]) * (recorder.knee + room * np.tanh(beyond))
    return np.clip(y, -1.0, 1.0).astype(np.float32)


def _peak_section(recorder: Recorder, sr: int) -> Float64:
    """Peaking biquad (Bristow-Johnson, Audio EQ Cookbook)."""
    gain = 10.0 ** (recorder.resonance_db / 40.0)
    omega = 2.0 * math.pi * recorder.resonance_hz / sr
    alpha = math.sin(omega) / (2.0 * recorder.resonance_q)
    b = np.array([1.0 + alpha * gain, -2.0 * math.cos(omega), 1.0 - alpha * gain])
    a = np.array([1.0 + alpha / gain, -2.0 * math.cos(omega), 1.0 - alpha / gain])
    section: Float64 = np.concatenate([b, a])[None, :] / a[0]
    return section
