"""The verb: one evaluation, from a store and a bundle to figures and predictions.

Where do I go to ...?

- score a store's held-out rows and count: `gunshot.evaluate.bundles`
- see which rows are reported and what is known of each: `gunshot.evaluate.rows`
- write ``metrics.json`` and ``predictions.parquet``: `gunshot.evaluate.written`
- hold detections in recordings against known events: `gunshot.evaluate.detections`
- see what a figure means: `gunshot.evaluation` and docs/evaluation.md
"""

from gunshot.evaluate.bundles import REPORTED_SPLITS, Evaluation, evaluate_bundle, evaluate_rows
from gunshot.evaluate.detections import evaluate_detections
from gunshot.evaluate.rows import splits_for
from gunshot.evaluate.written import model_names, write_evaluations

__all__ = [
    "REPORTED_SPLITS",
    "Evaluation",
    "evaluate_bundle",
    "evaluate_detections",
    "evaluate_rows",
    "model_names",
    "splits_for",
    "write_evaluations",
]
