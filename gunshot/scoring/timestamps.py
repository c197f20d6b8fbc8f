"""When a recording began.

Conventions
-----------
Times are UTC. Nothing is assumed silently: each time carries how it was known. Recorders write the start into the
file's name, ``YYYYMMDD_HHMMSS`` with or without a prefix; AudioMoth's clock runs on UTC unless it was set otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["RecordingStart", "start_from_name"]

_STAMP = re.compile(r"(?:^|_)(\d{8})[_T](\d{6})(?:_|$)")
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # a recorder whose clock was reset says 1970
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RecordingStart:
    """A recording's start.

    Attributes
    ----------
    utc : datetime or None
        With its time zone.
    source : str
        How it is known.
    """

    utc: datetime | None
    source: str


def start_from_name(stem: str) -> RecordingStart:
    """Read the start from a file's name.

    Parameters
    ----------
    stem : str
        The name without folder and ending.

    Returns
    -------
    RecordingStart
        ``utc`` is None where the name holds no time, or one that cannot be.

    Examples
    --------
    >>> start_from_name("SITE7_20261122_213000").utc.isoformat()
    '2026-11-22T21:30:00+00:00'
    >>> start_from_name("19700101_000004")
    RecordingStart(utc=None, source='file name says 1970: the clock was not set')
    """
    match = _STAMP.search(stem)
    if not match:
        return RecordingStart(None, "not known")
    try:
        start = datetime.strptime("".join(match.groups()), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return RecordingStart(None, "file name holds no possible time")
    if not _EARLIEST <= start < _LATEST:
        return RecordingStart(None, f"file name says {start.year}: the clock was not set")
    return RecordingStart(start, "file name, taken as UTC")
