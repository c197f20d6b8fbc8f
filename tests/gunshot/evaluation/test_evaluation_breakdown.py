"""Breakdowns: every row in one part, and the parts by names that say what they are."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.evaluation.breakdown import MAX_VALUES, REST, UNKNOWN, breakdowns, firearm_of, metrics_by
from gunshot.evaluation.metrics import ClassificationMetrics, classification_metrics
from gunshot.evaluation.reported_rows import ReportedRows

Make = Callable[..., ReportedRows]

SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
ROWS = st.lists(st.tuples(st.integers(0, 1), SCORES), min_size=1, max_size=30)
COUNTS = ("n", "n_gunshots", "n_others", "true_positives", "false_negatives", "false_positives", "true_negatives")


def columns(rows: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows as a label and a score column."""
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


def sums(parts: dict[str, ClassificationMetrics]) -> dict[str, int]:
    """Every count, added up over the parts."""
    return {name: sum(getattr(part, name) for part in parts.values()) for name in COUNTS}


def counts(whole: ClassificationMetrics) -> dict[str, int]:
    """Every count."""
    return {name: getattr(whole, name) for name in COUNTS}


class TestMetricsBy:
    """Breakdowns."""

    @settings(max_examples=50)
    @given(ROWS, SCORES, st.randoms(use_true_random=False))
    def test_parts_add_up_to_the_whole(self, rows: list[tuple[int, float]], threshold: float, random: Random) -> None:
        """No row is lost or counted twice, whatever the groups."""
        label, score = columns(rows)
        by = [random.choice("abc") for _ in rows]
        parts = metrics_by(label, score, threshold, by)
        whole = classification_metrics(label, score, threshold)
        for count in ("n", "true_positives", "false_negatives", "false_positives", "true_negatives"):
            assert sum(getattr(part, count) for part in parts.values()) == getattr(whole, count)
        assert list(parts) == sorted(set(by))
        assert {name: part.n for name, part in parts.items()} == {name: by.count(name) for name in set(by)}

    def test_length_must_agree(self) -> None:
        """One name a row."""
        with pytest.raises(ParameterError, match="got 1 names for 2 rows"):
            metrics_by([1, 0], [0.5, 0.4], 0.5, ["a"])

    def test_a_part_has_its_own_groups(self) -> None:
        """Six groups in one part and one in the other: one interval over groups, and none."""
        label, score = [1] * 8, [0.9, 0.1, 0.9, 0.9, 0.1, 0.9, 0.9, 0.1]
        parts = metrics_by(label, score, 0.5, list("aaaaaabb"), group=["1", "2", "3", "4", "5", "6", "7", "7"])
        wide, narrow = parts["a"].recall_over_groups, parts["b"].recall_over_groups
        assert wide is not None
        assert narrow is not None
        assert (wide.n_groups, narrow.n_groups) == (6, 1)
        assert wide.pair is not None
        assert narrow.pair is None


class TestFirearmOf:
    @pytest.mark.parametrize(
        ("sound", "firearm"),
        [
            ("gunshot:9mm Automatic Handgun", "9mm Automatic Handgun"),
            ("Gun Shot: Rifle ", "Rifle"),
            ("gunshot:", None),
            ("gunshot: ", None),
            ("gunshot", None),
            ("dog:terrier", None),
            ("", None),
        ],
    )
    def test_it_is_what_follows_gunshot(self, sound: str, firearm: str | None) -> None:
        assert firearm_of(sound) == firearm


VALUES = st.sampled_from(["", "one", "two"])
ROWS_OF_VALUES = st.lists(
    st.tuples(
        st.integers(0, 1), SCORES, VALUES, st.sampled_from([None, 8000, 48_000]), st.none() | st.floats(-10.0, 60.0),
        st.sampled_from(["bark", "gunshot", "gunshot:rifle"]), st.none() | st.floats(1.0, 2000.0),
    ),
    min_size=1, max_size=20,
)  # fmt: skip


