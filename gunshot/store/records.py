"""Commit records: what has been written, and what became of each row.

Conventions
-----------
A partition is there if its record is. Rows of an array are read a partition at a time and held against the record's
checksum: what was committed is what is read, or it is an error.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from numpy.typing import NDArray

from gunshot.errors import StoreDamagedError, StoreIncompleteError
from gunshot.partition import Partition
from gunshot.storage import exists, explained, join, list_files, read_bytes, zarr_store
from gunshot.store.layout import ARRAYS, StoreHeader, partition_uri

__all__ = [
    "Record",
    "checksum",
    "committed_partitions",
    "failed_rows",
    "find_record",
    "missing_partitions",
    "open_rows",
    "read_partition",
    "read_record",
    "read_records",
    "record_states",
    "recorded_checksums",
]

Record = dict[str, Any]

_READ_AT_ONCE = 16
"""Records are small objects; a bucket answers many requests as soon as one."""


def checksum(array: NDArray[np.float32]) -> str:
    """SHA-256 over a partition's rows of one array.

    Parameters
    ----------
    array : ndarray, float32
        The rows.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    return hashlib.sha256(np.ascontiguousarray(array, dtype="<f4").data).hexdigest()


def recorded_checksums(record: pa.Table) -> dict[str, str]:
    """Checksums in a commit record.

    Parameters
    ----------
    record : pyarrow.Table
        As `read_record` gives it.

    Returns
    -------
    dict
        Of each of `ARRAYS`, as :func:`checksum` gives it.
    """
    metadata = record.schema.metadata or {}
    return {name: metadata[f"sha256 {name}".encode()].decode() for name in ARRAYS}


def read_record(header: StoreHeader, index: int) -> pa.Table:
    """Read the commit record of a partition.

    Parameters
    ----------
    header : StoreHeader
        The store.
    index : int
        Number of the partition.

    Returns
    -------
    pyarrow.Table
        With the columns of `RECORD_SCHEMA`.

    Raises
    ------
    StorageError
        If it is not there.
    """
    return pq.read_table(io.BytesIO(read_bytes(partition_uri(header.uri, index))))


def find_record(header: StoreHeader, index: int) -> pa.Table | None:
    """Read the commit record of a partition if there is one.

    Parameters
    ----------
    header : StoreHeader
        The store.
    index : int
        Number of the partition.

    Returns
    -------
    pyarrow.Table or None
        As :func:`read_record` gives it.

    Raises
    ------
    StorageError
        If the store cannot be asked.
    """
    return read_record(header, index) if exists(partition_uri(header.uri, index)) else None


def read_records(header: StoreHeader, partitions: Iterable[Partition]) -> Iterator[tuple[Partition, pa.Table]]:
    """Read commit records, several at once.

    Parameters
    ----------
    header : StoreHeader
        The store.
    partitions : iterable of Partition
        Which; their records are there.

    Yields
    ------
    tuple of (Partition, pyarrow.Table)
        In the order given.
    """
    waiting = iter(partitions)
    with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        while some := list(islice(waiting, _READ_AT_ONCE)):  # no more than these are ever held
            yield from zip(some, pool.map(lambda part: read_record(header, part.index), some), strict=True)


def open_rows(header: StoreHeader, name: str) -> zarr.Array[Any]:
    """Open one array of a store for reading; who reads many partitions opens it once.

    Parameters
    ----------
    header : StoreHeader
        The store.
    name : str
        One of `ARRAYS`.

    Returns
    -------
    zarr.Array
        For :func:`read_partition`.

    Raises
    ------
    StorageError
        If it is not there.
    """
    with explained("read", header.uri):
        return zarr.open_array(zarr_store(header.uri, read_only=True), path=name, mode="r", zarr_format=3)


