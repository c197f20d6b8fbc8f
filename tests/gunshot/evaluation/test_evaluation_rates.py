"""Figures of a recorder-day: by the published rule, and undefined where they must be."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.evaluation.metrics import ClassificationMetrics, classification_metrics
from gunshot.evaluation.rates import DEFAULT_CANDIDATES_PER_HOUR, DEFAULT_SHOTS_PER_DAY, alarm_rate


def metrics_of(tp: int, fn: int, fp: int, tn: int) -> ClassificationMetrics:
    """Figures from counts."""
    return ClassificationMetrics(
        true_positives=tp, false_negatives=fn, false_positives=fp, true_negatives=tn, threshold=0.5
    )


COUNTS = st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)).filter(
    lambda c: c[0] + c[1] > 0 and c[2] + c[3] > 0
)


class TestFalseAlarms:
    def test_a_rate_of_two_in_a_thousand_in_a_city(self) -> None:
        """24 h of 1,300 candidates are 31,200; 0.2 % of them are 62.4."""
        rate = alarm_rate(metrics_of(9, 1, 2, 998))
        assert rate.candidates_per_hour == DEFAULT_CANDIDATES_PER_HOUR == 1300.0
        assert rate.false_alarms_per_day == pytest.approx(62.4)
        assert [it.shots_per_day for it in rate.precision] == list(DEFAULT_SHOTS_PER_DAY)

    @settings(max_examples=20)
    @given(COUNTS, st.floats(0.1, 1e5))
    def test_limits_are_those_of_the_rate_times_the_candidates(
        self, counts: tuple[int, int, int, int], candidates: float
    ) -> None:
        metrics = metrics_of(*counts)
        rate = alarm_rate(metrics, candidates)
        assert metrics.fpr_interval is not None
        assert metrics.fpr is not None
        assert rate.interval == pytest.approx([24 * candidates * limit for limit in metrics.fpr_interval])
        assert rate.false_alarms_per_day == pytest.approx(24 * candidates * metrics.fpr)
        assert rate.interval_over_groups is None

    def test_the_interval_over_groups_is_carried_over(self) -> None:
        label, score = [0] * 12 + [1], [0.9, *[0.1] * 11, 0.9]
        metrics = classification_metrics(label, score, 0.5, [f"g{i}" for i in range(13)])
        assert metrics.fpr_over_groups is not None
        assert metrics.fpr_over_groups.pair is not None
        low, high = metrics.fpr_over_groups.pair
        assert alarm_rate(metrics, 10).interval_over_groups == pytest.approx((240 * low, 240 * high))


class TestExpectedPrecision:
    def test_the_textbook_case(self) -> None:
        """Sensitivity 0.99, false positives 0.05, prevalence 1 in 1,000: 0.0194 of the positives are true."""
        (found,) = alarm_rate(metrics_of(99, 1, 5, 95), candidates_per_hour=999 / 24, shots_per_day=[1]).precision
        assert found.precision == pytest.approx(0.0194, abs=5e-5)

    @settings(max_examples=20)
    @given(COUNTS, st.floats(1.0, 1e4), st.floats(0.01, 1e4))
    def test_it_is_bayes_rule(self, counts: tuple[int, int, int, int], candidates: float, shots: float) -> None:
        metrics = metrics_of(*counts)
        (found,) = alarm_rate(metrics, candidates, [shots]).precision
        recall, fpr = metrics.recall, metrics.fpr
        assert recall is not None
        assert fpr is not None
        prior = shots / (shots + 24 * candidates)
        called = recall * prior + fpr * (1 - prior)
        if called == 0:
            assert found.precision is None
        else:
            assert found.precision == pytest.approx(recall * prior / called)
            assert found.interval is not None
            assert 0.0 <= found.interval[0] <= found.precision <= found.interval[1] <= 1.0

    @settings(max_examples=20)
    @given(COUNTS.filter(lambda c: c[0] > 0 and c[2] > 0), st.floats(0.1, 1e3), st.floats(1.01, 100.0))
    def test_more_shots_or_fewer_candidates_make_calls_truer(
        self, counts: tuple[int, int, int, int], shots: float, factor: float
    ) -> None:
        metrics = metrics_of(*counts)
        few, many = (it.precision for it in alarm_rate(metrics, 100, [shots, shots * factor]).precision)
        (quiet,) = (it.precision for it in alarm_rate(metrics, 100 / factor, [shots]).precision)
        assert few is not None
        assert many is not None
        assert few < many
        assert quiet == pytest.approx(many)

    def test_limits_pair_the_worst_with_the_worst(self) -> None:
        metrics = metrics_of(90, 10, 3, 297)
        (found,) = alarm_rate(metrics, 10, [5]).precision
        assert metrics.recall_interval is not None
        assert metrics.fpr_interval is not None
        expected = [
            5 * recall / (5 * recall + 240 * fpr)
            for recall, fpr in zip(metrics.recall_interval, reversed(metrics.fpr_interval), strict=True)
        ]
        assert found.interval == pytest.approx(expected)


class TestUndefined:
    """None, never 0."""

    def test_without_other_sounds(self) -> None:
        rate = alarm_rate(metrics_of(3, 1, 0, 0))
        assert (rate.false_alarms_per_day, rate.interval, rate.interval_over_groups) == (None, None, None)
        assert {(it.precision, it.interval) for it in rate.precision} == {(None, None)}

    def test_without_gunshots_the_alarms_are_still_told(self) -> None:
        rate = alarm_rate(metrics_of(0, 0, 1, 99), candidates_per_hour=100)
        assert rate.false_alarms_per_day == pytest.approx(24.0)
        assert {(it.precision, it.interval) for it in rate.precision} == {(None, None)}

    def test_where_nothing_is_expected_to_be_called(self) -> None:
        rate = alarm_rate(metrics_of(4, 0, 0, 9), shots_per_day=[0])
        assert rate.false_alarms_per_day == 0.0
        assert (rate.precision[0].precision, rate.precision[0].interval) == (None, None)

    def test_without_a_shot_no_call_is_one(self) -> None:
        (found,) = alarm_rate(metrics_of(4, 0, 1, 9), shots_per_day=[0]).precision
        assert (found.precision, found.interval) == (0.0, (0.0, 0.0))


@pytest.mark.parametrize(
    ("candidates", "shots", "message"),
    [
        (0.0, 1.0, "candidates_per_hour must be positive and finite; got 0"),
        (-3.0, 1.0, "candidates_per_hour must be positive and finite; got -3"),
        (math.inf, 1.0, "candidates_per_hour must be positive and finite; got inf"),
        (math.nan, 1.0, "candidates_per_hour must be positive and finite; got nan"),
        (1.0, -1.0, "shots_per_day must be 0 or more and finite; got -1"),
        (1.0, math.nan, "shots_per_day must be 0 or more and finite; got nan"),
    ],
)
def test_what_no_recorder_brings_is_refused(candidates: float, shots: float, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        alarm_rate(metrics_of(1, 1, 1, 1), candidates, [1.0, shots])


@settings(max_examples=20)
@given(COUNTS)
def test_json_takes_it(counts: tuple[int, int, int, int]) -> None:
    figures = alarm_rate(metrics_of(*counts)).as_dict()
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert set(figures) == {
        "candidates_per_hour", "false_alarms_per_day", "interval", "interval_over_groups", "expected_precision",
    }  # fmt: skip
