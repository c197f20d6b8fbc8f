"""What the ledger says: which recordings are done, and how those that were listed ended.

Conventions
-----------
Only the columns that are needed are decoded, object by object, and recordings are known by their keys
(`gunshot.scoring.keys`): the ledger of a million recordings is read in tens of MB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gunshot.scoring.keys import KEY, Keys, Provenance, contains
from gunshot.scoring.results.objects import tables
from gunshot.scoring.results.schemas import RETRIED_STATES

__all__ = ["LedgerCounts", "count_listed", "done_keys"]

_IDENTITY = ["uri", "etag", "model_digest", "recipe_digest", "rule", "state"]
_COUNTED = ["n_detections", "read_s", "path", "reason"]
_MOST_FAILURES = 1000


def done_keys(results: str, provenance: Provenance) -> Keys:
    """Recordings that need not be scored again.

    Parameters
    ----------
    results : str
        Where the tables are.
    provenance : Provenance
        With what they would be scored.

    Returns
    -------
    ndarray of bytes
        Keys, sorted.

    Raises
    ------
    StorageError
        If the ledger cannot be read.
    """
    found = [keys[_is_done(table)] for table, keys in _of(results, provenance, _IDENTITY)]
    return np.sort(np.concatenate([np.empty(0, dtype=KEY), *found]))


def _is_done(table: pa.Table) -> np.ndarray:
    return ~np.asarray(pc.is_in(table.column("state"), pa.array(RETRIED_STATES)).to_numpy(zero_copy_only=False))


def _of(results: str, provenance: Provenance, columns: list[str]) -> Iterator[tuple[pa.Table, Keys]]:
    """Rows of a provenance, object after object, with their keys."""
    for _, whole in tables(results, "recordings", columns):
        is_ours = pc.and_(
            pc.and_(
                pc.equal(whole.column("model_digest"), provenance.model_digest),
                pc.equal(whole.column("recipe_digest"), provenance.recipe_digest),
            ),
            pc.equal(whole.column("rule"), provenance.rule),
        )
        table = whole.filter(is_ours)
        if table.num_rows:
            yield table, provenance.keys(table.column("uri").to_pylist(), table.column("etag").to_pylist())


@dataclass(slots=True)
class LedgerCounts:
    """How recordings ended.

    Attributes
    ----------
    states : dict
        Recordings by state.
    n_detections : int
        In all of them.
    listened_s : float
        Sound that was read [s].
    failures : list of dict
        ``path``, ``state`` and ``reason`` of those that are not ``ok``, the first thousand.
    """

    states: Counter[str] = field(default_factory=Counter)
    n_detections: int = 0
    listened_s: float = 0.0
    failures: list[dict[str, str]] = field(default_factory=list)

    def add(self, table: pa.Table) -> None:
        """Count rows of the ledger.

        Parameters
        ----------
        table : pyarrow.Table
            With state, reason, path, detections and sound read.
        """
        for value in pc.value_counts(table.column("state")).to_pylist():
            self.states[value["values"]] += value["counts"]
        self.n_detections += pc.sum(table.column("n_detections")).as_py() or 0
        self.listened_s += pc.sum(table.column("read_s")).as_py() or 0.0
        failed = table.filter(pc.not_equal(table.column("state"), "ok")).select(["path", "state", "reason"])
        self.failures += failed.slice(0, max(0, _MOST_FAILURES - len(self.failures))).to_pylist()


def count_listed(results: str, provenance: Provenance, listed: Keys) -> LedgerCounts:
    """Count the recordings of a listing in the ledger, each once.

    Parameters
    ----------
    results : str
        Where the tables are.
    provenance : Provenance
        With what they were scored.
    listed : ndarray of bytes
        Their keys.

    Returns
    -------
    LedgerCounts
        How they ended; where all have a row, the states add up to the listing.

    Raises
    ------
    StorageError
        If the ledger cannot be read.
    """
    listed = np.sort(listed)
    is_seen = np.zeros(listed.size, dtype=bool)
    counts = LedgerCounts()
    tried: dict[bytes, pa.Table] = {}
    for table, keys in _of(results, provenance, [*_IDENTITY, *_COUNTED]):
        is_listed = contains(listed, keys)
        is_done = _is_done(table)
        places = np.searchsorted(listed, keys)
        first = np.zeros(keys.size, dtype=bool)
        rows = np.flatnonzero(is_listed & is_done)
        first[rows[np.unique(places[rows], return_index=True)[1]]] = True
        first[rows] &= ~is_seen[places[rows]]
        is_seen[places[rows]] = True
        counts.add(table.filter(pa.array(first)))
        for row in np.flatnonzero(is_listed & ~is_done):
            tried[bytes(keys[row])] = table.slice(row, 1)
    done = listed[is_seen]
    for key, row in tried.items():
        if not contains(done, np.array([key], dtype=KEY))[0]:
            counts.add(row)
    counts.failures.sort(key=lambda row: row["path"])
    return counts
