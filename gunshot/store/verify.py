"""What a store holds, and whether it is what was committed.

Conventions
-----------
Verifying reads everything that was written and recomputes its checksums. Repairing forgets what is damaged, so that the
next run computes just that; it never alters values.
"""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from gunshot.errors import StorageError, StoreDamagedError, StoreIncompleteError, TransientStorageError
from gunshot.manifest.table import manifest_digest
from gunshot.storage import delete, exists, join, list_files, read_bytes
from gunshot.store.generations import current, generations
from gunshot.store.layout import ARRAYS, StoreHeader, commit_uri, partition_uri, read_header
from gunshot.store.records import committed_partitions, read_partition, read_record, read_records

__all__ = ["Fault", "StoreInfo", "forget", "store_info", "verify_generation"]

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """One generation of a store.

    Attributes
    ----------
    place : str
        Where it is.
    is_current : bool
        Whether readers open it.
    recipe_digest, manifest_digest : str
        What it was made with.
    n_rows, n_partitions, n_written : int
        Rows and partitions in all, and partitions that have a commit record.
    states : dict
        Rows of those by state.
    size_bytes : int
        Of all its objects [bytes].
    """

    place: str
    is_current: bool
    recipe_digest: str
    manifest_digest: str
    n_rows: int
    n_partitions: int
    n_written: int
    states: dict[str, int]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was committed.

    Attributes
    ----------
    place : str
        The generation.
    partition : int or None
        Its partition; None for the generation itself.
    reason : str
        What is wrong, in one line.
    """

    place: str
    partition: int | None
    reason: str


def _opened(uri: str) -> tuple[list[StoreHeader], str | None]:
    """Headers of all generations, and which of them is current."""
    try:
        now = current(uri)
    except StoreIncompleteError:
        now = None
    headers = generations(uri) or [read_header(uri)]
    return headers, now


def store_info(uri: str) -> list[StoreInfo]:
    """Describe the generations of a store.

    Parameters
    ----------
    uri : str
        The store.

    Returns
    -------
    list of StoreInfo
        One, or two while a run prepares the next.

    Raises
    ------
    StoreError
        If there is no store.
    """
    headers, now = _opened(uri)
    infos = []
    for header in headers:
        written = committed_partitions(header)
        states: Counter[str] = Counter()
        for _, record in read_records(header, written):
            states.update(record.column("state").to_pylist())
        size_bytes = sum(info.size for info in list_files(header.uri))
        is_current = header.uri == now and exists(commit_uri(header.uri))
        infos.append(
            StoreInfo(header.uri, is_current, header.recipe.digest, header.manifest_digest, header.n_rows,
                      len(header.partitions), len(written), dict(sorted(states.items())), size_bytes)
        )  # fmt: skip
    return infos


def verify_generation(header: StoreHeader, progress: Progress | None = None) -> Iterator[Fault]:
    """Recompute every checksum of a generation, and reconcile its counts.

    Parameters
    ----------
    header : StoreHeader
        The generation.
    progress : callable, optional
        Called with the number of rows that each partition read adds.

    Yields
    ------
    Fault
        What is wrong. A partition that was never written is missing, no fault, unless the generation is committed.

    Raises
    ------
    TransientStorageError
        If the store does not answer.
    """
    if (reason := _manifest_fault(header)) is not None:
        yield Fault(header.uri, None, reason)
    states: Counter[str] = Counter()
    written = iter(committed_partitions(header))
    n_written = 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        while some := list(islice(written, 2 * len(os.sched_getaffinity(0)))):
            found = pool.map(lambda part: _check_partition(header, part.index), some)
            for partition, (reason, counted) in zip(some, found, strict=True):
                n_written += 1
                states.update(counted)
                if reason is not None:
                    yield Fault(header.uri, partition.index, reason)
                if progress:
                    progress(partition.n_rows)
    if exists(commit_uri(header.uri)) and (reason := _commit_fault(header, states, n_written)) is not None:
        yield Fault(header.uri, None, reason)


def _manifest_fault(header: StoreHeader) -> str | None:
    try:
        table = pq.read_table(io.BytesIO(read_bytes(join(header.uri, "manifest.parquet"))))
        found = manifest_digest(table)
    except TransientStorageError:
        raise
    except (StorageError, pa.ArrowException, OSError, KeyError) as error:
        return f"manifest.parquet cannot be read: {' '.join(str(error).split())}"
    return None if found == header.manifest_digest else "manifest.parquet is another than the store was prepared with"


def _check_partition(header: StoreHeader, index: int) -> tuple[str | None, Counter[str]]:
    """What is wrong with a partition, and its rows by state."""
    partition = header.partition(index)
    try:
        record = read_record(header, index)
        rows, states = (record.column(name).to_pylist() for name in ("row", "state"))
    except TransientStorageError:
        raise
    except (StorageError, pa.ArrowException, OSError, KeyError) as error:
        return f"its commit record cannot be read: {' '.join(str(error).split())}", Counter()
    if rows != list(range(partition.start, partition.stop)):
        return "its commit record is of other rows", Counter()
    for name in ARRAYS:
        try:
            read_partition(header, index, name, record)
        except StoreDamagedError:
            return f"{name} is not what was committed: an object was lost or changed", Counter(states)
    return None, Counter(states)


def _commit_fault(header: StoreHeader, states: Counter[str], n_written: int) -> str | None:
    if n_written < len(header.partitions):
        return f"committed, but {len(header.partitions) - n_written} of {len(header.partitions)} partitions are missing"
    try:
        committed = json.loads(read_bytes(commit_uri(header.uri)))["states"]
    except (ValueError, KeyError, TypeError):
        return "commit.json is damaged"
    return None if committed == dict(states) else f"commit.json counts {committed}, the partitions hold {dict(states)}"


def forget(fault: Fault) -> None:
    """Remove what says that something damaged is there: the next run makes it again.

    Parameters
    ----------
    fault : Fault
        As :func:`verify_generation` gives it.

    Raises
    ------
    StorageError
        If it cannot be removed.
    """
    # the commit first: killed here, the store is incomplete, never wrong
    delete(commit_uri(fault.place))
    if fault.partition is not None:
        delete(partition_uri(fault.place, fault.partition))
    elif fault.reason.startswith("manifest.parquet"):
        delete(join(fault.place, "manifest.parquet"))
