"""Partitions and the commit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import zarr
from numpy.typing import NDArray

from gunshot.errors import StorageError, StoreIncompleteError
from gunshot.recipe import Recipe
from gunshot.store.layout import ARRAYS, RECORD_SCHEMA, StoreHeader, prepare_store
from gunshot.store.records import (
    checksum,
    failed_rows,
    missing_partitions,
    read_record,
    record_states,
    recorded_checksums,
)
from gunshot.store.write import commit_store, write_partition

Arrays = dict[str, NDArray[np.float32]]
Content = Callable[..., tuple[Arrays, list[dict[str, Any]]]]

N_ROWS = 150  # three partitions, the last one short


@pytest.fixture
def header(tmp_path: Path, recipe: Recipe, manifest: Callable[..., pa.Table]) -> StoreHeader:
    return prepare_store(str(tmp_path / "store"), manifest(N_ROWS), recipe)


def objects(header: StoreHeader) -> dict[str, bytes]:
    """All objects of the store by name, without those of the template."""
    root = Path(header.uri)
    found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if not name.endswith(("zarr.json", "manifest.parquet"))}


def test_a_partition_is_one_object_of_each_array_and_one_record(header: StoreHeader, content: Content) -> None:
    write_partition(header, header.partitions[1], *content(header, header.partitions[1]))
    assert sorted(objects(header)) == ["log_mel/c/1/0/0", "partitions/00001.parquet", "waveform/c/1/0"]


def test_a_partition_written_twice_is_the_same_as_written_once(header: StoreHeader, content: Content) -> None:
    partition = header.partitions[0]
    write_partition(header, partition, *content(header, partition))
    once = objects(header)
    write_partition(header, partition, *content(header, partition))
    assert objects(header) == once


def test_the_order_of_partitions_does_not_matter(
    tmp_path: Path, recipe: Recipe, manifest: Callable[..., pa.Table], content: Content
) -> None:
    written = []
    for name, step in (("forward", 1), ("backward", -1)):
        header = prepare_store(str(tmp_path / name), manifest(N_ROWS), recipe)
        for partition in header.partitions[::step]:
            write_partition(header, partition, *content(header, partition))
        commit_store(header)
        written.append(objects(header))
    assert written[0] == written[1]


def test_the_checksum_is_that_of_what_is_read_back(header: StoreHeader, content: Content) -> None:
    for partition in header.partitions:
        write_partition(header, partition, *content(header, partition, ["ok", "empty"]))
    group = zarr.open_group(header.uri, mode="r")
    for partition in header.partitions:
        rows = slice(partition.start, partition.stop)
        arrays = {name: np.asarray(group[name][rows]) for name in ARRAYS}
        recorded = recorded_checksums(read_record(header, partition.index))
        assert recorded == {name: checksum(array) for name, array in arrays.items()}


def test_the_checksum_changes_with_any_value_and_not_with_the_layout_in_memory(
    header: StoreHeader, content: Content
) -> None:
    arrays, _ = content(header, header.partitions[0])
    for array in arrays.values():
        before = checksum(array)
        assert checksum(np.asfortranarray(array)) == before
        assert checksum(array.astype(">f4")) == before
        array.flat[-1] = np.nextafter(array.flat[-1], np.float32(2))
        assert checksum(array) != before


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_partition_of_nothing_but_silence_or_failures_is_there(
    header: StoreHeader, content: Content, value: float
) -> None:
    # Zarr leaves out chunks that hold only the fill value; an object lost would then look like one written
    partition = header.partitions[0]
    arrays, records = content(header, partition)
    write_partition(header, partition, {name: np.full_like(array, value) for name, array in arrays.items()}, records)
    assert {"waveform/c/0/0", "log_mel/c/0/0/0"} < set(objects(header))
    stored = zarr.open_array(header.uri, path="waveform", mode="r")
    rows = np.asarray(stored[partition.start : partition.stop])
    assert np.array_equal(rows, np.full_like(arrays["waveform"], value), equal_nan=True)


def test_records_are_read_back_as_written(header: StoreHeader, content: Content) -> None:
    partition = header.partitions[2]
    arrays, records = content(header, partition, ["ok", "short", "silent"])
    records[0] |= {"onset_s": None, "strength_db": None, "is_onset": None, "padded_s": None}
    write_partition(header, partition, arrays, records)
    table = read_record(header, 2)
    assert table.schema.equals(RECORD_SCHEMA)
    assert table.to_pylist() == records


def test_the_record_comes_last(header: StoreHeader, content: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    # so that a partition broken off is missing, not half there
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gunshot.store.write.write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        write_partition(header, header.partitions[0], *content(header, header.partitions[0]))
    assert sorted(objects(header)) == ["log_mel/c/0/0/0", "waveform/c/0/0"]
    assert missing_partitions(header) == header.partitions


def test_a_partition_of_another_plan_is_our_own_bug(header: StoreHeader, content: Content) -> None:
    partition = header.partitions[0]
    arrays, records = content(header, partition)
    with pytest.raises(AssertionError, match="not of the store's plan"):
        write_partition(header, type(partition)(0, 0, 63), arrays, records)
    with pytest.raises(AssertionError, match="records for"):
        write_partition(header, partition, arrays, records[1:])
    assert objects(header) == {}


def test_what_cannot_be_written_is_told_with_the_address(
    header: StoreHeader, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    with pytest.raises(StorageError, match=f"cannot write {header.uri}: .*No space left"):
        write_partition(header, header.partitions[0], *content(header, header.partitions[0]))


def test_missing_partitions_are_those_without_a_record_in_the_order_of_the_plan(
    header: StoreHeader, content: Content
) -> None:
    assert missing_partitions(header) == header.partitions
    write_partition(header, header.partitions[1], *content(header, header.partitions[1]))
    assert missing_partitions(header) == (header.partitions[0], header.partitions[2])
    # what a write leaves that was killed on its way is no record
    (Path(header.uri) / "partitions" / ".00000.parquet.x.part").write_bytes(b"")
    assert missing_partitions(header) == (header.partitions[0], header.partitions[2])


def test_states_are_counted_over_all_partitions(header: StoreHeader, content: Content) -> None:
    for partition in header.partitions:
        write_partition(header, partition, *content(header, partition, ["ok", "ok", "short", "unreadable"]))
    states = record_states(header)
    assert states == {"ok": 76, "short": 37, "unreadable": 37}
    assert sum(states.values()) == N_ROWS
    assert commit_store(header) == states
    written = json.loads((Path(header.uri) / "commit.json").read_text())
    assert written == {"states": states, "recipe_digest": header.recipe.digest}


def test_a_store_with_missing_partitions_is_not_committed(header: StoreHeader, content: Content) -> None:
    write_partition(header, header.partitions[0], *content(header, header.partitions[0]))
    with pytest.raises(StoreIncompleteError, match=r"2 of 3 partitions are missing \(numbers 1, 2\); run 'gunshot pre"):
        commit_store(header)
    assert not (Path(header.uri) / "commit.json").exists()


def test_committing_twice_is_committing_once(header: StoreHeader, content: Content) -> None:
    for partition in header.partitions:
        write_partition(header, partition, *content(header, partition))
    commit_store(header)
    once = objects(header)
    commit_store(header)
    assert objects(header) == once


def test_failed_rows_are_all_that_are_not_ok_with_path_state_and_reason(header: StoreHeader, content: Content) -> None:
    states = ["ok", "short", "ok", "ok", "silent"]
    for partition in header.partitions[::-1]:
        write_partition(header, partition, *content(header, partition, states))
    assert list(failed_rows(header)) == [
        {"path": f"{row}.wav", "state": states[row % 5], "reason": f"why {row}"}
        for row in range(N_ROWS)
        if states[row % 5] != "ok"
    ]


def test_a_store_without_failures_has_no_failed_rows(header: StoreHeader, content: Content) -> None:
    for partition in header.partitions:
        write_partition(header, partition, *content(header, partition))
    assert list(failed_rows(header)) == []
