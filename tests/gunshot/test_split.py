"""Dividing rows: groups stay whole, classes are everywhere, seeds decide."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunshot.errors import ParameterError, TrainingError
from gunshot.split import SPLITS, Assignment, assign_splits, parse_assignment

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Rows:
    """Columns of a table that is to be divided."""

    path: list[str]
    group: list[str]
    label: NDArray[np.int8]
    source: list[str]

    def split(self, **options: object) -> NDArray[np.str_]:
        return assign_splits(self.path, self.group, self.label, self.source, **options)

    def groups_of(self, splits: NDArray[np.str_]) -> dict[str, set[str]]:
        where: defaultdict[str, set[str]] = defaultdict(set)
        for name, split in zip(self.group, splits, strict=True):
            where[name].add(str(split))
        return dict(where)


def table(groups: list[tuple[str, list[int]]]) -> Rows:
    """A row per label of each group; paths say source, group and number."""
    rows = [
        (f"{source}/g{number}/{index}.wav", f"g{number}", label, source)
        for number, (source, labels) in enumerate(groups)
        for index, label in enumerate(labels)
    ]
    path, group, label, source = (list(column) for column in zip(*rows, strict=True))
    return Rows(path, group, np.array(label, dtype=np.int8), source)


def even(n_groups: int, size: int = 3) -> Rows:
    """As many groups of each class, all of one size and source."""
    return table([("field", [number % 2] * size) for number in range(2 * n_groups)])


@st.composite
def tables(draw: st.DrawFn) -> Rows:
    """Groups of uneven sizes from several sources; some hold both classes. At least twelve of each pure class."""
    sources = st.sampled_from(["field", "street", "studio"])
    pure = [(draw(sources), [number % 2] * draw(st.integers(1, 6))) for number in range(2 * draw(st.integers(12, 30)))]
    mixed = draw(
        st.lists(st.tuples(sources, st.lists(st.integers(0, 1), min_size=2, max_size=5)), min_size=0, max_size=10)
    )
    return table(draw(st.permutations(pure + mixed)))


@settings(deadline=None, max_examples=40)
@given(rows=tables(), seed=st.integers(0, 1000))
def test_no_group_stands_on_two_sides_and_every_side_has_both_classes(rows: Rows, seed: int) -> None:
    splits = rows.split(seed=seed)
    assert all(len(sides) == 1 for sides in rows.groups_of(splits).values())
    for part in PARTS:
        assert set(rows.label[splits == part].tolist()) == {0, 1}
    assert set(splits.tolist()) == set(PARTS)


@settings(deadline=None, max_examples=20)
@given(rows=tables(), seed=st.integers(0, 1000))
def test_the_same_seed_divides_the_same_way(rows: Rows, seed: int) -> None:
    assert np.array_equal(rows.split(seed=seed), rows.split(seed=seed))


def test_another_seed_divides_another_way() -> None:
    rows = even(50)
    assert len({tuple(rows.split(seed=seed).tolist()) for seed in range(5)}) == 5


@settings(deadline=None, max_examples=20)
@given(n_groups=st.integers(60, 120), size=st.integers(1, 4), seed=st.integers(0, 100))
def test_many_groups_are_divided_seventy_ten_twenty(n_groups: int, size: int, seed: int) -> None:
    rows = even(n_groups, size)
    splits = rows.split(seed=seed)
    for part, share in zip(PARTS, (0.7, 0.1, 0.2), strict=True):
        for label in (0, 1):
            of_class = splits[rows.label == label]
            assert np.mean(of_class == part) == pytest.approx(share, abs=0.03)


def test_sources_are_kept_in_proportion() -> None:
    rows = table([("field" if n % 4 < 2 else "street", [n % 2] * 3) for n in range(240)])
    splits = rows.split()
    for source in ("field", "street"):
        inside = splits[np.array(rows.source) == source]
        assert np.mean(inside == "test") == pytest.approx(0.2, abs=0.03)
        assert np.mean(inside == "validation") == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("by", ["group", "random"])
def test_three_groups_of_each_class_are_enough(by: str) -> None:
    rows = even(3, size=1)
    splits = rows.split(by=by)
    for part in PARTS:
        assert sorted(rows.label[splits == part].tolist()) == [0, 1]


@settings(deadline=None, max_examples=100)
@given(data=st.data(), n_sources=st.integers(1, 4), n_groups=st.integers(5, 12), seed=st.integers(0, 50))
def test_small_sources_do_not_cost_a_side_its_classes(
    data: st.DataObject, n_sources: int, n_groups: int, seed: int
) -> None:
    # more strata than folds can hold: the classes come before the sources
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=2 * n_groups, max_size=2 * n_groups))
    rows = table([(f"s{n % n_sources}", [n % 2] * size) for n, size in enumerate(sizes)])
    splits = rows.split(seed=seed)
    assert all(set(rows.label[splits == part].tolist()) == {0, 1} for part in PARTS)


class TestRandom:
    def test_rows_are_divided_one_by_one(self) -> None:
        rows = even(60)
        splits = rows.split(by="random")
        assert any(len(sides) > 1 for sides in rows.groups_of(splits).values())
        for part, share in zip(PARTS, (0.7, 0.1, 0.2), strict=True):
            assert np.mean(splits == part) == pytest.approx(share, abs=0.02)

    def test_one_group_is_enough(self) -> None:
        rows = table([("field", [0, 1] * 20)])
        splits = rows.split(by="random")
        assert {part: int(np.sum(splits == part)) for part in PARTS} == {"train": 28, "validation": 4, "test": 8}

    def test_groups_do_not_follow_an_assigned_row(self) -> None:
        rows = even(20)
        splits = rows.split(by="random", assignments=[("*/0.wav", "unseen")])
        assert np.array_equal(splits == "unseen", [path.endswith("/0.wav") for path in rows.path])


class TestAssignments:
    @settings(deadline=None, max_examples=30)
    @given(rows=tables(), data=st.data())
    def test_assigned_rows_go_where_they_are_sent_and_take_their_groups_along(
        self, rows: Rows, data: st.DataObject
    ) -> None:
        chosen = data.draw(st.lists(st.sampled_from(sorted(set(rows.group))), min_size=1, max_size=4, unique=True))
        split = data.draw(st.sampled_from(SPLITS))
        # a glob that names one row of each chosen group
        assignments: list[Assignment] = [(f"*/{name}/0.wav", split) for name in chosen]
        splits = rows.split(assignments=assignments)
        where = rows.groups_of(splits)
        assert all(where[name] == {split} for name in chosen)
        assert all(len(sides) == 1 for sides in where.values())

    def test_unseen_rows_are_those_assigned_and_no_others(self) -> None:
        rows = even(20)
        splits = rows.split(assignments=[("field/g1/*", "unseen")])
        assert np.array_equal(splits == "unseen", [name == "g1" for name in rows.group])

    def test_the_first_match_decides(self) -> None:
        rows = even(20)
        first: list[Assignment] = [("field/g4/*", "test"), ("field/g?/*", "train")]
        where = rows.groups_of(rows.split(assignments=first))
        assert where["g4"] == {"test"}
        assert where["g5"] == {"train"}

    def test_case_matters_in_globs(self) -> None:
        rows = even(20)
        assert "unseen" not in rows.split(assignments=[("FIELD/*", "unseen")])

    def test_the_rest_is_divided_as_ever(self) -> None:
        rows = even(80)
        splits = rows.split(assignments=[(f"field/g{number}/*", "test") for number in range(40)])
        rest = splits[[int(name[1:]) >= 40 for name in rows.group]]
        for part, share in zip(PARTS, (0.7, 0.1, 0.2), strict=True):
            assert np.mean(rest == part) == pytest.approx(share, abs=0.03)

    def test_all_rows_may_be_assigned(self) -> None:
        rows = even(3)
        sent: list[Assignment] = [(f"field/g{n}/*", PARTS[n // 2]) for n in range(6)]
        assert rows.groups_of(rows.split(assignments=sent)) == {f"g{n}": {PARTS[n // 2]} for n in range(6)}

    def test_a_group_sent_to_two_sides_is_an_error_that_names_it(self) -> None:
        rows = even(20)
        with pytest.raises(TrainingError, match=r"1 groups into more than one split: g2 \(test, train\); assign whole"):
            rows.split(assignments=[("*/g2/0.wav", "train"), ("*/g2/1.wav", "test")])

    def test_a_side_left_without_a_class_is_an_error_that_names_both(self) -> None:
        rows = even(3)
        sent: list[Assignment] = [("field/g[01]/*", "train"), ("field/g[23]/*", "validation"), ("field/g4/*", "test")]
        with pytest.raises(TrainingError, match=r"no gunshots in the test split.*--assign GLOB=test"):
            rows.split(assignments=[*sent, ("field/g5/*", "train")])


class TestTooLittle:
    @pytest.mark.parametrize("n_groups", [1, 2])
    def test_too_few_groups_are_an_error_with_a_remedy(self, n_groups: int) -> None:
        with pytest.raises(TrainingError, match=r"at least 3 groups of each class.*or use --split random"):
            even(n_groups).split()

    def test_too_few_rows_are_an_error_that_does_not_advise_what_is_done_already(self) -> None:
        with pytest.raises(TrainingError, match="at least 3 rows of each class") as caught:
            even(2, size=1).split(by="random")
        assert "--split random" not in str(caught.value)

    @pytest.mark.parametrize(("label", "missing"), [(0, "gunshots"), (1, "other sounds")])
    @pytest.mark.parametrize("by", ["group", "random"])
    def test_one_class_is_an_error_that_names_the_other(self, label: int, missing: str, by: str) -> None:
        rows = table([("field", [label] * 3) for _ in range(20)])
        with pytest.raises(TrainingError, match=f"no {missing} in the train split"):
            rows.split(by=by)

    def test_a_single_group_with_both_classes_cannot_be_divided(self) -> None:
        with pytest.raises(TrainingError, match="at least 3 groups"):
            table([("field", [0, 1] * 50)]).split()


@pytest.mark.parametrize(
    ("text", "assignment"),
    [("a/*=test", ("a/*", "test")), ("a=b/*=unseen", ("a=b/*", "unseen")), ("*=train", ("*", "train"))],
)
def test_an_assignment_is_a_glob_and_a_split(text: str, assignment: Assignment) -> None:
    assert parse_assignment(text) == assignment


@pytest.mark.parametrize("text", ["", "a", "=test", "a=", "a=tests", "test=a", "a=Test"])
def test_anything_else_is_an_error_that_says_the_form(text: str) -> None:
    with pytest.raises(ParameterError, match=r"--assign must be GLOB=SPLIT with SPLIT one of train, .*; got "):
        parse_assignment(text)
