"""Clips of a store to look at and to hear, and what training does to one.

Conventions: a picture has the clip's waveform, so that it can be heard. A distorted example is taken from a store of
copies where there is one, and is else made as training makes it, by the rule that the bundle notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import librosa
import numpy as np
from numpy.typing import NDArray

from gunshot.augment.chain import AugmentRule, distorted_copy
from gunshot.augment.field import FieldRule, field_copy
from gunshot.clips import features
from gunshot.recipe import Recipe
from gunshot.report.pictures import ClipPicture, DistortionExample
from gunshot.store.read import FeatureStore, open_store

__all__ = ["copied_example", "row_pictures", "trained_example"]

_MOST_BACKGROUNDS = 16

Float32 = NDArray[np.float32]


def row_pictures(store: FeatureStore, rows: Sequence[int]) -> list[ClipPicture]:
    """Return rows of a store as pictures; each partition is read once.

    Parameters
    ----------
    store : FeatureStore
        The store.
    rows : sequence of int
        Numbers of usable rows.

    Returns
    -------
    list of ClipPicture
        With their waveforms.
    """
    arrays = zip(store.log_mels(rows), store.waveforms(rows), strict=True)
    return [_picture(store.recipe, log_mel, waveform) for log_mel, waveform in arrays]


def copied_example(store: FeatureStore, copies_uri: str) -> DistortionExample | None:
    """Return the first gunshot of a store of copies beside what it was made from.

    Parameters
    ----------
    store : FeatureStore
        The originals.
    copies_uri : str
        The store of copies.

    Returns
    -------
    DistortionExample or None
        None where no copy is of a gunshot.
    """
    copies = open_store(copies_uri)
    row = next((i for i, label in enumerate(copies.column("label")) if label == 1), None)
    if row is None:
        return None
    source = int(copies.rows.column("source_row")[row].as_py())
    return DistortionExample(
        file_name=PurePosixPath(str(copies.column("path")[row])).name,
        distortion=_noise(copies.header.derived["augment"]["snr_db"]),
        original=row_pictures(store, [source])[0],
        distorted=row_pictures(copies, [row])[0],
    )


def trained_example(store: FeatureStore, training: Mapping[str, Any]) -> DistortionExample | None:
    """Return the first gunshot of a store beside a copy of it as a training distorts its rows.

    Parameters
    ----------
    store : FeatureStore
        Any store of the recipe.
    training : mapping
        What ``model.json`` holds under ``training``.

    Returns
    -------
    DistortionExample or None
        None where the training distorted nothing, or the store has no gunshot.
    """
    label = np.asarray([-1 if value is None else value for value in store.column("label")])
    usable = np.asarray(store.usable, dtype=np.intp)
    shots = usable[label[usable] == 1]
    is_copied, field = bool(training.get("copies")), training.get("field")
    if not shots.size or not (is_copied or field):
        return None
    row, seed = int(shots[0]), int(training.get("seed", 0))
    y = store.waveforms([row])[0]
    if field:
        others = usable[label[usable] == 0][:_MOST_BACKGROUNDS]
        backgrounds = store.waveforms(others) if others.size else np.empty((0, y.size), np.float32)
        chance = np.random.default_rng([seed, row])
        distorted = field_copy(y, FieldRule(**field), chance, sr=store.recipe.sr_hz, backgrounds=backgrounds)
        what = "a distance, place, recorder and background drawn for it, as training draws them anew in each epoch"
    else:
        rule = AugmentRule(seed=seed)
        distorted, what = distorted_copy(y, row, rule), _noise(rule.snr_db)
    log_mels = features(np.stack([y, distorted]), store.recipe)
    return DistortionExample(
        file_name=PurePosixPath(str(store.column("path")[row])).name,
        distortion=what,
        original=_picture(store.recipe, log_mels[0], y),
        distorted=_picture(store.recipe, log_mels[1], distorted),
    )


def _noise(snr_db: float) -> str:
    return f"white Gaussian noise {snr_db:g} dB below the clip"


def _picture(recipe: Recipe, log_mel: Float32, waveform: Float32) -> ClipPicture:
    rule = recipe.mel
    centres: NDArray[np.float64] = librosa.mel_frequencies(n_mels=rule.n_mels + 2, fmin=rule.fmin_hz, fmax=rule.fmax_hz)
    return ClipPicture(
        log_mel_db=log_mel, mel_hz=centres[1:-1], sr=recipe.sr_hz, hop_length=rule.hop_length, waveform=waveform
    )
