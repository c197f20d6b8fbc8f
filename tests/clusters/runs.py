"""What runs on clusters are judged by: the store of a run without workers, and what is done to them half-way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gunshot.store.read import open_store

RECORDS = "partitions/*.parquet"


class Sound(NamedTuple):
    """Recordings, and the store that a run without workers has made of them."""

    folder: Path
    store: Path


def assert_same(found: Path, expected: Path) -> None:
    """Two stores hold the same rows and arrays."""
    one, other = open_store(str(found)), open_store(str(expected))
    assert one.rows.equals(other.rows)
    everything = range(one.rows.num_rows)
    assert len(everything) > 0
    assert np.array_equal(one.waveforms(everything), other.waveforms(everything), equal_nan=True)
    assert np.array_equal(one.log_mels(everything), other.log_mels(everything), equal_nan=True)


def n_records(store: Path, records: str = RECORDS) -> int:
    """Commit records of a store, or of other things, that are being written."""
    return len(list(store.rglob(records)))


@contextmanager
def once_it_works(store: Path, act: Callable[[], Any], records: str = RECORDS) -> Iterator[Future[int]]:
    """Do something as soon as the run inside the block has written a record; gives how many there are afterwards."""

    def wait_and_act() -> int:
        deadline = time.monotonic() + 120
        while n_records(store, records) == 0:
            assert time.monotonic() < deadline, "no record was written"
            time.sleep(0.02)
        act()
        return n_records(store, records)

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(wait_and_act)


def wait_for(is_so: Callable[[], bool], within_s: float) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.2)
