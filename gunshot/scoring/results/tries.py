"""Recordings that were tried several times: which of their rows says how they ended.

Conventions
-----------
A row judges its recording, or says no more than how one try failed: it was gone or changed, it timed out, its worker
died, it could not be opened. ``n_tries`` counts the runs that failed so, and is 0 in a row that judges. Another try
writes a row of its own into another object; the earlier one stays, and counts no more. Of a recording that was judged
that row counts, of another one the row of its latest try.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gunshot.scoring.results.objects import tables
from gunshot.scoring.results.schemas import RECORDING_SCHEMA, RETRIED_STATES

__all__ = ["MOST_TRIES", "endings", "is_judged", "tries_of"]

MOST_TRIES = 3
"""Runs that try a recording which fails in a way that may pass, unless more are asked for."""

_TIMED_OUT = "timed out"
_KEY = ("uri", "etag", "model_digest", "recipe_digest", "rule")
_NEEDED = (*_KEY, "state", "n_tries")

Key = tuple[str, ...]


def is_judged(table: pa.Table) -> pa.ChunkedArray:
    """Tell rows that judge their recording from those of a try that failed.

    Parameters
    ----------
    table : pyarrow.Table
        Of the ledger, with ``state`` and ``n_tries``.

    Returns
    -------
    pyarrow.ChunkedArray of bool
        True where no other try would say more.
    """
    # results of before tries were counted have a 0 where a recording timed out
    is_passing = pc.is_in(table.column("state"), pa.array([*RETRIED_STATES, _TIMED_OUT]))
    return pc.and_(pc.invert(is_passing), pc.equal(table.column("n_tries"), 0))


def tries_of(state: str, n_tries: int) -> int:
    """Count the runs that have tried a recording in vain, by a row of one of them.

    Parameters
    ----------
    state : str
        Of the row.
    n_tries : int
        Of the row.

    Returns
    -------
    int
        0 where it was only gone or changed.
    """
    return max(n_tries, int(state == _TIMED_OUT))


@dataclass(frozen=True, slots=True)
class _Try:
    """A row of a recording that was not judged; the greater, the later."""

    rank: tuple[int, bool]
    name: str
    row: pa.Table


def endings(results: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Read how recordings ended, object after object: each recording once, whatever it was scored with.

    Parameters
    ----------
    results : str
        Where the tables are.
    columns : sequence of str, optional
        Only these; all if not given.

    Yields
    ------
    name : str
        The batch's. One with recordings that were not judged comes again, with these, after all others.
    table : pyarrow.Table
        Rows of ``recordings/``.

    Raises
    ------
    StorageError
        As `gunshot.scoring.results.objects.tables`.
    """
    wanted = list(RECORDING_SCHEMA.names if columns is None else columns)
    latest: dict[Key, _Try] = {}
    for name, table in tables(results, "recordings", list(dict.fromkeys([*wanted, *_NEEDED]))):
        judged = is_judged(table)
        if pc.all(judged).as_py():
            yield name, table.select(wanted)
            continue
        _keep_latest(latest, name, table.filter(pc.invert(judged)), wanted)
        yield name, table.filter(judged).select(wanted)
    by_name: dict[str, list[pa.Table]] = {}
    judged_keys = _judged_among(results, latest) if latest else set()
    for key, found in latest.items():
        if key not in judged_keys:
            by_name.setdefault(found.name, []).append(found.row)
    for name, rows in by_name.items():
        yield name, pa.concat_tables(rows).combine_chunks()


def _keep_latest(latest: dict[Key, _Try], name: str, rows: pa.Table, wanted: list[str]) -> None:
    shown = rows.select(wanted)
    for place, values in enumerate(rows.select(_NEEDED).to_pylist()):
        key = _key(values)
        # the row of a recording that was gone repeats the count of the try before it
        rank = (tries_of(values["state"], values["n_tries"]), values["state"] in RETRIED_STATES)
        if key not in latest or rank >= latest[key].rank:
            latest[key] = _Try(rank, name, shown.slice(place, 1))


def _judged_among(results: str, latest: dict[Key, _Try]) -> set[Key]:
    """Of recordings that a try has failed on, those that another has judged."""
    uris = pa.array({key[0] for key in latest}, pa.string())
    found: set[Key] = set()
    for _, table in tables(results, "recordings", _NEEDED):
        some = table.filter(pc.and_(pc.is_in(table.column("uri"), uris), is_judged(table)))
        found.update(_key(values) for values in some.to_pylist())
    return found & latest.keys()


def _key(values: dict[str, Any]) -> Key:
    return tuple(values[name] for name in _KEY)
