"""The chosen threshold keeps its constraint and makes most of it."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.errors import ParameterError, TrainingError
from gunshot.evaluation.metrics import classification_metrics
from gunshot.evaluation.operating_point import OperatingPoint, choose_operating_point

SCORES = st.sampled_from([0.1, 0.25, 0.5, 0.5000001, 0.75]) | st.floats(0.0, 1.0, exclude_max=True)
ROWS = st.lists(st.tuples(st.integers(0, 1), SCORES), max_size=25).map(lambda r: [*r, (0, 0.3), (1, 0.6)])
BUDGETS = st.sampled_from([0.0, 0.1, 0.25, 1 / 3, 0.5, 1.0]) | st.floats(0.0, 1.0)


def columns(rows: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows as a label and a score column."""
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


class Call(NamedTuple):
    """What one threshold does, counted by the definition."""

    n_called: int
    recall: float
    fpr: float


def call(label: np.ndarray, score: np.ndarray, threshold: float) -> Call:
    """Count what a threshold calls."""
    called = label[score >= threshold]
    return Call(
        n_called=called.size,
        recall=np.count_nonzero(called == 1) / np.count_nonzero(label == 1),
        fpr=np.count_nonzero(called == 0) / np.count_nonzero(label == 0),
    )


def every_call(label: np.ndarray, score: np.ndarray) -> list[Call]:
    """Return all that thresholds can do with these rows: cut at each score, and above all."""
    return [call(label, score, threshold) for threshold in {*score.tolist(), 1.0}]


def choose(label: np.ndarray, score: np.ndarray, **budget: float) -> OperatingPoint:
    """Choose on rows called validation."""
    return choose_operating_point(label, score, name="test", split="validation", **budget)


class TestChoice:
    """Constraint, optimality and place of the threshold."""

    @given(ROWS, BUDGETS)
    def test_false_alarm_budget_is_kept_and_used(self, rows: list[tuple[int, float]], max_fpr: float) -> None:
        """By brute force: no threshold within the budget finds more, and none lower is within it."""
        label, score = columns(rows)
        point = choose(label, score, max_fpr=max_fpr)
        chosen = call(label, score, point.threshold)
        assert (chosen.recall, chosen.fpr) == (point.recall, point.fpr)
        assert point.fpr <= max_fpr
        allowed = [c for c in every_call(label, score) if c.fpr <= max_fpr]
        assert chosen.recall == max(c.recall for c in allowed)
        assert chosen.n_called == max(c.n_called for c in allowed)

    @given(ROWS, BUDGETS)
    def test_miss_budget_is_kept_and_used(self, rows: list[tuple[int, float]], max_fnr: float) -> None:
        """By brute force: no threshold within the budget alarms less, and none higher is within it."""
        label, score = columns(rows)
        point = choose(label, score, max_fnr=max_fnr)
        chosen = call(label, score, point.threshold)
        assert (chosen.recall, chosen.fpr) == (point.recall, point.fpr)
        n_gunshots = int(label.sum())
        allowed = [c for c in every_call(label, score) if round((1 - c.recall) * n_gunshots) / n_gunshots <= max_fnr]
        assert chosen in allowed
        assert chosen.fpr == min(c.fpr for c in allowed)
        assert chosen.n_called == min(c.n_called for c in allowed)

    @given(ROWS, BUDGETS)
    def test_threshold_is_midway(self, rows: list[tuple[int, float]], max_fpr: float) -> None:
        """It lies in [0, 1], as far from the score above as from the score below."""
        label, score = columns(rows)
        threshold = choose(label, score, max_fpr=max_fpr).threshold
        level = np.unique(score)
        below, above = level[level < threshold], level[level >= threshold]
        lower = below[-1] if below.size else 0.0
        upper = above[0] if above.size else 1.0
        assert 0.0 <= threshold <= 1.0
        assert threshold - lower == pytest.approx(upper - threshold, abs=1e-12)

    @given(ROWS, BUDGETS, BUDGETS)
    def test_a_greater_budget_never_finds_less(self, rows: list[tuple[int, float]], one: float, other: float) -> None:
        """Monotone in the budget."""
        label, score = columns(rows)
        tight, loose = (choose(label, score, max_fpr=b) for b in sorted((one, other)))
        assert loose.recall >= tight.recall
        assert loose.threshold <= tight.threshold

    def test_golden_cases(self) -> None:
        """By hand: others at 0.1, 0.2, 0.6, 0.7; gunshots at 0.5, 0.8, 0.9, 0.9."""
        label = np.array([0, 0, 0, 0, 1, 1, 1, 1])
        score = np.array([0.1, 0.2, 0.6, 0.7, 0.5, 0.8, 0.9, 0.9])
        assert choose(label, score, max_fpr=0.0).threshold == pytest.approx(0.75)
        assert choose(label, score, max_fpr=0.25).threshold == pytest.approx(0.65)
        assert choose(label, score, max_fpr=0.5).threshold == pytest.approx(0.35)
        assert choose(label, score, max_fpr=1.0).threshold == pytest.approx(0.05)
        assert choose(label, score, max_fnr=0.0).threshold == pytest.approx(0.35)
        assert choose(label, score, max_fnr=0.25).threshold == pytest.approx(0.75)
        assert choose(label, score, max_fnr=0.99).threshold == pytest.approx(0.85)
        assert choose(label, score, max_fnr=1.0).threshold == pytest.approx(0.95)

    def test_tied_scores_are_called_together(self) -> None:
        """A budget of half the others cannot be used when both score the same."""
        label, score = np.array([1, 1, 0, 0]), np.array([0.8, 0.4, 0.4, 0.4])
        point = choose(label, score, max_fpr=0.5)
        assert (point.recall, point.fpr, point.threshold) == pytest.approx((0.5, 0.0, 0.6))

    def test_a_rate_equal_to_the_budget_is_within_it(self) -> None:
        """29 of 100 is 0.29, although 0.29 * 100 is less than 29 in floating point."""
        label = np.repeat([0, 0, 1], [71, 29, 1])
        score = np.repeat([0.1, 0.7, 0.5], [71, 29, 1])
        assert choose(label, score, max_fpr=0.29).fpr == 0.29

    def test_scores_of_exactly_zero_and_one(self) -> None:
        """At the ends of the range the threshold is still a score in [0, 1]."""
        label, score = np.array([0, 1]), np.array([0.0, 1.0])
        assert choose(label, score, max_fpr=1.0).threshold == 0.0
        assert choose(label, score, max_fpr=0.0).threshold == 0.5
        assert choose(label, score, max_fnr=1.0).threshold == 0.5

    def test_neighbours_in_floating_point(self) -> None:
        """Where no number lies between, the threshold equals the score to call."""
        low = 0.3
        high = math.nextafter(low, 1.0)
        point = choose(np.array([0, 1]), np.array([low, high]), max_fpr=0.0)
        assert (point.threshold, point.recall, point.fpr) == (high, 1.0, 0.0)

    def test_float32_scores_keep_their_calls(self) -> None:
        """Scores of a 32-bit model are called alike in 64 bits."""
        score = np.array([0.1, 0.30000001, 0.3, 0.9], dtype=np.float32)
        label = np.array([0, 1, 0, 1])
        point = choose(label, score, max_fpr=0.5)
        m = classification_metrics(label, score, point.threshold)
        assert (m.recall, m.fpr) == (point.recall, point.fpr)