def read_partition(
    header: StoreHeader, index: int, name: str, record: pa.Table, array: zarr.Array[Any] | None = None
) -> NDArray[np.float32]:
    """Read a partition's rows of one array, and make sure that they are what was committed.

    Parameters
    ----------
    header : StoreHeader
        The store.
    index : int
        Number of the partition.
    name : str
        One of `ARRAYS`.
    record : pyarrow.Table
        Its commit record.
    array : zarr.Array, optional
        As :func:`open_rows` gives it; opened here if not given.

    Returns
    -------
    ndarray of shape (n_rows, ...), float32
        NaN in rows without a clip.

    Raises
    ------
    StoreDamagedError
        If an object is lost or another than was written.
    """
    partition = header.partition(index)
    array = open_rows(header, name) if array is None else array
    with explained("read", header.uri):
        try:
            rows = np.asarray(array[partition.start : partition.stop])
        except (ValueError, RuntimeError) as error:  # a shard cut short, or with bytes changed
            raise _damaged(header, index, name) from error
    if checksum(rows) != recorded_checksums(record)[name]:
        raise _damaged(header, index, name)
    return rows


def _damaged(header: StoreHeader, index: int, name: str) -> StoreDamagedError:
    return StoreDamagedError(
        f"{header.uri}: {name} of partition {index} is not what was committed (an object was lost or changed); run "
        "'gunshot store verify STORE --repair', then 'gunshot preprocess' again"
    )


def missing_partitions(header: StoreHeader) -> tuple[Partition, ...]:
    """Partitions without a commit record: what a run still has to do.

    Parameters
    ----------
    header : StoreHeader
        The store.

    Returns
    -------
    tuple of Partition
        In the plan's order.
    """
    there = set(committed_partitions(header))
    return tuple(partition for partition in header.partitions if partition not in there)


def committed_partitions(header: StoreHeader) -> tuple[Partition, ...]:
    """Partitions that have a commit record.

    Parameters
    ----------
    header : StoreHeader
        The store.

    Returns
    -------
    tuple of Partition
        In the plan's order.
    """
    folder = partition_uri(header.uri, 0).rpartition("/")[0]
    there = {info.uri.rpartition("/")[2] for info in list_files(folder)} if exists(folder) else set()
    return tuple(
        partition
        for partition in header.partitions
        if partition_uri(header.uri, partition.index).rpartition("/")[2] in there
    )


def record_states(header: StoreHeader) -> dict[str, int]:
    """Count the rows of all partitions by state.

    Parameters
    ----------
    header : StoreHeader
        The store.

    Returns
    -------
    dict
        Rows by state; they add up to ``header.n_rows``.

    Raises
    ------
    StoreIncompleteError
        If partitions are missing; names them.
    """
    missing = missing_partitions(header)
    if missing:
        named = ", ".join(str(partition.index) for partition in missing[:5])
        raise StoreIncompleteError(
            f"{header.uri}: {len(missing)} of {len(header.partitions)} partitions are missing (numbers {named}); run "
            "'gunshot preprocess' again, it does only what is missing"
        )
    states: Counter[str] = Counter()
    for _, record in read_records(header, header.partitions):
        states.update(record.column("state").to_pylist())
    assert states.total() == header.n_rows, f"{states.total()} rows recorded, {header.n_rows} planned"
    return dict(sorted(states.items()))


def failed_rows(header: StoreHeader) -> Iterator[Record]:
    """Rows whose state is not ``ok``, with their manifest entry.

    Parameters
    ----------
    header : StoreHeader
        The store, all partitions written.

    Yields
    ------
    dict
        ``path``, ``state`` and ``reason``.
    """
    manifest = pq.ParquetFile(io.BytesIO(read_bytes(join(header.uri, "manifest.parquet"))))
    for partition, record in read_records(header, header.partitions):
        bad = [index for index, state in enumerate(record.column("state").to_pylist()) if state != "ok"]
        if bad:
            paths = manifest.read_row_group(partition.index, columns=["path"]).column("path")
            for index in bad:
                yield {
                    "path": paths[index].as_py(),
                    "state": record.column("state")[index].as_py(),
                    "reason": record.column("reason")[index].as_py(),
                }
