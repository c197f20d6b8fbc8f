"""Field distortions: the way, the place and the recorder that a clip did not have.

Conventions
-----------
A clip is a batch of one: a waveform at the recipe's rate, float32. A copy depends on (seed, row, epoch) alone, and both
classes go through the same chain, so that nothing in it tells a class. The order is that of nature: more distance
and a place (`gunshot.augment.responses`), other sound beside it, the recorder's response, its noise, its
limits and its coding (`gunshot.augment.recording`). Levels refer to the loudest 50 ms of the clip: that is
what is heard as the sound.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from gunshot.augment.recording import clipped, coded, mixed, noise_like
from gunshot.augment.responses import ResponseBank

__all__ = ["FieldRule", "field_copy", "loudness"]

Probability = Annotated[float, Field(ge=0, le=1)]

_LOUD_S = 0.05


class FieldRule(BaseModel):
    """How often each distortion is drawn, and how strong it may be.

    Attributes
    ----------
    seed : int
        Of all draws.
    distance, place, background, response, clipping, coding, muting, overlap, masking : float
        Probability of each distortion; overlap is a second sound of the same class, masking is of the spectrogram.
    snr_db : tuple of float
        The sound over the background beside it [dB], lowest and highest.
    floor_db : tuple of float
        The sound over the recorder's own noise [dB], lowest and highest.
    shift_s : float
        Largest shift of the onset, either way [s].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: Annotated[int, Field(ge=0)] = 0
    distance: Probability = 0.5
    place: Probability = 0.5
    background: Probability = 0.6
    response: Probability = 0.7
    clipping: Probability = 0.15
    coding: Probability = 0.1
    muting: Probability = 0.2
    overlap: Probability = 0.1
    masking: Probability = 0.5
    snr_db: tuple[float, float] = (0.0, 30.0)
    floor_db: tuple[float, float] = (10.0, 60.0)
    shift_s: Annotated[float, Field(ge=0)] = 0.015


def loudness(y: NDArray[np.float32], sr: int) -> float:
    """Mean power of the loudest 50 ms.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float32
        Waveform.
    sr : int
        Sample rate [Hz].

    Returns
    -------
    float
        Power [1], 0 for silence.
    """
    n = max(1, round(_LOUD_S * sr))
    energy = np.concatenate([[0.0], np.cumsum(np.square(y, dtype=np.float64))])
    if len(energy) <= n:
        return float(energy[-1] / max(1, len(y)))
    return float(np.max(energy[n:] - energy[:-n]) / n)


def field_copy(
    y: NDArray[np.float32],
    rule: FieldRule,
    rng: np.random.Generator,
    *,
    sr: int,
    backgrounds: NDArray[np.float32],
    companion: NDArray[np.float32] | None = None,
    bank: ResponseBank | None = None,
) -> NDArray[np.float32]:
    """Distort a clip as if another recorder had heard it, from elsewhere.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float32
        The clip.
    rule : FieldRule
        What may be drawn.
    rng : numpy.random.Generator
        Of this copy.
    sr : int
        Sample rate [Hz].
    backgrounds : ndarray of shape (n, n_samples), float32
        Clips of other sounds to lay beneath; none if empty.
    companion : ndarray of shape (n_samples,), float32, optional
        Another clip of the same class, for overlapping sounds.
    bank : ResponseBank, optional
        Responses to take from, of clips of this length; drawn for this copy alone if not given.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        The copy; its peak is at most 1.
    """
    y = _shifted(y, round(rng.uniform(-rule.shift_s, rule.shift_s) * sr))
    if companion is not None and rng.random() < rule.overlap:
        y = _with_companion(y, companion, rng, sr)
    bank = bank or ResponseBank(rng.integers(2**32, size=4).tolist(), y.size, sr, size=1)
    n_fft = bank.n_fft
    way: NDArray[np.complex64] | None = None
    if rng.random() < rule.distance:
        way = bank.way(rng)
    if rng.random() < rule.place:
        place = bank.place(rng)
        way = place if way is None else way * place
    y = _through(y, way, n_fft)
    power = loudness(y, sr)
    if len(backgrounds) and rng.random() < rule.background:
        beside = backgrounds[int(rng.integers(len(backgrounds)))]
        # from anywhere in it: a clip begins with its own onset, and two sounds that always begin together teach neither
        y = mixed(y, np.roll(beside, int(rng.integers(y.size))), power, rng.uniform(*rule.snr_db))
    if rng.random() < rule.response:
        y = _through(y, bank.recorder(rng), n_fft)
        power = loudness(y, sr)
    y = y + noise_like(y.size, power, rng.uniform(*rule.floor_db), rng)
    if rng.random() < rule.clipping:
        y = clipped(y, rng)
    y = y * np.float32(10.0 ** (rng.uniform(-40.0, 0.0) / 20.0) / max(float(np.max(np.abs(y))), 1e-12))
    if rng.random() < rule.coding:
        y = coded(y, sr, rng)
    if rng.random() < rule.muting:
        y = _muted(y, rng, sr)
    return np.asarray(y, dtype=np.float32)


def _shifted(y: NDArray[np.float32], by: int) -> NDArray[np.float32]:
    moved = np.roll(y, by)
    if by > 0:
        moved[:by] = 0
    elif by < 0:
        moved[by:] = 0
    return moved


def _with_companion(
    y: NDArray[np.float32], companion: NDArray[np.float32], rng: np.random.Generator, sr: int
) -> NDArray[np.float32]:
    """A second sound of the class 50 ms to the clip's end later, up to 10 dB weaker or stronger."""
    later = _shifted(companion, int(rng.integers(round(0.05 * sr), y.size)))
    beside = loudness(companion, sr)
    if beside <= 0:
        return y
    scale = np.sqrt(loudness(y, sr) / beside) * 10.0 ** (rng.uniform(-10.0, 10.0) / 20.0)
    return y + later * np.float32(scale)


def _through(y: NDArray[np.float32], response: NDArray[np.complex64] | None, n_fft: int) -> NDArray[np.float32]:
    if response is None:
        return y
    return np.asarray(scipy.fft.irfft(scipy.fft.rfft(y, n_fft) * response, n_fft)[: y.size], dtype=np.float32)


def _muted(y: NDArray[np.float32], rng: np.random.Generator, sr: int) -> NDArray[np.float32]:
    """Digital zeros before the sound or after it, as a publisher's or an archive's cut leaves them, in either class."""
    kept = y.copy()
    if rng.random() < 0.5:
        kept[int(rng.uniform(0.3, 1.0) * y.size) :] = 0
    else:
        kept[: int(rng.uniform(0.01, 0.05) * sr)] = 0
    return kept
