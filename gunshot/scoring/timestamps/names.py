"""The start that a recorder wrote into a file's name.

Conventions
-----------
A name is taken only where it can hardly be anything else: digits of a date and a time in a recorder's order, apart from
other digits. What each form comes from stands in `docs/timestamps.md`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gunshot.scoring.timestamps.written import WrittenTime, time_of_fields

__all__ = ["NO_NAME", "NameStamp", "read_name"]

_ZONE = r"Z|[+-]\d{2}:?\d{2}"  # hours alone would take `-12` of a name's next field
_COMPACT = r"(\d{4})(\d{2})(\d{2})([_T$])(\d{2})(\d{2})(\d{2})"
_STAMP = re.compile(rf"(?:^|_|^S){_COMPACT}(?:\.(\d{{1,6}})|_(\d{{6}})(?=_|$))?({_ZONE})?(T)?(?=_|$)", re.ASCII)
_DASHED = re.compile(
    rf"(?:^|_)(\d{{4}})-(\d{{2}})-(\d{{2}})([_T])(\d{{2}})[-:](\d{{2}})[-:](\d{{2}})(?:\.(\d{{1,6}}))?({_ZONE})?(?=_|$)",
    re.ASCII,
)
_EPOCH = re.compile(r"(?:^|_)([5-7][0-9A-F]{7})$", re.ASCII)
_FIRST_AUDIOMOTH = datetime(2017, 1, 1, tzinfo=UTC)
_CHANNEL = re.compile(r"_(?:0|1|0\+1)$")


@dataclass(frozen=True, slots=True)
class NameStamp:
    """What a file's name says.

    Attributes
    ----------
    time : WrittenTime or None
        The start; None where the name holds none.
    prefix : str
        What stands before it: the recorder, for most makes. Empty where nothing does.
    is_triggered : bool
        Whether AudioMoth left out what was quiet (``T.WAV``), so that times within the file are not those of life.
    """

    time: WrittenTime | None
    prefix: str = ""
    is_triggered: bool = False


NO_NAME = NameStamp(None)
"""Of a name without a time."""


def read_name(stem: str) -> NameStamp:
    """Read the start from a file's name.

    Parameters
    ----------
    stem : str
        The name without folder and ending.

    Returns
    -------
    NameStamp
        Its time has an offset where the name has one.

    Examples
    --------
    >>> read_name("20210428T100000+1000_Rec").time.time.isoformat()
    '2021-04-28T10:00:00+10:00'
    >>> read_name("SMM01234_0+1_20261122$213000").prefix
    'SMM01234'
    """
    if match := _STAMP.search(stem):
        *fields, fraction, micro, zone, triggered = match.groups(default="")
        between = fields.pop(3)
        source = "file name, clock set by GPS" if between == "$" else "file name"
        digits = fraction or micro
    elif match := _DASHED.search(stem):
        *fields, fraction, zone = match.groups(default="")
        fields.pop(3)
        source, digits, triggered = "file name", fraction, ""
    else:
        return _read_epoch(stem)
    time = time_of_fields(tuple(fields), digits, zone)
    written = WrittenTime(time, source, match[0].strip("_"), 10.0 ** -len(digits))
    return NameStamp(written, _CHANNEL.sub("", stem[: match.start()]), bool(triggered))


def _read_epoch(stem: str) -> NameStamp:
    """Unix time in hexadecimal, of the first AudioMoths; digits alone might be any number: a letter is asked for."""
    match = _EPOCH.search(stem)
    if not match or match[1].isdigit():
        return NO_NAME
    time = datetime.fromtimestamp(int(match[1], 16), tz=UTC)
    if time < _FIRST_AUDIOMOTH:
        return NO_NAME
    return replace(NO_NAME, time=WrittenTime(time, "file name, AudioMoth's hexadecimal time", match[1]))
