"""Metrics and intervals: golden cases by hand, and relations that always hold."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from gunshot.errors import ParameterError
from gunshot.evaluation.intervals import exact_interval, poisson_rate_interval
from gunshot.evaluation.metrics import ClassificationMetrics, classification_metrics

# Few distinct scores, so that ties between the classes are common.
SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.75, 1.0]) | st.floats(0.0, 1.0)
ROWS = st.lists(st.tuples(st.integers(0, 1), SCORES), min_size=1, max_size=30)
TWO_CLASS_ROWS = ROWS.map(lambda rows: [*rows, (0, 0.3), (1, 0.6)])
THRESHOLDS = SCORES


def columns(rows: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows as a label and a score column."""
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


class TestClassificationMetrics:
    """Counts and rates at one threshold."""

    def test_the_logistic_regression_of_the_paper(self) -> None:
        """86 false alarms and 13 misses in 246 rows are the published accuracy, 0.597 (digits cut off)."""
        label = np.repeat([0, 0, 1, 1], [40, 86, 13, 107])
        score = np.repeat([0.1, 0.9, 0.1, 0.9], [40, 86, 13, 107])
        m = classification_metrics(label, score, 0.5)
        assert (m.true_negatives, m.false_positives, m.false_negatives, m.true_positives) == (40, 86, 13, 107)
        assert m.n == 246
        assert m.accuracy == 147 / 246
        assert int(1000 * m.accuracy) == 597
        assert (m.fnr, m.fpr, m.precision) == (13 / 120, 86 / 126, 107 / 193)

    def test_a_score_on_the_threshold_is_called(self) -> None:
        """The rule is >=, not >."""
        m = classification_metrics([1, 0], [0.5, 0.5], 0.5)
        assert (m.recall, m.fpr) == (1.0, 1.0)

    def test_perfect_scores_give_ones(self) -> None:
        """A model that is always right."""
        m = classification_metrics([0, 0, 1, 1], [0.0, 0.2, 0.8, 1.0], 0.5)
        assert (m.accuracy, m.recall, m.precision, m.roc_auc, m.average_precision) == (1, 1, 1, 1, 1)
        assert (m.fpr, m.fnr) == (0, 0)

    def test_what_one_class_alone_cannot_tell_is_none(self) -> None:
        """Undefined is None, not 0 and not NaN."""
        gunshots = classification_metrics([1, 1], [0.9, 0.1], 0.5)
        assert gunshots.recall == 0.5
        assert (gunshots.fpr, gunshots.fpr_interval, gunshots.roc_auc) == (None, None, None)
        others = classification_metrics([0, 0], [0.2, 0.1], 0.5)
        assert others.fpr == 0.0
        assert (others.recall, others.fnr, others.precision, others.average_precision) == (None,) * 4

    @settings(max_examples=40)
    @given(ROWS, THRESHOLDS)
    def test_counts_reconcile(self, rows: list[tuple[int, float]], threshold: float) -> None:
        """Every row is counted once, and rates agree with counts and with each other."""
        label, score = columns(rows)
        m = classification_metrics(label, score, threshold)
        assert m.n == len(rows) == m.n_gunshots + m.n_others
        assert m.n_gunshots == label.sum()
        assert m.true_positives + m.false_positives == sum(s >= threshold for _, s in rows)
        assert m.accuracy == pytest.approx(np.mean((score >= threshold) == label))
        if m.recall is not None and m.fnr is not None and m.recall_interval and m.fnr_interval:
            assert m.recall + m.fnr == pytest.approx(1.0)
            assert m.recall_interval[0] <= m.recall <= m.recall_interval[1]
            assert m.fnr_interval[0] == pytest.approx(1.0 - m.recall_interval[1])

    @settings(max_examples=40)
    @given(ROWS, THRESHOLDS, THRESHOLDS)
    def test_calls_fall_as_the_threshold_rises(self, rows: list[tuple[int, float]], one: float, other: float) -> None:
        """A higher threshold never finds more and never alarms more."""
        label, score = columns(rows)
        low = classification_metrics(label, score, min(one, other))
        high = classification_metrics(label, score, max(one, other))
        assert high.true_positives <= low.true_positives
        assert high.false_positives <= low.false_positives
        assert high.roc_auc == low.roc_auc

    @given(TWO_CLASS_ROWS)
    def test_auc_is_the_chance_to_rank_a_pair_right(self, rows: list[tuple[int, float]]) -> None:
        """Mann and Whitney (1947): the definition, by counting pairs."""
        label, score = columns(rows)
        margin = score[label == 1][:, None] - score[label == 0][None, :]
        expected = np.mean((margin > 0) + 0.5 * (margin == 0))
        assert classification_metrics(label, score, 0.5).roc_auc == pytest.approx(expected)

    @given(ROWS, THRESHOLDS)
    def test_dictionary_is_json_and_reads_back(self, rows: list[tuple[int, float]], threshold: float) -> None:
        """Through JSON and back nothing changes."""
        label, score = columns(rows)
        m = classification_metrics(label, score, threshold)
        text = json.dumps(m.as_dict(), allow_nan=False)
        assert ClassificationMetrics.from_dict(json.loads(text)) == m

    def test_dictionary_keys(self) -> None:
        """The keys that other programs read."""
        figures = classification_metrics([1, 0], [0.9, 0.1], 0.5).as_dict()
        assert set(figures) == {
            *("n", "n_gunshots", "n_others", "threshold", "accuracy", "recall", "fnr", "fpr", "precision"),
            *("recall_interval", "fnr_interval", "fpr_interval", "precision_interval"),
            *("roc_auc", "average_precision", "confusion"),
        }
        assert figures["confusion"] == {"tn": 1, "fp": 0, "fn": 0, "tp": 1}

    def test_a_figure_without_its_counts_is_refused(self) -> None:
        """Rates cannot be turned back into counts."""
        figures = classification_metrics([1, 0], [0.9, 0.1], 0.5).as_dict()
        del figures["confusion"]
        with pytest.raises(ParameterError, match="'confusion' is missing"):
            ClassificationMetrics.from_dict(figures)

    def test_negative_counts_are_refused(self) -> None:
        """A count cannot be negative."""
        with pytest.raises(ParameterError, match="false_positives must be >= 0; got -1"):
            ClassificationMetrics(
                true_positives=1, false_negatives=0, false_positives=-1, true_negatives=0, threshold=0.5
            )


