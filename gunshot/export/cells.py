"""Cells of tables, as text.

Conventions
-----------
Times are UTC, ISO 8601 with milliseconds and a ``Z``. A CSV's lines end as RFC 4180 says. What is unknown is empty.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

__all__ = ["csv_bytes", "iso", "on_one_line", "plain", "seconds"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_bytes(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> bytes:
    """A CSV.

    Parameters
    ----------
    columns : sequence of str
        Its header.
    lines : iterable of sequence
        Its cells.

    Returns
    -------
    bytes
        UTF-8.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    for line in lines:
        writer.writerow([plain(value) for value in line])
    return text.getvalue().encode()


def plain(value: object) -> object:
    """A cell that no spreadsheet runs as a formula.

    Parameters
    ----------
    value : object
        A value of a table.

    Returns
    -------
    object
        Lists with spaces between, times in ISO 8601, and text that begins like a formula behind an apostrophe.

    Examples
    --------
    >>> plain("=1+1"), plain([1.0, 1.25]), plain(None), plain(-0.5)
    ("'=1+1", '1.000000 1.250000', '', -0.5)
    """
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(seconds(item) for item in value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def iso(time: datetime | None) -> str:
    """A time in ISO 8601.

    Parameters
    ----------
    time : datetime or None
        With its time zone.

    Returns
    -------
    str
        In UTC with milliseconds; empty for None.

    Examples
    --------
    >>> iso(datetime(2026, 11, 22, 18, 0, 0, 250_000, tzinfo=UTC))
    '2026-11-22T18:00:00.250Z'
    """
    if time is None:
        return ""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(value: float) -> str:
    """A time in a recording.

    Parameters
    ----------
    value : float
        Since its start [s].

    Returns
    -------
    str
        To a microsecond.
    """
    return f"{value:.6f}"


def on_one_line(text: str) -> str:
    """Text for a cell of a table that knows no quotes.

    Parameters
    ----------
    text : str
        Such as a file's name.

    Returns
    -------
    str
        Control characters as spaces; a double quote, which some readers take for the beginning of a quoted cell, as
        an apostrophe.
    """
    clean = "".join(" " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char for char in text)
    return clean.replace('"', "'")
