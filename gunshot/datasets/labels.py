"""The label table: its columns, its rows, and how it gets on disk.

Conventions
-----------
Times are seconds from the start of the file; both empty means the whole file. ``label`` is 1 for a gunshot, 0
for anything else. ``group`` holds what must never be split between training and test. ``path`` is written
relative to the folder of ``labels.csv``, with ``/``.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gunshot.errors import DatasetError

__all__ = ["COLUMNS", "LabelRow", "read_label_paths", "write_labels"]

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
        At least one; their files lie below the folder of `target`.
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
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            times = ["" if value is None else round(value, 6) for value in (row.start_s, row.end_s)]
            path = row.path.relative_to(target.parent).as_posix()
            writer.writerow([path, *times, row.label, row.sound, row.source, row.group, row.device, row.license])
            n_rows += 1
        file.flush()
        os.fsync(file.fileno())
    if n_rows == 0:
        partial.unlink()
        raise DatasetError(f"a data set must give at least one labelled sound; got none for {target}; fetch it again")
    partial.replace(target)
    return n_rows


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
