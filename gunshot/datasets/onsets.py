"""A row an onset in place of a row a file: every shot of a burst, several sounds of a long recording.

Conventions
-----------
A row without segment stands for the first sound of its file (`gunshot.clips`). Here it becomes segments, each around
one onset and so short that the clip cut from it begins at that onset. Of gunshots those onsets count whose peak is at
least `SHOT_PEAK` of the loudest: echoes are weaker. Of other sounds the strongest onsets count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gunshot.audio.decode import Recording
from gunshot.clips import find_onsets
from gunshot.datasets.labels import LabelRow
from gunshot.dsp.resample import resample
from gunshot.errors import AudioError
from gunshot.progress import steps
from gunshot.recipe import Recipe

__all__ = ["SHOT_PEAK", "onset_rows"]

SHOT_PEAK = 0.4
"""A shot's peak over that of the file's loudest shot, at least."""

_APART_S = 0.08
_LISTENED_S = 60.0
_PEAK_S = 0.05
_BEFORE_S, _AFTER_S = 0.055, 0.03


def onset_rows(rows: Iterable[LabelRow], *, most: int, recipe: Recipe | None = None) -> Iterator[LabelRow]:
    """Give a row an onset for each row that stands for a whole file.

    Parameters
    ----------
    rows : iterable of LabelRow
        Rows with a segment are left out: their sound is told already.
    most : int
        Rows a file, at most.
    recipe : Recipe, optional
        How onsets are found.

    Yields
    ------
    LabelRow
        With segment; none for files that cannot be read or hold no onset.
    """
    recipe = recipe or Recipe()
    for row in steps(rows, "onsets", "files"):
        if row.start_s is not None or row.end_s is not None:
            continue
        try:
            onsets = _onsets_s(row.path, row.label == 1, most, recipe)
        except AudioError:
            continue  # it is a row with its reason in the table that it comes from
        for onset_s in onsets:
            yield replace(row, start_s=max(0.0, onset_s - _BEFORE_S), end_s=onset_s + _AFTER_S)


def _onsets_s(path: Path, is_gunshot: bool, most: int, recipe: Recipe) -> list[float]:
    """Times of the onsets that count [s], increasing."""
    with Recording(str(path)) as recording:
        sr = recording.header.sr
        y = resample(recording.read(0, round(min(_LISTENED_S, recording.header.duration_s) * sr)), sr, recipe.sr_hz)
    found = find_onsets(y, recipe, from_start=True)
    rank: NDArray[np.float32] = found.strength_db
    sample = found.sample
    if is_gunshot and sample.size:
        length = round(_PEAK_S * recipe.sr_hz)
        peak = np.array([np.max(np.abs(y[start : start + length]), initial=0.0) for start in sample.tolist()])
        sample, rank = sample[peak >= SHOT_PEAK * peak.max()], -np.arange(np.sum(peak >= SHOT_PEAK * peak.max()))
    chosen: list[int] = []
    for start in sample[np.argsort(-rank, kind="stable")].tolist():
        if len(chosen) < most and all(abs(start - other) >= _APART_S * recipe.sr_hz for other in chosen):
            chosen.append(start)
    return [start / recipe.sr_hz for start in sorted(chosen)]
