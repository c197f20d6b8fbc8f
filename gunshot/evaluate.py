"""The verb: one evaluation, from a store and a bundle to figures and predictions.

Conventions
-----------
On the store that the bundle was trained from, rows keep the split they had. On another store every row whose group
the bundle
was trained or chosen on is left out, and the rest is ``test``. Thresholds are the bundle's own, never chosen here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gunshot.errors import BundleError, StorageError, TrainingError, TransientStorageError
from gunshot.evaluation.matching import DetectionMetrics, detection_metrics
from gunshot.evaluation.metrics import ClassificationMetrics, classification_metrics, metrics_by
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.models.catalogue import model_rule
from gunshot.scoring.results import read_table
from gunshot.split import SPLITS
from gunshot.storage import join, read_bytes, write_bytes
from gunshot.store.read import FeatureStore, open_store
from gunshot.training import read_inputs

__all__ = ["Evaluation", "evaluate_bundle", "evaluate_detections", "write_evaluations"]


@dataclass(frozen=True)
class Evaluation:
    """What a bundle says of a store's rows.

    Attributes
    ----------
    bundle : Bundle
        The model.
    predictions : pyarrow.Table
        A row a clip: model, row, path, onset_s, sound, source, group, device, label, split, score, called.
    metrics : mapping of str to ClassificationMetrics
        By split.
    by_source : mapping of str to ClassificationMetrics
        Of the reported rows (test and unseen), by ``split/source``.
    is_synthetic : bool
        Whether any row is synthetic sound.
    """

    bundle: Bundle
    predictions: pa.Table
    metrics: Mapping[str, ClassificationMetrics]
    by_source: Mapping[str, ClassificationMetrics]
    is_synthetic: bool

    def as_dict(self) -> dict[str, Any]:
        """Figures by split, for ``metrics.json``."""
        return {split: metrics.as_dict() for split, metrics in self.metrics.items()} | {
            "by_source": {name: metrics.as_dict() for name, metrics in self.by_source.items()},
            "operating_point": self.bundle.operating_point.as_dict(),
            "digest": self.bundle.digest,
        }


def evaluate_bundle(store_uri: str, bundle_uri: str) -> Evaluation:
    """Score a store's rows and count.

    Parameters
    ----------
    store_uri : str
        The committed store.
    bundle_uri : str
        The model.

    Returns
    -------
    Evaluation
        Figures and predictions.

    Raises
    ------
    StoreError
        If the store cannot be read, or has another recipe than the bundle.
    BundleError
        If the bundle cannot be loaded.
    TrainingError
        If there is no labelled row to report.
    """
    bundle = load_bundle(bundle_uri)
    store = open_store(store_uri, recipe=bundle.recipe)
    splits = _splits(store, bundle)
    label = np.asarray([-1 if value is None else value for value in store.column("label")], dtype=np.int8)
    rows = np.flatnonzero((splits != "") & (label >= 0))
    if not np.any(np.isin(splits[rows], ("test", "unseen"))):
        raise TrainingError(f"{store_uri}: no labelled row that {bundle_uri} was not trained on; give other recordings")
    scores = bundle.score_inputs(read_inputs(store, rows, model_rule(bundle.name)))
    threshold = bundle.operating_point.threshold
    metrics: dict[str, ClassificationMetrics] = {
        split: classification_metrics(label[rows][where], scores[where], threshold)
        for split in SPLITS
        if (where := splits[rows] == split).any()
    }
    source = store.rows.column("source").take(rows).to_pylist()
    reported = np.isin(splits[rows], ("test", "unseen"))
    names = [f"{split}/{name}" for split, name in zip(splits[rows], source, strict=True)]
    by_source = metrics_by(
        label[rows][reported], scores[reported], threshold, [names[i] for i in np.flatnonzero(reported)]
    )
    return Evaluation(
        bundle, _predictions(store, bundle, rows, splits[rows], scores), metrics, by_source, "synthetic" in source
    )


def _splits(store: FeatureStore, bundle: Bundle) -> NDArray[np.str_]:
    known = _known_splits(join(bundle.uri, "splits.parquet"))
    usable = np.zeros(store.header.n_rows, dtype=bool)
    usable[store.usable] = True
    if (known.schema.metadata or {}).get(b"manifest_digest") == store.header.manifest_digest.encode():
        return np.where(usable, np.asarray(known.column("split").to_pylist(), dtype="<U10"), "")
    seen = {
        group
        for group, split in zip(known.column("group").to_pylist(), known.column("split").to_pylist(), strict=True)
        if split in {"train", "validation"}
    }
    fresh = np.asarray([group not in seen for group in store.column("group")])
    return np.where(usable & fresh, "test", "").astype("<U10")


def _known_splits(uri: str) -> pa.Table:
    try:
        return pq.read_table(io.BytesIO(read_bytes(uri)))
    except TransientStorageError:
        raise
    except (StorageError, pa.ArrowException) as error:
        raise BundleError(f"{uri}: which rows trained the model cannot be read ({error}); train again") from error


def _predictions(
    store: FeatureStore, bundle: Bundle, rows: NDArray[np.intp], splits: NDArray[np.str_], scores: NDArray[np.float32]
) -> pa.Table:
    kept = ["path", "onset_s", "sound", "source", "group", "device", "label"]
    table = store.rows.select(kept).take(rows)
    table = table.add_column(0, "row", pa.array(rows)).add_column(0, "model", pa.array([bundle.name] * len(rows)))
    called = scores >= bundle.operating_point.threshold
    return (
        table.append_column("split", pa.array(splits.tolist()))
        .append_column("score", pa.array(scores))
        .append_column("called", pa.array(called))
    )


def write_evaluations(out: str, evaluations: Sequence[Evaluation], default: str) -> dict[str, Any]:
    """Write ``metrics.json`` and ``predictions.parquet``.

    Parameters
    ----------
    out : str
        The folder.
    evaluations : sequence of Evaluation
        One a model.
    default : str
        Name of the model that is used unless another is asked for.

    Returns
    -------
    dict
        The content of ``metrics.json``.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    metrics: dict[str, Any] = {
        "default": default,
        "synthetic": any(evaluation.is_synthetic for evaluation in evaluations),
        "models": {evaluation.bundle.name: evaluation.as_dict() for evaluation in evaluations},
    }
    buffer = io.BytesIO()
    table = pa.concat_tables([evaluation.predictions for evaluation in evaluations])
    pq.write_table(table, buffer, compression="zstd")
    write_bytes(join(out, "predictions.parquet"), buffer.getvalue())
    write_bytes(join(out, "metrics.json"), json.dumps(metrics, indent=1).encode())
    return metrics


