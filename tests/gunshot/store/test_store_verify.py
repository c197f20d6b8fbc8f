"""Verifying finds whatever was changed, and repairing leads back to the same store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gunshot.errors import StoreDamagedError, StoreError
from gunshot.store.layout import StoreHeader, prepare_store
from gunshot.store.read import open_store
from gunshot.store.records import missing_partitions
from gunshot.store.verify import forget, store_info, verify_generation
from gunshot.store.write import commit_store, write_partition

N_ROWS = 150  # three partitions
MakeStore = Callable[..., StoreHeader]


@pytest.fixture
def header(make_store: MakeStore, tmp_path: Path) -> StoreHeader:
    return make_store(tmp_path / "store", N_ROWS, ("ok", "ok", "unreadable"))


def shard(header: StoreHeader, index: int) -> Path:
    return Path(header.uri) / "waveform" / "c" / str(index) / "0"


def record(header: StoreHeader, index: int) -> Path:
    return Path(header.uri) / "partitions" / f"{index:05d}.parquet"


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def drop_a_row(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)


DAMAGES: dict[str, tuple[Callable[[StoreHeader], Any], int | None, str]] = {
    "a lost shard": (lambda h: shard(h, 1).unlink(), 1, "waveform is not what was committed"),
    "a flipped bit": (lambda h: flip_a_bit(shard(h, 2)), 2, "waveform is not what was committed"),
    "a shard cut short": (
        lambda h: shard(h, 0).write_bytes(shard(h, 0).read_bytes()[:-9]), 0, "not what was committed"),
    "an empty shard": (lambda h: shard(h, 0).write_bytes(b""), 0, "not what was committed"),
    "a shard of another partition": (
        lambda h: shard(h, 0).write_bytes(shard(h, 1).read_bytes()), 0, "not what was committed"),
    "a damaged record": (lambda h: record(h, 1).write_bytes(b"PAR1"), 1, "its commit record cannot be read"),
    "a record of fewer rows": (lambda h: drop_a_row(record(h, 1)), 1, "its commit record is of other rows"),
    "a lost record": (lambda h: record(h, 1).unlink(), None, "committed, but 1 of 3 partitions are missing"),
    "a lost manifest": (lambda h: (Path(h.uri) / "manifest.parquet").unlink(), None, "manifest.parquet cannot be read"),
    "a damaged commit": (lambda h: (Path(h.uri) / "commit.json").write_text("{"), None, "commit.json is damaged"),
    "a commit of other counts": (
        lambda h: (Path(h.uri) / "commit.json").write_text(json.dumps({"states": {"ok": 150}})), None,
        "commit.json counts"),
}  # fmt: skip


def test_a_sound_store_has_no_faults_and_all_rows_are_read(header: StoreHeader) -> None:
    rows: list[int] = []
    assert list(verify_generation(header, rows.append)) == []
    assert sum(rows) == N_ROWS


def test_a_store_under_way_has_missing_partitions_but_no_faults(
    tmp_path: Path, recipe: Any, manifest: Any, content: Any
) -> None:
    header = prepare_store(str(tmp_path / "store"), manifest(N_ROWS), recipe)
    write_partition(header, header.partitions[1], *content(header, header.partitions[1]))
    assert list(verify_generation(header)) == []
    assert len(missing_partitions(header)) == 2


@pytest.mark.parametrize("kind", DAMAGES)
def test_each_damage_is_found_where_it_is_and_mended_by_a_rerun(
    header: StoreHeader, manifest: Any, content: Any, kind: str
) -> None:
    damage, partition, reason = DAMAGES[kind]
    before = open_store(header.uri)
    waveforms = before.waveforms(range(N_ROWS))
    damage(header)
    faults = list(verify_generation(header))
    assert (faults[0].partition, faults[0].place) == (partition, header.uri)
    assert any(reason in fault.reason for fault in faults)
    for fault in faults:
        forget(fault)
    again = prepare_store(header.uri, manifest(N_ROWS), header.recipe)
    missing = missing_partitions(again)
    assert [part.index for part in missing] == (
        [partition] if partition is not None else [1] if "record" in kind else []
    )
    for part in missing:
        write_partition(again, part, *content(again, part, ("ok", "ok", "unreadable")))
    commit_store(again)
    assert list(verify_generation(again)) == []
    after = open_store(header.uri)
    assert after.rows.equals(before.rows)
    assert (after.waveforms(after.usable) == waveforms[after.usable]).all()


@pytest.mark.parametrize("kind", [kind for kind in DAMAGES if "shard" in kind or "bit" in kind])
def test_readers_are_told_instead_of_given_other_values(header: StoreHeader, kind: str) -> None:
    damage, partition, _ = DAMAGES[kind]
    damage(header)
    store = open_store(header.uri)
    assert partition is not None
    with pytest.raises(
        StoreDamagedError, match=f"waveform of partition {partition} is not what was committed .*--repair"
    ):
        store.waveforms([header.partition(partition).start])


def test_info_counts_what_is_there(header: StoreHeader) -> None:
    (info,) = store_info(header.uri)
    assert (info.n_rows, info.n_partitions, info.n_written, info.is_current) == (N_ROWS, 3, 3, True)
    assert info.states == {"ok": 100, "unreadable": 50}
    assert info.size_bytes == sum(path.stat().st_size for path in Path(header.uri).rglob("*") if path.is_file())


def test_info_of_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no feature store at"):
        store_info(str(tmp_path / "none"))
