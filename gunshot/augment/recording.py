"""What a recording adds to a sound: other sound, noise, limits, coding.

Conventions
-----------
Levels are in decibels below a given power, that of the loudest part of the sound.
"""

from __future__ import annotations

import io

import numpy as np
import scipy.fft
import soundfile as sf
from numpy.typing import NDArray

__all__ = ["clipped", "coded", "mixed", "noise_like"]

Float32 = NDArray[np.float32]

_CODINGS = (("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"), ("WAV", "ULAW"), ("WAV", "PCM_U8"), ("WAV", "IMA_ADPCM"))


def mixed(y: Float32, beside: Float32, power: float, snr_db: float) -> Float32:
    """Lay another sound beneath.

    Parameters
    ----------
    y, beside : ndarray of shape (n_samples,), float32
        The sound, and what is mixed with it.
    power : float
        Power of the sound that the ratio refers to.
    snr_db : float
        That power over the mean power of `beside` [dB].

    Returns
    -------
    ndarray of shape (n_samples,), float32
        The sum; `y` alone where `beside` is silent.
    """
    level = float(np.mean(np.square(beside, dtype=np.float64)))
    if level <= 0:
        return y
    return y + beside * np.float32(np.sqrt(power / level * 10.0 ** (-snr_db / 10.0)))


def noise_like(n_samples: int, power: float, below_db: float, rng: np.random.Generator) -> Float32:
    """Draw a recorder's own noise, from white to brown.

    Parameters
    ----------
    n_samples : int
        Length [samples].
    power : float
        Power of the sound.
    below_db : float
        How far below it the noise lies [dB].
    rng : numpy.random.Generator
        Of the copy.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        The noise.
    """
    spectrum = scipy.fft.rfft(rng.standard_normal(n_samples).astype(np.float32))
    bins = np.maximum(np.arange(spectrum.size, dtype=np.float32), 1.0)
    noise = scipy.fft.irfft(spectrum * bins ** np.float32(-rng.uniform(0.0, 1.0)), n_samples)
    level = float(np.mean(np.square(noise, dtype=np.float64)))
    wanted = max(power, 1e-10) * 10.0 ** (-below_db / 10.0)
    return np.asarray(noise * np.sqrt(wanted / max(level, 1e-30)), dtype=np.float32)


def clipped(y: Float32, rng: np.random.Generator) -> Float32:
    """Drive a recorder's input 1 to 15 dB beyond its limit, hard or soft.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float32
        The sound.
    rng : numpy.random.Generator
        Of the copy.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        The limited sound.
    """
    limit = max(float(np.max(np.abs(y))), 1e-12) * 10.0 ** (-rng.uniform(1.0, 15.0) / 20.0)
    scaled = y / np.float32(limit)
    hard = rng.random() < 0.5
    return np.asarray((np.clip(scaled, -1.0, 1.0) if hard else np.tanh(scaled)) * np.float32(limit), dtype=np.float32)


def coded(y: Float32, sr: int, rng: np.random.Generator) -> Float32:
    """Encode and decode with a lossy format that libsndfile writes.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float32
        The sound, in [-1, 1].
    sr : int
        Sample rate [Hz].
    rng : numpy.random.Generator
        Of the copy.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        What comes back; `y` where the format does not take this rate.
    """
    container, subtype = _CODINGS[int(rng.integers(len(_CODINGS)))]
    level = rng.uniform(0.3, 1.0)
    buffer = io.BytesIO()
    try:
        if subtype in {"VORBIS", "MPEG_LAYER_III"}:
            sf.write(buffer, y, sr, format=container, subtype=subtype, compression_level=level)
        else:
            sf.write(buffer, y, sr, format=container, subtype=subtype)
        buffer.seek(0)
        back = sf.read(buffer, dtype="float32")[0]
    except sf.LibsndfileError:
        return y
    out = np.zeros_like(y)
    out[: min(y.size, back.size)] = back[: y.size]
    return out
