"""Writing a store: partitions in any order and any number of times, then the commit.

Conventions
-----------
A partition writes its shards, then its commit record. Written twice it writes the same values under the same names.
The store's commit counts every partition first.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from numpy.typing import NDArray

from gunshot.partition import Partition
from gunshot.storage import delete, explained, join, sync, write_bytes, zarr_store
from gunshot.store.layout import ARRAYS, RECORD_SCHEMA, StoreHeader, commit_uri, partition_uri
from gunshot.store.records import Record, checksum, record_states

__all__ = ["commit_store", "write_partition"]


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
    assert header.partition(partition.index) == partition, f"{partition} is not of the store's plan"
    assert len(records) == partition.n_rows, f"{len(records)} records for {partition}"
    with explained("write", header.uri):
        group = zarr.open_group(zarr_store(header.uri, read_only=False), mode="r+", zarr_format=3)
        for name in ARRAYS:
            _write_shard(header, group, name, partition, arrays[name])
    schema = RECORD_SCHEMA.with_metadata({f"sha256 {name}": checksum(arrays[name]) for name in ARRAYS})
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(records), schema=schema), buffer)
    write_bytes(partition_uri(header.uri, partition.index), buffer.getvalue())


def _write_shard(
    header: StoreHeader, group: zarr.Group, name: str, partition: Partition, rows: NDArray[np.float32]
) -> None:
    array = group[name]
    assert isinstance(array, zarr.Array)
    # a chunk of nothing but the fill value must be written too: an absent one would read the same
    array = array.with_config({"write_empty_chunks": True})
    shard = join(header.uri, name, array.metadata.encode_chunk_key((partition.index,) + (0,) * (rows.ndim - 1)))
    try:
        array[partition.start : partition.stop] = rows
    except (ValueError, RuntimeError):
        delete(shard)  # Zarr reads what is there before it writes, and what is there is damaged
        array[partition.start : partition.stop] = rows
    sync(shard)  # the record that follows must not outlive the rows in a power cut


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
