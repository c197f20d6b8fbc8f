"""Many small objects made into few large ones, without a moment at which a row is missing or seen twice.

Conventions
-----------
A run writes objects of some dozen recordings. Merging writes the rows of many batches under one new name, to
``detections/`` and ``candidates/`` first, where they do not count yet, and to ``recordings/`` last: with that one write
the new object counts and those that it names as replaced do not. Then these are removed, the ledger's first. Killed
between any two writes, the results are what they were; the next merging removes what is left over. Batches with a
recording that was gone or had changed are not merged: they will be written anew under their own name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from gunshot.progress import steps
from gunshot.scoring.results.objects import (
    MERGED,
    REPLACES,
    Snapshot,
    address,
    encoded,
    listed,
    read_object,
    replaces,
    snapshot,
)
from gunshot.scoring.results.schemas import KINDS, RETRIED_STATES, Kind
from gunshot.storage import delete, write_bytes

__all__ = ["Merging", "merge_objects", "remove_replaced"]

_OBJECT_BYTES = 16 * 2**20
"""Of the ledger; an object that has so much is large enough."""

_MOST_OBJECTS = 4096


@dataclass(frozen=True, slots=True)
class Merging:
    """What was merged.

    Attributes
    ----------
    n_before, n_after : int
        Objects of the ledger that count.
    n_removed : int
        Objects of all tables that were removed.
    """

    n_before: int
    n_after: int
    n_removed: int


def merge_objects(
    results: str, *, object_bytes: int = _OBJECT_BYTES, check: Callable[[], None] = lambda: None
) -> Merging:
    """Merge small objects; whoever calls holds the lease.

    Parameters
    ----------
    results : str
        Where the tables are.
    object_bytes : int
        Objects of the ledger are merged until one has so much [bytes].
    check : callable
        Called before each write that makes a merged object count; raises if the lease was lost.

    Returns
    -------
    Merging
        What was done.

    Raises
    ------
    StorageError
        If the tables cannot be read or written.
    """
    # first what an earlier merging has left: an object removed with what it replaces still there would bring that back
    n_removed = remove_replaced(results)
    now = snapshot(results)
    for names in _groups(results, now, object_bytes):
        _merge(results, names, check)
        n_removed += remove_replaced(results)
    return Merging(len(now.live), len(snapshot(results).live), n_removed)


def _groups(results: str, now: Snapshot, object_bytes: int) -> Iterator[list[str]]:
    """Small objects that become one, in the order of their names."""
    group: list[str] = []
    n_bytes = 0
    for name in steps(now.live, "compact", "objects", len(now.live)):
        if now.sizes[name] >= object_bytes or _has_open(results, name):
            continue
        if group and (n_bytes + now.sizes[name] > object_bytes or len(group) == _MOST_OBJECTS):
            if len(group) > 1:
                yield group
            group, n_bytes = [], 0
        group.append(name)
        n_bytes += now.sizes[name]
    if len(group) > 1:
        yield group


def _has_open(results: str, name: str) -> bool:
    states = read_object(results, "recordings", name, ["state"]).column("state").unique().to_pylist()
    return any(state in RETRIED_STATES for state in states)


def _merge(results: str, names: Sequence[str], check: Callable[[], None]) -> None:
    merged = MERGED + hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]
    for kind in KINDS:
        table = _joined(results, kind, names)
        if table is None:
            continue
        if kind == "recordings":
            # with what those replaced before: a worker that was thought dead may still write such a batch
            earlier = [old for name in names if name.startswith(MERGED) for old in replaces(results, name)]
            table = table.replace_schema_metadata({REPLACES: json.dumps([*names, *earlier]).encode()})
            check()
        write_bytes(address(results, kind, merged), encoded(table))


def _joined(results: str, kind: Kind, names: Sequence[str]) -> pa.Table | None:
    there = listed(results, kind)
    found = [read_object(results, kind, name) for name in names if name in there]
    return pa.concat_tables(found).combine_chunks() if found else None


def remove_replaced(results: str) -> int:
    """Remove objects that a merged one stands for; whoever calls holds the lease.

    Parameters
    ----------
    results : str
        Where the tables are.

    Returns
    -------
    int
        How many were removed.

    Raises
    ------
    StorageError
        If one cannot be removed.
    """
    replaced, n_removed = snapshot(results).replaced, 0
    # the ledger's first, by whose absence a reader knows that it must look again; merged ones after the others
    for kind in reversed(KINDS):
        names = sorted(replaced & set(listed(results, kind)), key=lambda name: (name.startswith(MERGED), name))
        for name in names:
            delete(address(results, kind, name))
        n_removed += len(names)
    return n_removed
