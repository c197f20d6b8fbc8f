"""The matching is maximum, one to one, of least time error; figures follow from it."""

from __future__ import annotations

import json
from itertools import combinations, permutations
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from gunshot.errors import ParameterError
from gunshot.evaluation.matching import DetectionMetrics, detection_metrics, match_events

# Times on a grid of 0.1 s: distances on the edge of the tolerance, and ties, are common.
TIMES = st.lists(st.integers(0, 60).map(lambda tenths: tenths / 10), max_size=12)
FEW_TIMES = st.lists(st.integers(0, 20).map(lambda tenths: tenths / 10), max_size=4)
TOLERANCES = st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0])


def brute_force(reference: list[float], estimate: list[float], tolerance_s: float) -> tuple[int, float]:
    """Return the size and the total error of the best matching, by trying all of them."""
    small, large = sorted((reference, estimate), key=len)
    for size in range(len(small), 0, -1):
        errors = [
            sum(abs(a - b) for a, b in zip(chosen, other, strict=True))
            for chosen in combinations(small, size)
            for other in permutations(large, size)
            if all(abs(a - b) <= tolerance_s + 1e-9 for a, b in zip(chosen, other, strict=True))
        ]
        if errors:
            return size, min(errors)
    return 0, 0.0


def error_s(reference: list[float], estimate: list[float], pairs: np.ndarray) -> float:
    """Return the total time error of pairs."""
    return float(np.abs(np.array(reference)[pairs[:, 0]] - np.array(estimate)[pairs[:, 1]]).sum())


