"""Results to export: rows as scoring writes them, with the values that a test is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gunshot.export.selection import Selection
from gunshot.scoring.results import write_batch

Row = dict[str, Any]

PROVENANCE = {"threshold": 0.5, "model": "field-cnn", "model_digest": "m" * 16, "recipe_digest": "r" * 16}
START = datetime(2026, 11, 22, 18, 0, 0, 250_000, tzinfo=UTC)


def recording_row(path: str, **values: Any) -> Row:
    return {
        "path": path, "uri": f"/archive/{path}", "size": 1000, "etag": "1", "state": "ok", "reason": "", "sr": 24_000,
        "n_channels": 1, "duration_s": 60.0, "read_s": 60.0, "silent_s": 0.0, "clipped_s": 0.0, "start_utc": None,
        "time_source": "not known", "time_uncertainty_s": None, "site": "", "recorder": "", "latitude": None,
        "longitude": None, "n_candidates": 7, "n_detections": 1, "rule": "", "run_id": "", **PROVENANCE, **values,
    }  # fmt: skip


def detection_row(path: str, start_s: float = 1.0, **values: Any) -> Row:
    return {
        "path": path, "uri": f"/archive/{path}", "channel": None, "start_s": start_s, "end_s": start_s + 0.45,
        "start_utc": None, "time_source": "not known", "time_uncertainty_s": None, "site": "", "recorder": "",
        "latitude": None, "longitude": None, "n_shots": 1, "shots_s": [start_s], "score": 0.75, "probability": 0.5,
        **PROVENANCE, **values,
    }  # fmt: skip


@pytest.fixture
def results(tmp_path: Path) -> Callable[..., str]:
    """Writes results: rows of detections, and a row of the ledger for each of their recordings."""

    def make(detections: Sequence[Row], recordings: Sequence[Row] | None = None, name: str = "one") -> str:
        out = tmp_path / "results"
        if recordings is None:
            found = {(row["path"], row["uri"], row["model"], row["model_digest"]): row for row in detections}
            recordings = [
                recording_row(path, uri=uri, model=model, model_digest=digest) for path, uri, model, digest in found
            ]
        write_batch(str(out), name, detections, recordings)
        return str(out)

    return make


@pytest.fixture
def selection() -> Callable[..., Selection]:
    """Makes a selection of rows, with all columns they have."""

    def make(detections: Sequence[Row], recordings: Sequence[Row] = ()) -> Selection:
        recordings = recordings or [recording_row(row["path"], uri=row["uri"]) for row in detections]
        tables = [pa.Table.from_pylist(list(rows)) for rows in (recordings, detections)]
        return Selection("field-cnn", "m" * 16, tables[0], tables[1], len(detections))

    return make
