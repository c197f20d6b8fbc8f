"""What counts as forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from gunshot.adaptation.checks import (
    LEAST_ALARMS,
    SMALL,
    CheckRows,
    area_fall,
    compare_scores,
    fall_bound,
    worst_broken,
)


def rows_of(label: list[int], source: list[str], measure: str = "recall") -> CheckRows:
    n = len(label)
    x = np.zeros((n, 1, 1), dtype=np.float32)
    group = np.asarray([f"g{i}" for i in range(n)])
    return CheckRows("held out", x, np.asarray(label, np.int8), np.asarray(source), group, measure)


def scores(shots: list[float], others: list[float]) -> np.ndarray:
    return np.asarray(shots + others, dtype=np.float32)


@pytest.fixture
def two_sources() -> CheckRows:
    """30 shots of a, 4 of b, and 100 others of a."""
    return rows_of([1] * 34 + [0] * 100, ["a"] * 30 + ["b"] * 4 + ["a"] * 100)


OTHERS = [i / 200 for i in range(100)]


class TestCompareScores:
    def test_the_same_scores_change_nothing(self, two_sources: CheckRows) -> None:
        same = scores([0.9] * 34, OTHERS)
        for change in compare_scores(two_sources, same, same, 0.5):
            assert (change.lost, change.won, change.fall) == (0, 0, 0.0)
            assert change.found_before == change.found_after == change.n_shots
        assert worst_broken(compare_scores(two_sources, same, same, 0.5), 0.0) is None

    def test_only_the_order_of_the_new_scores_counts(self, two_sources: CheckRows) -> None:
        before = scores([0.9] * 34, OTHERS)
        assert all(c.fall == 0 for c in compare_scores(two_sources, before, before / 4, 0.5))

    def test_the_rate_is_that_of_the_old_threshold(self, two_sources: CheckRows) -> None:
        before = scores([0.9] * 34, OTHERS)
        change = compare_scores(two_sources, before, before, 0.45)[0]
        assert change.fpr == pytest.approx(0.1)
        assert change.alarms_before == 10

    def test_it_is_never_fewer_than_the_least_alarms(self, two_sources: CheckRows) -> None:
        before = scores([0.9] * 34, OTHERS)
        assert compare_scores(two_sources, before, before, 0.8)[0].alarms_before == LEAST_ALARMS

    def test_a_lost_shot_of_a_source_breaks_the_bound(self, two_sources: CheckRows) -> None:
        before = scores([0.9] * 34, OTHERS)
        changes = compare_scores(two_sources, before, scores([0.9] * 29 + [0.1] + [0.9] * 4, OTHERS), 0.6)
        broken = worst_broken(changes, 0.01)
        assert broken is not None
        assert (broken.source, broken.lost, broken.won) == ("a", 1, 0)
        assert broken.fall == pytest.approx(1 / 30)
        assert worst_broken(changes, 0.04) is None

    def test_what_is_won_makes_up_for_what_is_lost(self, two_sources: CheckRows) -> None:
        before = scores([0.1] + [0.9] * 33, OTHERS)
        after = scores([0.9, 0.1] + [0.9] * 32, OTHERS)
        change = compare_scores(two_sources, before, after, 0.6)[0]
        assert (change.lost, change.won, change.fall) == (1, 1, 0.0)

    def test_few_shots_break_it_only_beyond_chance(self, two_sources: CheckRows) -> None:
        before = scores([0.9] * 34, OTHERS)
        one = compare_scores(two_sources, before, scores([0.9] * 33 + [0.0], OTHERS), 0.6)
        every = compare_scores(two_sources, before, scores([0.9] * 30 + [0.0] * 4, OTHERS), 0.6)
        assert worst_broken(one, 0.01) is None
        broken = worst_broken(every, 0.01)
        assert broken is not None
        assert broken.source == "b"

    def test_small_sources_are_judged_together(self) -> None:
        n = SMALL - 1
        rows = rows_of([1] * 3 * n + [0] * 100, ["a"] * n + ["b"] * n + ["c"] * n + ["a"] * 100)
        before = scores([0.9] * 3 * n, OTHERS)
        broken = worst_broken(compare_scores(rows, before, scores([0.0] + [0.9] * (3 * n - 1), OTHERS), 0.6), 0.01)
        assert broken is not None
        assert broken.source == "3 small sources"
        assert broken.n_shots == 3 * n

    def test_without_other_sounds_there_is_no_rate_to_compare_at(self) -> None:
        rows = rows_of([1] * 5, ["a"] * 5)
        assert compare_scores(rows, np.ones(5, np.float32), np.zeros(5, np.float32), 0.5) == ()

    def test_synthetic_rows_are_judged_by_their_area(self) -> None:
        rows = rows_of([1] * 30 + [0] * 100, ["a"] * 130, "area")
        before, after = scores([0.9] * 30, OTHERS), scores([0.9] * 29 + [0.4], OTHERS)
        change = compare_scores(rows, before, after, 0.6)[0]
        assert change.lost == 1
        assert change.fall == pytest.approx(1 - roc_auc_score(rows.label, after))
        assert worst_broken([change], 0.01) is None
        assert worst_broken([change], 0.005) is not None


class TestBounds:
    def test_the_paired_bound_is_bonett_and_price(self) -> None:
        # by hand: (3 + 1) / 102 - (1 + 1) / 102 + 1.644854 * sqrt((6 / 102 - (2 / 102)^2) / 102)
        assert fall_bound(3, 1, 100) == pytest.approx(0.058979, abs=1e-6)

    @given(st.integers(1, 500), st.data())
    def test_it_lies_above_the_fall_and_within_reach(self, n: int, data: st.DataObject) -> None:
        lost = data.draw(st.integers(0, n))
        won = data.draw(st.integers(0, n - lost))
        bound = fall_bound(lost, won, n)
        assert (lost + 1 - won - 1) / (n + 2) <= bound <= 1.0

    def test_more_rows_narrow_it(self) -> None:
        assert fall_bound(0, 0, 1000) < fall_bound(0, 0, 100) < fall_bound(0, 0, 10)
        assert fall_bound(0, 0, 0) == 1.0

    @given(st.integers(0, 2**32 - 1))
    def test_the_area_is_scikit_learns(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        label = np.asarray([1, 1, 1, 0, 0, 0, 0], dtype=np.int8)
        before, after = (rng.integers(0, 5, 7).astype(np.float32) / 4 for _ in range(2))
        fall, bound = area_fall(label, before, after)
        assert fall == pytest.approx(roc_auc_score(label, before) - roc_auc_score(label, after))
        assert fall <= bound <= 1.0

    def test_the_same_curve_has_no_width(self) -> None:
        label = np.asarray([1, 1, 0, 0], dtype=np.int8)
        same = np.asarray([0.9, 0.2, 0.4, 0.1], dtype=np.float32)
        assert area_fall(label, same, same) == (0.0, 0.0)
