"""The start of a recording, from all that is known of it.

Conventions
-----------
In order: GUANO, the recorder's own header and the name where they state an offset from UTC; then the same where they do
not, in the time zone of the table of deployments, or taken as UTC. A clock that was not set is passed over for the next
source. The uncertainty is that of reading, the resolution of what is written and a time zone that is not known; how far
a clock drifted is known to nobody but the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gunshot.scoring.timestamps.deployments import NO_DEPLOYMENTS, Deployment, Deployments
from gunshot.scoring.timestamps.metadata import NO_METADATA, RecorderMetadata
from gunshot.scoring.timestamps.names import NameStamp, read_name
from gunshot.scoring.timestamps.written import WrittenTime, offset_text

__all__ = ["LONGEST_TRIGGERED_S", "NO_ZONE_S", "RecordingStart", "recording_start"]

NO_ZONE_S = 14 * 3600.0
"""A clock whose zone is not known may be so far from UTC: the Line Islands are at UTC+14 [s]."""

LONGEST_TRIGGERED_S = 12 * 3600.0
"""AudioMoth's longest recording: what was quiet in a triggered one may have lasted so long [s]."""

_CHANGE_S = 3600.0  # a local time that summer time skips, or has twice
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # a recorder whose clock was reset says 1970
_AHEAD = timedelta(days=1)  # clocks of recorder and worker may differ


@dataclass(frozen=True, slots=True)
class RecordingStart:
    """When and where a recording began.

    Attributes
    ----------
    utc : datetime or None
        The start; None where it is not known.
    source : str
        How it is known, or why not.
    raw : str
        The text that it was read from; empty where there is none.
    uncertainty_s : float or None
        How far it may be off [s]; None without a start.
    reason : str
        What the uncertainty comes from; empty without a start.
    site, recorder : str
        Empty where not known.
    latitude, longitude : float or None
        [degrees].
    time_expansion : float
        How many times slower than life the sound is stored.
    """

    utc: datetime | None
    source: str
    raw: str = ""
    uncertainty_s: float | None = None
    reason: str = ""
    site: str = ""
    recorder: str = ""
    latitude: float | None = None
    longitude: float | None = None
    time_expansion: float = 1.0

    def at(self, offset_s: float) -> datetime | None:
        """Time of something in the recording.

        Parameters
        ----------
        offset_s : float
            Time in the recording [s].

        Returns
        -------
        datetime or None
            UTC; None where the start is not known.
        """
        return None if self.utc is None else self.utc + timedelta(seconds=offset_s / self.time_expansion)


def recording_start(
    path: str,
    head: RecorderMetadata = NO_METADATA,
    deployments: Deployments = NO_DEPLOYMENTS,
    *,
    now: datetime | None = None,
) -> RecordingStart:
    """Tell when and where a recording began.

    Parameters
    ----------
    path : str
        As the recording is listed, with ``/`` between folders.
    head : RecorderMetadata
        What its header says.
    deployments : Deployments
        The user's table.
    now : datetime, optional
        A start later than a day after this is of a clock that was not set; the present if not given.

    Returns
    -------
    RecordingStart
        ``utc`` is None where nothing says it, or nothing that can be.

    Examples
    --------
    >>> recording_start("SITE7_20251122_213000.wav").utc.isoformat()
    '2025-11-22T21:30:00+00:00'
    >>> recording_start("19700101_000004.wav").source
    'file name says 1970: the clock was not set'
    """
    name = read_name(PurePosixPath(path).stem)
    times = [*head.times, *([name.time] if name.time else [])]
    times.sort(key=lambda written: written.time is None or written.time.tzinfo is None)  # stable: trust is kept
    latest = (now or datetime.now(UTC)) + _AHEAD
    names = tuple(filter(None, (head.recorder, head.serial, name.prefix)))
    rows = [row for row in deployments.rows if row.matches(path, names)]
    why_not = [] if times else ["not known"]
    for written in times:
        row, read = _in_deployment(written, rows)
        if read.utc is None or not _EARLIEST <= read.utc <= latest:
            why_not.append(_why_not(written, read.utc))
            continue
        if name.is_triggered:
            read = read._replace(
                said=f"{read.said}, triggered: what was quiet is left out, so sound after the first may be later",
                uncertainty_s=read.uncertainty_s + LONGEST_TRIGGERED_S,
                reason="quiet stretches are left out of the file",
            )
        start = RecordingStart(read.utc, read.said, written.raw, read.uncertainty_s, read.reason)
        return _placed(start, row, head, name)
    row = next((row for row in rows if row.covers(None)), None)
    raw = times[0].raw if times else ""
    return _placed(RecordingStart(None, why_not[0], raw), row, head, name)


class _Reading(NamedTuple):
    """What a written time is in UTC, how that is known, how far it may be off and why."""

    utc: datetime | None
    said: str
    uncertainty_s: float
    reason: str


def _in_deployment(written: WrittenTime, rows: list[Deployment]) -> tuple[Deployment | None, _Reading]:
    """The first deployment that a time falls into, and what the time then is; the time alone where it is in none."""
    for row in rows:
        read = _resolve(written, row)
        if row.covers(read.utc):
            return row, read
    return None, _resolve(written, None)


def _resolve(written: WrittenTime, row: Deployment | None) -> _Reading:
    said, uncertainty_s, reason = written.source, written.resolution_s, f"written to {written.resolution_s:g} s"
    time = written.time
    if time is None:
        return _Reading(None, said, uncertainty_s, reason)
    if time.tzinfo:
        said += f", {offset_text(time)}"
    elif row and row.time_zone:
        said += f", time zone {row.time_zone} of the deployments table"
        time = time.replace(tzinfo=ZoneInfo(row.time_zone))
        if time.utcoffset() != time.replace(fold=1).utcoffset():
            uncertainty_s, reason = uncertainty_s + _CHANGE_S, "the clocks of the zone change in this hour"
    else:
        said += ", taken as UTC"
        time = time.replace(tzinfo=UTC)
        uncertainty_s, reason = uncertainty_s + NO_ZONE_S, "the time zone is not known"
    offset_s = row.clock_offset_s if row else 0.0
    if offset_s:
        said += f", clock offset {offset_s:+g} s of the deployments table"
    try:
        return _Reading(time.astimezone(UTC) + timedelta(seconds=offset_s), said, uncertainty_s, reason)
    except OverflowError:  # the years 1 and 9999
        return _Reading(None, said, uncertainty_s, reason)


def _why_not(written: WrittenTime, utc: datetime | None) -> str:
    if written.time is None or (utc is None and _EARLIEST.year <= written.time.year < 9999):
        return f"{written.source} holds no possible time"
    if written.time.year < _EARLIEST.year:
        return f"{written.source} says {written.time.year}: the clock was not set"
    return f"{written.source} says {written.time.year}, which is yet to come: the clock was not set"


def _placed(start: RecordingStart, row: Deployment | None, head: RecorderMetadata, name: NameStamp) -> RecordingStart:
    """A start with its place: the table's before the header's before the name's."""
    row = row or Deployment()
    place = (row.latitude, row.longitude) if row.latitude is not None else (head.latitude, head.longitude)
    recorder = row.recorder or head.recorder or name.prefix
    said = start.source
    if head.time_expansion != 1 and start.utc is not None:
        said += f", stored {head.time_expansion:g} times slower than life"
    return RecordingStart(
        start.utc, said, start.raw, start.uncertainty_s, start.reason, row.site, recorder, *place, head.time_expansion
    )
