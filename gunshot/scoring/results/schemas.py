"""Columns of the tables, and tables of earlier versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa

from gunshot.errors import StorageError
from gunshot.scoring.keys import USUAL_RULE

__all__ = [
    "CANDIDATE_SCHEMA",
    "DETECTION_SCHEMA",
    "KINDS",
    "RECORDING_SCHEMA",
    "RETRIED_STATES",
    "SCHEMAS",
    "Kind",
    "as_today",
    "table_of",
]

Kind = Literal["detections", "candidates", "recordings"]

KINDS: tuple[Kind, ...] = ("detections", "candidates", "recordings")
"""The tables, in the order in which a batch's objects are written."""

RETRIED_STATES = ("gone", "changed")
"""States of recordings that were not there, or not the same, when they were read: their rows never make them done, and
are written over by the next try."""

_UTC = pa.timestamp("ms", tz="UTC")


def _text(name: str) -> pa.Field:
    return pa.field(name, pa.string(), nullable=False)


def _number(name: str, kind: pa.DataType | None = None) -> pa.Field:
    return pa.field(name, kind or pa.float64(), nullable=False)


_PLACE = [_text("site"), _text("recorder"), pa.field("latitude", pa.float64()), pa.field("longitude", pa.float64())]

_PROVENANCE = [_number("threshold"), _text("model"), _text("model_digest"), _text("recipe_digest")]

_RULE = _text("rule")

DETECTION_SCHEMA = pa.schema(
    [
        _text("path"),
        _text("uri"),
        _text("etag"),
        pa.field("channel", pa.int16()),
        _number("start_s"),
        _number("end_s"),
        pa.field("start_utc", _UTC),
        _text("time_source"),
        pa.field("time_uncertainty_s", pa.float64()),
        *_PLACE,
        _number("n_shots", pa.int32()),
        pa.field("shots_s", pa.list_(pa.float64()), nullable=False),
        _number("score", pa.float32()),
        pa.field("probability", pa.float32()),
        *_PROVENANCE,
        _RULE,
    ]
)
"""Columns of ``detections/``."""

RECORDING_SCHEMA = pa.schema(
    [
        _text("path"),
        _text("uri"),
        _number("size", pa.int64()),
        _text("etag"),
        _text("state"),
        _text("reason"),
        _number("n_tries", pa.int32()),
        pa.field("sr", pa.int32()),
        pa.field("n_channels", pa.int16()),
        pa.field("duration_s", pa.float64()),
        _number("read_s"),
        _number("silent_s"),
        _number("clipped_s"),
        pa.field("start_utc", _UTC),
        _text("time_source"),
        pa.field("time_uncertainty_s", pa.float64()),
        *_PLACE,
        _number("n_candidates", pa.int32()),
        _number("n_detections", pa.int32()),
        pa.field("score_counts", pa.list_(pa.int32())),
        *_PROVENANCE,
        _RULE,
        _text("run_id"),
    ]
)
"""Columns of ``recordings/``."""

CANDIDATE_SCHEMA = pa.schema(
    [
        _text("path"),
        _text("uri"),
        _text("etag"),
        pa.field("channel", pa.int16()),
        _number("onset_s"),
        _number("score", pa.float32()),
        _number("level_db", pa.float32()),
        _number("inclusion"),
        _text("model_digest"),
        _text("recipe_digest"),
        _RULE,
    ]
)
"""Columns of ``candidates/``."""

SCHEMAS: dict[Kind, pa.Schema] = {
    "detections": DETECTION_SCHEMA, "candidates": CANDIDATE_SCHEMA, "recordings": RECORDING_SCHEMA,
}  # fmt: skip
"""Columns by table."""

_NEVER_NEW = {
    "path", "uri", "size", "state", "start_s", "end_s", "n_shots", "shots_s", "score", "onset_s",
    "n_candidates", "n_detections", "threshold", "model", "model_digest", "recipe_digest", "read_s", "reason",
    "time_source",
}  # fmt: skip
"""Columns that the first version had: a table without them is none of ours."""


def _default(field: pa.Field) -> Any:
    """What stands in a column that a row or an earlier table does not have."""
    if field.nullable:
        return None
    if field.name == "rule":
        return USUAL_RULE
    if field.name == "inclusion":
        return 1.0  # there was no sample: all from the floor on are there
    return "" if pa.types.is_string(field.type) else 0


def table_of(rows: Sequence[dict[str, Any]], kind: Kind) -> pa.Table:
    """Rows as a table of today.

    Parameters
    ----------
    rows : sequence of dict
        Values by column. A newer column that a row lacks is null, empty, 0 or the usual rule.
    kind : {"detections", "candidates", "recordings"}
        Which table.

    Returns
    -------
    pyarrow.Table
        With all columns.
    """
    schema = SCHEMAS[kind]
    newer = {field.name: _default(field) for field in schema if field.name not in _NEVER_NEW}
    return pa.Table.from_pylist([newer | row for row in rows], schema=schema)


def as_today(table: pa.Table, kind: Kind, columns: Sequence[str] | None = None) -> pa.Table:
    """Give a table of an earlier version the columns of this one.

    Parameters
    ----------
    table : pyarrow.Table
        As it was written.
    kind : {"detections", "candidates", "recordings"}
        Which table.
    columns : sequence of str, optional
        Which columns were asked for; all if not given.

    Returns
    -------
    pyarrow.Table
        What it lacks is null where it may be, else empty, 0 or the usual rule.

    Raises
    ------
    StorageError
        If it lacks a column that there always was.
    """
    wanted = SCHEMAS[kind] if columns is None else pa.schema([SCHEMAS[kind].field(name) for name in columns])
    if table.schema.equals(wanted):
        return table
    missing = set(wanted.names) - set(table.column_names)
    if foreign := sorted(missing & _NEVER_NEW):
        raise StorageError(f"{kind} without {', '.join(foreign)}: not results of this program; give another --out")
    filled = [
        pa.array([_default(field)] * table.num_rows, field.type) if field.name in missing else table.column(field.name)
        for field in wanted
    ]
    return pa.Table.from_arrays(filled, schema=wanted)
