"""Label tables: a CSV with a row a clip.

Conventions
-----------
Columns: ``path`` (relative to the table, absolute, or a URI) and ``label`` (1 or 0) are needed; ``start_s``, ``end_s``
(seconds, both empty for the whole file), ``sound``, ``source``, ``group``, ``device``, ``license`` and
``earlier_path`` are optional. A column that begins with ``x_`` is the user's own and is not read. Everything wrong with
a table is told at once, by line.
"""

from __future__ import annotations

import csv
import difflib
import io
from dataclasses import dataclass
from math import isfinite
from pathlib import Path, PurePosixPath

from gunshot.errors import ManifestError, StorageError
from gunshot.manifest.names import name_facts
from gunshot.storage import read_bytes

__all__ = ["COLUMNS", "LabelRow", "read_labels"]

COLUMNS = ("path", "start_s", "end_s", "label", "sound", "source", "group", "device", "license", "earlier_path")
"""The columns that are read."""

_NEEDED = ("path", "label")
_MOST_PROBLEMS = 3


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One line of a label table.

    Attributes
    ----------
    line : int
        Its number in the file.
    path : str
        As written.
    start_s, end_s : float or None
        The segment [s].
    label : int
        1 gunshot, 0 other.
    sound, source, group, device, license : str
        As written; `group` falls back to what the file's name says.
    earlier_path : str
        An address that the recording had before it was moved: other stores may know it by that. Empty for none.
    """

    line: int
    path: str
    start_s: float | None
    end_s: float | None
    label: int
    sound: str
    source: str
    group: str
    device: str
    license: str
    earlier_path: str = ""


def read_labels(uri: str | Path) -> list[LabelRow]:
    """Read a label table.

    Parameters
    ----------
    uri : str or path
        The CSV file.

    Returns
    -------
    list of LabelRow
        In the table's order.

    Raises
    ------
    ManifestError
        If it cannot be read, lacks a column, has an unknown one, or has a wrong value; names lines and remedies.
    """
    try:
        text = read_bytes(uri).decode("utf-8-sig")
    except StorageError as error:
        raise ManifestError(f"label table: {error}") from error
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"label table {uri}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows, problems = [], []
    try:
        _check_columns(uri, list(reader.fieldnames or ()))
        for record in reader:
            try:
                rows.append(_row(reader.line_num, record))
            except ValueError as error:
                problems.append(f"line {reader.line_num}: {error}")
    except csv.Error as error:
        raise ManifestError(
            f"label table {uri}: line {reader.line_num + 1} or later is not CSV ({error}); close the quote left open"
        ) from error
    if problems:
        more = f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise ManifestError(f"label table {uri}: {'; '.join(problems[:_MOST_PROBLEMS])}{more}")
    if not rows:
        raise ManifestError(f"label table {uri}: no rows; give at least one line below the header")
    return rows


def _check_columns(uri: str | Path, names: list[str]) -> None:
    problems = []
    for name in names:
        if name not in COLUMNS and not (name or "").startswith("x_"):
            guess = difflib.get_close_matches(name or "", COLUMNS, n=1)
            hint = (
                f"did you mean {guess[0]!r}?" if guess else "remove it, or begin its name with 'x_' to have it ignored"
            )
            problems.append(f"unknown column {name!r}: {hint}")
    problems += [f"column {name!r} is there {names.count(name)} times" for name in COLUMNS if names.count(name) > 1]
    problems += [f"column {name!r} is missing" for name in _NEEDED if name not in names]
    if problems:
        raise ManifestError(f"label table {uri}: {'; '.join(problems)} (columns read: {', '.join(COLUMNS)})")


def _row(line: int, record: dict[str, str | None]) -> LabelRow:
    values = {name: (record.get(name) or "").strip() for name in COLUMNS}
    if None in record:
        raise ValueError("more fields than the header has columns; quote fields that hold commas")
    if not values["path"]:
        raise ValueError("path is empty")
    if values["label"] not in {"0", "1"}:
        raise ValueError(f"label must be 1 (gunshot) or 0 (other); got {values['label']!r}")
    start_s, end_s = _seconds("start_s", values["start_s"]), _seconds("end_s", values["end_s"])
    if start_s is not None and end_s is not None and end_s <= start_s:
        raise ValueError(f"end_s must be after start_s = {start_s:g}; got {end_s:g}")
    facts = name_facts(PurePosixPath(values["path"]).stem)
    return LabelRow(
        line=line,
        path=values["path"],
        start_s=start_s,
        end_s=end_s,
        label=int(values["label"]),
        sound=values["sound"] or ("gunshot" if values["label"] == "1" else "other"),
        source=values["source"] or "labels",
        group=values["group"] or facts.group,
        device=values["device"] or facts.device,
        license=values["license"],
        earlier_path=values["earlier_path"],
    )


def _seconds(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number of seconds; got {text!r}") from None
    if not isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a number of seconds from 0 on; got {text!r}")
    return value
