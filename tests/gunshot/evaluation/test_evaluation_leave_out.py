"""Sources held out: nothing of them or of their groups is left to train on, and the rest keeps its split."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.evaluation.curves import recall_at_fpr
from gunshot.evaluation.leave_out import hold_out_source, leave_one_source_out, unseen_source_recalls

ROW = st.tuples(
    st.sampled_from([0, 1, -1]), st.sampled_from(["range", "street", "forest"]), st.sampled_from("abcdef"),
    st.sampled_from(["train", "validation", "test", ""]),
)  # fmt: skip
CLASSES = {"all": {0, 1}, "gunshots": {1}, "others": {0}}


class TestHoldOutSource:
    @settings(max_examples=60)
    @given(st.lists(ROW, min_size=1, max_size=25), st.sampled_from(["all", "gunshots", "others"]))
    def test_what_leaves_and_what_stays(self, rows: list[tuple[int, str, str, str]], which: str) -> None:
        label, source, group, splits = zip(*rows, strict=True)
        wanted = [s == "range" and y in CLASSES[which] and split != "" for y, s, _, split in rows]
        if not any(wanted):
            with pytest.raises(ParameterError, match="held='range' has no row to hold out"):
                hold_out_source("range", label, source, group, splits, which)
            return
        found = hold_out_source("range", label, source, group, splits, which)
        touched = {g for g, is_held in zip(group, wanted, strict=True) if is_held}
        for after, before, name, is_held in zip(found.tolist(), splits, group, wanted, strict=True):
            if is_held:
                assert after == "unseen"
            else:
                assert after == ("" if name in touched else before)
        left = {g for g, split in zip(group, found.tolist(), strict=True) if split in {"train", "validation", "test"}}
        assert not left & touched

    def test_the_other_class_of_the_source_may_stay(self) -> None:
        found = hold_out_source(
            "range", [1, 0, 0], ["range"] * 3, ["a", "a", "b"], ["train", "train", "test"], "gunshots"
        )
        assert found.tolist() == ["unseen", "", "test"]

    def test_the_splits_given_are_not_changed(self) -> None:
        splits = np.array(["train", "test"])
        found = hold_out_source("range", [1, 1], ["range", "street"], ["a", "b"], splits)
        assert (splits.tolist(), found.tolist()) == (["train", "test"], ["unseen", "test"])

    def test_long_names_of_splits_are_kept(self) -> None:
        found = hold_out_source("range", [1, 1], ["range", "street"], ["a", "b"], ["test", "validation"])
        assert found.tolist() == ["unseen", "validation"]

    def test_an_unknown_source_names_those_there_are(self) -> None:
        with pytest.raises(ParameterError, match=r"held='rnage' has no row.*sources are: range, street"):
            hold_out_source("rnage", [1, 1], ["range", "street"], ["a", "b"], ["test", "test"])

    def test_columns_of_other_lengths(self) -> None:
        with pytest.raises(ParameterError, match=r"one value a row each; got .*'group': 1"):
            hold_out_source("range", [1, 1], ["range", "street"], ["a"], ["test", "test"])


class TestLeaveOneSourceOut:
    LABEL = (1, 0, 1, 0, 1, 0)
    SPLITS = ("train", "train", "validation", "validation", "test", "test")

    def columns(self) -> tuple[list[int], list[str], list[str], list[str]]:
        """Three sources of six rows each, every row its own group."""
        n = 3
        source = [name for name in ("street", "forest", "range") for _ in self.LABEL]
        return list(self.LABEL) * n, source, [f"g{i}" for i in range(6 * n)], list(self.SPLITS) * n

    def test_one_fold_a_source_in_sorted_order(self) -> None:
        label, source, group, splits = self.columns()
        folds = list(leave_one_source_out(label, source, group, splits))
        assert [fold.source for fold in folds] == ["forest", "range", "street"]
        for fold in folds:
            is_held = np.array(source) == fold.source
            assert (fold.splits[is_held] == "unseen").all()
            # the models of two folds differ by the source alone
            np.testing.assert_array_equal(fold.splits[~is_held], np.array(splits)[~is_held])

    def test_each_fold_is_the_source_held_out(self) -> None:
        label, source, group, splits = self.columns()
        for which in ("all", "gunshots", "others"):
            for fold in leave_one_source_out(label, source, group, splits, which):
                expected = hold_out_source(fold.source, label, source, group, splits, which)
                np.testing.assert_array_equal(fold.splits, expected)

    @pytest.mark.parametrize("split", ["train", "validation"])
    def test_a_source_without_which_nothing_can_be_trained_gives_none(self, split: str) -> None:
        label, source, group, splits = self.columns()
        # the only gunshots of that split are the range's
        kept = [s != split or y == 0 or name == "range" for y, name, s in zip(label, source, splits, strict=True)]
        splits = [s if keep else "" for s, keep in zip(splits, kept, strict=True)]
        folds = [fold.source for fold in leave_one_source_out(label, source, group, splits)]
        assert folds == ["forest", "street"]
        assert [it.source for it in leave_one_source_out(label, source, group, splits, "others")] == [
            "forest", "range", "street",
        ]  # fmt: skip

    def test_sources_without_such_a_row_give_no_fold(self) -> None:
        label, source, group, splits = self.columns()
        label = [0 if name == "forest" else y for y, name in zip(label, source, strict=True)]
        splits = ["" if name == "street" else s for s, name in zip(splits, source, strict=True)]
        found = [fold.source for fold in leave_one_source_out(label, source, group, splits, "gunshots")]
        assert found == []  # without the range no gunshot is left to train on
        assert [it.source for it in leave_one_source_out(label, source, group, splits, "others")] == ["forest", "range"]

    def test_what_is_asked_for_is_checked(self) -> None:
        with pytest.raises(ParameterError, match="rows must be one of all, gunshots, others; got 'positives'"):
            list(leave_one_source_out([1], ["range"], ["a"], ["train"], "positives"))
        with pytest.raises(ParameterError, match="rows must be one of"):
            hold_out_source("range", [1], ["range"], ["a"], ["train"], "positives")
        with pytest.raises(ParameterError, match=r"one value a row each; got .*'splits': 2"):
            list(leave_one_source_out([1], ["range"], ["a"], ["train", "test"]))


class TestUnseenSourceRecalls:
    LABEL = (1, 1, 0, 0, 1, 1, 0)
    SCORE = (0.9, 0.4, 0.6, 0.1, 0.8, 0.2, 0.7)
    SOURCE = ("range", "range", "range", "range", "clips", "clips", "street")
    GROUP = ("a", "b", "c", "d", "e", "f", "g")

    def test_against_its_own_negatives_and_against_all(self) -> None:
        label, score = np.array(self.LABEL), np.array(self.SCORE)
        found = unseen_source_recalls(self.LABEL, self.SCORE, self.SOURCE, self.GROUP, [], [0.0, 0.5])
        keys = [(it.source, it.figure.max_fpr, it.negatives) for it in found]
        # clips has no other sound of its own; so it is held against the pooled ones alone, and says so
        assert keys == [
            ("clips", 0.0, "pooled"), ("clips", 0.5, "pooled"),
            ("range", 0.0, "own"), ("range", 0.0, "pooled"), ("range", 0.5, "own"), ("range", 0.5, "pooled"),
        ]  # fmt: skip
        for it in found:
            own = np.array(self.SOURCE) == it.source
            rows = (own & (label == 1)) | ((label == 0) & (own if it.negatives == "own" else True))
            assert it.figure.recall == recall_at_fpr(label[rows], score[rows], it.figure.max_fpr)
            assert it.figure.n_others == np.count_nonzero(rows & (label == 0))
            assert it.figure.n_gunshots == 2

    def test_sources_whose_gunshots_were_trained_on_are_left_out(self) -> None:
        trained = [("range", 1), ("clips", 0)]
        found = unseen_source_recalls(self.LABEL, self.SCORE, self.SOURCE, self.GROUP, trained, [0.5])
        assert [it.source for it in found] == ["clips"]

    def test_without_other_sounds_there_is_no_figure(self) -> None:
        assert unseen_source_recalls([1, 1], [0.9, 0.1], ["a", "b"], ["g", "h"], [], [0.1]) == []

    def test_json_takes_it(self) -> None:
        found = unseen_source_recalls(self.LABEL, self.SCORE, self.SOURCE, self.GROUP, [], [0.5])
        (first, *_) = json.loads(json.dumps([it.as_dict() for it in found], allow_nan=False))
        assert (first["source"], first["negatives"], first["max_fpr"]) == ("clips", "pooled", 0.5)
