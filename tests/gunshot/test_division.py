"""Rows are divided by what belongs together, and groups that a model has met keep the split they had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gunshot.division import SplitPlan, splits_of
from gunshot.errors import TrainingError
from gunshot.models.splits import splits_by_group
from gunshot.store.joined import JoinedStore, open_joined
from gunshot.store.read import FeatureStore, open_store


def of_groups(store: FeatureStore, splits: np.ndarray) -> dict[object, set[str]]:
    found: dict[object, set[str]] = {}
    for group, split in zip(store.column("group"), splits.tolist(), strict=True):
        if split:
            found.setdefault(group, set()).add(split)
    return found


@pytest.fixture(scope="module")
def make_labels(
    small_corpus: Path, preprocessed: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    """Makes a store of other cuts of the small corpus: half its recordings under other groups."""

    def make(n_rows: int, group: Callable[[str, int], str]) -> str:
        folder = tmp_path_factory.mktemp("labels")
        lines = (small_corpus / "labels.csv").read_text().splitlines()
        chosen = [line.split(",") for line in [*lines[1 : n_rows // 2 + 1], *lines[61 : n_rows // 2 + 61]]]
        for number, cells in enumerate(chosen):
            cells[0], cells[6] = f"{small_corpus}/{cells[0]}", group(cells[6], number)
        table = folder / "labels.csv"
        table.write_text("\n".join([lines[0], *(",".join(cells) for cells in chosen)]) + "\n")
        return preprocessed([], folder / "labels.zarr", labels=table)

    return make


@pytest.mark.parametrize("seed", range(5))
def test_a_recording_that_both_stores_know_is_on_one_side(
    small_store: str, make_labels: Callable[..., str], seed: int
) -> None:
    store = open_joined(small_store, make_labels(40, lambda group, number: f"night of {group}"))
    splits = splits_of(store, SplitPlan(seed=seed))
    assert all(len(found) == 1 for found in of_groups(store, splits).values())
    found: dict[object, set[str]] = {}
    for uri, split in zip(store.column("uri"), splits.tolist(), strict=True):
        found.setdefault(uri, set()).update({split} - {""})
    assert all(len(split) == 1 for split in found.values())
    assert {"train", "validation", "test"} <= set(splits[-40:].tolist()) | set(splits.tolist())
    assert (splits[store.usable] != "").all()


def test_groups_keep_their_split_and_new_ones_are_divided(
    small_store: str, logistic_bundle: str, store_of_clips: Callable[..., str], tmp_path: Path
) -> None:
    y = np.random.default_rng(2).standard_normal((40, 6000)).astype(np.float32) * 0.1
    new = store_of_clips(tmp_path / "new", y, [row % 2 for row in range(40)], [f"n{row // 4}" for row in range(40)])
    store = open_joined(small_store, new)
    assert isinstance(store, JoinedStore)
    splits = splits_of(store, SplitPlan(seed=9, keep=logistic_bundle))
    known = {group: split for group, (split,) in splits_by_group(logistic_bundle).items()}
    found = of_groups(store, splits)
    assert {group: split for group, (split,) in found.items() if group in known} == known
    fresh = {group: split for group, (split,) in found.items() if group not in known}
    assert set(fresh) == {f"n{number}" for number in range(10)}
    assert set(fresh.values()) == {"train", "validation", "test"}
    other = splits_of(open_store(small_store), SplitPlan(seed=9))
    assert (other != splits[:120]).any()  # which another seed without the model would not give


def test_what_has_trained_a_model_trains_the_next_whatever_it_is_called_now(
    small_store: str, logistic_bundle: str, make_labels: Callable[..., str]
) -> None:
    """A recording of a group that trained the champion must not test its successor under a night's name."""
    known = {group: split for group, (split,) in splits_by_group(logistic_bundle).items()}
    store = open_joined(small_store, make_labels(40, lambda group, number: f"night of {group}"))
    splits = splits_of(store, SplitPlan(keep=logistic_bundle))
    for group, split in zip(store.column("group")[120:], splits[120:].tolist(), strict=True):
        assert split == known[str(group).removeprefix("night of ")]


def test_too_few_new_groups_train_and_the_old_ones_judge(
    small_store: str, logistic_bundle: str, store_of_clips: Callable[..., str], tmp_path: Path
) -> None:
    y = np.random.default_rng(2).standard_normal((8, 6000)).astype(np.float32) * 0.1
    store = open_joined(small_store, store_of_clips(tmp_path / "new", y, [0, 1] * 4, ["one night"] * 8))
    splits = splits_of(store, SplitPlan(keep=logistic_bundle))
    assert set(splits[120:].tolist()) == {"train"}
    assert {"validation", "test"} <= set(splits[:120].tolist())


def test_an_assignment_moves_a_group_that_is_kept(small_store: str, logistic_bundle: str) -> None:
    known = {group: split for group, (split,) in splits_by_group(logistic_bundle).items()}
    group = next(group for group, split in known.items() if split == "train")
    plan = SplitPlan(assignments=((f"*/{group}_*", "unseen"),), keep=logistic_bundle)
    store = open_store(small_store)
    found = of_groups(store, splits_of(store, plan))
    assert found.pop(group) == {"unseen"}
    assert {name: split for name, (split,) in found.items()} == {
        name: split for name, split in known.items() if name != group
    }


def test_a_mistake_in_the_assignments_is_still_told(small_store: str, logistic_bundle: str) -> None:
    with pytest.raises(TrainingError, match="--assign"):
        splits_of(open_store(small_store), SplitPlan(assignments=(("*", "test"),), keep=logistic_bundle))
