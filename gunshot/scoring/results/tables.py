"""A batch written, and tables read whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from gunshot.errors import StorageError
from gunshot.scoring.results.objects import address, encoded, read_object, snapshot, tables
from gunshot.scoring.results.schemas import RETRIED_STATES, SCHEMAS, Kind, table_of
from gunshot.scoring.results.tries import endings
from gunshot.storage import exists, write_bytes

__all__ = ["find_batch", "read_table", "write_batch"]

_TURNS = 5
_ORDER: dict[Kind, tuple[str, ...]] = {
    "recordings": ("path",), "detections": ("path", "start_s"), "candidates": ("path", "onset_s"),
}  # fmt: skip


def write_batch(
    results: str,
    name: str,
    detections: Sequence[Mapping[str, Any]],
    recordings: Sequence[Mapping[str, Any]],
    candidates: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Write a batch: its detections, its candidates, then its rows of the ledger.

    Parameters
    ----------
    results : str
        Where the tables are.
    name : str
        The batch's name.
    detections, recordings : sequence of mapping
        Values by column.
    candidates : sequence of mapping, optional
        Those too, where the rule has a floor or a sample.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    rows: list[tuple[Kind, Sequence[Mapping[str, Any]] | None]] = [
        ("detections", detections), ("candidates", candidates), ("recordings", recordings),
    ]  # fmt: skip
    # all are encoded before one is written: a value of another type is found in time
    contents = [(kind, encoded(table_of([*map(dict, found)], kind))) for kind, found in rows if found is not None]
    for kind, content in contents:
        write_bytes(address(results, kind, name), content)


def find_batch(results: str, name: str) -> pa.Table | None:
    """Rows of the ledger of a batch that is done.

    Parameters
    ----------
    results : str
        Where the tables are.
    name : str
        The batch's name.

    Returns
    -------
    pyarrow.Table or None
        None where it is not done, or a recording of it was gone or had changed.

    Raises
    ------
    StorageError
        If it cannot be read.
    """
    if not exists(address(results, "recordings", name)):
        return None
    table = read_object(results, "recordings", name)
    return None if any(state in RETRIED_STATES for state in table.column("state").to_pylist()) else table


def read_table(results: str, kind: Kind) -> pa.Table:
    """Read a table of the results, sorted by recording and time.

    Parameters
    ----------
    results : str
        Where the tables are.
    kind : {"detections", "candidates", "recordings"}
        Which.

    Returns
    -------
    pyarrow.Table
        Empty where nothing has been scored. Detections of a batch without ledger rows (a run was killed
        between the two) are left out: those recordings are not done. A recording that was tried several times is
        there once (`gunshot.scoring.results.tries`).

    Raises
    ------
    StorageError
        If it cannot be read.
    """
    found = _read(results, kind)
    if not found:
        return SCHEMAS[kind].empty_table()
    table = pa.concat_tables(found)
    return table.sort_by([(name, "ascending") for name in _ORDER[kind]])


def _read(results: str, kind: Kind) -> list[pa.Table]:
    """All tables of one moment; begun anew where objects were merged meanwhile."""
    for _ in range(_TURNS - 1):
        before = snapshot(results).live
        try:
            return [table for _, table in _objects(results, kind)]
        except StorageError:
            if snapshot(results).live == before:  # nothing was merged: it is something else
                raise
    return [table for _, table in _objects(results, kind)]


def _objects(results: str, kind: Kind) -> Iterator[tuple[str, pa.Table]]:
    return endings(results) if kind == "recordings" else tables(results, kind)