def evaluate_detections(
    results: str, truth: Mapping[str, Sequence[float]], model_digest: str, tolerance_s: float = 0.25
) -> DetectionMetrics:
    """Hold the shots that a model detects against known events.

    Parameters
    ----------
    results : str
        Where the tables are.
    truth : mapping of str to sequence of float
        Onsets of all true events [s] by the recording's URI; recordings that are not in it are not counted.
    model_digest : str
        Whose detections.
    tolerance_s : float
        How far a detected shot may be from its event [s].

    Returns
    -------
    DetectionMetrics
        Events found, false alarms an hour, time error.

    Raises
    ------
    TrainingError
        If none of those recordings was scored.
    """
    recordings = _of_model(read_table(results, "recordings"), model_digest)
    listened_s = sum(row["read_s"] for row in recordings if row["uri"] in truth)
    if listened_s <= 0:
        raise TrainingError(f"{results}: none of the {len(truth)} recordings with known events was scored")
    found: dict[str, list[float]] = {uri: [] for uri in truth}
    for row in _of_model(read_table(results, "detections"), model_digest):
        if row["uri"] in found:
            found[row["uri"]] += row["shots_s"]
    return detection_metrics(truth, found, tolerance_s, listened_s)


def _of_model(table: pa.Table, digest: str) -> list[dict[str, Any]]:
    return [row for row in table.to_pylist() if row["model_digest"] == digest]
