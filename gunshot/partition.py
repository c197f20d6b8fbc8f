"""Units of work, planned before anything is computed.

Conventions
-----------
A partition is a half-open range of rows that owns whole shards of the store, so no two workers write one object.
The plan depends on the number of rows alone, never on the number of workers: a rerun elsewhere has the same partitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

__all__ = ["CHUNK_ROWS", "Partition", "plan_partitions", "shard_rows_for"]

CHUNK_ROWS = 64
"""Rows in a chunk of the store, the smallest piece that is read."""

_LEAST_PARTITIONS = 16
_MOST_SHARD_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Partition:
    """A range of rows.

    Attributes
    ----------
    index : int
        Its number.
    start, stop : int
        First row and the row after the last.
    """

    index: int
    start: int
    stop: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.stop - self.start


def shard_rows_for(n_rows: int) -> int:
    """Rows in a shard: enough partitions to keep a few workers busy, few enough objects for a bucket.

    Parameters
    ----------
    n_rows : int
        Rows of the manifest.

    Returns
    -------
    int
        A multiple of `CHUNK_ROWS`.

    Examples
    --------
    >>> shard_rows_for(100), shard_rows_for(5179), shard_rows_for(10**6)
    (64, 384, 1024)
    """
    wanted = ceil(n_rows / _LEAST_PARTITIONS / CHUNK_ROWS) * CHUNK_ROWS
    return min(max(wanted, CHUNK_ROWS), _MOST_SHARD_ROWS)


def plan_partitions(n_rows: int, shard_rows: int) -> tuple[Partition, ...]:
    """Cut rows into partitions of one shard each.

    Parameters
    ----------
    n_rows, shard_rows : int
        Rows in all, and in a shard.

    Returns
    -------
    tuple of Partition
        They tile ``range(n_rows)``; the last may be short.

    Examples
    --------
    >>> [(p.start, p.stop) for p in plan_partitions(150, 64)]
    [(0, 64), (64, 128), (128, 150)]
    """
    return tuple(
        Partition(index, start, min(start + shard_rows, n_rows))
        for index, start in enumerate(range(0, n_rows, shard_rows))
    )