class TestRefusals:
    """What is refused, and what the message guesses."""

    @pytest.mark.parametrize(
        ("label", "score", "message"),
        [
            ([1, 0], [0.5], "2 labels and 1 scores"),
            ([], [], "at least one row"),
            ([1, 2], [0.5, 0.5], "got 2: map the classes"),
            ([-1, 1], [0.5, 0.5], "label > 0"),
            ([0.3, 0.9], [0, 1], "swapped"),
            (["gunshot", "other"], [0.5, 0.5], "map class names"),
            ([1, 0], [math.nan, 0.5], "got nan in row 0: find the row whose features are not finite"),
            ([1, 0], [0.5, -3.2], r"got -3.2 in row 1: logits"),
            ([1, 0], [99.0, 3.0], "divided by 100"),
            ([1, 0], [[0.5], [0.4]], r"pass score\[:, 0\]"),
            ([[1, 0]], [0.5, 0.4], "pass one value a row"),
        ],
    )
    def test_rows(self, label: ArrayLike, score: ArrayLike, message: str) -> None:
        """Each wrong column is named with its likely cause."""
        with pytest.raises(ParameterError, match=message):
            classification_metrics(label, score, 0.5)

    @pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
    def test_thresholds_outside_the_scores(self, threshold: float) -> None:
        """A threshold is a score."""
        with pytest.raises(ParameterError, match=r"threshold must lie in \[0, 1\]"):
            classification_metrics([1, 0], [0.5, 0.4], threshold)


class TestIntervals:
    """Exact intervals against published values and their definition."""

    @pytest.mark.parametrize(
        ("n_hits", "n_trials", "low", "high"),
        [(0, 10, 0.0, 0.3085), (1, 10, 0.0025, 0.4450), (5, 10, 0.1871, 0.8129), (10, 10, 0.6915, 1.0)],
    )
    def test_proportions_from_tables(self, n_hits: int, n_trials: int, low: float, high: float) -> None:
        """Clopper-Pearson limits as printed in tables of the binomial distribution."""
        assert exact_interval(n_hits, n_trials) == pytest.approx((low, high), abs=5e-5)

    @pytest.mark.parametrize(("n_events", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.390)])
    def test_counts_from_tables(self, n_events: int, low: float, high: float) -> None:
        """Poisson limits as printed in tables (Garwood, 1936)."""
        assert poisson_rate_interval(n_events, 1.0) == pytest.approx((low, high), abs=6e-4)

    @given(st.integers(0, 60), st.integers(1, 60))
    def test_more_trials_narrow_the_interval(self, n_hits: int, factor: int) -> None:
        """The same proportion of ten times the trials is known better, and lies inside."""
        n_trials = n_hits + factor
        narrow, wide = exact_interval(10 * n_hits, 10 * n_trials), exact_interval(n_hits, n_trials)
        assert narrow is not None
        assert wide is not None
        assert wide[0] <= narrow[0] <= n_hits / n_trials <= narrow[1] <= wide[1]

    def test_no_trials_no_interval(self) -> None:
        """Nothing is known from nothing."""
        assert exact_interval(0, 0) is None

    def test_refusals(self) -> None:
        """Arguments in the wrong order, and an empty exposure."""
        with pytest.raises(ParameterError, match="hits first"):
            exact_interval(10, 5)
        with pytest.raises(ParameterError, match="exposure must be positive"):
            poisson_rate_interval(1, 0.0)
        with pytest.raises(ParameterError, match="n_events must be >= 0"):
            poisson_rate_interval(-1, 1.0)
