"""What one model finds that another does not, counted on the same rows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from gunshot.comparison import Comparison, Pairs, check_promotion, compare_bundles, compare_evaluations
from gunshot.errors import RunError, TrainingError
from gunshot.evaluate import Evaluation

Row = tuple[int, str, bool, bool]  # label, source, called by the first, called by the second


def evaluation(rows: list[Row], which: int, split: str = "test", rows_from: int = 0) -> Evaluation:
    table = pa.Table.from_pylist(
        [
            {
                "row": rows_from + index, "path": f"{index:03d}.wav", "onset_s": 0.5, "sound": "bang",
                "source": row[1], "label": row[0], "split": split, "score": float(row[which]), "called": row[which],
            }
            for index, row in enumerate(rows)
        ]
    )  # fmt: skip
    bundle = SimpleNamespace(uri=f"m{which}", digest="d", operating_point=SimpleNamespace(threshold=0.5))
    return cast(Evaluation, SimpleNamespace(bundle=bundle, predictions=table))


def compared(rows: list[Row]) -> Comparison:
    return compare_evaluations("s", evaluation(rows, 2), evaluation(rows, 3))


def test_the_exact_p_is_that_of_the_binomial() -> None:
    # the example of Agresti, Categorical Data Analysis, 2002, 10.1.1, differs in 150 and 86 of 1600 rows
    assert Pairs(794, 150, 86, 570).p == pytest.approx(2 * binom.sf(149, 236, 0.5), rel=1e-9)
    assert Pairs(794, 150, 86, 570).p == pytest.approx(3.7e-5, rel=0.02)
    assert Pairs(5, 0, 0, 5).p == 1.0
    assert Pairs(0, 1, 0, 0).p == 1.0
    assert Pairs(0, 6, 0, 0).p == pytest.approx(2 / 64)


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("ab"), st.booleans(), st.booleans()), min_size=1))
def test_every_row_is_counted_once_and_the_mirror_image_swaps_won_and_lost(rows: list[Row]) -> None:
    found = compared(rows)
    labels = np.asarray([row[0] for row in rows])
    assert (found.shots.n, found.alarms.n) == (labels.sum(), (1 - labels).sum())
    assert found.shots.both + found.shots.won == sum(row[3] for row in rows if row[0])
    assert found.alarms.both + found.alarms.lost == sum(not row[2] for row in rows if not row[0])
    for kind in (0, 1):
        for name in ("both", "won", "lost", "neither"):
            total = sum(getattr(pairs[kind], name) for pairs in found.by_source.values())
            assert total == getattr((found.shots, found.alarms)[kind], name)
    mirrored = compare_evaluations("s", evaluation(rows, 3), evaluation(rows, 2))
    assert (mirrored.shots.won, mirrored.shots.lost) == (found.shots.lost, found.shots.won)
    assert mirrored.shots.p == pytest.approx(found.shots.p)
    assert len(found.lost_shots) == found.shots.lost
    assert {shot.scores for shot in found.lost_shots} <= {(1.0, 0.0)}


def test_a_lost_shot_refuses_a_promotion_however_many_are_won() -> None:
    won: list[Row] = [(1, "a", False, True)] * 12
    check_promotion(compared(won))
    with pytest.raises(RunError, match=r"of 13 held-out shots it misses 1 .* finds 12 .*--force"):
        check_promotion(compared([*won, (1, "a", True, False)]))
    check_promotion(compared([(0, "a", False, True)]))  # a false alarm more is for the user to judge


def test_ten_lost_shots_are_named_and_the_rest_counted() -> None:
    lines = compared([(1, "field", True, False)] * 13).lines()
    named = [line for line in lines if "lost: " in line]
    assert len(named) == 10
    assert named[0] == "  lost: 000.wav at 0.500 s (field: bang), score 1.000 -> 0.000"
    assert lines[-1] == "  ... and 3 more"


def test_the_table_says_what_each_finds() -> None:
    rows: list[Row] = [(1, "a", True, True), (1, "a", False, True), (1, "b", True, False), (0, "b", True, False)]
    lines = compared(rows).lines()
    cells: dict[str, list[Any]] = {line.split()[0]: line.split()[-10:] for line in lines[4:7]}
    assert cells["a"] == ["2", "1", "2", "1", "0", "0", "0", "0", "0", "0"]
    assert cells["b"] == ["1", "1", "0", "0", "1", "1", "1", "0", "1", "0"]
    assert cells["all"] == ["3", "2", "2", "1", "1", "1", "1", "0", "1", "0"]


def test_only_rows_held_out_from_both_count() -> None:
    rows: list[Row] = [(1, "a", True, False)] * 4
    shifted = compare_evaluations("s", evaluation(rows, 2), evaluation(rows, 3, rows_from=3))
    assert shifted.shots.n == 1
    with pytest.raises(TrainingError, match="no row is held out from both m2 and m3"):
        compare_evaluations("s", evaluation(rows, 2), evaluation(rows, 3, split="train"))


def test_a_model_beside_itself_wins_and_loses_nothing(small_store: str, logistic_bundle: str) -> None:
    found = compare_bundles(small_store, logistic_bundle, logistic_bundle)
    assert found.shots.n > 0
    assert found.alarms.n > 0
    assert (found.shots.won, found.shots.lost, found.alarms.won, found.alarms.lost) == (0, 0, 0, 0)
    assert found.as_dict()["shots"]["p"] == 1.0
