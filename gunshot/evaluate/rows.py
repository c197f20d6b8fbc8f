"""Which rows of a store are evaluated, and what is known of each.

Conventions
-----------
On the store that the bundle was trained from, rows keep the split they had. On another store every row whose group
the bundle was trained or chosen on is left out, and the rest is ``test``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gunshot.evaluation.level import estimated_snr_db
from gunshot.evaluation.open_set import Sound
from gunshot.evaluation.reported_rows import ReportedRows, as_floats
from gunshot.models.bundle import Bundle
from gunshot.models.splits import read_splits
from gunshot.store.read import FeatureStore

__all__ = ["Splits", "Training", "evaluated_rows", "snr_of", "splits_for", "trained_on"]

_DISTANCE = "distance_m"
"""The column that tells the distance of a shot, where a manifest has one."""

_CLIPS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Splits:
    """The splits of a store's rows, as a bundle sees them.

    Attributes
    ----------
    of_row : ndarray of shape (n_rows,), str
        Split of each row; ``""`` for those that are not evaluated.
    is_own : bool
        Whether the bundle was trained on this store.
    """

    of_row: NDArray[np.str_]
    is_own: bool


@dataclass(frozen=True)
class Training:
    """What a bundle was trained on.

    Attributes
    ----------
    sounds : frozenset of (str, int) or None
        Name and label of each sound; None where the store is not the one it was trained on: nobody noted them.
    sources : frozenset of (str, int)
        Name and label of each source; one of which only the name is noted counts as one that gave gunshots.
    """

    sounds: frozenset[Sound] | None
    sources: frozenset[Sound]


def splits_for(store: FeatureStore, bundle: Bundle) -> Splits:
    """Give each row of a store its split.

    Parameters
    ----------
    store : FeatureStore
        The rows.
    bundle : Bundle
        The model.

    Returns
    -------
    Splits
        By the conventions of this module.

    Raises
    ------
    BundleError
        If the bundle's table of splits cannot be read.
    """
    known = read_splits(bundle.uri)
    usable = np.zeros(store.header.n_rows, dtype=bool)
    usable[store.usable] = True
    if (known.schema.metadata or {}).get(b"manifest_digest") == store.header.manifest_digest.encode():
        return Splits(np.where(usable, np.asarray(known.column("split").to_pylist(), dtype="<U10"), ""), is_own=True)
    seen = {
        group
        for group, split in zip(known.column("group").to_pylist(), known.column("split").to_pylist(), strict=True)
        if split in {"train", "validation"}
    }
    fresh = np.asarray([group not in seen for group in store.column("group")])
    return Splits(np.where(usable & fresh, "test", "").astype("<U10"), is_own=False)


def trained_on(store: FeatureStore, bundle: Bundle, splits: Splits) -> Training:
    """Return the sounds and sources that a bundle was trained on.

    Parameters
    ----------
    store : FeatureStore
        The rows.
    bundle : Bundle
        The model.
    splits : Splits
        Of the store's rows.

    Returns
    -------
    Training
        From the store where it is the bundle's own, else from what the bundle notes.
    """
    if not splits.is_own:
        return Training(None, _noted_sources(bundle.details["training"]))
    rows = store.rows.select(["sound", "source", "label"]).take(np.flatnonzero(splits.of_row == "train")).to_pylist()
    labelled = [row for row in rows if row["label"] is not None]
    return Training(
        frozenset((row["sound"], int(row["label"])) for row in labelled),
        frozenset((row["source"], int(row["label"])) for row in labelled),
    )


def _noted_sources(training: Mapping[str, Any]) -> frozenset[Sound]:
    """What ``model.json`` says of the sources: counts by class, or names alone for a site's own sound."""
    counts = training.get("rows_by_source") or {}
    told = {(name, label) for name, row in counts.items() for label, of in ((1, "gunshots"), (0, "others")) if row[of]}
    return frozenset(told | {(name, 1) for name in training.get("sources") or () if name not in counts})


def snr_of(store: FeatureStore, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Estimate the SNR of rows from their waveforms, some rows at a time.

    Parameters
    ----------
    store : FeatureStore
        Where.
    rows : ndarray of shape (n,), intp
        Usable rows.

    Returns
    -------
    ndarray of shape (n,), float64
        As `gunshot.evaluation.level.estimated_snr_db` [dB]; NaN where unknown.
    """
    recipe = store.recipe
    found = np.empty(len(rows), dtype=np.float64)
    for start in range(0, len(rows), _CLIPS_AT_ONCE):
        some = slice(start, start + _CLIPS_AT_ONCE)
        found[some] = estimated_snr_db(store.waveforms(rows[some]), recipe.sr_hz, recipe.lead_samples)
    return found


def evaluated_rows(
    store: FeatureStore, bundle: Bundle, rows: NDArray[np.intp], score: NDArray[np.float32]
) -> ReportedRows:
    """Return scored rows with all that the store knows of them.

    Parameters
    ----------
    store : FeatureStore
        Where the rows are.
    bundle : Bundle
        What scored them.
    rows : ndarray of shape (n,), intp
        Labelled usable rows.
    score : ndarray of shape (n,), float32
        Their scores in [0, 1].

    Returns
    -------
    ReportedRows
        In the order of `rows`.
    """
    table = store.rows.take(rows)
    text = {name: table.column(name).to_pylist() for name in ("path", "sound", "source", "group", "device")}
    has_calibration = bundle.calibration.method != "none"
    return ReportedRows(
        row=np.asarray(rows, dtype=np.int64),
        label=np.asarray(table.column("label").to_pylist(), dtype=np.int8),
        score=np.asarray(score, dtype=np.float64),
        probability=np.asarray(bundle.calibration.probability(score), dtype=np.float64) if has_calibration else None,
        **text,
        sr=table.column("sr").to_pylist(),
        onset_s=as_floats(table.column("onset_s").to_pylist()),
        snr_db=snr_of(store, rows),
        strength_db=as_floats(table.column("strength_db").to_pylist()),
        distance_m=as_floats(table.column(_DISTANCE).to_pylist()) if _DISTANCE in table.column_names else None,
    )
