"""The manifest as a table: its columns, its file, and how it prints.

Conventions
-----------
One row a clip: a whole file, or a labelled segment of one. Times are seconds from the start of the recording.
``label`` is 1
for a gunshot, 0 for anything else, null where nobody said. A row whose file cannot be used stays, with its state and
reason.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gunshot.errors import ManifestError, StorageError
from gunshot.storage import read_bytes, write_bytes

__all__ = [
    "SCHEMA",
    "counts_table",
    "dataset_table",
    "manifest_digest",
    "manifest_of",
    "read_manifest",
    "write_manifest",
]

SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),  # as shown: relative to the input, or an address it had
        pa.field("uri", pa.string(), nullable=False),
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("limit_s", pa.float64()),  # where the next segment with another label begins
        pa.field("label", pa.int8()),
        pa.field("sound", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),  # rows never split between training and test
        pa.field("device", pa.string(), nullable=False),
        pa.field("license", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
        pa.field("duration_s", pa.float64()),
        pa.field("sr", pa.int32()),
        pa.field("n_channels", pa.int16()),
        pa.field("state", pa.string(), nullable=False),  # of the header: ok, empty or unreadable; ok if it was not read
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""The columns; ``sr`` in Hz, ``size`` in bytes."""

_IDENTITY = ["uri", "start_s", "end_s", "limit_s", "label", "group", "size", "etag"]
_BATCH_ROWS = 1 << 15
"""A million rows as Python objects would take gigabytes: so many are at a time."""


def manifest_of(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Make a manifest of rows.

    Parameters
    ----------
    rows : iterable of mapping
        Values by column name.

    Returns
    -------
    pyarrow.Table
        With the columns of `SCHEMA`.
    """
    waiting = iter(rows)
    tables = [SCHEMA.empty_table()]
    while some := list(islice(waiting, _BATCH_ROWS)):
        tables.append(pa.Table.from_pylist(some, schema=SCHEMA))
    return pa.concat_tables(tables).combine_chunks()


def manifest_digest(table: pa.Table) -> str:
    """First 16 hexadecimal digits of a SHA-256 over what identifies the rows and their order.

    Parameters
    ----------
    table : pyarrow.Table
        The manifest.

    Returns
    -------
    str
        Changes when a row is added, moved or relabelled, or its file changes.
    """
    digest = hashlib.sha256()
    for start in range(0, table.num_rows, _BATCH_ROWS):
        rows = table.select(_IDENTITY).slice(start, _BATCH_ROWS)
        for column in rows.columns:
            digest.update(repr(column.to_pylist()).encode())
    return digest.hexdigest()[:16]


def write_manifest(table: pa.Table, uri: str | Path, row_group_size: int | None = None) -> None:
    """Write a manifest as Parquet, at once.

    Parameters
    ----------
    table : pyarrow.Table
        The manifest.
    uri : str or path
        Where.
    row_group_size : int, optional
        Rows in a row group; the store uses its shards'.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=row_group_size, compression="zstd")
    write_bytes(uri, buffer.getvalue())


def read_manifest(uri: str | Path) -> pa.Table:
    """Read a manifest.

    Parameters
    ----------
    uri : str or path
        The Parquet file.

    Returns
    -------
    pyarrow.Table
        With the columns of `SCHEMA`.

    Raises
    ------
    ManifestError
        If it is not a manifest.
    """
    try:
        table = pq.read_table(io.BytesIO(read_bytes(uri)))
    except StorageError as error:
        raise ManifestError(str(error)) from error
    except pa.ArrowInvalid as error:
        raise ManifestError(f"manifest {uri}: not a Parquet file ({error})") from error
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise ManifestError(f"manifest {uri}: lacks the columns {', '.join(missing)}; make it with 'gunshot manifest'")
    try:
        return table.select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise ManifestError(f"manifest {uri}: a column has another type ({error})") from error


def dataset_table(table: pa.Table, first: int = 5, last: int = 4) -> str:
    """The data set as the paper prints it: file name, sample rate, duration and label.

    Parameters
    ----------
    table : pyarrow.Table
        The manifest.
    first, last : int
        How many rows to show of each end.

    Returns
    -------
    str
        Lines; an ellipsis stands for the rows left out.
    """
    head = table.slice(0, first).to_pylist()
    tail = table.slice(max(first, table.num_rows - last)).to_pylist()
    lines = [f"{'':>8}  {'File Name':<44} {'Sample Rate':>11} {'Duration (s)':>12} {'Label':>5}"]
    lines += [_line(index, row) for index, row in enumerate(head)]
    if table.num_rows > len(head) + len(tail):
        lines.append("...")
    lines += [_line(table.num_rows - len(tail) + index, row) for index, row in enumerate(tail)]
    return "\n".join(lines)


def _line(index: int, row: dict[str, Any]) -> str:
    name = PurePosixPath(row["path"]).name
    name = name if name.isprintable() else repr(name)[1:-1]  # a line feed in a name must not break the line
    if row["state"] != "ok":
        return f"{index:>8}  {name:<44} {row['state']}: {row['reason']}"
    end_s = row["duration_s"] if row["end_s"] is None else row["end_s"]
    label = "" if row["label"] is None else row["label"]
    return f"{index:>8}  {name:<44} {row['sr']:>11} {end_s - (row['start_s'] or 0.0):>12.6f} {label:>5}"


def counts_table(table: pa.Table, most_groups: int = 8) -> str:
    """Counts per class, sample rate, group and state.

    Parameters
    ----------
    table : pyarrow.Table
        The manifest.
    most_groups : int
        How many of the largest groups to name.

    Returns
    -------
    str
        A line each.
    """
    names = {1: "gunshot", 0: "other", None: "not labelled"}
    classes = Counter(names[value] for value in table.column("label").to_pylist())
    rates = Counter(table.column("sr").to_pylist())
    groups = Counter(table.column("group").to_pylist())
    states = Counter(table.column("state").to_pylist())
    shown = ", ".join(f"{name} {count}" for name, count in groups.most_common(most_groups))
    more = f", and {len(groups) - most_groups} more" if len(groups) > most_groups else ""
    rate_counts = sorted((rate, count) for rate, count in rates.items() if rate)
    return "\n".join(
        [
            f"rows    {table.num_rows} in {len(set(table.column('uri').to_pylist()))} files",
            "classes " + ", ".join(f"{name} {count}" for name, count in sorted(classes.items())),
            "rates   " + ", ".join(f"{rate} Hz {count}" for rate, count in rate_counts),
            f"groups  {len(groups)}: {shown}{more}",
            "states  " + ", ".join(f"{state} {count}" for state, count in sorted(states.items())),
        ]
    )
