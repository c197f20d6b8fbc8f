"""The verb: one training, from a store to a bundle.

Conventions
-----------
Splitting comes before everything: only training rows are fitted and copied, the threshold is chosen on validation
rows, and nothing here looks at test rows.
"""

from __future__ import annotations

import importlib.metadata
import io
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gunshot.augment.field import FieldRule
from gunshot.clips import features
from gunshot.errors import TrainingError
from gunshot.evaluation.audit import audit, rows_to_audit
from gunshot.evaluation.calibration import fit_calibration
from gunshot.evaluation.choice import ScoredRows, choose_points
from gunshot.evaluation.metrics import classification_metrics
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.evaluation.rules import DEFAULT_RULES, PointRule, parse_rule
from gunshot.feed import Part
from gunshot.fitting import Fitting, fit_model, scores_of
from gunshot.models.bundle import Bundle, save_bundle, scorer_of
from gunshot.models.card import write_card
from gunshot.models.catalogue import ModelRule, model_rule
from gunshot.split import Assignment, assign_splits
from gunshot.storage import delete, join
from gunshot.store.read import FeatureStore, open_store

if TYPE_CHECKING:
    from gunshot.models.fit import Epoch

__all__ = ["DEFAULT_MAX_FPR", "SplitPlan", "row_weights", "splits_of", "train_model", "versions"]

DEFAULT_MAX_FPR = 0.002
"""False-alarm rate on the validation rows that the threshold keeps to: at 1,300 candidates an hour, 60 alarms a day."""


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """How rows are divided.

    Attributes
    ----------
    by : {"group", "random"}
        What is never divided.
    assignments : tuple of (glob, split)
        Rows placed by their path.
    seed : int
        Of the shuffling.
    """

    by: Literal["group", "random"] = "group"
    assignments: tuple[Assignment, ...] = field(default=())
    seed: int = 0


def splits_of(store: FeatureStore, plan: SplitPlan) -> NDArray[np.str_]:
    """Split of every row of a store.

    Parameters
    ----------
    store : FeatureStore
        The rows.
    plan : SplitPlan
        How they are divided.

    Returns
    -------
    ndarray of shape (n_rows,), str
        Empty for rows without a clip.

    Raises
    ------
    TrainingError
        If rows carry no label, or cannot be divided so.
    """
    usable = store.usable
    table = store.rows.take(usable)
    labels = table.column("label").to_pylist()
    if not labels or any(label is None for label in labels):
        raise TrainingError(
            f"{store.header.uri}: {sum(label is None for label in labels)} of {len(labels)} usable rows carry no "
            f"label; "
            "preprocess folders named by class (one of them 'gunshot'), or give --labels CSV"
        )
    columns = {name: table.column(name).to_pylist() for name in ("path", "group", "source")}
    splits = np.full(store.header.n_rows, "", dtype="<U10")
    splits[usable] = assign_splits(
        columns["path"],
        columns["group"],
        np.asarray(labels, dtype=np.int8),
        columns["source"],
        by=plan.by,
        assignments=plan.assignments,
        seed=plan.seed,
    )
    return splits


def row_weights(label: NDArray[np.int8], source: NDArray[np.str_]) -> NDArray[np.float32]:
    """What each training row counts in a network's loss.

    Parameters
    ----------
    label : ndarray of shape (n,), int8
        1 gunshot, 0 other.
    source : ndarray of shape (n,), str
        Where each row comes from.

    Returns
    -------
    ndarray of shape (n,), float32
        Mean 1. Both classes count the same, and within a class a source counts by the square root of its rows: a
        thousand half seconds of one street must not drown the few sharp impulses that are the harder lesson.
    """
    weight = np.empty(label.size, dtype=np.float64)
    for value in np.unique(label):
        of_class = np.flatnonzero(label == value)
        _, inverse, counts = np.unique(source[of_class], return_inverse=True, return_counts=True)
        share = 1.0 / np.sqrt(counts[inverse])
        weight[of_class] = share / share.sum()
    return np.asarray(weight / weight.mean(), dtype=np.float32)


