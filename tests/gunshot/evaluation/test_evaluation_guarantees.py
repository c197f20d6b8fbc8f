"""A promise holds as often as it says, over many draws of groups; its formulas have their published values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import binom, norm, poisson

from gunshot.errors import ParameterError
from gunshot.evaluation.choice import ScoredRows, choose_point
from gunshot.evaluation.guarantees import (
    CONFIDENCE,
    RateBound,
    mean_loss_bound,
    poisson_rate_bound,
    proportion_bound,
    share_of_group,
    units_needed,
)
from gunshot.evaluation.operating_point import OperatingPoint, choose_operating_point
from gunshot.evaluation.rules import PointRule

N_DRAWS = 400
MOST_BROKEN = int(binom.ppf(0.9999, N_DRAWS, 1 - CONFIDENCE))
"""More broken promises than this among so many draws are no accident."""


class TestFormulas:
    @pytest.mark.parametrize(
        ("n_hits", "n_trials", "expected"),
        [(0, 10, 0.2589), (1, 10, 0.3942), (2, 20, 0.2826), (0, 59, 0.0495), (5, 100, 0.1023)],
    )
    def test_a_proportion_by_published_tables(self, n_hits: int, n_trials: int, expected: float) -> None:
        assert proportion_bound(n_hits, n_trials) == pytest.approx(expected, abs=5e-5)

    @given(st.integers(1, 400), st.data())
    def test_a_proportion_is_the_inverse_of_the_binomial_test(self, n_trials: int, data: st.DataObject) -> None:
        n_hits = data.draw(st.integers(0, n_trials - 1))
        assert binom.cdf(n_hits, n_trials, proportion_bound(n_hits, n_trials)) == pytest.approx(0.05, rel=1e-6)
        assert proportion_bound(n_trials, n_trials) == 1.0

    @given(st.integers(0, 300), st.floats(0.1, 1e3))
    def test_a_rate_is_the_inverse_of_the_poisson_test(self, n_events: int, exposure: float) -> None:
        rate = poisson_rate_bound(n_events, exposure)
        assert poisson.cdf(n_events, rate * exposure) == pytest.approx(0.05, rel=1e-6)

    @pytest.mark.parametrize(("n_events", "expected"), [(0, 2.996), (1, 4.744), (5, 10.513), (10, 16.962)])
    def test_a_rate_by_published_tables(self, n_events: int, expected: float) -> None:
        assert poisson_rate_bound(n_events, 1.0) == pytest.approx(expected, abs=1e-3)

    @given(st.floats(0, 1), st.integers(1, 500))
    def test_a_mean_loss_is_the_inverse_of_the_hoeffding_bentkus_test(self, mean: float, n: int) -> None:
        """By the definition of the p-value: within the bound it is above the level, beyond the bound it is not."""

        def p_value(x: float) -> float:
            low = mean * math.log(mean / x) if mean else 0.0
            high = (1 - mean) * math.log((1 - mean) / (1 - x)) if mean < 1 else 0.0
            return min(math.exp(-n * (low + high)), math.e * binom.cdf(math.ceil(n * mean - 1e-9), n, x))

        bound = mean_loss_bound(mean, n, is_binary=False)
        assert mean <= bound <= 1.0
        if bound < 1 - 1e-6:
            assert p_value(bound + 1e-7) <= 0.05 * (1 + 1e-3)
        if bound - mean > 1e-5:
            assert p_value(bound - 1e-6) > 0.05 * (1 - 1e-3)

    @given(st.integers(1, 500))
    def test_without_loss_nothing_is_lost_by_fractions(self, n: int) -> None:
        expected = 1 - 0.05 ** (1 / n)
        assert mean_loss_bound(0.0, n, is_binary=True) == pytest.approx(expected, rel=1e-9)
        assert mean_loss_bound(0.0, n, is_binary=False) == pytest.approx(expected, rel=1e-6)

    @given(st.lists(st.floats(0, 1), min_size=2, max_size=10).map(sorted), st.integers(1, 300), st.booleans())
    def test_it_rises_with_the_loss(self, means: list[float], n: int, is_binary: bool) -> None:
        bounds = [mean_loss_bound(mean, n, is_binary=is_binary) for mean in means]
        assert bounds == sorted(bounds)

    @given(st.floats(1e-4, 0.999))
    def test_units_needed_are_the_fewest(self, limit: float) -> None:
        n = units_needed(limit)
        assert n is not None
        assert mean_loss_bound(0.0, n, is_binary=True) <= limit * (1 + 1e-9)
        if n > 1:
            assert mean_loss_bound(0.0, n - 1, is_binary=True) > limit * (1 - 1e-9)

    def test_nothing_can_promise_none(self) -> None:
        assert units_needed(0.0) is None
        assert units_needed(1.0) == 1

    @given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30))
    def test_every_group_counts_the_same(self, group: list[str]) -> None:
        share, n_groups, is_binary = share_of_group(group)
        names = np.asarray(group)
        for name in set(group):
            assert share[names == name].sum() == pytest.approx(1 / n_groups)
        assert n_groups == len(set(group))
        assert is_binary == (len(set(group)) == len(group))

    @pytest.mark.parametrize(
        "call",
        [
            lambda: proportion_bound(3, 2),
            lambda: proportion_bound(0, 0),
            lambda: mean_loss_bound(1.1, 3, is_binary=False),
            lambda: mean_loss_bound(0.1, 0, is_binary=True),
            lambda: poisson_rate_bound(-1, 1.0),
            lambda: poisson_rate_bound(0, 0.0),
            lambda: poisson_rate_bound(0, math.inf),
        ],
    )
    def test_counts_that_cannot_be(self, call: Callable[[], float]) -> None:
        with pytest.raises(ParameterError):
            call()


def draw(rng: np.random.Generator, n_groups: int, size: int, spread: float, mean: float) -> tuple[NDArray, NDArray]:
    """Scores of one class: logits differ by `spread` between groups and by 1 within; low groups are larger."""
    level = rng.normal(mean, spread, n_groups)
    counts = 1 + rng.poisson(size - 1 + (size > 1) * 2 * (level < mean), n_groups)
    group = np.repeat(np.arange(n_groups), counts)
    return expit(rng.normal(level[group], 1.0)).astype(np.float32), group


def rows(rng: np.random.Generator, n_groups: int, size: int = 4, spread: float = 1.0) -> ScoredRows:
    gunshots, of_gunshots = draw(rng, n_groups, size, spread, 2.0)
    others, of_others = draw(rng, n_groups, size, spread, -2.0)
    label = np.repeat([1, 0], [gunshots.size, others.size]).astype(np.int8)
    group = [f"g{number}" for number in of_gunshots] + [f"o{number}" for number in of_others]
    return ScoredRows(label, np.concatenate([gunshots, others]), tuple(group))


def true_loss(point: OperatingPoint, kind: str, spread: float) -> float:
    """Share lost in a new group, on average, of the populations that `draw` draws from."""
    cut = logit(np.clip(point.threshold, 1e-12, 1 - 1e-12))
    spread = math.hypot(spread, 1.0)
    return float(norm.cdf((cut - 2.0) / spread) if kind == "miss" else norm.sf((cut + 2.0) / spread))


def n_broken(choose: Callable[[ScoredRows], OperatingPoint], kind: str, limit: float, **sizes: float) -> int:
    """Over many draws, how often the chosen threshold loses more than the limit in truth."""
    rng = np.random.default_rng(7)
    points = (choose(rows(rng, **sizes)) for _ in range(N_DRAWS))
    return sum(true_loss(point, kind, sizes.get("spread", 1.0)) > limit for point in points)


class TestPromise:
    """The draws are exchangeable groups; what the promise says of a new group can be calculated."""

    @pytest.mark.parametrize("kind", ["miss", "fpr"])
    @pytest.mark.parametrize(
        ("n_groups", "size", "spread", "limit"),
        [(60, 1, 1.0, 0.1), (60, 6, 1.0, 0.1), (300, 1, 0.5, 0.05), (40, 10, 3.0, 0.25), (59, 1, 1.0, 0.05)],
    )
    def test_it_is_broken_at_most_one_time_in_twenty(
        self, kind: str, n_groups: int, size: int, spread: float, limit: float
    ) -> None:
        rule = PointRule(kind, limit)

        def choose(held: ScoredRows) -> OperatingPoint:
            point = choose_point(held, rule)
            assert point.guarantee is not None
            assert point.bound is not None
            assert point.bound.holds
            return point

        assert n_broken(choose, kind, limit, n_groups=n_groups, size=size, spread=spread) <= MOST_BROKEN

    def test_false_alarms_a_day_are_kept_as_often(self) -> None:
        rule = PointRule("day", 240.0, candidates_per_hour=100.0)  # 10 % of the candidates
        assert n_broken(lambda held: choose_point(held, rule), "fpr", 0.1, n_groups=80, size=3) <= MOST_BROKEN

    def test_with_a_row_a_group_no_confidence_is_given_away(self) -> None:
        """Clopper and Pearson's bound is exact but for the steps of a count: a promise that cannot fail is no test."""
        broken = n_broken(lambda held: choose_point(held, PointRule("miss", 0.2)), "miss", 0.2, n_groups=100, size=1)
        assert broken >= N_DRAWS * 0.01

    def test_a_threshold_that_keeps_the_limit_as_counted_breaks_it_often(self) -> None:
        def counted(held: ScoredRows) -> OperatingPoint:
            return choose_operating_point(held.label, held.score, name="", split="", max_fnr=0.1)

        assert n_broken(counted, "miss", 0.1, n_groups=60, size=1) > N_DRAWS * 0.3

    def test_rows_taken_for_groups_break_it_too_often(self) -> None:
        """Which is why the unit is the group: ten cuts of one recording are not ten trials."""

        def by_row(held: ScoredRows) -> OperatingPoint:
            single = tuple(str(number) for number in range(held.label.size))
            return choose_point(ScoredRows(held.label, held.score, single), PointRule("fpr", 0.1))

        sizes = {"n_groups": 40, "size": 10, "spread": 3.0}
        assert n_broken(by_row, "fpr", 0.1, **sizes) > MOST_BROKEN


