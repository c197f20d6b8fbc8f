"""What tells a clip's class without its sound: traces of the recorder and the cut, and clips whose onset is taken out.

Conventions
-----------
A *shortcut* is a property of the recording or of the clip's making that a model may learn instead of the sound. All are
columns, a row a clip; levels are decibels re 1.0, floored at -120, of what varies within frames of 10 ms. The
*background* of a clip is its quietest tenth of frames that are not digital zero, so that what is measured there is the
recorder and the place, not the sound itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.fft
from numpy.typing import NDArray

from gunshot.recipe import Recipe

__all__ = ["Shortcut", "lead_only", "shortcuts_of", "without_onset"]

FRAME_S = 0.01
"""Frames in which levels are taken [s]."""

HOLE_S = 0.15
"""How much around the loudest part is taken out [s]: direct sound and first reflections."""

FILL_S = 0.05
"""Stretch of surrounding noise that fills it [s]."""

_FADE_S = 0.005
_FLOOR_DB = -120.0
_SILENCE_DB = -80.0  # below any microphone's own noise, above 16 bit dither
_QUIET = 0.1
_ROLL_OFF = 0.99
_TOP = 0.125  # of the band: where a recorder of a lower rate has nothing
_BLOCK_ROWS = 512


@dataclass(frozen=True, eq=False)
class Shortcut:
    """One property, or some that belong together.

    Attributes
    ----------
    name : str
        Short name, as in ``model.json``.
    what : str
        In words, to follow "from".
    in_clip : bool
        Whether the clip itself carries it; False for what only the recording's header says, of which the clip may
        hold traces.
    columns : ndarray of shape (n, k), float64
        Its values; NaN where unknown.
    """

    name: str
    what: str
    in_clip: bool
    columns: NDArray[np.float64]


def shortcuts_of(rows: pa.Table, waveforms: NDArray[np.float32], recipe: Recipe) -> tuple[Shortcut, ...]:
    """Measure all shortcuts.

    Parameters
    ----------
    rows : pyarrow.Table
        A row a clip, with ``sr`` [Hz] and ``duration_s`` [s] of its recording, as a store holds them.
    waveforms : ndarray of shape (n, n_samples), float32
        The clips.
    recipe : Recipe
        Their rate.

    Returns
    -------
    tuple of Shortcut
        Sample rate, duration, bandwidth, noise floor, zero padding, trailing silence, level, offset.
    """
    header = [
        Shortcut("sample_rate", "the recording's sample rate", False, _column(rows, "sr")),
        Shortcut("duration", "the recording's duration", False, _column(rows, "duration_s")),
    ]
    found = [_of_block(waveforms[i : i + _BLOCK_ROWS], recipe) for i in range(0, len(waveforms), _BLOCK_ROWS)]
    columns = {name: np.concatenate([block[name] for block in found]) for name in found[0]} if found else {}
    words = {
        "bandwidth": "the background's bandwidth",
        "noise_floor": "the noise floor",
        "zero_padding": "zero padding",
        "trailing_silence": "trailing silence",
        "level": "the level",
        "offset": "a constant offset",
    }
    return (*header, *(Shortcut(name, what, True, columns[name]) for name, what in words.items() if name in columns))


def _column(rows: pa.Table, name: str) -> NDArray[np.float64]:
    values = rows.column(name).to_pylist() if name in rows.column_names else [None] * rows.num_rows
    return np.asarray([[np.nan if value is None else value] for value in values], dtype=np.float64).reshape(-1, 1)


def _of_block(y: NDArray[np.float32], recipe: Recipe) -> dict[str, NDArray[np.float64]]:
    """The columns that the clip itself carries."""
    size = max(2, round(FRAME_S * recipe.sr_hz))
    mean = y.mean(axis=1, dtype=np.float64)
    frames = y[:, : y.shape[1] // size * size].reshape(len(y), -1, size)
    is_padding = ~frames.any(axis=2)
    power = frames.var(axis=2, dtype=np.float64)  # a constant offset is no sound, and has a column of its own
    background = _background(np.where(is_padding, np.inf, power))
    quiet_db = _db(np.where(background, power, 0.0).sum(axis=1) / np.maximum(background.sum(axis=1), 1))
    spectrum = _spectrum(frames, background)
    is_silent = is_padding | (power < 10.0 ** (_SILENCE_DB / 10.0))
    zero = [_run(y == 0.0), _run(y[:, ::-1] == 0.0)]
    peak = np.abs(y - mean[:, None]).max(axis=1)
    return {
        "bandwidth": np.column_stack([_roll_off(spectrum) * recipe.sr_hz / 2.0, _top_db(spectrum)]),
        "noise_floor": quiet_db[:, None],
        "zero_padding": np.column_stack(zero) / float(recipe.sr_hz),
        "trailing_silence": _run(is_silent[:, ::-1])[:, None] * size / recipe.sr_hz,
        "level": np.column_stack([_db(np.square(peak)), _db(power.mean(axis=1))]),
        "offset": np.column_stack([mean, np.abs(mean)]),
    }


def _db(power: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (_FLOOR_DB / 10.0))))


def _background(power: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The quietest tenth of each clip's frames; padding, whose power is given as infinite, is not background."""
    n_sounding = np.isfinite(power).sum(axis=1)
    rank = np.argsort(np.argsort(power, axis=1), axis=1)
    return np.asarray((rank < np.ceil(_QUIET * n_sounding)[:, None]) & np.isfinite(power))


