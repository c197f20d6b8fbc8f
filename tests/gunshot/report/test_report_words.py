"""The sentences say what the counts say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.evaluation.intervals import exact_interval
from gunshot.evaluation.matching import DetectionMetrics
from gunshot.evaluation.metrics import ClassificationMetrics
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.report import words


def metrics(tp: int, fn: int, fp: int, tn: int) -> ClassificationMetrics:
    """Return metrics of a confusion matrix."""
    return ClassificationMetrics(
        true_positives=tp, false_negatives=fn, false_positives=fp, true_negatives=tn, threshold=0.5
    )


class TestKeyFigures:
    """Misses and false alarms in words."""

    def test_the_sentences_by_hand(self) -> None:
        """2 of 100 missed, 4 of 1,000 alarms, with their exact intervals rounded outwards."""
        missed, alarmed = words.class_key_figures(metrics(tp=98, fn=2, fp=4, tn=996), "test")
        assert missed.sentence == "Of 100 gunshots, 2 are missed"
        assert missed.interval == "95%: 0 to 8"
        assert missed.basis == "2 missed of 100 test gunshots"
        assert alarmed.sentence == "Of 1,000 other sounds, 4 raise a false alarm"
        assert alarmed.interval == "95%: 1 to 11"
        assert alarmed.basis == "4 of 1,000 other test sounds"

    def test_one_is_singular(self) -> None:
        """Grammar."""
        missed, alarmed = words.class_key_figures(metrics(tp=99, fn=1, fp=1, tn=999), "test")
        assert missed.sentence == "Of 100 gunshots, 1 is missed"
        assert alarmed.sentence == "Of 1,000 other sounds, 1 raises a false alarm"

    def test_rare_errors_are_told_by_a_larger_number(self) -> None:
        """One miss in 5,000 is not "0 of 100"."""
        missed, _ = words.class_key_figures(metrics(tp=4999, fn=1, fp=0, tn=1), "test")
        assert missed.sentence == "Of 10,000 gunshots, 2 are missed"
        missed, _ = words.class_key_figures(metrics(tp=122, fn=1, fp=0, tn=1), "test")
        assert missed.sentence == "Of 100 gunshots, 1 is missed"

    def test_a_class_without_rows(self) -> None:
        """Not known is said in words."""
        missed, alarmed = words.class_key_figures(metrics(tp=0, fn=0, fp=0, tn=0), "validation")
        assert missed.sentence == "How many gunshots are missed is not known: the validation rows hold none"
        assert "not known" in alarmed.sentence
        assert (missed.interval, alarmed.basis) == ("", "")

    @given(st.integers(0, 3000), st.integers(1, 3000), st.sampled_from([100, 1000]))
    def test_frequency_agrees_with_the_proportion(self, n_hits: int, n_more: int, base: int) -> None:
        """Rounded to the nearest, its interval never narrower than the exact one."""
        n_trials = n_hits + n_more
        told = words.frequency(n_hits, n_trials, base)
        exact = exact_interval(n_hits, n_trials)
        assert told is not None
        assert exact is not None
        of, n, low, high = told
        assert abs(n - of * n_hits / n_trials) <= 0.5
        assert low <= of * exact[0] + 1e-6
        assert high >= of * exact[1] - 1e-6
        assert (n > 0) == (n_hits > 0)
        assert 0 <= low <= n <= high <= of

    def test_recordings_by_hand(self) -> None:
        """36 of 40 found; 6 alarms in 8 hours are 18 a day, 60 are 7.5 an hour."""
        truth = DetectionMetrics(n_events=40, n_detections=42, n_matched=36, listening_s=28800, tolerance_s=0.5)
        missed, alarms = words.truth_key_figures(truth)
        assert missed.sentence == "In recordings, of 100 events, 10 are missed"
        assert alarms.sentence == "In recordings, 18 false alarms a day"
        assert alarms.interval == "95%: 6.6 to 39"
        assert alarms.basis == "6 in 8 h 00 min of sound"
        many = DetectionMetrics(n_events=0, n_detections=60, n_matched=0, listening_s=28800, tolerance_s=0.5)
        (alone,) = words.truth_key_figures(many)
        assert alone.sentence == "In recordings, 7.5 false alarms an hour"


class TestNumbers:
    """Formats."""

    @given(st.floats(0.0, 1.0))
    def test_only_0_and_1_look_like_0_and_1(self, rate: float) -> None:
        """0.99996 is not shown as 100%."""
        text = words.percent(rate)
        value = float(text.removesuffix("%")) / 100
        assert value == pytest.approx(rate, abs=5.1e-4)
        if 1e-7 < rate < 1 - 1e-7:
            assert text not in ("0%", "100%")
            assert re.fullmatch(r"\d+\.\d+%", text)
            assert 0.0 < value < 1.0

    @given(st.floats(0.0, 1e7))
    def test_durations_read_back(self, seconds: float) -> None:
        """The parts of a duration add up to it, to the last unit shown."""
        text = words.duration(seconds)
        unit_s = {"h": 3600.0, "min": 60.0, "s": 1.0}
        parts = re.findall(r"([\d.,]+) (h|min|s)", text)
        total = sum(float(number.replace(",", "")) * unit_s[unit] for number, unit in parts)
        resolution_s = 60.0 if "h" in text else 0.51 if seconds >= 10 else 0.06
        assert total == pytest.approx(seconds, abs=resolution_s)
        assert not re.search(r"\b60 (min|s)|e", text)

    def test_reconciliation(self) -> None:
        """The sum in words; nothing listed is zero."""
        assert words.reconciliation(0, {"ok": 0}) == "0 listed = 0"
        assert words.reconciliation(1204, {"ok": 1200, "timed out": 4}) == "1,204 listed = 1,200 ok + 4 timed out"


class TestThreshold:
    """Where the threshold comes from."""

    POINT = OperatingPoint(
        name="quiet", threshold=0.25, split="validation", recall=0.98, fpr=0.01, n_gunshots=50, n_others=1200
    )

    def test_with_its_operating_point(self) -> None:
        """Split, counts and rates are told."""
        text = words.threshold_words(0.25, self.POINT)
        assert text.startswith("A clip is called a gunshot when its score is 0.250 or more.")
        assert "“quiet”, chosen on the validation rows (50 gunshots, 1,200 other sounds)" in text
        assert "98.0% of the gunshots, and 1.0% of the other sounds" in text

    def test_an_operating_point_of_another_threshold_is_not_told(self) -> None:
        """A sentence about a threshold that was not used would be false."""
        assert words.threshold_words(0.5, self.POINT) == words.threshold_words(0.5, None)
