"""Reading committed stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunshot.errors import StorageError, StoreError, StoreIncompleteError, StoreMismatchError
from gunshot.recipe import ClipRule, Recipe
from gunshot.store.layout import StoreHeader, prepare_store
from gunshot.store.read import FeatureStore, open_store
from gunshot.store.write import write_partition

N_ROWS = 150
STATES = ("ok", "ok", "short", "unreadable", "ok")
MakeStore = Callable[..., StoreHeader]


@pytest.fixture(scope="module")
def everything(recipe: Recipe, content: Callable[..., Any]) -> dict[str, NDArray[np.float32]]:
    """All rows of both arrays as they were given to be written."""
    header = StoreHeader("", recipe, "", N_ROWS, 64)
    parts = [content(header, partition, STATES)[0] for partition in header.partitions]
    return {name: np.concatenate([part[name] for part in parts]) for name in ("waveform", "log_mel")}


@pytest.fixture
def store(make_store: MakeStore, tmp_path: Path) -> FeatureStore:
    make_store(tmp_path, N_ROWS, STATES)
    return open_store(str(tmp_path))


@pytest.fixture(scope="module")
def shared_store(
    tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, manifest: Callable[..., pa.Table], content: Any
) -> FeatureStore:
    """A store for the examples of one property, which only read it."""
    from gunshot.store.write import commit_store

    header = prepare_store(str(tmp_path_factory.mktemp("store")), manifest(N_ROWS), recipe)
    for partition in header.partitions:
        write_partition(header, partition, *content(header, partition, STATES))
    commit_store(header)
    return open_store(header.uri)


@settings(deadline=None, max_examples=25)
@given(rows=st.lists(st.integers(0, N_ROWS - 1), max_size=20))
def test_rows_in_any_order_and_number_are_those_read_one_by_one(
    shared_store: FeatureStore, everything: dict[str, NDArray[np.float32]], rows: list[int]
) -> None:
    for read, written in ((shared_store.waveforms, "waveform"), (shared_store.log_mels, "log_mel")):
        found = read(rows)
        assert found.dtype == np.float32
        assert found.shape == (len(rows), *everything[written].shape[1:])
        assert np.array_equal(found, everything[written][rows], equal_nan=True)


def test_a_single_row_is_read_as_among_others(
    shared_store: FeatureStore, everything: dict[str, NDArray[np.float32]]
) -> None:
    for row in (0, 63, 64, 127, 128, N_ROWS - 1):
        assert np.array_equal(shared_store.waveforms([row])[0], everything["waveform"][row], equal_nan=True)


@pytest.mark.parametrize("rows", [[N_ROWS], [-1], [0, 10**6]])
def test_rows_that_are_not_there_are_our_own_bug(shared_store: FeatureStore, rows: Sequence[int]) -> None:
    with pytest.raises(IndexError):
        shared_store.waveforms(rows)


def test_each_shard_is_read_once(shared_store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import zarr

    asked: list[object] = []
    get = zarr.Array.__getitem__

    def counted(array: zarr.Array, selection: object) -> object:
        asked.append(selection)
        return get(array, selection)

    monkeypatch.setattr(zarr.Array, "__getitem__", counted)
    shared_store.waveforms([100, 3, 149, 99, 5, 3])
    assert len(asked) == 3


def test_rows_without_a_clip_are_not_numbers_and_not_usable(store: FeatureStore) -> None:
    bad = [row for row in range(N_ROWS) if STATES[row % 5] == "unreadable"]
    assert store.usable.tolist() == [row for row in range(N_ROWS) if row not in bad]
    assert np.isnan(store.waveforms(bad)).all()
    assert np.isnan(store.log_mels(bad)).all()
    assert np.isfinite(store.waveforms(store.usable)).all()
    assert np.isfinite(store.log_mels(store.usable)).all()


def test_columns_are_the_manifest_with_states_and_onsets_in_the_order_of_the_arrays(store: FeatureStore) -> None:
    assert store.rows.num_rows == N_ROWS
    assert store.column("path") == [f"{row}.wav" for row in range(N_ROWS)]
    assert store.column("state") == [STATES[row % 5] for row in range(N_ROWS)]
    assert store.column("reason") == ["" if STATES[row % 5] == "ok" else f"why {row}" for row in range(N_ROWS)]
    assert store.column("onset_s") == [row / 10 for row in range(N_ROWS)]
    assert len(set(store.rows.column_names)) == len(store.rows.column_names)
    assert {"uri", "label", "group", "is_onset", "strength_db", "padded_s"} < set(store.rows.column_names)


def test_a_header_stays_as_written(store: FeatureStore, recipe: Recipe) -> None:
    assert store.recipe == recipe
    assert store.header.n_rows == N_ROWS


def test_a_store_that_is_not_committed_is_refused(
    tmp_path: Path, recipe: Recipe, manifest: Callable[..., pa.Table], content: Any
) -> None:
    header = prepare_store(str(tmp_path), manifest(N_ROWS), recipe)
    with pytest.raises(StoreIncompleteError, match=rf"{tmp_path} is not committed: .*; run 'gunshot preprocess' again"):
        open_store(str(tmp_path))
    # and so it is while the commit alone is missing
    for partition in header.partitions:
        write_partition(header, partition, *content(header, partition))
    with pytest.raises(StoreIncompleteError, match="is not committed"):
        open_store(str(tmp_path))


def test_no_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no feature store at"):
        open_store(str(tmp_path))


def test_another_recipe_than_needed_is_refused_with_both_sides(
    make_store: MakeStore, tmp_path: Path, recipe: Recipe
) -> None:
    make_store(tmp_path, 3)
    assert open_store(str(tmp_path), recipe=recipe).recipe == recipe
    other = Recipe(clip=ClipRule(lead_s=0.0, length_s=0.05))
    with pytest.raises(StoreMismatchError, match=f"made with recipe {recipe.digest}, but {other.digest} is needed"):
        open_store(str(tmp_path), recipe=other)


def test_a_record_lost_after_the_commit_is_told(make_store: MakeStore, tmp_path: Path) -> None:
    make_store(tmp_path, N_ROWS)
    (tmp_path / "partitions" / "00001.parquet").unlink()
    with pytest.raises(StorageError, match=r"00001\.parquet: it does not exist"):
        open_store(str(tmp_path))


def test_an_array_lost_after_opening_is_told_with_the_address(store: FeatureStore, tmp_path: Path) -> None:
    (tmp_path / "waveform" / "zarr.json").unlink()
    with pytest.raises(StorageError, match=f"cannot read {tmp_path}"):
        store.waveforms([0])


@pytest.mark.parametrize("n_rows", [1, 64, 65])
def test_stores_of_any_size_are_read_whole(make_store: MakeStore, tmp_path: Path, n_rows: int) -> None:
    make_store(tmp_path, n_rows)
    store = open_store(str(tmp_path))
    assert store.usable.tolist() == list(range(n_rows))
    assert store.waveforms(range(n_rows)).shape[0] == n_rows