class TestRefusals:
    """What cannot be chosen."""

    def test_others_that_score_one(self) -> None:
        """No threshold in [0, 1] shuts them out; a budget that holds them is fine."""
        label, score = np.array([0, 0, 1]), np.array([1.0, 0.2, 0.9])
        with pytest.raises(TrainingError, match="1 of 2 other sounds score exactly 1"):
            choose(label, score, max_fpr=0.25)
        assert choose(label, score, max_fpr=0.5).recall == 1.0

    @pytest.mark.parametrize(
        ("budget", "got"),
        [
            ({}, "max_fpr=None and max_fnr=None"),
            ({"max_fpr": 0.1, "max_fnr": 0.1}, "max_fpr=0.1 and max_fnr=0.1"),
        ],
    )
    def test_not_exactly_one_constraint(self, budget: dict[str, float], got: str) -> None:
        """None or both leave no choice, or too much of it."""
        with pytest.raises(ParameterError, match=f"exactly one of max_fpr and max_fnr must be given; got {got}"):
            choose(np.array([0, 1]), np.array([0.1, 0.9]), **budget)

    @pytest.mark.parametrize("value", [-0.01, 5.0, math.nan])
    @pytest.mark.parametrize("constraint", ["max_fpr", "max_fnr"])
    def test_budgets_that_are_no_rates(self, constraint: str, value: float) -> None:
        """Percent are not fractions."""
        with pytest.raises(ParameterError, match=rf"{constraint} must lie in \[0, 1\]"):
            choose(np.array([0, 1]), np.array([0.1, 0.9]), **{constraint: value})

    def test_an_empty_class(self) -> None:
        """Neither rate can be held without rows of its class."""
        with pytest.raises(TrainingError, match="both classes"):
            choose(np.array([1, 1]), np.array([0.1, 0.9]), max_fpr=0.1)


class TestOperatingPoint:
    """The record."""

    POINT = OperatingPoint(
        name="quiet", threshold=0.7, split="validation", recall=0.95, fpr=0.01, n_gunshots=40, n_others=300
    )

    def test_reads_back_from_json(self) -> None:
        """Through JSON and back nothing changes."""
        assert OperatingPoint.from_dict(json.loads(json.dumps(self.POINT.as_dict()))) == self.POINT
        assert self.POINT.fnr == pytest.approx(0.05)

    def test_foreign_fields_are_refused(self) -> None:
        """A record of another version is named, not guessed at."""
        figures: dict[str, Any] = self.POINT.as_dict()
        figures["cutoff"] = figures.pop("threshold")
        with pytest.raises(ParameterError, match="missing: threshold, unknown: cutoff"):
            OperatingPoint.from_dict(figures)

    @pytest.mark.parametrize(
        ("field", "value"),
        [("threshold", 1.2), ("recall", math.nan), ("fpr", -0.1), ("n_gunshots", 0), ("n_others", 0)],
    )
    def test_impossible_figures_are_refused(self, field: str, value: float) -> None:
        """Every figure is checked, and the message names it."""
        with pytest.raises(ParameterError, match=f"{field} must"):
            OperatingPoint.from_dict({**self.POINT.as_dict(), field: value})
