"""A table as one CSV, for people and spreadsheets."""

from __future__ import annotations

import csv
import io

from gunshot.scoring.results.schemas import Kind
from gunshot.scoring.results.tables import read_table
from gunshot.storage import join, write_bytes

__all__ = ["write_csv"]

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
    table = read_table(results, kind)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(table.column_names)
    for part in table.to_batches(max_chunksize=_AT_A_TIME):  # as Python's objects a table takes ten times the memory
        columns = [[_plain(value) for value in column.to_pylist()] for column in part.columns]
        writer.writerows(zip(*columns, strict=True))
    uri = join(results, f"{kind}.csv")
    write_bytes(uri, text.getvalue().encode())
    return uri


def _plain(value: object) -> object:
    """A cell: lists with spaces between, and no file's name that a spreadsheet would run as a formula."""
    if isinstance(value, str):
        return "'" + value if value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value
    if isinstance(value, list):
        return " ".join(f"{item:.4f}" for item in value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return "" if value is None else value
