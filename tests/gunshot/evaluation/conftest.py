"""Rows as an evaluation reports them, made from labels and scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pytest

from gunshot.evaluation.reported_rows import ReportedRows, as_floats


class MakeRows(Protocol):
    """What the fixture `reported` does."""

    def __call__(self, label: Sequence[int], score: Sequence[float], **columns: Any) -> ReportedRows:
        """Make the rows."""


@pytest.fixture(scope="session")
def reported() -> MakeRows:
    """Makes the rows; columns that are not given are the plainest there are, numbers may be None."""

    def make(label: Sequence[int], score: Sequence[float], **columns: Any) -> ReportedRows:
        n = len(label)
        values: dict[str, Any] = {
            "row": np.arange(n),
            "label": np.asarray(label, dtype=np.int8),
            "score": np.asarray(score, dtype=np.float64),
            "probability": None,
            "path": [f"folder/{i}.wav" for i in range(n)],
            "sound": ["gunshot" if value else "bark" for value in label],
            "source": ["made"] * n,
            "group": [f"g{i}" for i in range(n)],
            "device": ["recorder"] * n,
            "sr": [48_000] * n,
            "onset_s": np.arange(n, dtype=np.float64),
            "snr_db": np.full(n, 15.0),
            "strength_db": np.full(n, 8.0),
        }
        numbers = {"snr_db", "strength_db", "distance_m", "probability", "onset_s"}
        given = {name: as_floats(list(column)) if name in numbers else column for name, column in columns.items()}
        return ReportedRows(**values | given)

    return make
