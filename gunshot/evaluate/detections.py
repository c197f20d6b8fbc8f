"""Detections in whole recordings, held against known events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from gunshot.errors import TrainingError
from gunshot.evaluation.matching import DetectionMetrics, detection_metrics
from gunshot.scoring.results import read_table

__all__ = ["evaluate_detections"]


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