def _spectrum(frames: NDArray[np.float32], background: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean power spectrum of the background (n, bins), without the constant part."""
    window = np.hanning(frames.shape[2] + 2)[1:-1].astype(np.float32)
    spectra = np.zeros((len(frames), frames.shape[2] // 2), dtype=np.float64)
    clip, frame = np.nonzero(background)
    chosen = frames[clip, frame]
    chosen = (chosen - chosen.mean(axis=1, keepdims=True)) * window
    power = np.abs(scipy.fft.rfft(chosen, axis=1)[:, 1:]) ** 2
    np.add.at(spectra, clip, power)
    return spectra


def _roll_off(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fraction of the band below which 99% of the power lies; NaN where there is none."""
    total = np.cumsum(spectrum, axis=1)
    reached = np.argmax(total >= _ROLL_OFF * total[:, -1:], axis=1) + 1.0
    return np.where(total[:, -1] > 0.0, reached / spectrum.shape[1], np.nan)


def _top_db(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power of the band's top eighth over the whole [dB]; NaN where there is none."""
    whole = spectrum.sum(axis=1)
    top = spectrum[:, -max(1, round(_TOP * spectrum.shape[1])) :].sum(axis=1)
    return np.where(whole > 0.0, _db(top / np.where(whole > 0.0, whole, 1.0)), np.nan)


def _run(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many flags are set at the start of each row."""
    return np.asarray(np.where(flags.all(axis=1), flags.shape[1], np.argmin(flags, axis=1)), dtype=np.intp)


def _tiled(piece: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """`n` samples of a piece played forth and back, so that no step marks where it begins again."""
    both = np.concatenate([piece, piece[::-1]])
    return np.tile(both, -(-n // both.size))[:n]


def without_onset(y: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """Clips whose loudest 150 ms are replaced by the quietest sound beside them.

    Parameters
    ----------
    y : ndarray of shape (n, n_samples), float32
        Clips.
    recipe : Recipe
        Their rate.

    Returns
    -------
    ndarray of shape (n, n_samples), float32
        The same clips; the fill is faded in and out over 5 ms before and after.
    """
    n_samples = y.shape[1]
    hole = min(round(HOLE_S * recipe.sr_hz), n_samples // 2)
    fill = min(round(FILL_S * recipe.sr_hz), (n_samples - hole) // 4)
    fade = round(_FADE_S * recipe.sr_hz)
    ramp = np.concatenate([np.linspace(0, 1, fade), np.ones(hole), np.linspace(1, 0, fade)]).astype(np.float32)
    result = y.copy()
    for clip in result:
        total = _total(np.square(clip, dtype=np.float64))
        start = int(np.argmax(total[hole:] - total[:-hole]))
        energy = total[fill:] - total[:-fill]
        zeros = _total(clip == 0.0)
        first = np.arange(energy.size)
        outside = (first + fill <= start - fade) | (first >= start + hole + fade)
        sounding = outside & (zeros[fill:] - zeros[:-fill] < 0.1 * fill)  # padding is no surrounding sound
        chosen = int(np.argmin(np.where(sounding if sounding.any() else outside, energy, np.inf)))
        noise = _tiled(clip[chosen : chosen + fill].copy(), ramp.size)
        begin, end = max(0, start - fade), min(n_samples, start + hole + fade)
        part = slice(begin - (start - fade), end - (start - fade))
        clip[begin:end] = clip[begin:end] * (1.0 - ramp[part]) + noise[part] * ramp[part]
    return result


def _total(values: NDArray[Any]) -> NDArray[np.float64]:
    """Sums over the first 0, 1, 2, ... values."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def lead_only(y: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32] | None:
    """Clips that hold only what was before the onset, played forth and back.

    Parameters
    ----------
    y : ndarray of shape (n, n_samples), float32
        Clips.
    recipe : Recipe
        Their rate and lead.

    Returns
    -------
    ndarray of shape (n, n_samples), float32, or None
        None where the recipe keeps less than 20 ms before the onset, as the paper's cut does.
    """
    # the onset is known to a millisecond or two: its last 5 ms may hold the first of the sound
    n_lead = recipe.lead_samples - round(_FADE_S * recipe.sr_hz)
    if n_lead < round(0.02 * recipe.sr_hz):
        return None
    lead = y[:, :n_lead]
    both = np.concatenate([lead, lead[:, ::-1]], axis=1)
    tiles = -(-y.shape[1] // both.shape[1])
    return np.ascontiguousarray(np.tile(both, (1, tiles))[:, : y.shape[1]])
