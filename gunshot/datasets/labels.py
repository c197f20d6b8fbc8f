"""The label table: its columns, its rows, and how it gets on disk.

Conventions
-----------
Times are seconds from the start of the file; both empty means the whole file. ``label`` is 1 for a gunshot, 0
for anything else. ``group`` holds what must never be split between training and test. ``path`` is written
relative to the folder of ``labels.csv`` where it lies below it, with ``/``.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gunshot.errors import DatasetError

__all__ = ["COLUMNS", "LabelRow", "read_label_paths", "read_labels", "write_labels"]

COLUMNS = ("path", "start_s", "end_s", "label", "sound", "source", "group", "device", "license")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """One labelled sound: a whole file or a segment of it.

    Attributes
    ----------
    path : Path
        The audio file.
    label : int
        1 = gunshot, 0 = not.
    sound : str
        What is heard, in the publisher's words.
    source : str
        Name of the data set.
    group : str
        Rows of one group never fall on both sides of a split.
    license : str
        Licence of this sound.
    device : str
        What recorded it, where that is known.
    start_s, end_s : float or None
        The segment [s]; both None for the whole file.
    """

    path: Path
    label: int
    sound: str
    source: str
    group: str
    license: str
    device: str = "various"
    start_s: float | None = None
    end_s: float | None = None


def write_labels(rows: Iterable[LabelRow], target: Path) -> int:
    """Write a label table at once: readers see no table, or the whole one.

    Parameters
    ----------
    rows : iterable of LabelRow
        At least one. Files that lie below the folder of `target` are written relative to it, others absolute.
    target : Path
        The ``labels.csv`` to write.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    DatasetError
        If there is no row.
    """
    partial = target.with_name(f".{target.name}.partial")
    n_rows = 0
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for row in rows:
                writer.writerow(_cells(row, target.parent))
                n_rows += 1
            file.flush()
            os.fsync(file.fileno())
        if n_rows == 0:
            raise DatasetError(
                f"a data set must give at least one labelled sound; got none for {target}; fetch it again"
            )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)  # rows may be an iterator that fails half-way
    return n_rows


def _cells(row: LabelRow, folder: Path) -> list[str | float]:
    times = ["" if value is None else round(value, 6) for value in (row.start_s, row.end_s)]
    path = (row.path.relative_to(folder) if row.path.is_relative_to(folder) else row.path.absolute()).as_posix()
    return [path, *times, row.label, row.sound, row.source, row.group, row.device, row.license]


def read_label_paths(target: Path) -> list[Path]:
    """Audio files that a label table names, in its order, each once.

    Parameters
    ----------
    target : Path
        A ``labels.csv``.

    Returns
    -------
    list of Path
        The files, resolved against the folder of the table; empty if it is no label table.
    """
    with target.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            return []
        return list(dict.fromkeys(target.parent / row["path"] for row in reader))


def read_labels(table: Path) -> list[LabelRow]:
    """Read a label table that this project wrote.

    Parameters
    ----------
    table : Path
        A ``labels.csv`` with all of `COLUMNS`.

    Returns
    -------
    list of LabelRow
        In its order, paths resolved against its folder.

    Raises
    ------
    DatasetError
        If it is missing, has other columns, or a number in it is none.
    """
    try:
        with table.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise ValueError(f"the columns {', '.join(reader.fieldnames or ['of an empty file'])}")
            return [_row(row, table.parent) for row in reader]
    except OSError as error:
        raise DatasetError(f"label table {table} cannot be read: {error}; check its path") from error
    except (ValueError, csv.Error) as error:
        raise DatasetError(
            f"label table {table} must have the columns {', '.join(COLUMNS)} and a value for each; got {error}; "
            "write it again"
        ) from error


def _row(row: dict[str, str], folder: Path) -> LabelRow:
    if None in row.values():
        raise ValueError(f"a row that breaks off after {row['path']}")
    start_s, end_s = (float(row[name]) if row[name] else None for name in ("start_s", "end_s"))
    return LabelRow(
        path=folder / row["path"], label=int(row["label"]), sound=row["sound"], source=row["source"],
        group=row["group"], license=row["license"], device=row["device"], start_s=start_s, end_s=end_s,
    )  # fmt: skip
