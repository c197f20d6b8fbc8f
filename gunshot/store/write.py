"""Writing a store: partitions in any order and any number of times, then the commit.

Conventions
-----------
A partition writes its shards, then its commit record. Written twice it writes the same values under the same names.
The store's commit counts every partition first.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from numpy.typing import NDArray

from gunshot.errors import StoreIncompleteError
from gunshot.partition import Partition
from gunshot.storage import exists, explained, join, list_files, read_bytes, write_bytes, zarr_store
from gunshot.store.layout import ARRAYS, RECORD_SCHEMA, StoreHeader, commit_uri, partition_uri

__all__ = [
    "CHECKSUM_KEY",
    "checksum",
    "commit_store",
    "failed_rows",
    "missing_partitions",
    "read_record",
    "record_states",
    "write_partition",
]

CHECKSUM_KEY = b"sha256"

Record = dict[str, Any]


def checksum(arrays: Mapping[str, NDArray[np.float32]]) -> str:
    """SHA-256 over a partition's arrays, in the order of `ARRAYS`.

    Parameters
    ----------
    arrays : mapping of str to ndarray, float32
        Rows of each array.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in ARRAYS:
        digest.update(np.ascontiguousarray(arrays[name], dtype="<f4").tobytes())
    return digest.hexdigest()


def write_partition(
    header: StoreHeader,
    partition: Partition,
    arrays: Mapping[str, NDArray[np.float32]],
    records: Sequence[Record],
) -> None:
    """Write a partition's rows, then its commit record.

    Parameters
    ----------
    header : StoreHeader
        The store.
    partition : Partition
        One of its plan.
    arrays : mapping of str to ndarray, float32
        ``waveform`` and ``log_mel`` of all rows of the partition.
    records : sequence of mapping
        Values of `RECORD_SCHEMA` for each row.

    Raises
    ------
    StorageError
        If an object cannot be written.
    """
    assert partition in header.partitions, f"{partition} is not of the store's plan"
    assert len(records) == partition.n_rows, f"{len(records)} records for {partition}"
    with explained("write", header.uri):
        group = zarr.open_group(zarr_store(header.uri, read_only=False), mode="r+")
        for name in ARRAYS:
            array = group[name]
            assert isinstance(array, zarr.Array)
            # a chunk of nothing but the fill value must be written too: an absent one would read the same
            array.with_config({"write_empty_chunks": True})[partition.start : partition.stop] = arrays[name]
    schema = RECORD_SCHEMA.with_metadata({CHECKSUM_KEY: checksum(arrays).encode()})
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(records), schema=schema), buffer)
    write_bytes(partition_uri(header.uri, partition.index), buffer.getvalue())


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
    folder = partition_uri(header.uri, 0).rpartition("/")[0]
    there = {info.uri.rpartition("/")[2] for info in list_files(folder)} if exists(folder) else set()
    return tuple(
        partition
        for partition in header.partitions
        if partition_uri(header.uri, partition.index).rpartition("/")[2] not in there
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
    for partition in header.partitions:
        states.update(read_record(header, partition.index).column("state").to_pylist())
    assert states.total() == header.n_rows, f"{states.total()} rows recorded, {header.n_rows} planned"
    return dict(sorted(states.items()))


def commit_store(header: StoreHeader) -> dict[str, int]:
    """Count all partitions and write the store's last object.

    Parameters
    ----------
    header : StoreHeader
        The store.

    Returns
    -------
    dict
        Rows by state.

    Raises
    ------
    StoreIncompleteError
        If partitions are missing.
    """
    states = record_states(header)
    content = {"states": states, "recipe_digest": header.recipe.digest}
    write_bytes(commit_uri(header.uri), json.dumps(content, indent=1).encode())
    return states


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
    for partition in header.partitions:
        record = read_record(header, partition.index)
        bad = [index for index, state in enumerate(record.column("state").to_pylist()) if state != "ok"]
        if bad:
            paths = manifest.read_row_group(partition.index, columns=["path"]).column("path")
            for index in bad:
                yield {
                    "path": paths[index].as_py(),
                    "state": record.column("state")[index].as_py(),
                    "reason": record.column("reason")[index].as_py(),
                }
