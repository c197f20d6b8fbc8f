"""The recall at a fixed false-alarm rate: the curve's, with what the other sounds at hand can tell of that rate."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import ParameterError, TrainingError
from gunshot.evaluation.bootstrap import recall_at_fpr_group_interval
from gunshot.evaluation.curves import recall_at_fpr
from gunshot.evaluation.fixed_fpr import FIXED_FPRS, fixed_fpr_recall
from gunshot.evaluation.intervals import exact_interval

ROWS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.5, 0.75, 1.0])), max_size=30).map(
    lambda rows: [*rows, (0, 0.3), (1, 0.6)]
)


@settings(max_examples=60)
@given(ROWS, st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.25, 1 / 3, 0.5, 1.0]))
def test_the_recall_is_the_curves_and_no_more_alarms_are_raised_than_allowed(
    rows: list[tuple[int, float]], max_fpr: float
) -> None:
    label, score = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    figure = fixed_fpr_recall(label, score, max_fpr)
    assert figure.recall == recall_at_fpr(label, score, max_fpr)
    assert (figure.n_gunshots, figure.n_others) == (np.count_nonzero(label == 1), np.count_nonzero(label == 0))
    # by trying every threshold: the best that raises at most n_allowed false alarms
    best = max(
        (np.mean(score[label == 1] >= t) for t in score if np.sum(score[label == 0] >= t) <= figure.n_allowed),
        default=0.0,
    )
    assert figure.recall == pytest.approx(best)
    assert figure.n_allowed <= max_fpr * figure.n_others + 1e-9 < figure.n_allowed + 1
    assert figure.is_bounded == (figure.n_allowed >= 1)
    interval = exact_interval(round(best * figure.n_gunshots), figure.n_gunshots)
    assert figure.recall_interval == interval
    assert figure.over_groups is None


@pytest.mark.parametrize(
    ("n_others", "max_fpr", "n_allowed", "fpr_limit"),
    [
        (100, 0.01, 1, 0.0545),  # Clopper-Pearson of 1 in 100, as in tables
        (99, 0.01, 0, 0.0366),
        (300, 0.01, 3, None),
        (1000, 0.001, 1, None),
        (999, 0.001, 0, None),
        (290, 0.1, 29, None),  # 0.1 * 290 is 29.000000000000004, 0.29 * 100 is 28.999999999999996
        (100, 0.29, 29, None),
    ],
)
def test_how_many_other_sounds_it_takes(n_others: int, max_fpr: float, n_allowed: int, fpr_limit: float | None) -> None:
    label = [1, *[0] * n_others]
    figure = fixed_fpr_recall(label, [0.9, *[0.1] * n_others], max_fpr)
    assert figure.n_allowed == n_allowed
    exact = exact_interval(n_allowed, n_others)
    assert exact is not None
    assert figure.fpr_limit == exact[1]
    if fpr_limit is not None:
        assert figure.fpr_limit == pytest.approx(fpr_limit, abs=5e-5)


def test_the_interval_over_groups_finds_the_cut_again() -> None:
    rng = np.random.default_rng(0)
    label = np.arange(80) % 2
    score = np.clip(0.3 * label + 0.7 * rng.random(80), 0, 1)
    group = [f"g{i // 4}" for i in range(80)]
    figure = fixed_fpr_recall(label, score, 0.1, group)
    assert figure.over_groups == recall_at_fpr_group_interval(label, score, group, 0.1)
    assert json.loads(json.dumps(figure.as_dict(), allow_nan=False))["over_groups"]["n_groups"] == 20


def test_json_says_all_of_it() -> None:
    figures = fixed_fpr_recall([1, 0], [0.9, 0.1], 0.01).as_dict()
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["is_bounded"] is False
    assert set(figures) == {
        "max_fpr", "recall", "recall_interval", "over_groups", "n_gunshots", "n_others", "n_allowed", "fpr_limit",
        "is_bounded",
    }  # fmt: skip


def test_the_named_rates() -> None:
    assert FIXED_FPRS == (0.01, 0.001)


def test_refusals() -> None:
    with pytest.raises(ParameterError, match=r"max_fpr must lie in \[0, 1\]; got 2"):
        fixed_fpr_recall([1, 0], [0.9, 0.1], 2.0)
    with pytest.raises(TrainingError, match="all gunshots"):
        fixed_fpr_recall([1, 1], [0.9, 0.1], 0.01)