class TestMatchEvents:
    """The matching of one recording."""

    @given(FEW_TIMES, FEW_TIMES, TOLERANCES)
    def test_equals_brute_force(self, reference: list[float], estimate: list[float], tolerance_s: float) -> None:
        """As many pairs as any matching has, and no less error among those."""
        pairs = match_events(reference, estimate, tolerance_s)
        size, error = brute_force(reference, estimate, tolerance_s)
        assert len(pairs) == size
        assert error_s(reference, estimate, pairs) == pytest.approx(error, abs=1e-7)

    @given(TIMES, TIMES, TOLERANCES)
    def test_pairs_are_one_to_one_and_within_tolerance(
        self, reference: list[float], estimate: list[float], tolerance_s: float
    ) -> None:
        """What a matching is."""
        pairs = match_events(reference, estimate, tolerance_s)
        assert pairs.shape == (len(pairs), 2)
        assert pairs.dtype == np.int64
        assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs) <= min(len(reference), len(estimate))
        matched = np.array(reference)[pairs[:, 0]]
        assert (np.abs(matched - np.array(estimate)[pairs[:, 1]]) <= tolerance_s + 1e-9).all()
        assert (np.diff(matched) >= 0).all()

    @given(TIMES, TIMES, TOLERANCES)
    def test_size_is_that_of_a_bipartite_matching(
        self, reference: list[float], estimate: list[float], tolerance_s: float
    ) -> None:
        """SciPy's Hopcroft-Karp on the graph of allowed pairs finds no more."""
        distance = np.abs(np.subtract.outer(np.array(reference), np.array(estimate)))
        allowed = csr_array(distance.reshape(len(reference), len(estimate)) <= tolerance_s + 1e-9)
        size = int((maximum_bipartite_matching(allowed) >= 0).sum()) if reference and estimate else 0
        assert len(match_events(reference, estimate, tolerance_s)) == size

    @given(TIMES, TIMES, TOLERANCES)
    def test_size_is_symmetric(self, reference: list[float], estimate: list[float], tolerance_s: float) -> None:
        """Swapping truth and detections swaps recall and precision, nothing else."""
        forward = match_events(reference, estimate, tolerance_s)
        backward = match_events(estimate, reference, tolerance_s)
        assert len(forward) == len(backward)

    @given(TIMES, TIMES, TOLERANCES, TOLERANCES)
    def test_size_grows_with_tolerance(
        self, reference: list[float], estimate: list[float], one: float, other: float
    ) -> None:
        """A wider tolerance never loses a pair."""
        low, high = sorted((one, other))
        assert len(match_events(reference, estimate, low)) <= len(match_events(reference, estimate, high))

    @given(TIMES, TIMES, TOLERANCES, st.randoms(use_true_random=False))
    def test_order_of_the_rows_does_not_matter(
        self, reference: list[float], estimate: list[float], tolerance_s: float, random: Random
    ) -> None:
        """Shuffled columns give pairs of the same times."""
        shuffled = random.sample(estimate, len(estimate))
        pairs = match_events(reference, estimate, tolerance_s)
        again = match_events(reference, shuffled, tolerance_s)
        assert len(pairs) == len(again)
        assert error_s(reference, estimate, pairs) == pytest.approx(error_s(reference, shuffled, again))

    @given(TIMES, TOLERANCES)
    def test_everything_matches_itself(self, times: list[float], tolerance_s: float) -> None:
        """Perfect detections are all matched, without error."""
        pairs = match_events(times, times, tolerance_s)
        assert len(pairs) == len(times)
        assert error_s(times, times, pairs) == 0.0

    def test_nearest_would_lose_a_pair(self) -> None:
        """Golden case: both events are nearest to the first detection."""
        assert match_events([1.0, 1.5], [1.4, 1.9], 0.5).tolist() == [[0, 0], [1, 1]]

    def test_among_maximum_matchings_the_closest_is_taken(self) -> None:
        """Golden case: a sweep from the left would take the detection 0.4 s early."""
        assert match_events([1.0], [0.6, 1.0, 1.2], 0.5).tolist() == [[0, 1]]

    def test_the_edge_of_the_tolerance_is_inside(self) -> None:
        """1.1 - 1.0 is more than 0.1 in floating point, and still within 0.1 s."""
        assert len(match_events([1.0], [1.1], 0.1)) == 1
        assert len(match_events([1.0], [1.1001], 0.1)) == 0

    def test_a_long_burst(self) -> None:
        """600 rounds a minute for a minute, each detected 20 ms late but for every seventh."""
        reference = np.arange(600) * 0.1
        detected = np.delete(reference, np.arange(0, 600, 7)) + 0.02
        pairs = match_events(reference, detected, 0.05)
        assert len(pairs) == len(detected)
        assert np.allclose(detected[pairs[:, 1]] - reference[pairs[:, 0]], 0.02)

    @pytest.mark.parametrize(
        ("times", "message"),
        [
            ([44100.0 * 5], "is it in samples or milliseconds?"),
            ([1.7e9], "is it a Unix time"),
            ([-0.5], "count from the start of the recording"),
            ([float("nan")], "drop events without a time"),
            ([[0.5, 1.0], [2.0, 2.5]], r"pass the onsets, \[:, 0\]"),
            ([[0.5], [2.0]], "one onset an event"),
        ],
    )
    def test_times_that_cannot_be(self, times: ArrayLike, message: str) -> None:
        """The message guesses the mistake."""
        with pytest.raises(ParameterError, match=message):
            match_events(times, [1.0], 0.5)
        with pytest.raises(ParameterError, match="estimate_s must"):
            match_events([1.0], times, 0.5)

    @pytest.mark.parametrize("tolerance_s", [-0.1, 250.0, float("nan")])
    def test_tolerances_that_cannot_be(self, tolerance_s: float) -> None:
        """250 is milliseconds."""
        with pytest.raises(ParameterError, match="milliseconds"):
            match_events([1.0], [1.0], tolerance_s)


