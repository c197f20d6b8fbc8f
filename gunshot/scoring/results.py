"""The results: two tables that are also the ledger.

Conventions
-----------
::

    RESULTS/
      detections/<batch>.parquet   a row a detection, written first
      recordings/<batch>.parquet   a row a recording, written after: the ledger

A recording is done when its row for this model and recipe exists in ``recordings/``; there is no other memory. A
batch's name follows from what is in it, so the same batch scored again overwrites itself. Times are seconds, or UTC.
A detection's probability is its best clip's, calibrated (`gunshot.evaluation.calibration`), for the share of gunshots
of the rows that the model was calibrated on; it is null in results written before there was one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from gunshot.errors import StorageError
from gunshot.storage import exists, join, list_files, read_bytes, write_bytes

__all__ = [
    "DETECTION_SCHEMA",
    "RECORDING_SCHEMA",
    "Key",
    "done_keys",
    "read_table",
    "write_batch",
    "write_csv",
]

_UTC = pa.timestamp("ms", tz="UTC")

_PROVENANCE = [
    pa.field("threshold", pa.float64(), nullable=False),
    pa.field("model", pa.string(), nullable=False),
    pa.field("model_digest", pa.string(), nullable=False),
    pa.field("recipe_digest", pa.string(), nullable=False),
]

_PLACE = [
    pa.field("time_uncertainty_s", pa.float64()),
    pa.field("site", pa.string(), nullable=False),
    pa.field("recorder", pa.string(), nullable=False),
    pa.field("latitude", pa.float64()),
    pa.field("longitude", pa.float64()),
]
_LATER_TEXTS = {"site", "recorder"}  # empty in results of earlier versions

DETECTION_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("start_s", pa.float64(), nullable=False),
        pa.field("end_s", pa.float64(), nullable=False),
        pa.field("start_utc", _UTC),
        pa.field("time_source", pa.string(), nullable=False),
        *_PLACE,
        pa.field("n_shots", pa.int32(), nullable=False),
        pa.field("shots_s", pa.list_(pa.float64()), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("probability", pa.float32()),
        *_PROVENANCE,
    ]
)
"""Columns of ``detections/``."""

RECORDING_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("sr", pa.int32()),
        pa.field("n_channels", pa.int16()),
        pa.field("duration_s", pa.float64()),
        pa.field("read_s", pa.float64(), nullable=False),
        pa.field("start_utc", _UTC),
        pa.field("time_source", pa.string(), nullable=False),
        *_PLACE,
        pa.field("n_candidates", pa.int32(), nullable=False),
        pa.field("n_detections", pa.int32(), nullable=False),
        *_PROVENANCE,
    ]
)
"""Columns of ``recordings/``."""

Kind = Literal["detections", "recordings"]
_SCHEMAS: dict[Kind, pa.Schema] = {"detections": DETECTION_SCHEMA, "recordings": RECORDING_SCHEMA}

Key = tuple[str, str, str, str]
"""What makes a recording done: URI, etag, model digest, recipe digest."""


def write_batch(
    results: str, name: str, detections: Sequence[Mapping[str, Any]], recordings: Sequence[Mapping[str, Any]]
) -> None:
    """Write a batch: its detections, then its rows of the ledger.

    Parameters
    ----------
    results : str
        Where the tables are.
    name : str
        The batch's name.
    detections, recordings : sequence of mapping
        Values by column.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    rows: dict[Kind, Sequence[Mapping[str, Any]]] = {"detections": detections, "recordings": recordings}
    for kind, values in rows.items():
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(list(values), schema=_SCHEMAS[kind]), buffer, compression="zstd")
        write_bytes(join(results, kind, f"{name}.parquet"), buffer.getvalue())


def read_table(results: str, kind: Kind) -> pa.Table:
    """Read a table of the results, sorted by recording and time.

    Parameters
    ----------
    results : str
        Where the tables are.
    kind : {"detections", "recordings"}
        Which.

    Returns
    -------
    pyarrow.Table
        Empty where nothing has been scored. Detections of a batch without ledger rows (a run was killed
        between the two) are left out: those recordings are not done.
    """
    done = _objects(results, "recordings")
    names = [name for name in _objects(results, kind) if name in done]
    tables = [_of_today(pq.read_table(io.BytesIO(read_bytes(join(results, kind, name)))), kind) for name in names]
    if not tables:
        return _SCHEMAS[kind].empty_table()
    keys = [("path", "ascending")] + ([("start_s", "ascending")] if kind == "detections" else [])
    return pa.concat_tables(tables).sort_by(keys)


def _of_today(table: pa.Table, kind: Kind) -> pa.Table:
    """A table of an earlier version with the columns of this one: those it lacks are null where they may be."""
    schema = _SCHEMAS[kind]
    if table.schema.equals(schema):
        return table
    for name in set(schema.names) - set(table.column_names):
        if schema.field(name).nullable:
            table = table.append_column(schema.field(name), pa.nulls(table.num_rows, schema.field(name).type))
        elif name in _LATER_TEXTS:
            table = table.append_column(schema.field(name), pa.array([""] * table.num_rows, pa.string()))
    missing = sorted(set(schema.names) - set(table.column_names))
    if missing:
        raise StorageError(f"{kind} without {', '.join(missing)}: not results of this program; give another --out")
    return table.select(schema.names)


def _objects(results: str, kind: Kind) -> list[str]:
    folder = join(results, kind)
    if not exists(folder):
        return []
    return [info.uri.rpartition("/")[2] for info in list_files(folder, (".parquet",))]


def done_keys(results: str) -> set[Key]:
    """Recordings that need not be scored again.

    Parameters
    ----------
    results : str
        Where the tables are.

    Returns
    -------
    set of tuple
        URI, etag, model digest, recipe digest.
    """
    table = read_table(results, "recordings")
    columns = [table.column(name).to_pylist() for name in ("uri", "etag", "model_digest", "recipe_digest")]
    return set(zip(*columns, strict=True))


def write_csv(results: str, kind: Kind) -> str:
    """Write a table as one CSV beside the objects, for people and spreadsheets.

    Parameters
    ----------
    results : str
        Where the tables are.
    kind : {"detections", "recordings"}
        Which.

    Returns
    -------
    str
        Where the CSV is.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    table = read_table(results, kind)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        values = [value.isoformat() if hasattr(value, "isoformat") else value for value in row.values()]
        writer.writerow([_plain(value) for value in values])
    uri = join(results, f"{kind}.csv")
    write_bytes(uri, text.getvalue().encode())
    return uri


def _plain(value: object) -> object:
    """A cell: lists with spaces between, and no file's name that a spreadsheet would run as a formula."""
    if isinstance(value, list):
        return " ".join(f"{item:.4f}" for item in value)
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return "'" + value
    return "" if value is None else value
