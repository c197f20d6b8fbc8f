"""Known and new sounds: by name and label, and no row lost between them."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.evaluation.metrics import classification_metrics
from gunshot.evaluation.open_set import is_known, open_set
from gunshot.evaluation.reported_rows import ReportedRows

Make = Callable[..., ReportedRows]

SOUNDS = st.tuples(st.sampled_from(["bark", "door", "gunshot", ""]), st.integers(0, 1))


@settings(max_examples=50)
@given(st.lists(SOUNDS, min_size=1, max_size=20), st.sets(SOUNDS), st.randoms(use_true_random=False))
def test_the_counts_of_both_add_up(
    reported: Make, sounds: list[tuple[str, int]], trained: set[tuple[str, int]], random: Random
) -> None:
    score = [random.random() for _ in sounds]
    rows = reported([label for _, label in sounds], score, sound=[name for name, _ in sounds])
    found = open_set(rows, trained, 0.5)
    whole = classification_metrics(rows.label, score, 0.5)
    for name in ("n", "true_positives", "false_negatives", "false_positives", "true_negatives"):
        parts = [getattr(part, name) for part in (found.known, found.new) if part is not None]
        assert sum(parts) == getattr(whole, name)
    assert found.new_sounds == tuple(sorted(set(sounds) - trained))
    assert is_known(rows, trained).tolist() == [sound in trained for sound in sounds]


def test_a_name_with_the_other_label_is_new(reported: Make) -> None:
    """A bark that was trained on as another sound says nothing of a gunshot that is called so."""
    rows = reported([1, 0], [0.9, 0.1], sound=["bark", "bark"])
    assert is_known(rows, [("bark", 0)]).tolist() == [False, True]


def test_names_are_taken_as_they_are(reported: Make) -> None:
    rows = reported([0, 0], [0.9, 0.1], sound=["Bark", "bark "])
    assert not is_known(rows, {("bark", 0)}).any()


def test_no_such_row_is_none_and_not_zero(reported: Make) -> None:
    rows = reported([1, 0], [0.9, 0.1])
    none_new = open_set(rows, {("gunshot", 1), ("bark", 0)}, 0.5)
    assert (none_new.new, none_new.new_sounds) == (None, ())
    assert none_new.known is not None
    all_new = open_set(rows, [], 0.5)
    assert all_new.known is None
    assert all_new.new_sounds == (("bark", 0), ("gunshot", 1))
    figures = json.loads(json.dumps(all_new.as_dict(), allow_nan=False))
    assert (figures["known"], figures["new"]["n"]) == (None, 2)
    assert figures["new_sounds"] == [{"sound": "bark", "label": 0}, {"sound": "gunshot", "label": 1}]


def test_each_part_has_intervals_over_its_own_groups(reported: Make) -> None:
    rows = reported(
        [0] * 12, [0.9, 0.1] * 6, sound=["bark"] * 6 + ["door"] * 6, group=[f"g{i // 2}" for i in range(12)]
    )
    found = open_set(rows, {("bark", 0)}, 0.5)
    assert found.known is not None
    assert found.known.fpr_over_groups is not None
    assert found.known.fpr_over_groups.n_groups == 3