class TestHonesty:
    def test_too_few_groups_promise_nothing_and_say_what_they_could(self) -> None:
        held = rows(np.random.default_rng(0), 20)
        point = choose_point(held, PointRule("miss", 0.01))
        expected = choose_operating_point(held.label, held.score, name="miss 1%", split="validation", max_fnr=0.01)
        assert (point.threshold, point.recall, point.fpr) == (expected.threshold, expected.recall, expected.fpr)
        assert point.guarantee is None
        assert "the 20 groups of the validation rows can promise 13.9% at best, miss 1% takes 299 or more" in point.note
        assert point.bound is not None
        assert 0.139 <= point.bound.upper <= 1.0
        assert not point.bound.holds

    @settings(deadline=None, max_examples=60)
    @given(st.integers(0, 10_000), st.integers(2, 60), st.sampled_from(["miss", "fpr"]), st.floats(0.01, 0.6))
    def test_a_guarantee_is_given_when_the_groups_suffice_and_its_threshold_is_the_best(
        self, seed: int, n_groups: int, kind: str, limit: float
    ) -> None:
        """By brute force over all cuts: none beyond the chosen one has a bound within the limit."""
        held = rows(np.random.default_rng(seed), n_groups, size=2)
        point = choose_point(held, PointRule(kind, limit))
        needed = units_needed(limit)
        assert needed is not None
        assert (point.guarantee is not None) == (n_groups >= needed)
        assert point.bound is not None
        assert point.bound.holds == (point.guarantee is not None)
        if point.guarantee is None:
            return
        mine = held.label == (kind == "miss")
        group = np.asarray(held.group)[mine]
        share, n, is_binary = share_of_group(group)
        score = held.score[mine].astype(np.float64)
        level = np.unique(held.score.astype(np.float64))
        cuts = np.concatenate([[0.0], (level[1:] + level[:-1]) / 2, [(1 + level[-1]) / 2]])
        lost = [(score < cut) if kind == "miss" else (score >= cut) for cut in cuts]
        bounds = [mean_loss_bound(float(share[which].sum()), n, is_binary=is_binary) for which in lost]
        kept = [cut for cut, bound in zip(cuts, bounds, strict=True) if bound <= limit]
        best = max(kept) if kind == "miss" else min(kept)
        called = held.score >= best
        assert np.array_equal(held.score >= point.threshold, called)

    def test_a_stricter_limit_never_has_a_laxer_threshold(self) -> None:
        held = rows(np.random.default_rng(1), 200)
        thresholds = [choose_point(held, PointRule("miss", limit)).threshold for limit in (0.02, 0.05, 0.1, 0.3)]
        assert thresholds == sorted(thresholds)
        thresholds = [choose_point(held, PointRule("fpr", limit)).threshold for limit in (0.02, 0.05, 0.1, 0.3)]
        assert thresholds == sorted(thresholds, reverse=True)

    def test_it_says_what_it_promises(self) -> None:
        held = rows(np.random.default_rng(2), 100)
        assert choose_point(held, PointRule("miss", 0.05)).guarantee == (
            "of the gunshots of a new group at most 5% are missed, on average over groups like those of the validation "
            "rows (95% confidence, 100 groups)"
        )
        assert choose_point(held, PointRule("day", 2400.0)).guarantee == (
            "at most 2400 false alarms a day, where 1,300 candidates an hour are other sounds like these, on average "
            "over groups like those of the validation rows (95% confidence, 100 groups)"
        )

    def test_rows_without_groups_promise_nothing(self) -> None:
        held = rows(np.random.default_rng(3), 100)
        point = choose_point(ScoredRows(held.label, held.score, None), PointRule("miss", 0.2))
        assert (point.guarantee, point.bound) == (None, None)
        assert point.note == "no guarantee: the rows do not stand for groups to come"
        assert point.recall >= 0.8

    def test_a_given_threshold_is_measured(self) -> None:
        held = rows(np.random.default_rng(4), 50)
        point = choose_point(held, PointRule("threshold", 0.7))
        assert (point.name, point.threshold, point.guarantee) == ("threshold 0.7", 0.7, None)
        assert point.recall == np.mean(held.score[held.label == 1] >= 0.7)
        assert point.fpr == np.mean(held.score[held.label == 0] >= 0.7)

    def test_others_that_all_score_one(self) -> None:
        label = np.repeat([1, 0], 100).astype(np.int8)
        group = tuple(str(number) for number in range(200))
        point = choose_point(ScoredRows(label, np.ones(200, np.float32), group), PointRule("fpr", 0.1))
        assert (point.threshold, point.fpr, point.guarantee) == (1.0, 1.0, None)
        assert "cannot be kept: too many other sounds score exactly 1" in point.note

    def test_it_reads_back_from_json(self) -> None:
        for limit in (0.001, 0.2):
            point = choose_point(rows(np.random.default_rng(5), 50), PointRule("miss", limit))
            assert OperatingPoint.from_dict(json.loads(json.dumps(point.as_dict()))) == point
            assert point.bound is not None
            assert RateBound.from_dict(point.bound.as_dict()) == point.bound

    def test_a_bound_of_another_version_is_refused(self) -> None:
        with pytest.raises(ParameterError, match="a bound has the fields of RateBound; got upper"):
            RateBound.from_dict({"upper": 1.0})
        point = choose_point(rows(np.random.default_rng(5), 50), PointRule("miss", 0.2))
        assert point.bound is not None
        with pytest.raises(ParameterError, match="upper of a bound must be >= 0; got nan"):
            RateBound.from_dict({**point.bound.as_dict(), "upper": math.nan})


def test_thousands_a_day_are_written_as_people_write_them() -> None:
    point = choose_point(rows(np.random.default_rng(0), 6), PointRule("day", 10.0))
    assert "e+" not in point.note
    assert any(len(word) > 4 and word.replace(",", "").isdigit() for word in point.note.split(" a day")[0].split())
