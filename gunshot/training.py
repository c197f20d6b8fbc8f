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
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gunshot.errors import TrainingError
from gunshot.evaluation.metrics import classification_metrics
from gunshot.evaluation.operating_point import OperatingPoint, choose_operating_point
from gunshot.models.bundle import Bundle, save_bundle, scorer_of
from gunshot.models.catalogue import ModelRule, model_rule
from gunshot.models.logistic import fit_logistic
from gunshot.models.native import without_greeting
from gunshot.split import Assignment, assign_splits
from gunshot.store.read import FeatureStore, open_store

if TYPE_CHECKING:
    from gunshot.models.fit import Epoch

__all__ = ["DEFAULT_MAX_FPR", "SplitPlan", "read_inputs", "row_weights", "splits_of", "train_model", "versions"]

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


def read_inputs(store: FeatureStore, rows: Sequence[int] | NDArray[np.intp], rule: ModelRule) -> NDArray[np.float32]:
    """Rows of the array that a model reads.

    Parameters
    ----------
    store : FeatureStore
        Where.
    rows : sequence of int
        Row numbers.
    rule : ModelRule
        The model.

    Returns
    -------
    ndarray of shape (len(rows), ...), float32
        Waveforms or spectrograms.
    """
    return store.waveforms(rows) if rule.input == "waveform" else store.log_mels(rows)


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
    epochs: int | None = None,
    seed: int = 0,
    max_fpr: float = DEFAULT_MAX_FPR,
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
    epochs : int, optional
        Passes; the model's own number if not given.
    seed : int
        Of weights and order.
    max_fpr : float
        False-alarm rate on the validation rows that the threshold keeps to.
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
    store = open_store(store_uri)
    splits = splits_of(store, plan)
    label = np.asarray([-1 if value is None else value for value in store.column("label")], dtype=np.int8)
    rows = {split: np.flatnonzero(splits == split) for split in ("train", "validation")}
    x, trained = read_inputs(store, rows["train"], rule), rows["train"]
    if copies_uri is not None:
        x, trained = _with_copies(x, trained, copies_uri, store, splits, rule)
    _check_finite(x, store_uri)
    y, source = label[trained], np.asarray(store.column("source"))[trained]
    validation = read_inputs(store, rows["validation"], rule), label[rows["validation"]]
    weights, history = _fit(rule, (x, y), row_weights(y, source), validation, epochs or rule.epochs, seed, on_epoch)
    point = _operating_point(rule, weights, store, validation, max_fpr)
    scores = scorer_of(model, weights, store.recipe)(validation[0])
    details = {
        "training": {
            "store": store_uri,
            "manifest_digest": store.header.manifest_digest,
            "split": asdict(plan),
            "rows": {name: int(np.sum(splits == name)) for name in sorted(set(splits.tolist()) - {""})},
            "copies": 0 if copies_uri is None else int(len(y) - len(rows["train"])),
            "sources": sorted(set(source.tolist())),
            "licenses": sorted(set(store.rows.column("license").take(rows["train"]).to_pylist()) - {""}),
            "seed": seed,
            "elapsed_s": round(perf_counter() - began, 2),
            "history": [asdict(epoch) for epoch in history],
        },
        "validation": classification_metrics(validation[1], scores, point.threshold).as_dict(),
        "versions": versions(),
    }
    return save_bundle(
        out, model=model, weights=weights, recipe=store.recipe, operating_point=point, details=details,
        splits=_splits_table(store, splits),
    )  # fmt: skip


def _with_copies(
    x: NDArray[np.float32],
    rows: NDArray[np.intp],
    uri: str,
    store: FeatureStore,
    splits: NDArray[np.str_],
    rule: ModelRule,
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """The training inputs followed by their copies, and the row that each comes from."""
    copies = open_store(uri, recipe=store.recipe)
    if copies.header.derived.get("source_manifest") != store.header.manifest_digest:
        raise TrainingError(f"{uri} holds copies of another store than {store.header.uri}; remove it and run again")
    source = np.asarray(copies.column("source_row"), dtype=np.int64)
    foreign = int(np.sum(splits[source] != "train"))
    if foreign:
        raise TrainingError(
            f"{uri}: {foreign} copies were made of rows that this split does not train on; remove it and run again"
        )
    copied = read_inputs(copies, np.arange(len(source)), rule)
    return np.concatenate([x, copied]), np.concatenate([rows, source])


def _check_finite(x: NDArray[np.float32], uri: str) -> None:
    bad = int(np.sum(~np.isfinite(x.reshape(len(x), -1)).all(axis=1)))
    if bad:
        raise TrainingError(f"{uri}: {bad} training rows hold values that are not finite; preprocess into a new store")


def _fit(
    rule: ModelRule,
    train: tuple[NDArray[np.float32], NDArray[np.int8]],
    weight: NDArray[np.float32],
    validation: tuple[NDArray[np.float32], NDArray[np.int8]],
    epochs: int,
    seed: int,
    on_epoch: Callable[[Epoch], None] | None,
) -> tuple[bytes, Sequence[Epoch]]:
    if rule.name == "logistic":
        return fit_logistic(*train, seed=seed), ()
    with without_greeting():
        from gunshot.models.fit import fit_network  # the one way to TensorFlow, which takes seconds to import

    fit = fit_network(rule, train, validation, epochs=epochs, seed=seed, weight=weight, on_epoch=on_epoch)
    return fit.weights, fit.epochs


def _operating_point(
    rule: ModelRule,
    weights: bytes,
    store: FeatureStore,
    validation: tuple[NDArray[np.float32], NDArray[np.int8]],
    max_fpr: float,
) -> OperatingPoint:
    scores = scorer_of(rule.name, weights, store.recipe)(validation[0])
    label, others = validation[1], validation[1] == 0
    if np.mean(scores[others] >= 1.0) > max_fpr:
        # other sounds score the largest float32 there is: no threshold keeps to the rate, so the strictest is taken
        found = classification_metrics(label, scores, 1.0)
        return OperatingPoint(
            name=f"fewest false alarms (at most {max_fpr:.2%} cannot be kept)",
            threshold=1.0,
            split="validation",
            recall=found.recall or 0.0,
            fpr=found.fpr or 0.0,
            n_gunshots=found.n_gunshots,
            n_others=found.n_others,
        )
    name = f"at most {max_fpr:.2%} false alarms"
    return choose_operating_point(label, scores, name=name, split="validation", max_fpr=max_fpr)


def _splits_table(store: FeatureStore, splits: NDArray[np.str_]) -> bytes:
    table = pa.table({"group": store.rows.column("group"), "split": pa.array(splits.tolist(), pa.string())})
    buffer = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata({"manifest_digest": store.header.manifest_digest}), buffer, compression="zstd"
    )
    return buffer.getvalue()