def versions() -> dict[str, str]:
    """Versions of what makes a model's numbers."""
    names = ("gunshot", "numpy", "scipy", "librosa", "soxr", "soundfile", "scikit-learn", "keras", "ai-edge-litert")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def train_model(
    store_uri: str,
    model: str,
    out: str,
    *,
    plan: SplitPlan | None = None,
    copies_uri: str | None = None,
    field: FieldRule | None = None,
    epochs: int | None = None,
    patience: int | None = None,
    seed: int = 0,
    max_fpr: float = DEFAULT_MAX_FPR,
    operating_point: str | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Bundle:
    """Train a model on a store and write its bundle.

    Parameters
    ----------
    store_uri : str
        The committed store.
    model : str
        One of `gunshot.models.catalogue.MODELS`.
    out : str
        The bundle's folder.
    plan : SplitPlan, optional
        How rows are divided; by group if not given.
    copies_uri : str, optional
        A store of distorted copies of the training rows.
    field : FieldRule, optional
        Distorts the training rows anew in each epoch; for networks only.
    epochs : int, optional
        Passes; the model's own number if not given.
    patience : int, optional
        Stop after so many epochs without a lower validation loss, and keep the best.
    seed : int
        Of weights and order.
    max_fpr : float
        False-alarm rate on the validation rows that the default threshold keeps to.
    operating_point : str, optional
        What the default threshold keeps to instead, by `gunshot.evaluation.rules`.
    on_epoch : callable, optional
        Called after each epoch.

    Returns
    -------
    Bundle
        As loaded from `out`.

    Raises
    ------
    TrainingError
        If the rows cannot train the model.
    StoreError, StorageError
        If a store cannot be read or the bundle not written.
    """
    began = perf_counter()
    rule, plan = model_rule(model), plan or SplitPlan()
    default = PointRule("fpr", max_fpr) if operating_point is None else parse_rule(operating_point)
    store = open_store(store_uri)
    splits = splits_of(store, plan)
    label = np.asarray([-1 if value is None else value for value in store.column("label")], dtype=np.int8)
    rows = {split: np.flatnonzero(splits == split) for split in ("train", "validation")}
    parts = _training_parts(store, splits, label, copies_uri)
    judged = rows["validation"]
    validation = Part(store, judged, label[judged], np.ones(len(judged), dtype=np.float32))
    how = Fitting(epochs or rule.epochs, seed, patience, field)
    checkpoint = join(out, "checkpoint.npz")
    weights, network, history = fit_model(rule, parts, validation, how, checkpoint_uri=checkpoint, on_epoch=on_epoch)
    # of rows split at random, others of their groups were trained on: they do not stand for new groups
    group = None if plan.by == "random" else tuple(np.asarray(store.column("group"))[judged].tolist())
    held = ScoredRows(label[judged], scores_of(scorer_of(model, weights, store.recipe), store, judged, rule), group)
    points = choose_points(held, (default, *DEFAULT_RULES))
    details = {
        "training": {
            "store": store_uri,
            "manifest_digest": store.header.manifest_digest,
            "split": asdict(plan),
            "rows": {name: int(np.sum(splits == name)) for name in sorted(set(splits.tolist()) - {""})},
            "copies": sum(len(part.rows) for part in parts[1:]),
            "field": None if field is None else field.model_dump(mode="json"),
            **_provenance(store, rows["train"], label),
            "seed": seed,
            "epochs": len(history),
            "patience": patience,
            "elapsed_s": round(perf_counter() - began, 2),
            "history": [asdict(epoch) for epoch in history],
        },
        "audit": _audit(store, splits, label, scorer_of(model, weights, store.recipe), rule, points[0], seed),
        "validation": classification_metrics(held.label, held.score, points[0].threshold).as_dict(),
        "versions": versions(),
    }
    bundle = save_bundle(
        out, model=model, weights=weights, recipe=store.recipe, operating_point=points[0], details=details,
        splits=_splits_table(store, splits), operating_points=points, validation=held,
        calibration=fit_calibration(held.label, held.score), network=network,
    )  # fmt: skip
    write_card(bundle)
    delete(checkpoint)
    return bundle


def _provenance(store: FeatureStore, rows: NDArray[np.intp], label: NDArray[np.int8]) -> dict[str, Any]:
    """What trained a model: rows and licences by source."""
    source, license_ = (np.asarray(store.column(name))[rows] for name in ("source", "license"))
    names = sorted(set(source.tolist()))
    return {
        "rows_by_source": {
            name: {
                "gunshots": int(np.sum(label[rows][source == name] == 1)),
                "others": int(np.sum(label[rows][source == name] == 0)),
            }
            for name in names
        },
        "licenses": {name: sorted(set(license_[source == name].tolist()) - {""}) for name in names},
    }


def _audit(
    store: FeatureStore,
    splits: NDArray[np.str_],
    label: NDArray[np.int8],
    scorer: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    rule: ModelRule,
    point: OperatingPoint,
    seed: int,
) -> dict[str, Any]:
    rows = rows_to_audit(splits, seed=seed)

    def score(waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        return scorer(waveforms if rule.input == "waveform" else features(waveforms, store.recipe))

    return audit(
        store.rows.take(rows), store.waveforms(rows), label[rows], splits[rows], recipe=store.recipe, score=score,
        threshold=point.threshold, seed=seed,
    ).as_dict()  # fmt: skip


def _training_parts(
    store: FeatureStore, splits: NDArray[np.str_], label: NDArray[np.int8], copies_uri: str | None
) -> list[Part]:
    """The training rows, then their copies, weighed together."""
    stores, rows = [store], [np.flatnonzero(splits == "train")]
    origin = rows[0]
    if copies_uri is not None:
        copies, of_row = _copies(copies_uri, store, splits)
        stores, rows = [store, copies], [origin, np.arange(len(of_row))]
        origin = np.concatenate([origin, of_row])
    y = label[origin]
    weight = row_weights(y, np.asarray(store.column("source"))[origin])
    parts, start = [], 0
    for part_store, part_rows in zip(stores, rows, strict=True):
        stop = start + len(part_rows)
        parts.append(Part(part_store, part_rows, y[start:stop], weight[start:stop]))
        start = stop
    return parts


def _copies(uri: str, store: FeatureStore, splits: NDArray[np.str_]) -> tuple[FeatureStore, NDArray[np.int64]]:
    """A store of copies, and the row that each was made from."""
    copies = open_store(uri, recipe=store.recipe)
    if copies.header.derived.get("source_manifest") != store.header.manifest_digest:
        raise TrainingError(f"{uri} holds copies of another store than {store.header.uri}; remove it and run again")
    source = np.asarray(copies.column("source_row"), dtype=np.int64)
    foreign = int(np.sum(splits[source] != "train"))
    if foreign:
        raise TrainingError(
            f"{uri}: {foreign} copies were made of rows that this split does not train on; remove it and run again"
        )
    return copies, source


def _splits_table(store: FeatureStore, splits: NDArray[np.str_]) -> bytes:
    table = pa.table({"group": store.rows.column("group"), "split": pa.array(splits.tolist(), pa.string())})
    buffer = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata({"manifest_digest": store.header.manifest_digest}), buffer, compression="zstd"
    )
    return buffer.getvalue()