class TestBreakdowns:
    @settings(max_examples=25)
    @given(ROWS_OF_VALUES, SCORES)
    def test_parts_of_each_add_up_to_the_rows(
        self, reported: Make, values: list[tuple[int, float, str, int | None, float | None, str, float | None]],
        threshold: float,
    ) -> None:  # fmt: skip
        label, score, source, sr, level, sound, distance = zip(*values, strict=True)
        rows = reported(
            label, score, source=source, device=source, sr=sr, snr_db=level, strength_db=level, sound=sound,
            distance_m=distance,
        )  # fmt: skip
        found = breakdowns(rows, threshold)
        whole = counts(classification_metrics(label, score, threshold))
        gunshots = whole | {"n": whole["n_gunshots"], "n_others": 0, "false_positives": 0, "true_negatives": 0}
        expected = {"source", "folder", "device", "sample_rate", "snr", "onset_strength"}
        expected |= {"distance"} if any(value is not None for value in distance) else set()
        named = [name for one, name in zip(label, sound, strict=True) if one and ":" in name]
        expected |= {"firearm"} if named else set()
        assert set(found) == expected
        for name, parts in found.items():
            assert sums(parts) == (gunshots if name == "firearm" else whole)
        assert (UNKNOWN in found["source"]) == ("" in source)
        assert (UNKNOWN in found["sample_rate"]) == (None in sr)
        assert (UNKNOWN in found["snr"]) == (None in level)

    def test_names_of_the_values(self, reported: Make) -> None:
        rows = reported(
            [1, 1, 0], [0.9, 0.1, 0.2], path=["a/b/1.wav", "2.wav", "a/3.wav"], sr=[8000, None, 48_000],
            snr_db=[3.0, 6.0, None], strength_db=[20.0, 2.9, 3.0], distance_m=[100.0, 900.0, None],
            sound=["gunshot:rifle", "gunshot", "gunshot:pistol"],
        )  # fmt: skip
        found = {name: set(parts) for name, parts in breakdowns(rows, 0.5).items()}
        assert found == {
            "source": {"made"},
            "folder": {"a/b", ".", "a"},
            "device": {"recorder"},
            "sample_rate": {"8000 Hz", "48000 Hz", UNKNOWN},
            "snr": {"under 6 dB", "6 to 12 dB", UNKNOWN},
            "onset_strength": {"20 dB or more", "under 3 dB", "3 to 6 dB"},
            "distance": {"100 to 200 m", "800 m or more", UNKNOWN},
            # the third row is no gunshot, whatever its name says
            "firearm": {"rifle", UNKNOWN},
        }

    @pytest.mark.parametrize("distance", [None, [None, None]])
    def test_what_no_row_tells_is_no_breakdown(self, reported: Make, distance: list[None] | None) -> None:
        given_ = {} if distance is None else {"distance_m": distance}
        found = breakdowns(reported([1, 0], [0.9, 0.1], **given_), 0.5)
        assert not {"distance", "firearm"} & set(found)

    def test_beyond_so_many_values_the_smaller_are_one_part(self, reported: Make) -> None:
        n = 2 * MAX_VALUES + 10
        source = [f"large {i % MAX_VALUES}" if i < 2 * MAX_VALUES else f"small {i}" for i in range(n)]
        rows = reported([i % 2 for i in range(n)], [i / n for i in range(n)], source=source)
        parts = breakdowns(rows, 0.5)["source"]
        assert len(parts) == MAX_VALUES + 1
        assert parts[REST].n == 10
        assert not any(name.startswith("small") for name in parts)
        assert sums(parts) == counts(classification_metrics(rows.label, rows.score, 0.5))

    def test_the_threshold_is_the_one_given(self, reported: Make) -> None:
        rows = reported([1, 0], [0.6, 0.6])
        for threshold, called in ((0.6, 1), (0.61, 0)):
            (part,) = breakdowns(rows, threshold)["source"].values()
            assert (part.true_positives, part.false_positives) == (called, called)