class TestDetectionMetrics:
    """Figures over recordings."""

    def test_golden_case(self) -> None:
        """Two recordings, two hours: three events, four detections, two pairs."""
        figures = detection_metrics(
            {"a.wav": [10.0, 20.0], "b.wav": [5.0]},
            {"a.wav": [10.1, 15.0], "b.wav": [5.3], "c.wav": [1.0]},
            tolerance_s=0.5,
            listening_s=7200.0,
        )
        assert (figures.n_events, figures.n_detections, figures.n_matched, figures.n_false_alarms) == (
            3,
            4,
            2,
            2,
        )
        assert figures.recall == pytest.approx(2 / 3)
        assert figures.precision == 0.5
        assert figures.false_alarms_per_hour == 1.0
        assert figures.median_time_error_s == pytest.approx(0.2)
        assert figures.false_alarms_per_hour_interval == pytest.approx((0.2422 / 2, 7.2247 / 2), abs=1e-4)

    def test_events_of_one_recording_do_not_match_those_of_another(self) -> None:
        """The same second of two recordings is not the same event."""
        figures = detection_metrics({"a.wav": [10.0]}, {"b.wav": [10.0]}, tolerance_s=0.5, listening_s=60.0)
        assert figures.n_matched == 0

    def test_perfect_and_empty(self) -> None:
        """All found gives 1; nothing to find, or nothing found, leaves a rate undefined."""
        perfect = detection_metrics({"a": [1.0, 2.0]}, {"a": [2.0, 1.0]}, 0.1, 60.0)
        assert (perfect.recall, perfect.precision, perfect.false_alarms_per_hour) == (1.0, 1.0, 0.0)
        silent = detection_metrics({"a": [1.0]}, {}, 0.1, 60.0)
        assert (silent.recall, silent.precision, silent.median_time_error_s) == (0.0, None, None)
        empty = detection_metrics({}, {"a": []}, 0.1, 60.0)
        assert (empty.recall, empty.recall_interval, empty.precision_interval) == (None, None, None)

    @given(
        st.dictionaries(st.sampled_from("abc"), TIMES),
        st.dictionaries(st.sampled_from("abc"), TIMES),
        TOLERANCES,
    )
    def test_counts_reconcile(
        self, reference: dict[str, list[float]], detected: dict[str, list[float]], tolerance_s: float
    ) -> None:
        """Totals are the sums over recordings, and swapping the sides swaps recall and precision."""
        figures = detection_metrics(reference, detected, tolerance_s, listening_s=3600.0)
        swapped = detection_metrics(detected, reference, tolerance_s, listening_s=3600.0)
        assert figures.n_events == sum(map(len, reference.values()))
        assert figures.n_matched == sum(
            len(match_events(reference[name], detected[name], tolerance_s)) for name in reference if name in detected
        )
        assert (figures.recall, figures.precision) == (swapped.precision, swapped.recall)
        assert figures.n_false_alarms == figures.false_alarms_per_hour
        json.dumps(figures.as_dict(), allow_nan=False)

    def test_dictionary_has_every_figure(self) -> None:
        """What a metrics file keeps."""
        figures = detection_metrics({"a": [1.0]}, {"a": [1.0, 3.0]}, 0.1, 1800.0).as_dict()
        assert figures["false_alarms_per_hour"] == 2.0
        assert figures["precision_interval"] == pytest.approx([0.0126, 0.9874], abs=1e-4)
        assert figures["n_false_alarms"] == 1

    @pytest.mark.parametrize(
        ("reference", "detected", "listening_s", "message"),
        [
            ({"a": [7000.0]}, {"a": [1.0]}, 2.0, "listening_s must cover every event.*is it in hours"),
            ({"a": [1.0]}, {"a": [1.0]}, float("inf"), "listening_s must be positive and finite"),
            ({}, {}, 0.0, "listening_s must be positive and finite"),
            ({"a.wav": [1.0]}, {"/archive/a.wav": [1.0]}, 60.0, "'a.wav' and '/archive/a.wav'"),
            ({"a": [1e6]}, {"a": [1.0]}, 60.0, r"reference\['a'\] must lie in"),
        ],
    )
    def test_refusals(
        self,
        reference: dict[str, list[float]],
        detected: dict[str, list[float]],
        listening_s: float,
        message: str,
    ) -> None:
        """The message names the argument and guesses the mistake."""
        with pytest.raises(ParameterError, match=message):
            detection_metrics(reference, detected, 0.5, listening_s)

    def test_more_matched_than_there_is(self) -> None:
        """Counts of a many-to-one matching are refused."""
        with pytest.raises(ParameterError, match=r"n_matched must lie in \[0, 1\]"):
            DetectionMetrics(n_events=3, n_detections=1, n_matched=2, listening_s=60.0, tolerance_s=0.5)
