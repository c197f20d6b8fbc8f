"""Rows of the store that a model was trained on: some to rehearse, the others to check that they are not forgotten.

Conventions
-----------
A row's split is what the bundle's ``splits.parquet`` says of it, or of its group where the store has another manifest.
Rows of groups or files that the site's table holds count neither as rehearsal nor as a check.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gunshot.adaptation.site import SiteRows
from gunshot.errors import TrainingError
from gunshot.models.bundle import Bundle
from gunshot.models.splits import read_splits
from gunshot.store.read import FeatureStore, open_store
from gunshot.training import row_weights

__all__ = ["HeldRows", "joined_splits", "read_held"]

_MOST_REHEARSED = 4096


@dataclass(frozen=True)
class HeldRows:
    """Rows of the store.

    Attributes
    ----------
    rehearsed : ndarray of shape (n, n_samples), float32
        Clips of training rows, at most 4,096, drawn so that both classes are as frequent and no source drowns another.
    rehearsed_label : ndarray of shape (n,), int8
        1 gunshot, 0 other.
    checked : ndarray of shape (m, n_mels, n_frames), float32
        Log-mel spectrograms of the rows that did not train the model.
    label : ndarray of shape (m,), int8
        Of those.
    source, group, split : ndarray of shape (m,), str
        Of those; the split is ``validation``, ``test`` or ``unseen``.
    """

    rehearsed: NDArray[np.float32]
    rehearsed_label: NDArray[np.int8]
    checked: NDArray[np.float32]
    label: NDArray[np.int8]
    source: NDArray[np.str_]
    group: NDArray[np.str_]
    split: NDArray[np.str_]


def read_held(store_uri: str, bundle: Bundle, site: SiteRows, seed: int) -> HeldRows:
    """Read the rows of a store that a model can be held to.

    Parameters
    ----------
    store_uri : str
        The committed store, of the bundle's recipe.
    bundle : Bundle
        The model.
    site : SiteRows
        Rows that are left out.
    seed : int
        Of which training rows are rehearsed.

    Returns
    -------
    HeldRows
        Both classes among the rehearsed.

    Raises
    ------
    StoreError
        If the store cannot be read, or has another recipe.
    BundleError
        If the bundle does not say which rows trained it.
    TrainingError
        If no row of a class is one that trained it.
    """
    store = open_store(store_uri, recipe=bundle.recipe)
    split = _split_of_rows(store, read_splits(bundle.uri))
    split[_of_site(store, site)] = ""
    label = np.asarray([-1 if value is None else value for value in store.column("label")], dtype=np.int8)
    source = np.asarray(store.column("source"), dtype=np.str_)
    group = np.asarray(store.column("group"), dtype=np.str_)
    train = np.flatnonzero((split == "train") & (label >= 0))
    if set(label[train].tolist()) != {0, 1}:
        raise TrainingError(
            f"--store {store_uri}: it holds no training rows of both classes of {bundle.uri}; give the store that the "
            "model was trained on, or none"
        )
    weight = row_weights(label[train], source[train]).astype(np.float64)
    size = min(_MOST_REHEARSED, len(train))
    rows = np.sort(np.random.default_rng([seed, 2]).choice(train, size, replace=False, p=weight / weight.sum()))
    held = np.flatnonzero(np.isin(split, ("validation", "test", "unseen")) & (label >= 0))
    return HeldRows(
        store.waveforms(rows), label[rows], store.log_mels(held), label[held], source[held], group[held], split[held]
    )


def _of_site(store: FeatureStore, site: SiteRows) -> NDArray[np.bool_]:
    groups, uris = set(site.group.tolist()), {row["uri"] for row in site.rows}
    pairs = zip(store.column("group"), store.column("uri"), strict=True)
    return np.asarray([group in groups or uri in uris for group, uri in pairs], dtype=np.bool_)


def _split_of_rows(store: FeatureStore, known: pa.Table) -> NDArray[np.str_]:
    usable = np.zeros(store.header.n_rows, dtype=np.bool_)
    usable[store.usable] = True
    splits = np.asarray(known.column("split").to_pylist(), dtype="<U10")
    if (known.schema.metadata or {}).get(b"manifest_digest") == store.header.manifest_digest.encode():
        return np.where(usable, splits, "").astype("<U10")
    of_group = dict(zip(known.column("group").to_pylist(), splits.tolist(), strict=True))
    # a group that the model has never met is one it can be tested on
    found = np.asarray([of_group.get(group, "test") for group in store.column("group")], dtype="<U10")
    return np.where(usable, found, "").astype("<U10")


def joined_splits(known: pa.Table, site: SiteRows, checks: NDArray[np.bool_]) -> bytes:
    """Write which groups trained the adapted model.

    Parameters
    ----------
    known : pyarrow.Table
        Those of the model before.
    site : SiteRows
        The site's rows.
    checks : ndarray of shape (n,), bool
        Which of them checked.

    Returns
    -------
    bytes
        Parquet. It names no manifest any more: rows of a store are told by their group, and a group of the site has
        trained the model whatever it was before.
    """
    mine = dict(zip(site.group.tolist(), np.where(checks, "validation", "train").tolist(), strict=True))
    groups, splits = known.column("group").to_pylist(), known.column("split").to_pylist()
    kept = [(group, split) for group, split in zip(groups, splits, strict=True) if group not in mine]
    rows = [*kept, *sorted(mine.items())]
    table = pa.table(
        {"group": pa.array([group for group, _ in rows], pa.string()), "split": pa.array([s for _, s in rows])}
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
