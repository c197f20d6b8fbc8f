"""A table as one CSV, for people and spreadsheets."""

from __future__ import annotations

import csv
import io

import pyarrow as pa

from gunshot.progress import steps
from gunshot.scoring.results.schemas import Kind
from gunshot.scoring.results.tables import read_table
from gunshot.storage import join, write_bytes

__all__ = ["csv_cell", "table_csv", "write_csv", "write_table"]

_AT_A_TIME = 10_000


def write_csv(results: str, kind: Kind) -> str:
    """Write a table as one CSV beside the objects.

    Parameters
    ----------
    results : str
        Where the tables are.
    kind : {"detections", "candidates", "recordings"}
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
    uri = join(results, f"{kind}.csv")
    write_table(read_table(results, kind), uri)
    return uri


def write_table(table: pa.Table, uri: str) -> None:
    """Write any table as CSV.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    uri : str
        Where it goes.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    write_bytes(uri, _encoded(table))


def table_csv(table: pa.Table) -> str:
    """Give a table as the text of a CSV.

    Parameters
    ----------
    table : pyarrow.Table
        The table.

    Returns
    -------
    str
        With a line of column names.
    """
    return _encoded(table).decode()


def _encoded(table: pa.Table) -> bytes:
    content = io.BytesIO()  # as text it would take four times as much
    text = io.TextIOWrapper(content, encoding="utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow(table.column_names)
    parts = table.to_batches(max_chunksize=_AT_A_TIME)  # as Python's objects a table takes ten times the memory
    for part in steps(parts, "write", "rows", table.num_rows, lambda part: part.num_rows):
        columns = [[csv_cell(value) for value in column.to_pylist()] for column in part.columns]
        writer.writerows(zip(*columns, strict=True))
    text.flush()
    return content.getvalue()


def csv_cell(value: object) -> object:
    """Say what stands in a cell: lists with spaces between, no file's name that a spreadsheet would run as a formula.

    Parameters
    ----------
    value : object
        Of a table.

    Returns
    -------
    object
        For `csv.writer`.
    """
    if isinstance(value, str):
        return "'" + value if value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value
    if isinstance(value, list):
        return " ".join(f"{item:.4f}" if isinstance(item, float) else str(item) for item in value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return "" if value is None else value
