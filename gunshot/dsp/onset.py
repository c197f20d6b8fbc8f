"""Onsets: where a sound starts.

Conventions
-----------
Onset strength is librosa's spectral flux: the mean over mel bands of the rise in decibels from one frame
to the next, negative changes counted as nothing. Its value at frame ``t`` compares frames ``t`` and
``t - 1``; frame ``t`` covers the samples ``[t * hop_length, t * hop_length + n_fft)``. A sound raises it
when it enters the frame, so :func:`refine_onset` looks for the start among the samples of that frame.
Everything here is local: an onset depends on the sound around it, never on the loudest sound of the
recording, so the same onset is found in a short segment and in a recording of a day.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d

__all__ = ["onset_strength", "pick_peaks", "refine_onset"]


def onset_strength(log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Spectral flux of a mel spectrogram in decibels.

    Parameters
    ----------
    log_mel : ndarray of shape (n_mels, n_frames), float32
        Mel spectrogram [dB].

    Returns
    -------
    ndarray of shape (n_frames,), float32
        Mean rise over the bands since the frame before [dB]; 0 at frame 0.

    Notes
    -----
    ``librosa.onset.onset_strength(S=log_mel, center=False)``, after Böck and Widmer (DAFx 2013) with lag 1 and no
    maximum filter.
    """
    strength = np.zeros(log_mel.shape[-1], dtype=np.float32)
    if strength.size > 1:
        rise = log_mel[:, 1:] - log_mel[:, :-1]
        np.maximum(rise, np.float32(0.0), out=rise)
        np.add.reduce(rise, axis=0, out=strength[1:])
        strength /= np.float32(len(log_mel))
    return strength


def pick_peaks(
    strength: NDArray[np.float32], *, reach_frames: int, average_frames: int, delta_db: float
) -> NDArray[np.intp]:
    """Peaks that are the largest within reach and stand out from their surroundings.

    Parameters
    ----------
    strength : ndarray of shape (n_frames,), float32
        Onset strength [dB].
    reach_frames : int
        A peak is the largest value within this many frames on each side; of equal ones the first counts.
    average_frames : int
        The local mean spans this many frames on each side.
    delta_db : float
        How far a peak must exceed the local mean [dB].

    Returns
    -------
    ndarray of shape (n_peaks,), intp
        Frames, increasing, at least ``reach_frames + 1`` apart.

    Notes
    -----
    The rule of ``librosa.util.peak_pick`` with symmetric spans, without its greedy waiting time: whether
    a frame is a peak depends on ``max(reach_frames, average_frames)`` frames on each side only.
    """
    if strength.size == 0:
        return np.empty(0, dtype=np.intp)
    largest = maximum_filter1d(strength, 2 * reach_frames + 1, mode="constant", cval=0.0)
    mean = uniform_filter1d(strength.astype(np.float64), 2 * average_frames + 1, mode="constant", cval=0.0)
    peaks = np.flatnonzero((strength >= largest) & (strength > mean + delta_db))
    if peaks.size > 1:  # equal neighbours within reach: only the first
        peaks = peaks[np.concatenate([[True], np.diff(peaks) > reach_frames])]
    return peaks


def refine_onset(y: NDArray[np.float32], start: int, stop: int, rise: float) -> int:
    """Sample at which the sound in a span begins.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float32
        Waveform.
    start, stop : int
        Span to look at [samples]; clipped to the waveform.
    rise : float
        Fraction of the span's largest magnitude that counts as begun, in (0, 1].

    Returns
    -------
    int
        First sample of the span whose magnitude is at least `rise` of the largest in it; `start` (clipped) where the
        span is silent or empty.
    """
    start = max(0, start)
    magnitude = np.abs(y[start : max(start, stop)])
    if magnitude.size == 0:
        return start
    peak = float(magnitude.max())
    return start + int(np.argmax(magnitude >= rise * peak)) if peak > 0.0 else start
