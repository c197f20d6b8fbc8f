"""Curves over all thresholds: golden cases by hand, and points that agree with counting."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.errors import GunshotError, ParameterError, TrainingError
from gunshot.evaluation.curves import curve_points, det_points, precision_recall_points, recall_at_fpr, roc_points

# Few distinct scores, so that ties between the classes are common.
SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.75, 1.0]) | st.floats(0.0, 1.0)
ROWS = st.lists(st.tuples(st.integers(0, 1), SCORES), min_size=1, max_size=30)
TWO_CLASS_ROWS = ROWS.map(lambda rows: [*rows, (0, 0.3), (1, 0.6)])


def columns(rows: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows as a label and a score column."""
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


def rates(label: np.ndarray, score: np.ndarray, threshold: float) -> tuple[float, float, float]:
    """Return recall, false-alarm rate and precision by the definition; precision of no call is 1."""
    called = label[score >= threshold]
    recall = np.count_nonzero(called == 1) / np.count_nonzero(label == 1)
    fpr = np.count_nonzero(called == 0) / np.count_nonzero(label == 0)
    return recall, fpr, float(called.mean()) if called.size else 1.0


class TestCurves:
    """Points agree with counting."""

    @given(TWO_CLASS_ROWS)
    def test_points_are_the_rates_at_their_thresholds(self, rows: list[tuple[int, float]]) -> None:
        """Each point of each curve is what counting at its threshold gives."""
        label, score = columns(rows)
        roc, curve, det = (
            roc_points(label, score),
            precision_recall_points(label, score),
            det_points(label, score),
        )
        for fpr, recall, threshold in zip(*roc, strict=True):
            assert rates(label, score, threshold)[:2] == pytest.approx((recall, fpr))
        for precision, recall, threshold in zip(*curve, strict=True):
            assert rates(label, score, threshold)[::2] == pytest.approx((recall, precision))
        for fpr, fnr, threshold in zip(*det, strict=True):
            assert rates(label, score, threshold)[:2] == pytest.approx((1.0 - fnr, fpr))
        assert {*roc.threshold} == {*score.tolist(), math.inf}

    def test_roc_goes_from_nothing_to_everything(self) -> None:
        """Golden case by hand."""
        fpr, recall, threshold = roc_points([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1])
        assert fpr.tolist() == [0.0, 0.0, 0.5, 0.5, 1.0]
        assert recall.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
        assert threshold.tolist() == [math.inf, 0.9, 0.6, 0.4, 0.1]

    @given(TWO_CLASS_ROWS, st.floats(0.0, 1.0))
    def test_recall_at_fpr_is_the_best_by_brute_force(self, rows: list[tuple[int, float]], budget: float) -> None:
        """Try every threshold there is."""
        label, score = columns(rows)
        recall_and_fpr = [rates(label, score, threshold)[:2] for threshold in score]
        best = max((recall for recall, fpr in recall_and_fpr if fpr <= budget), default=0.0)
        assert recall_at_fpr(label, score, budget) == pytest.approx(best)

    def test_recall_at_a_budget_that_is_no_rate(self) -> None:
        """5 is not 5 %."""
        with pytest.raises(ParameterError, match=r"max_fpr must lie in \[0, 1\]; got 5"):
            recall_at_fpr([1, 0], [0.5, 0.4], 5)

    @pytest.mark.parametrize("curve", [roc_points, precision_recall_points, det_points])
    def test_curves_of_one_class(self, curve: Callable[..., object]) -> None:
        """A curve needs both classes, and the error says which is there."""
        with pytest.raises(TrainingError, match="2 rows that are all gunshots"):
            curve([1, 1], [0.5, 0.4])
        with pytest.raises(GunshotError, match="all other sounds"):
            curve([0, 0], [0.5, 0.4])

    @given(TWO_CLASS_ROWS)
    def test_thresholds_have_their_order(self, rows: list[tuple[int, float]]) -> None:
        """Falling along the ROC, rising along the others; infinity calls nothing."""
        label, score = columns(rows)
        assert np.all(np.diff(roc_points(label, score).threshold[1:]) < 0)
        assert roc_points(label, score).threshold[0] == math.inf
        precision, recall, threshold = precision_recall_points(label, score)
        assert np.all(np.diff(threshold) > 0)
        assert (precision[-1], recall[-1], threshold[-1]) == (1.0, 0.0, math.inf)
        assert recall[0] == 1.0
        assert np.all(np.diff(det_points(label, score).threshold) > 0)

    @given(TWO_CLASS_ROWS, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
    def test_a_greater_budget_finds_no_less(self, rows: list[tuple[int, float]], one: float, other: float) -> None:
        label, score = columns(rows)
        assert recall_at_fpr(label, score, min(one, other)) <= recall_at_fpr(label, score, max(one, other))
        assert recall_at_fpr(label, score, 1.0) == 1.0

    def test_only_calling_nothing_keeps_the_budget(self) -> None:
        assert recall_at_fpr([1, 0], [0.4, 0.5], 0.0) == 0.0


class TestCurvePoints:
    """Curves as JSON takes them."""

    def test_short_curves_are_whole(self) -> None:
        label, score = [1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1]
        found = curve_points(label, score)
        assert list(found) == ["roc", "precision_recall", "det"]
        assert found["roc"] == {
            "fpr": [0.0, 0.0, 0.5, 0.5, 1.0],
            "recall": [0.0, 0.5, 0.5, 1.0, 1.0],
            "threshold": [None, 0.9, 0.6, 0.4, 0.1],
        }
        assert found["precision_recall"]["threshold"][-1] is None

    def test_long_curves_keep_their_ends_and_their_points(self) -> None:
        rng = np.random.default_rng(0)
        label = rng.integers(0, 2, 3000)
        score = rng.random(3000)
        found = curve_points(label, score)
        wholes = {
            "roc": roc_points(label, score),
            "precision_recall": precision_recall_points(label, score),
            "det": det_points(label, score),
        }
        for name, whole in wholes.items():
            first, *_ = lengths = [len(column) for column in found[name].values()]
            assert len(set(lengths)) == 1
            assert 100 < first <= 200
            points = [tuple(None if math.isinf(x) else x for x in point) for point in zip(*whole, strict=True)]
            kept = list(zip(*found[name].values(), strict=True))
            assert (kept[0], kept[-1]) == (points[0], points[-1])
            assert set(kept) <= set(points)
            index = [points.index(point) for point in kept]
            assert max(np.diff(index)) - min(np.diff(index)) <= 1

    @given(TWO_CLASS_ROWS)
    def test_json_takes_them(self, rows: list[tuple[int, float]]) -> None:
        found = curve_points(*columns(rows))
        assert json.loads(json.dumps(found, allow_nan=False)) == found
