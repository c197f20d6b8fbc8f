"""A site's own threshold: its promise of false alarms a day holds as often as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from gunshot.errors import ParameterError
from gunshot.evaluation.choice import ScoredRows
from gunshot.evaluation.guarantees import CONFIDENCE, poisson_rate_bound
from gunshot.evaluation.site_threshold import refit_threshold

VALIDATION = ScoredRows(
    np.array([1, 1, 1, 1, 0, 0], np.int8), np.array([0.99, 0.9, 0.6, 0.3, 0.5, 0.1], np.float32), tuple("abcdef")
)


def test_the_promise_is_broken_at_most_one_time_in_twenty() -> None:
    """Candidates come as a Poisson process; their scores are beta distributed, so the true rate can be calculated."""
    rng = np.random.default_rng(0)
    n_draws, rate_h, limit = 1000, 50.0, 20.0
    n_broken = 0
    for _ in range(n_draws):
        score = rng.beta(1, 6, rng.poisson(rate_h * 24))
        point = refit_threshold(score, 24.0, limit, VALIDATION)
        assert point.guarantee is not None
        n_broken += 24 * rate_h * beta.sf(point.threshold, 1, 6) > limit
    assert 0.01 * n_draws <= n_broken <= binom.ppf(0.9999, n_draws, 1 - CONFIDENCE)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=60), st.floats(1, 200), st.floats(0.5, 100))
def test_it_is_the_lowest_threshold_whose_bound_keeps_the_limit(
    scores: list[float], listened_h: float, limit: float
) -> None:
    score = np.asarray(scores, dtype=np.float64)
    point = refit_threshold(score, listened_h, limit, VALIDATION)

    def bound(threshold: float) -> float:
        return poisson_rate_bound(int(np.sum(score >= threshold)), listened_h / 24)

    assert point.bound is not None
    assert point.bound.upper == bound(point.threshold)
    assert point.bound.holds == (point.guarantee is not None)
    if point.guarantee is not None:
        lower = score[score < point.threshold]
        assert not lower.size or bound(float(lower.max())) > limit
    else:
        assert bound(math.nextafter(1.0, 2.0)) > limit or score.max() == 1.0
        called_a_day = np.sum(score >= point.threshold) * 24 / listened_h
        assert called_a_day <= limit or point.threshold == 1.0


def test_too_few_hours_promise_nothing_and_say_how_many_would() -> None:
    point = refit_threshold([0.2, 0.8, 0.4], 2.4, 10.0, VALIDATION)
    assert point.guarantee is None
    assert point.threshold == pytest.approx(0.6)  # one of them in a tenth of a day
    assert "7.19 h without any alarm could promise 10 a day; counted here 10 a day" in point.note
    assert refit_threshold([], 7.2, 10.0, VALIDATION).guarantee == (
        "at most 10 false alarms a day in sound like the 7.2 h listened to at this site (95% confidence)"
    )
    assert refit_threshold([], 7.1, 10.0, VALIDATION).guarantee is None


def test_candidates_that_score_one() -> None:
    point = refit_threshold([1.0] * 50, 24.0, 10.0, VALIDATION)
    assert (point.threshold, point.guarantee) == (1.0, None)
    assert "too many candidates score exactly 1; counted here 50 a day" in point.note


def test_recall_is_that_of_the_validation_rows() -> None:
    point = refit_threshold(np.linspace(0, 0.7, 400), 24.0, 20.0, VALIDATION)
    assert 0.6 < point.threshold < 0.7
    assert (point.recall, point.fpr, point.split) == (0.5, 0.0, "validation")
    assert point.name == "site 20 a day"
    assert refit_threshold([], 24.0, 20.0, VALIDATION, name="north gate").name == "north gate"


def test_more_hours_of_the_same_sound_allow_a_lower_threshold() -> None:
    score = np.random.default_rng(1).beta(1, 6, 1200)
    thresholds = [refit_threshold(np.tile(score, n), 24.0 * n, 20.0, VALIDATION).threshold for n in (1, 3, 10)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[0] > thresholds[-1]


@pytest.mark.parametrize(
    ("score", "listened_h", "limit", "message"),
    [
        ([0.5], 0.0, 10.0, "listened_h must be positive and finite; got 0.0"),
        ([0.5], math.nan, 10.0, "listened_h must be positive"),
        ([0.5], 24.0, 0.0, "max_per_day must be positive"),
        ([0.5], 24.0, math.inf, "max_per_day must be positive"),
        ([1.5], 24.0, 1.0, r"score must be one value in \[0, 1\] a candidate; got shape \(1,\) with 1 values outside"),
        ([math.nan], 24.0, 1.0, "with 1 values outside"),
        ([[0.5]], 24.0, 1.0, r"got shape \(1, 1\)"),
    ],
)
def test_what_cannot_be_is_refused(score: list[float], listened_h: float, limit: float, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        refit_threshold(score, listened_h, limit, VALIDATION)
