"""A batch written, and tables read whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gunshot.errors import StorageError
from gunshot.scoring.results.objects import address, encoded, read_object, snapshot, tables
from gunshot.scoring.results.schemas import RETRIED_STATES, SCHEMAS, Kind, table_of
from gunshot.storage import exists, write_bytes

__all__ = ["find_batch", "read_table", "write_batch"]

_TURNS = 5
_KEY = ("uri", "etag", "model_digest", "recipe_digest", "rule")
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
        None where it is not done, or a recording of it is to be tried again.

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
        between the two) are left out: those recordings are not done. A recording that was gone or changed, and was
        scored later, is there once.

    Raises
    ------
    StorageError
        If it cannot be read.
    """
    found = _read(results, kind)
    if not found:
        return SCHEMAS[kind].empty_table()
    table = pa.concat_tables(found)
    if kind == "recordings":
        table = _without_earlier_tries(table)
    return table.sort_by([(name, "ascending") for name in _ORDER[kind]])


def _read(results: str, kind: Kind) -> list[pa.Table]:
    """All tables of one moment; begun anew where objects were merged meanwhile."""
    for _ in range(_TURNS - 1):
        before = snapshot(results).live
        try:
            return [table for _, table in tables(results, kind)]
        except StorageError:
            if snapshot(results).live == before:  # nothing was merged: it is something else
                raise
    return [table for _, table in tables(results, kind)]


def _without_earlier_tries(table: pa.Table) -> pa.Table:
    """The ledger without rows of recordings that were gone or changed, where a later row says more."""
    is_retried = pc.is_in(table.column("state"), pa.array(RETRIED_STATES))
    if not pc.any(is_retried).as_py():
        return table
    tried = pc.unique(table.filter(is_retried).column("uri"))
    rows = pc.indices_nonzero(pc.is_in(table.column("uri"), tried)).to_pylist()
    some = table.select([*_KEY, "state"]).take(rows).to_pylist()
    best: dict[tuple[str, ...], tuple[bool, int]] = {}
    for row, values in zip(rows, some, strict=True):
        key = tuple(values[name] for name in _KEY)
        best[key] = max(best.get(key, (False, row)), (values["state"] not in RETRIED_STATES, row))
    keep = {row for _, row in best.values()}
    pairs = zip(rows, some, strict=True)
    dropped = {row for row, values in pairs if row not in keep and values["state"] in RETRIED_STATES}
    return table.take([row for row in range(table.num_rows) if row not in dropped]) if dropped else table
