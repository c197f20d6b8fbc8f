"""What the ledger says: which recordings are done, and how those that were listed ended.

Conventions
-----------
Only the columns that are needed are decoded, object by object, and recordings are known by their keys
(`gunshot.scoring.keys`): the ledger of a million recordings is read in tens of MB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gunshot.scoring.keys import KEY, Keys, Provenance, contains
from gunshot.scoring.results.objects import tables
from gunshot.scoring.results.tries import MOST_TRIES, endings, is_judged, tries_of

__all__ = ["LedgerCounts", "count_listed", "done_keys", "known_keys"]

_IDENTITY = ["uri", "etag", "model_digest", "recipe_digest", "rule", "state", "n_tries"]
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
    return known_keys(results, provenance)[0]


def known_keys(results: str, provenance: Provenance, most_tries: int = MOST_TRIES) -> tuple[Keys, dict[bytes, int]]:
    """Recordings that need not be scored again, and those that were tried in vain.

    Parameters
    ----------
    results : str
        Where the tables are.
    provenance : Provenance
        With what they would be scored.
    most_tries : int
        Runs that try a recording which fails in a way that may pass.

    Returns
    -------
    done : ndarray of bytes
        Keys, sorted.
    tried : dict
        By key the runs that have tried a recording in vain, those that are done among them.

    Raises
    ------
    StorageError
        If the ledger cannot be read.
    """
    found: list[Keys] = [np.empty(0, dtype=KEY)]
    tried: dict[bytes, int] = {}
    for table, keys in _of(tables(results, "recordings", _IDENTITY), provenance):
        judged = _judged(table)
        found.append(keys[judged])
        for key, n_tries in _tries(table, keys, ~judged):
            tried[key] = max(tried.get(key, 0), n_tries)
    found.append(np.array([key for key, n_tries in tried.items() if n_tries >= most_tries], dtype=KEY))
    return np.unique(np.concatenate(found)), {key: n_tries for key, n_tries in tried.items() if n_tries}


def _judged(table: pa.Table) -> NDArray[np.bool_]:
    return np.asarray(is_judged(table).to_numpy(zero_copy_only=False))


def _tries(table: pa.Table, keys: Keys, rows: NDArray[np.bool_]) -> Iterator[tuple[bytes, int]]:
    for row in np.flatnonzero(rows):
        state, n_tries = (table.column(name)[row].as_py() for name in ("state", "n_tries"))
        yield bytes(keys[row]), tries_of(state, n_tries)


def _of(found: Iterable[tuple[str, pa.Table]], provenance: Provenance) -> Iterator[tuple[pa.Table, Keys]]:
    """Rows of a provenance, object after object, with their keys."""
    for _, whole in found:
        table = provenance.rows_of(whole)
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
    for table, keys in _of(endings(results, [*_IDENTITY, *_COUNTED]), provenance):
        places = np.searchsorted(listed, keys)
        first = np.zeros(keys.size, dtype=bool)
        rows = np.flatnonzero(contains(listed, keys))
        first[rows[np.unique(places[rows], return_index=True)[1]]] = True
        first[rows] &= ~is_seen[places[rows]]
        is_seen[places[rows]] = True
        counts.add(table.filter(pa.array(first)))
    counts.failures.sort(key=lambda row: row["path"])
    return counts
