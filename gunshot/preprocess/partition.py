"""The verb: one partition, from recordings to rows of the store.

Conventions
-----------
A plain function of the store's address and a partition: the same in this process, on a Dask worker or by hand. Rows
that an earlier generation holds are copied; a partition that has its commit record is not done again.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gunshot.apart import ends_after
from gunshot.clips import Clip, features
from gunshot.memory import keep_freed_memory
from gunshot.partition import Partition
from gunshot.preprocess.apart import clips_apart
from gunshot.preprocess.rows import Row, clips_of_rows
from gunshot.recipe import Recipe
from gunshot.storage import absolute, join, read_bytes
from gunshot.store.generations import copy_held
from gunshot.store.layout import HELD_ROW, StoreHeader, read_header
from gunshot.store.records import find_record
from gunshot.store.write import write_partition
from gunshot.wanted import check_wanted

__all__ = ["PartitionOutcome", "manifest_rows", "preprocess_partition"]


@dataclass(frozen=True, slots=True)
class PartitionOutcome:
    """What became of a partition; which rows failed is in its commit record.

    Attributes
    ----------
    index, n_rows : int
        The partition and its size.
    states : dict
        Rows by state; they add up to `n_rows`.
    elapsed_s : float
        Time it took [s].
    """

    index: int
    n_rows: int
    states: dict[str, int]
    elapsed_s: float


def preprocess_partition(
    store: str, partition: Partition, *, limit_s: float | None = None, apart: bool = False, folder: str = ""
) -> PartitionOutcome:
    """Decode, cut and write one partition.

    Parameters
    ----------
    store : str
        The prepared store.
    partition : Partition
        One of its plan.
    limit_s : float, optional
        Longest time for one recording [s]. In a partition done `apart` it is ``timed out`` then; otherwise this
        process ends, as if the recording had killed it.
    apart : bool
        Whether recordings are decoded in a process apart (`gunshot.preprocess.apart`).
    folder : str
        What relative addresses of recordings are relative to; the folder that this process is in if empty.

    Returns
    -------
    PartitionOutcome
        Small: no arrays.

    Raises
    ------
    StoreError, StorageError
        If the store cannot be read or written.
    """
    began = perf_counter()
    keep_freed_memory()
    header = read_header(store)
    record = find_record(header, partition.index)
    if record is not None:  # Dask runs a unit again whose worker died after its end
        return _outcome(partition, record.column("state").to_pylist(), began)
    recipe = header.recipe
    rows = manifest_rows(header, partition)
    waveforms = np.full((partition.n_rows, recipe.n_samples), np.nan, dtype=np.float32)
    log_mels = np.full((partition.n_rows, *recipe.mel_shape), np.nan, dtype=np.float32)
    arrays = {"waveform": waveforms, "log_mel": log_mels}
    records = _copy_held(header, rows, arrays)
    missing = [
        (index, row | {"uri": absolute(row["uri"], folder)}) for index, row in enumerate(rows) if index not in records
    ]
    computed: list[int] = []
    # around the loop, not inside an iterator: one that is left early would keep its timer set
    with ends_after(None if apart else limit_s) as again:
        for index, record, clip in _clips(missing, recipe, limit_s if apart else None, again):
            records[index] = record
            if clip is not None:
                waveforms[index] = clip.y
                computed.append(index)
    log_mels[computed] = features(waveforms[computed], recipe)
    in_order = [records[index] | {"row": partition.start + index} for index in range(partition.n_rows)]
    check_wanted()
    write_partition(header, partition, arrays, in_order)
    return _outcome(partition, [record["state"] for record in in_order], began)


def _clips(
    rows: list[tuple[int, Row]], recipe: Recipe, apart_limit_s: float | None, begin: Callable[[], None]
) -> Iterator[tuple[int, Row, Clip | None]]:
    """Clips of rows with their numbers and records, decoded apart where there is a limit for that."""
    if apart_limit_s is None:
        return clips_of_rows(rows, recipe, begin=begin)
    return clips_apart(rows, recipe, apart_limit_s)


def _outcome(partition: Partition, states: list[str], began: float) -> PartitionOutcome:
    return PartitionOutcome(partition.index, partition.n_rows, dict(Counter(states)), perf_counter() - began)


def _copy_held(header: StoreHeader, rows: list[Row], arrays: dict[str, NDArray[np.float32]]) -> dict[int, Row]:
    """Fill in what an earlier generation holds, and give the records of those rows."""
    records: dict[int, Row] = {}
    for indices, held, there in copy_held(header, [row.get(HELD_ROW) for row in rows]):
        records |= dict(zip(indices, held, strict=True))
        for name, array in arrays.items():
            array[indices] = there[name]
    return records


@lru_cache(maxsize=1)
def _manifest_file(store: str, _digest: str) -> pq.ParquetFile:
    # by digest: a worker may outlive a store that is removed and made again in its place
    return pq.ParquetFile(io.BytesIO(read_bytes(join(store, "manifest.parquet"))))


def manifest_rows(header: StoreHeader, partition: Partition) -> list[Row]:
    """Rows of a partition: its row group of the store's manifest.

    Parameters
    ----------
    header : StoreHeader
        The prepared store.
    partition : Partition
        One of its plan.

    Returns
    -------
    list of dict
        Values by column.
    """
    file = _manifest_file(header.uri, header.manifest_digest)
    rows: list[Row] = file.read_row_group(partition.index).to_pylist()
    assert len(rows) == partition.n_rows, f"row group {partition.index} holds {len(rows)} rows, not {partition.n_rows}"
    return rows
