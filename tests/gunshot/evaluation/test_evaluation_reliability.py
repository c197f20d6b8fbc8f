"""Reliability: bins that hold every row once, and figures that are those of their published formulas."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.evaluation.calibration import N_BINS, brier_score, calibration_error
from gunshot.evaluation.intervals import exact_interval
from gunshot.evaluation.reliability import reliability

PROBABILITIES = st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 0.6, 1.0]) | st.floats(0.0, 1.0)
ROWS = st.lists(st.tuples(st.integers(0, 1), PROBABILITIES), min_size=1, max_size=40)


@settings(max_examples=30)
@given(ROWS)
def test_every_row_is_in_the_bin_of_its_probability(rows: list[tuple[int, float]]) -> None:
    label, probability = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = reliability(label, probability, is_calibrated=True)
    assert sum(it.n for it in found.bins) == len(rows)
    assert sum(it.n_gunshots for it in found.bins) == label.sum()
    assert all(it.n >= 1 for it in found.bins)
    assert [it.low for it in found.bins] == sorted({it.low for it in found.bins})
    for it in found.bins:
        assert it.high - it.low == pytest.approx(1 / N_BINS)
        assert it.low - 1e-12 <= it.probability <= it.high + 1e-12
        low, high = it.interval
        assert low <= it.frequency <= high


@settings(max_examples=60)
@given(ROWS)
def test_the_figures_are_those_of_the_bins_and_of_the_calibration(rows: list[tuple[int, float]]) -> None:
    """ECE (Naeini et al., 2015): mean distance of frequency and probability, weighted by the bins' rows."""
    label, probability = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = reliability(label, probability, is_calibrated=True)
    distance = sum(it.n * abs(it.frequency - it.probability) for it in found.bins) / len(rows)
    assert found.ece == pytest.approx(distance, abs=1e-12)
    assert found.ece == calibration_error(label, probability)
    assert found.brier == brier_score(label, probability)


@pytest.mark.parametrize("number", range(1, N_BINS + 1))
def test_a_bin_holds_its_upper_end(number: int) -> None:
    (found,) = reliability([1], [number / N_BINS], is_calibrated=True).bins
    assert (found.low, found.high) == ((number - 1) / N_BINS, number / N_BINS)


def test_the_interval_of_a_frequency_is_exact() -> None:
    (found,) = reliability([1] * 5 + [0] * 5, [0.5] * 10, is_calibrated=True).bins
    assert found.interval == exact_interval(5, 10) == pytest.approx((0.1871, 0.8129), abs=5e-5)


def test_the_lowest_bin_holds_0_too() -> None:
    (found,) = reliability([0, 0], [0.0, 0.01], is_calibrated=True).bins
    assert (found.low, found.n, found.frequency) == (0.0, 2, 0.0)


def test_a_probability_that_comes_true_has_no_error() -> None:
    """Eight of ten at 0.8, one of ten at 0.1: Brier score p (1 - p) in each bin (Murphy, 1973)."""
    label = [1] * 8 + [0] * 2 + [1] + [0] * 9
    found = reliability(label, [0.8] * 10 + [0.1] * 10, is_calibrated=True)
    assert found.ece == pytest.approx(0.0, abs=1e-12)
    assert found.brier == pytest.approx((0.16 + 0.09) / 2)
    assert [it.frequency for it in found.bins] == [0.1, 0.8]


def test_sure_and_wrong_is_the_worst() -> None:
    found = reliability([0, 0, 1], [1.0, 1.0, 0.0], is_calibrated=True)
    assert (found.ece, found.brier) == (1.0, 1.0)


def test_chance_alone_makes_an_error_with_few_rows() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(200_000)
    label = (rng.random(probability.size) < probability).astype(int)
    few = np.mean([reliability(label[i : i + 30], probability[i : i + 30], is_calibrated=True).ece for i in range(50)])
    assert reliability(label, probability, is_calibrated=True).ece < 0.005 < 0.1 < few


def test_where_shots_are_rarer_the_same_probabilities_say_too_much() -> None:
    label = np.array([1] * 8 + [0] * 2 + [1] * 2 + [0] * 8)
    probability = np.array([0.8] * 10 + [0.2] * 10)
    rarer = np.concatenate([np.flatnonzero(label == 1)[::5], np.flatnonzero(label == 0)])
    for it in reliability(label[rarer], probability[rarer], is_calibrated=True).bins:
        assert it.frequency < it.probability


@pytest.mark.parametrize(("is_calibrated", "of"), [(True, "probability"), (False, "score")])
def test_json_says_of_what(is_calibrated: bool, of: str) -> None:
    figures = reliability([1, 0], [0.9, 0.1], is_calibrated=is_calibrated).as_dict()
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert (figures["of"], figures["n_bins"]) == (of, N_BINS)
    assert set(figures["bins"][0]) == {"low", "high", "n", "n_gunshots", "probability", "frequency", "interval"}


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"must lie in \[0, 1\]"):
        reliability([1, 0], [1.2, 0.1], is_calibrated=True)
