"""Intervals over groups: the same for the same rows, wider than over clips, and true as often as they say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunshot.errors import ParameterError, TrainingError
from gunshot.evaluation.bootstrap import MIN_GROUPS, N_REPLICATES, group_interval, recall_at_fpr_group_interval
from gunshot.evaluation.curves import recall_at_fpr
from gunshot.evaluation.intervals import exact_interval

HITS = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=40)


def sessions(n_groups: int, n_rows: int, seed: int) -> tuple[NDArray[np.bool_], list[int]]:
    """Rows of sessions whose rates differ: 0.7 on average, uniform from 0.4 to 1."""
    rng = np.random.default_rng(seed)
    rate = rng.uniform(0.4, 1.0, n_groups)
    return (rng.random((n_groups, n_rows)) < rate[:, None]).ravel(), np.repeat(np.arange(n_groups), n_rows).tolist()


class TestGroupInterval:
    @settings(max_examples=30)
    @given(HITS)
    def test_limits_are_limits(self, rows: list[tuple[bool, int]]) -> None:
        hit, group = [row[0] for row in rows], [row[1] for row in rows]
        found = group_interval(hit, group)
        assert found.n_groups == len(set(group))
        if found.n_groups < MIN_GROUPS:
            assert (found.low, found.high, found.pair) == (None, None, None)
            assert found.method == f"none: fewer than {MIN_GROUPS} groups"
        else:
            assert found.pair is not None
            assert 0.0 <= found.pair[0] < found.pair[1] <= 1.0 or 0 < sum(hit) < len(hit)

    def test_the_same_rows_give_the_same_interval(self) -> None:
        hit, group = sessions(12, 5, seed=0)
        assert group_interval(hit, group) == group_interval(hit.copy(), list(group))

    def test_names_of_groups_do_not_matter(self) -> None:
        hit, group = sessions(12, 5, seed=0)
        assert group_interval(hit, [f"session {name}" for name in group]) == group_interval(hit, group)

    def test_it_is_true_as_often_as_it_says(self) -> None:
        """Of 100 sets of 40 sessions some 95 intervals hold the true rate, and far fewer of those over clips."""
        over_groups = over_clips = 0
        for seed in range(100):
            hit, group = sessions(40, 25, seed)
            pair, exact = group_interval(hit, group).pair, exact_interval(int(hit.sum()), hit.size)
            assert pair is not None
            assert exact is not None
            over_groups += pair[0] <= 0.7 <= pair[1]
            over_clips += exact[0] <= 0.7 <= exact[1]
        assert 88 <= over_groups <= 100
        assert over_clips < over_groups - 5

    def test_groups_of_one_row_give_about_the_exact_interval(self) -> None:
        hit = np.arange(200) < 140
        found, exact = group_interval(hit, list(range(200))).pair, exact_interval(140, 200)
        assert found is not None
        assert found == pytest.approx(exact, abs=0.015)

    def test_rows_of_a_group_are_one_trial_however_many(self) -> None:
        hit, group = sessions(12, 1, seed=3)
        assert group_interval(np.repeat(hit, 50), np.repeat(group, 50).tolist()) == group_interval(hit, group)

    def test_the_middle_95_percent_of_the_replicates(self) -> None:
        """Against a bootstrap written out again, with another seed: percentiles agree to the error of 1,000 draws."""
        hit, group = sessions(30, 10, seed=1)
        rates = hit.reshape(30, 10).mean(axis=1)
        drawn = np.random.default_rng(99).integers(0, 30, (20_000, 30))
        expected = np.quantile(rates[drawn].mean(axis=1), [0.025, 0.975])
        assert group_interval(hit, group).pair == pytest.approx(expected.tolist(), abs=0.02)
        assert group_interval(hit, group).method == f"bootstrap over groups, {N_REPLICATES} replicates"

    @pytest.mark.parametrize(("value", "n_hits"), [(True, 8), (False, 0)])
    def test_where_all_are_alike_groups_are_the_trials(self, value: bool, n_hits: int) -> None:
        found = group_interval([value] * 80, np.repeat(np.arange(8), 10).tolist())
        assert found.pair == exact_interval(n_hits, 8)
        assert found.method == "exact, groups as trials: all are alike"

    def test_so_few_groups_say_nothing(self) -> None:
        names = [i % (MIN_GROUPS - 1) for i in range(100)]
        assert group_interval([i % 3 == 0 for i in range(100)], names).pair is None
        assert group_interval([], []).n_groups == 0

    def test_lengths_must_agree(self) -> None:
        with pytest.raises(ParameterError, match="got 1 groups for 2 rows"):
            group_interval([True, False], ["a"])

    def test_json_takes_it(self) -> None:
        figures = group_interval([True] * 6, list("abcdef")).as_dict()
        assert json.loads(json.dumps(figures, allow_nan=False)) == figures
        assert set(figures) == {"n_groups", "low", "high", "method"}


def scored(n_groups: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64], list[int]]:
    """Sessions of five gunshots and five other sounds each; sessions differ in how loud they are."""
    rng = np.random.default_rng(seed)
    label = np.tile(np.arange(10) % 2, n_groups)
    session = np.repeat(rng.normal(0.0, 0.7, n_groups), 10)
    score = 1 / (1 + np.exp(-(1.5 * label + session + rng.standard_normal(label.size))))
    return label, score, np.repeat(np.arange(n_groups), 10).tolist()


class TestRecallAtFprGroupInterval:
    def test_it_holds_the_recall_and_is_the_same_again(self) -> None:
        label, score, group = scored(25, seed=0)
        found = recall_at_fpr_group_interval(label, score, group, 0.1)
        assert found.pair is not None
        assert found.pair[0] < recall_at_fpr(label, score, 0.1) < found.pair[1]
        assert found == recall_at_fpr_group_interval(label, score, group, 0.1)
        assert found.n_groups == 25

    def test_each_replicate_finds_the_cut_of_its_own_rows(self) -> None:
        """Against the definition: draw groups, put their rows together, take the recall of the curve."""
        label, score, group = scored(8, seed=1)
        rows = [np.flatnonzero(np.array(group) == g) for g in range(8)]
        rng = np.random.default_rng(0)
        expected = []
        for _ in range(N_REPLICATES):
            drawn = np.concatenate([rows[g] for g in rng.integers(0, 8, 8)])
            recalls = [
                np.mean(score[drawn][label[drawn] == 1] >= t)
                for t in np.unique(score[drawn])
                if np.mean(score[drawn][label[drawn] == 0] >= t) <= 0.2
            ]
            expected.append(max(recalls, default=0.0))
        found = recall_at_fpr_group_interval(label, score, group, 0.2)
        assert found.pair == pytest.approx(np.quantile(expected, [0.025, 0.975]).tolist())

    def test_it_is_true_about_as_often_as_it_says(self) -> None:
        label, score, _ = scored(20_000, seed=12345)
        true = recall_at_fpr(label, score, 0.1)
        n_true = 0
        for seed in range(20):
            pair = recall_at_fpr_group_interval(*scored(40, seed), max_fpr=0.1).pair
            assert pair is not None
            n_true += pair[0] <= true <= pair[1]
        assert n_true >= 16

    @pytest.mark.parametrize(("gunshot", "other", "n_hits"), [(0.9, 0.1, 6), (0.1, 0.9, 0)])
    def test_where_all_are_alike_groups_are_the_trials(self, gunshot: float, other: float, n_hits: int) -> None:
        """A perfect model on six sessions is not known to be perfect."""
        label = np.arange(12) % 2
        score = np.where(label == 1, gunshot, other)
        found = recall_at_fpr_group_interval(label, score, [i // 2 for i in range(12)], 0.0)
        assert found.pair == exact_interval(n_hits, 6)
        assert found.method == "exact, groups as trials: all are alike"

    def test_the_class_with_fewer_groups_counts(self) -> None:
        label = [1] * 20 + [0] * 20
        group = list(range(20)) + [i % 4 for i in range(20)]
        found = recall_at_fpr_group_interval(label, np.linspace(1, 0, 40), group, 0.1)
        assert (found.n_groups, found.pair) == (4, None)

    def test_equal_scores_are_called_together(self) -> None:
        label = np.arange(20) % 2
        found = recall_at_fpr_group_interval(label, np.full(20, 0.5), [i // 2 for i in range(20)], 0.9)
        assert found.pair == exact_interval(0, 10)

    def test_refusals(self) -> None:
        with pytest.raises(TrainingError, match="all gunshots"):
            recall_at_fpr_group_interval([1, 1], [0.5, 0.4], ["a", "b"], 0.1)
        with pytest.raises(ParameterError, match="got 1 groups for 2 rows"):
            recall_at_fpr_group_interval([1, 0], [0.5, 0.4], ["a"], 0.1)
