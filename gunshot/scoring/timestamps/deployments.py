"""The user's table of deployments: which recorder stood where, from when to when, and how its clock ran.

Conventions
-----------
A CSV with a row a deployment. Columns that are not needed may be left out, cells may be empty. The first row that fits
a recording is its deployment. A time without an offset in ``start`` and ``end`` is in the row's own time zone, in UTC
if it has none.
"""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gunshot.errors import ParameterError
from gunshot.storage import read_bytes

__all__ = ["COLUMNS", "NO_DEPLOYMENTS", "Deployment", "Deployments", "load_deployments"]

COLUMNS = ("path", "recorder", "site", "time_zone", "clock_offset_s", "latitude", "longitude", "start", "end")
"""Columns of the table, in any order."""

_SHOWN = 20  # problems in one error


@dataclass(frozen=True, slots=True)
class Deployment:
    """A row of the table.

    Attributes
    ----------
    path : str
        Glob over recordings' paths; where empty, `recorder` says which recordings these are.
    recorder, site : str
        Empty where not told.
    time_zone : str
        IANA's name of the zone in which the recorder's clock was set; empty where not told.
    clock_offset_s : float
        What is to be added to the recorder's clock [s].
    latitude, longitude : float or None
        [degrees], north and east positive.
    start, end : datetime or None
        UTC; the recordings that began from `start` on and before `end`.
    """

    path: str = ""
    recorder: str = ""
    site: str = ""
    time_zone: str = ""
    clock_offset_s: float = 0.0
    latitude: float | None = None
    longitude: float | None = None
    start: datetime | None = None
    end: datetime | None = None

    def matches(self, path: str, names: Iterable[str]) -> bool:
        """Whether a recording may be of this deployment, its time apart.

        Parameters
        ----------
        path : str
            The recording's path.
        names : iterable of str
            What its recorder is called in its header and name.

        Returns
        -------
        bool
            By `path` where the row has one, else by `recorder`, whose case does not matter.
        """
        if self.path:
            return fnmatchcase(path, self.path)
        return self.recorder.casefold() in {name.casefold() for name in names}

    def covers(self, utc: datetime | None) -> bool:
        """Whether a time is within the deployment.

        Parameters
        ----------
        utc : datetime or None
            A recording's start; None if not known.

        Returns
        -------
        bool
            For a time not known: whether the deployment has no ends.
        """
        if utc is None:
            return self.start is None and self.end is None
        return (self.start is None or self.start <= utc) and (self.end is None or utc < self.end)


@dataclass(frozen=True, slots=True)
class Deployments:
    """The table: plain data that travels to the workers.

    Attributes
    ----------
    rows : tuple of Deployment
        In the order of the file.
    """

    rows: tuple[Deployment, ...] = ()

    def time_zones(self) -> dict[str, str]:
        """Time zones by site.

        Returns
        -------
        dict of str to str
            Of sites whose rows all name the same one.
        """
        zones: dict[str, set[str]] = defaultdict(set)
        for row in self.rows:
            if row.site:
                zones[row.site].add(row.time_zone)
        return {site: next(iter(named)) for site, named in zones.items() if len(named) == 1 and "" not in named}


NO_DEPLOYMENTS = Deployments()
"""Where the user gives no table."""


def load_deployments(uri: str) -> Deployments:
    """Load and check a table of deployments.

    Parameters
    ----------
    uri : str
        The CSV.

    Returns
    -------
    Deployments
        Its rows.

    Raises
    ------
    ParameterError
        With every problem in the table.
    StorageError
        If it cannot be read.
    """
    try:
        text = read_bytes(uri).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParameterError(f"--deployments {uri} is not UTF-8 text: save it as a CSV in UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = names
    problems = _header_problems(names)
    rows: list[tuple[int, Deployment]] = []
    if not problems:
        for cells in reader:
            cells = {name: (value or "").strip() for name, value in cells.items() if name in COLUMNS}
            if any(cells.values()):
                rows.append((reader.line_num, _row(cells, reader.line_num, problems)))
        problems += [] if problems else _overlaps(rows)
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ParameterError(f"--deployments {uri}: {'; '.join(problems[:_SHOWN])}{more}")
    return Deployments(tuple(row for _, row in rows))


def _header_problems(names: list[str]) -> list[str]:
    problems = [f"unknown column {name!r}" for name in names if name not in COLUMNS]
    problems += [f"column {name!r} twice" for name in sorted(set(names)) if names.count(name) > 1]
    if not {"path", "recorder"} & set(names):
        problems.append("no column 'path' or 'recorder' that says which recordings a row is for")
    return problems + ([f"the columns are {', '.join(COLUMNS)}"] if problems else [])


def _row(cells: dict[str, str], line: int, problems: list[str]) -> Deployment:
    before = len(problems)
    zone = _zone(cells.get("time_zone", ""), problems)
    row = Deployment(
        cells.get("path", ""),
        cells.get("recorder", ""),
        cells.get("site", ""),
        cells.get("time_zone", ""),
        _number(cells, "clock_offset_s", math.inf, problems) or 0.0,
        _number(cells, "latitude", 90, problems),
        _number(cells, "longitude", 180, problems),
        _moment(cells, "start", zone, problems),
        _moment(cells, "end", zone, problems),
    )
    if not row.path and not row.recorder:
        problems.append("neither path nor recorder: it fits no recording")
    if (row.latitude is None) != (row.longitude is None):
        problems.append("latitude and longitude go together")
    if row.start and row.end and row.start >= row.end:
        problems.append("start must be before end")
    problems[before:] = [f"line {line}: {problem}" for problem in problems[before:]]
    return row


def _zone(name: str, problems: list[str]) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of the data base is an OSError
        problems.append(f"time_zone must be one of IANA's names, such as Africa/Douala; got {name!r}")
        return None


def _number(cells: dict[str, str], name: str, limit: float, problems: list[str]) -> float | None:
    text = cells.get(name, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isfinite(number) and abs(number) <= limit:
        return number
    rule = "a number" if math.isinf(limit) else f"a number in [-{limit:g}, {limit:g}]"
    problems.append(f"{name} must be {rule}; got {text!r}")
    return None


def _moment(cells: dict[str, str], name: str, zone: ZoneInfo | None, problems: list[str]) -> datetime | None:
    text = cells.get(name, "")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone or UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        problems.append(f"{name} must be a date or time such as 2026-11-22 or 2026-11-22T18:00; got {text!r}")
        return None


def _overlaps(rows: list[tuple[int, Deployment]]) -> list[str]:
    """Rows for the same recordings at the same time: which of them holds cannot be told."""
    same: dict[tuple[str, str], list[tuple[int, Deployment]]] = defaultdict(list)
    for line, row in rows:
        same[(row.path, "" if row.path else row.recorder.casefold())].append((line, row))
    earliest, latest = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    problems = []
    for group in same.values():
        group.sort(key=lambda item: item[1].start or earliest)
        for (line, row), (next_line, following) in pairwise(group):
            if (following.start or earliest) < (row.end or latest):
                problems.append(f"lines {line} and {next_line} are for the same recordings at the same time")
    return problems
