"""A time as a recorder wrote it: with an offset from UTC, or by a clock whose zone has to be known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

__all__ = ["ZONE_PATTERN", "WrittenTime", "iso_time", "offset_text", "parse_zone", "time_of_fields"]

ZONE_PATTERN = r"Z|[+-]\d{1,2}(?::?\d{2})?"
"""An offset from UTC as recorders write it: ``Z``, ``+2``, ``-0930``, ``+05:30``."""

_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?\s*(" + ZONE_PATTERN + r")?\Z", re.ASCII
)
_LARGEST_OFFSET = timedelta(hours=14)  # Line Islands; an offset beyond is damage


@dataclass(frozen=True, slots=True)
class WrittenTime:
    """A time, where it was read, and the text it was read from.

    Attributes
    ----------
    time : datetime or None
        With its offset where one was written, else without a zone; None where the text holds no possible time.
    source : str
        Where it stands, such as ``AudioMoth header``.
    raw : str
        The text.
    resolution_s : float
        The step in which it is written [s].
    """

    time: datetime | None
    source: str
    raw: str
    resolution_s: float = 1.0


def parse_zone(text: str) -> timezone | None:
    """An offset from UTC.

    Parameters
    ----------
    text : str
        As `ZONE_PATTERN` takes it.

    Returns
    -------
    timezone or None
        None for one that no place on Earth has.

    Examples
    --------
    >>> parse_zone("+5:30"), parse_zone("-0930"), parse_zone("+77")
    (datetime.timezone(datetime.timedelta(seconds=19800)), datetime.timezone(datetime.timedelta(days=-1, seconds=52200)), None)
    """  # noqa: E501
    if text == "Z":
        return timezone(timedelta(0))
    digits = text[1:].replace(":", "")
    hours, minutes = (digits, "0") if len(digits) <= 2 else (digits[:-2], digits[-2:])
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    if offset > _LARGEST_OFFSET or int(minutes) >= 60:
        return None
    return timezone(-offset if text[0] == "-" else offset)


def time_of_fields(fields: tuple[str, ...], fraction: str, zone: str) -> datetime | None:
    """A time from its digits.

    Parameters
    ----------
    fields : tuple of str
        Year, month, day, hour, minute, second.
    fraction : str
        Digits after the second; may be empty.
    zone : str
        As `ZONE_PATTERN` takes it; may be empty.

    Returns
    -------
    datetime or None
        None where there is no such time.
    """
    tz = parse_zone(zone) if zone else None
    if zone and tz is None:
        return None
    year, month, day, hour, minute, second = map(int, fields)
    try:
        return datetime(year, month, day, hour, minute, second, int((fraction or "0").ljust(6, "0")[:6]), tzinfo=tz)
    except ValueError:
        return None


def iso_time(text: str, source: str) -> WrittenTime | None:
    """A time in the manner of ISO 8601, as GUANO and Wildlife Acoustics write it.

    Parameters
    ----------
    text : str
        The text.
    source : str
        Where it stands.

    Returns
    -------
    WrittenTime or None
        None where the text is none.

    Examples
    --------
    >>> iso_time("2014-04-02 22:59:14-05:00", "GUANO").time.isoformat()
    '2014-04-02T22:59:14-05:00'
    """
    match = _ISO.match(text.strip())
    if not match:
        return None
    *fields, fraction, zone = match.groups(default="")
    resolution = 10.0 ** -min(len(fraction), 6)  # 1 s without a fraction
    return WrittenTime(time_of_fields(tuple(fields), fraction, zone), source, text.strip(), resolution)


def offset_text(time: datetime) -> str:
    """How a time's offset is told to a person.

    Parameters
    ----------
    time : datetime
        With an offset.

    Returns
    -------
    str
        ``UTC``, ``UTC+2``, ``UTC-3:30``.
    """
    offset = time.utcoffset()
    assert offset is not None, "a time without an offset has no text for it"
    minutes = int(offset.total_seconds() // 60)
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02d}" if rest else "")
