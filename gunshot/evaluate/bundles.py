"""A bundle on the rows of a store: scores, counts and figures.

Conventions
-----------
Which rows are reported is told in `gunshot.evaluate.rows`. Thresholds are the bundle's own, never chosen here. What is
reported are the rows of `REPORTED_SPLITS`; only of these are there intervals over groups and all other figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gunshot.errors import TrainingError
from gunshot.evaluate.rows import Training, evaluated_rows, splits_for, trained_on
from gunshot.evaluation.breakdown import MAX_VALUES
from gunshot.evaluation.fixed_fpr import FIXED_FPRS
from gunshot.evaluation.leave_out import SourceRecall, unseen_source_recalls
from gunshot.evaluation.metrics import ClassificationMetrics, classification_metrics
from gunshot.evaluation.reported import BaseRates, ReportedFigures, reported_figures
from gunshot.evaluation.reported_rows import ReportedRows
from gunshot.fitting import scores_of
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.models.catalogue import model_rule
from gunshot.split import SPLITS
from gunshot.store.read import FeatureStore, open_store
from gunshot.synthetic.corpus import SOURCE

__all__ = ["REPORTED_SPLITS", "Evaluation", "evaluate_bundle", "evaluate_rows"]

REPORTED_SPLITS = ("test", "unseen")
"""Splits that no model was trained or chosen on."""


@dataclass(frozen=True)
class Evaluation:
    """What a bundle says of a store's rows.

    Attributes
    ----------
    bundle : Bundle
        The model.
    predictions : pyarrow.Table
        A row a clip: model, row, path, onset_s, sound, source, group, device, label, split, score, called,
        probability (the calibrated one; null where the bundle has no calibration), snr_db (null where unknown).
    metrics : mapping of str to ClassificationMetrics
        By split.
    by_source : mapping of str to ClassificationMetrics
        Of the reported rows (test and unseen), by ``split/source``.
    is_synthetic : bool
        Whether any row is synthetic sound.
    figures : mapping of str to ReportedFigures
        All figures of each reported split.
    source_figures : mapping of str to ReportedFigures
        The same by ``split/source``.
    unseen_sources : sequence of SourceRecall
        Recall on each source whose gunshots were not trained on.
    """

    bundle: Bundle
    predictions: pa.Table
    metrics: Mapping[str, ClassificationMetrics]
    by_source: Mapping[str, ClassificationMetrics]
    is_synthetic: bool
    figures: Mapping[str, ReportedFigures] = field(default_factory=dict)
    source_figures: Mapping[str, ReportedFigures] = field(default_factory=dict)
    unseen_sources: Sequence[SourceRecall] = ()

    def as_dict(self) -> dict[str, Any]:
        """Figures by split, for ``metrics.json``.

        Returns
        -------
        dict
            Plain numbers, text, lists and None.
        """
        return {split: metrics.as_dict() for split, metrics in self.metrics.items()} | {
            "by_source": {name: metrics.as_dict() for name, metrics in self.by_source.items()},
            "figures": {split: figures.as_dict() for split, figures in self.figures.items()},
            "figures_by_source": {name: _of_source(figures) for name, figures in self.source_figures.items()},
            "sources_never_met": [recall.as_dict() for recall in self.unseen_sources],
            "operating_point": self.bundle.operating_point.as_dict(),
            "digest": self.bundle.digest,
        }


def _of_source(figures: ReportedFigures) -> dict[str, Any]:
    """Figures of one source; its mistakes stand among those of its split."""
    found = figures.as_dict()
    return found | {name: {"n": found[name]["n"]} for name in ("misses", "false_alarms")}


def evaluate_bundle(store_uri: str, bundle_uri: str, base_rates: BaseRates | None = None) -> Evaluation:
    """Score a store's rows and count.

    Parameters
    ----------
    store_uri : str
        The committed store.
    bundle_uri : str
        The model.
    base_rates : BaseRates, optional
        What one recorder brings in a day, for the false alarms and the precision to expect.

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
    ParameterError
        If a base rate cannot be.
    """
    bundle = load_bundle(bundle_uri)
    return evaluate_rows(open_store(store_uri, recipe=bundle.recipe), bundle, base_rates)


def evaluate_rows(store: FeatureStore, bundle: Bundle, base_rates: BaseRates | None = None) -> Evaluation:
    """Score the rows of an open store and count.

    Parameters
    ----------
    store : FeatureStore
        Of the bundle's recipe; it may be two that are joined.
    bundle : Bundle
        The model.
    base_rates : BaseRates, optional
        What one recorder brings in a day.

    Returns
    -------
    Evaluation
        Figures and predictions.

    Raises
    ------
    StoreError
        If the store cannot be read.
    BundleError
        If the bundle does not say which groups trained it.
    TrainingError
        If there is no labelled row to report.
    """
    splits = splits_for(store, bundle)
    label = np.asarray([-1 if value is None else value for value in store.column("label")], dtype=np.int8)
    chosen = np.flatnonzero((splits.of_row != "") & (label >= 0))
    split = splits.of_row[chosen]
    if not np.isin(split, REPORTED_SPLITS).any():
        raise TrainingError(
            f"{store.header.uri}: no labelled row that {bundle.uri} was not trained on; give other recordings"
        )
    scores = scores_of(bundle.score_inputs, store, chosen, model_rule(bundle.name))
    rows = evaluated_rows(store, bundle, chosen, scores)
    return _counted(store, bundle, rows, split, scores, trained_on(store, bundle, splits), base_rates or BaseRates())


def _counted(
    store: FeatureStore,
    bundle: Bundle,
    rows: ReportedRows,
    split: NDArray[np.str_],
    scores: NDArray[np.float32],
    trained: Training,
    base_rates: BaseRates,
) -> Evaluation:
    threshold = bundle.operating_point.threshold

    def all_of(part: ReportedRows) -> ReportedFigures:
        return reported_figures(part, threshold, trained=trained.sounds, base_rates=base_rates)

    figures = {name: all_of(rows.take(split == name)) for name in REPORTED_SPLITS if (split == name).any()}
    by_source = {name: all_of(rows.take(where)) for name, where in _sources(rows, split).items()}
    metrics = {name: _metrics(rows, split == name, threshold) for name in SPLITS if (split == name).any()}
    held_out = rows.take(np.isin(split, REPORTED_SPLITS))
    return Evaluation(
        bundle=bundle,
        predictions=_predictions(store, bundle, rows, split, scores),
        metrics=metrics | {name: found.metrics for name, found in figures.items()},
        by_source={name: found.metrics for name, found in by_source.items()},
        is_synthetic=SOURCE in rows.source,
        figures=figures,
        source_figures=by_source,
        unseen_sources=unseen_source_recalls(
            held_out.label, held_out.score, held_out.source, held_out.group, trained.sources, FIXED_FPRS
        ),
    )


def _metrics(rows: ReportedRows, where: NDArray[np.bool_], threshold: float) -> ClassificationMetrics:
    return classification_metrics(rows.label[where], rows.score[where], threshold)


def _sources(rows: ReportedRows, split: NDArray[np.str_]) -> dict[str, NDArray[np.bool_]]:
    """Rows of each source in each reported split; of more than `MAX_VALUES`, those with the most rows."""
    names = np.array(
        [f"{part}/{source}" for part, source in zip(split.tolist(), rows.source, strict=True)], dtype=object
    )
    reported = np.isin(split, REPORTED_SPLITS)
    largest = {name for name, _ in Counter(names[reported].tolist()).most_common(MAX_VALUES)}
    return {name: names == name for name in sorted(largest)}


def _predictions(
    store: FeatureStore, bundle: Bundle, rows: ReportedRows, split: NDArray[np.str_], scores: NDArray[np.float32]
) -> pa.Table:
    kept = ["path", "onset_s", "sound", "source", "group", "device", "label"]
    table = store.rows.select(kept).take(rows.row)
    table = table.add_column(0, "row", pa.array(rows.row)).add_column(0, "model", pa.array([bundle.name] * len(rows)))
    probability = pa.nulls(len(rows), pa.float32())
    if rows.probability is not None:
        probability = pa.array(rows.probability.astype(np.float32))
    return (
        table.append_column("split", pa.array(split.tolist()))
        .append_column("score", pa.array(scores))
        .append_column("called", pa.array(scores >= bundle.operating_point.threshold))
        .append_column("probability", probability)
        # NaN means unknown; a table says so with null
        .append_column("snr_db", pa.array(rows.snr_db.astype(np.float32), from_pandas=True))
    )
