"""Plans of partitions."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.partition import CHUNK_ROWS, Partition, plan_partitions, shard_rows_for

row_counts = st.integers(0, 200_000)
shard_sizes = st.integers(1, 16).map(lambda n_chunks: n_chunks * CHUNK_ROWS)


@given(n_rows=row_counts, shard_rows=shard_sizes)
def test_partitions_tile_the_rows_exactly(n_rows: int, shard_rows: int) -> None:
    plan = plan_partitions(n_rows, shard_rows)
    edges = [0, *(partition.stop for partition in plan)]
    assert [partition.start for partition in plan] == edges[:-1]
    assert edges[-1] == n_rows
    assert all(partition.n_rows > 0 for partition in plan)
    assert sum(partition.n_rows for partition in plan) == n_rows
    assert [partition.index for partition in plan] == list(range(len(plan)))


@given(n_rows=row_counts, shard_rows=shard_sizes)
def test_every_partition_owns_one_whole_shard(n_rows: int, shard_rows: int) -> None:
    for partition in plan_partitions(n_rows, shard_rows):
        assert partition.start == partition.index * shard_rows
        assert partition.stop == min(partition.start + shard_rows, n_rows)


@given(n_rows=st.integers(1, 10**7))
def test_shards_are_whole_chunks_within_bounds(n_rows: int) -> None:
    shard_rows = shard_rows_for(n_rows)
    assert shard_rows % CHUNK_ROWS == 0
    assert CHUNK_ROWS <= shard_rows <= 1024


@given(n_rows=st.integers(1, 16 * 1024))
def test_a_store_of_moderate_size_has_at_most_sixteen_partitions_and_no_fewer_than_it_must(n_rows: int) -> None:
    shard_rows = shard_rows_for(n_rows)
    assert len(plan_partitions(n_rows, shard_rows)) <= 16
    # a shard smaller by one chunk would give more than sixteen, or no chunk at all
    smaller = shard_rows - CHUNK_ROWS
    assert smaller == 0 or len(plan_partitions(n_rows, smaller)) > 16


@given(fewer=st.integers(1, 10**6), more=st.integers(0, 10**6))
def test_more_rows_never_make_smaller_shards(fewer: int, more: int) -> None:
    assert shard_rows_for(fewer) <= shard_rows_for(fewer + more)


def test_the_plan_depends_on_the_rows_alone_and_not_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = plan_partitions(5179, shard_rows_for(5179))
    monkeypatch.setattr("os.cpu_count", lambda: 500)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(500)))
    assert plan_partitions(5179, shard_rows_for(5179)) == before


def test_no_rows_make_no_partitions() -> None:
    assert plan_partitions(0, CHUNK_ROWS) == ()


def test_partitions_travel_between_processes() -> None:
    partition = Partition(3, 192, 256)
    assert pickle.loads(pickle.dumps(partition)) == partition
