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
from dataclasses import asdict
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gunshot.augment.field import FieldRule
from gunshot.clips import features
from gunshot.division import SplitPlan, splits_of
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
from gunshot.storage import delete, join
from gunshot.store.joined import open_joined
from gunshot.store.read import FeatureStore, open_store
from gunshot.synthetic.corpus import SOURCE

if TYPE_CHECKING:
    from gunshot.models.fit import Epoch

__all__ = ["DEFAULT_MAX_FPR", "row_weights", "train_model", "versions"]

DEFAULT_MAX_FPR = 0.002
"""False-alarm rate on the validation rows that the threshold keeps to: at 1,300 candidates an hour, 60 alarms a day."""

_SYNTHETIC_SHOT = 0.4  # of what a real one counts: more of them cost shots of close recordings (docs/experiments.md)


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
        thousand half seconds of one street must not drown the few sharp impulses that are the harder lesson. Synthetic
        shots beside real ones count for less.
    """
    weight = np.empty(label.size, dtype=np.float64)
    for value in np.unique(label):
        of_class = np.flatnonzero(label == value)
        _, inverse, counts = np.unique(source[of_class], return_inverse=True, return_counts=True)
        share = 1.0 / np.sqrt(counts[inverse])
        if value == 1:
            share[source[of_class] == SOURCE] *= _SYNTHETIC_SHOT
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
    labels_uri: str | None = None,
    copies: Sequence[str] = (),
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
    labels_uri : str, optional
        A committed store of further rows, such as those of a review, joined with those of `store_uri`.
    copies : sequence of str
        Stores of distorted copies of the training rows, of one or of both.
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
    store = open_joined(store_uri, labels_uri)
    splits = splits_of(store, plan)
    label = np.asarray([-1 if value is None else value for value in store.column("label")], dtype=np.int8)
    rows = {split: np.flatnonzero(splits == split) for split in ("train", "validation")}
    parts, n_copies = _training_parts(store, splits, label, copies)
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
            "labels": labels_uri,
            "copies": n_copies,
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
        calibration=fit_calibration(held.label, held.score, group=held.group), network=network,
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
    store: FeatureStore, splits: NDArray[np.str_], label: NDArray[np.int8], copies: Sequence[str]
) -> tuple[list[Part], int]:
    """The training rows of each store, then their copies, weighed together; and how many copies there are."""
    train = splits == "train"
    found = []  # of each part: its store, its rows there, and the rows that they are or were made from
    for start, member in store.members:
        rows = np.flatnonzero(train[start : start + member.header.n_rows])
        found.append((member, rows, rows + start))
    n_originals = len(found)
    found += [_copies(uri, store, splits) for uri in copies]
    origin = np.concatenate([of_row for *_, of_row in found])
    weights = row_weights(label[origin], np.asarray(store.column("source"))[origin])
    ends = np.cumsum([len(rows) for _, rows, _ in found])
    parts = [
        Part(part_store, rows, label[of_row], weights[end - len(rows) : end])
        for (part_store, rows, of_row), end in zip(found, ends, strict=True)
        if len(rows)
    ]
    return parts, sum(len(rows) for _, rows, _ in found[n_originals:])


def _copies(
    uri: str, store: FeatureStore, splits: NDArray[np.str_]
) -> tuple[FeatureStore, NDArray[np.intp], NDArray[np.intp]]:
    """A store of copies, its rows, and the row that each was made from."""
    copies = open_store(uri, recipe=store.recipe)
    made_of = copies.header.derived.get("source_manifest")
    starts = {member.header.uri: start for start, member in store.members if member.header.manifest_digest == made_of}
    if not starts:
        raise TrainingError(f"{uri} holds copies of another store than {store.header.uri}; remove it and run again")
    # two stores may list the same rows: copies lie below the one that they were made of
    start = next((start for of, start in starts.items() if uri.startswith(of)), next(iter(starts.values())))
    source = np.asarray(copies.column("source_row"), dtype=np.intp) + start
    foreign = int(np.sum(splits[source] != "train"))
    if foreign:
        raise TrainingError(
            f"{uri}: {foreign} copies were made of rows that this split does not train on; remove it and run again"
        )
    return copies, np.arange(len(source)), source


def _splits_table(store: FeatureStore, splits: NDArray[np.str_]) -> bytes:
    table = pa.table({"group": store.rows.column("group"), "split": pa.array(splits.tolist(), pa.string())})
    buffer = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata({"manifest_digest": store.header.manifest_digest}), buffer, compression="zstd"
    )
    return buffer.getvalue()
