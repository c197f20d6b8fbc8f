"""Rows called wrong: all are counted, the worst are listed first."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.evaluation.metrics import classification_metrics
from gunshot.evaluation.mistakes import MAX_MISTAKES, mistakes
from gunshot.evaluation.reported_rows import ReportedRows

Make = Callable[..., ReportedRows]

SCORES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 1), SCORES), min_size=1, max_size=25), SCORES)
def test_they_are_the_rows_called_wrong_in_the_order_of_their_scores(
    reported: Make, values: list[tuple[int, float]], threshold: float
) -> None:
    label, score = zip(*values, strict=True)
    misses, false_alarms = mistakes(reported(label, score, row=np.arange(len(label)) + 100), threshold)
    whole = classification_metrics(label, score, threshold)
    assert (misses.n, false_alarms.n) == (whole.false_negatives, whole.false_positives)
    missed = [i for i, (one, value) in enumerate(values) if one and value < threshold]
    raised = [i for i, (one, value) in enumerate(values) if not one and value >= threshold]
    # sorted() is stable: equal scores keep the order of the rows
    assert [it.row - 100 for it in misses.worst] == sorted(missed, key=lambda i: score[i])
    assert [it.row - 100 for it in false_alarms.worst] == sorted(raised, key=lambda i: -score[i])


def test_all_are_counted_and_the_worst_are_listed(reported: Make) -> None:
    n = MAX_MISTAKES + 20
    misses, false_alarms = mistakes(reported([1] * n, np.linspace(0.4, 0.0, n)), 0.5)
    assert (misses.n, len(misses.worst)) == (n, MAX_MISTAKES)
    assert [it.row for it in misses.worst] == list(range(n - 1, n - 1 - MAX_MISTAKES, -1))
    assert (false_alarms.n, false_alarms.worst) == (0, ())


def test_what_a_row_tells(reported: Make) -> None:
    rows = reported(
        [0, 1], [0.9, 0.1], path=["a.wav", "b.wav"], sound=["door", "gunshot"], source=["x", "y"], device=["d", "e"],
        onset_s=[1.5, 2.5], snr_db=[12.3456, None],
    )  # fmt: skip
    misses, false_alarms = mistakes(rows, 0.5)
    assert json.loads(json.dumps(false_alarms.as_dict(), allow_nan=False)) == {
        "n": 1,
        "worst": [
            {"row": 0, "path": "a.wav", "sound": "door", "source": "x", "device": "d", "onset_s": 1.5, "score": 0.9,
             "snr_db": 12.3},
        ],
    }  # fmt: skip
    (miss,) = json.loads(json.dumps(misses.as_dict(), allow_nan=False))["worst"]
    assert (miss["path"], miss["snr_db"]) == ("b.wav", None)
