"""Listening hours: "no shots" is told from "not listening".

Conventions
-----------
A row a recorder and day. Time that several recordings cover counts once. What is silent is not listened to; what is
clipped is, and is told beside. The usual pause of a recorder is the median of the pauses between its recordings, so a
schedule of ten seconds a minute has no gaps; a pause longer than that, by `GAP_TOLERANCE_S` and a tenth, is a gap, as
long as it exceeds the usual. Days are UTC, or the site's own where its time zone is given.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

__all__ = ["GAP_TOLERANCE_S", "HOURS_COLUMNS", "LISTENING_SCHEMA", "ListeningHours", "listening_hours"]

GAP_TOLERANCE_S = 2.0
"""Recorders write whole seconds and start a moment late [s]."""

HOURS_COLUMNS = (
    "uri", "site", "recorder", "state", "start_utc", "time_uncertainty_s", "duration_s", "read_s", "silent_s",
    "clipped_s", "n_detections",
)  # fmt: skip
"""Columns of the ledger that are read."""

_AT_A_TIME = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_USED = {"ok", "short", "silent"}
_FIGURES = ("recorded_s", "listened_s", "silent_s", "clipped_s", "overlap_s", "missing_s", "gap_s")
_COUNTS = ("n_recordings", "n_short", "n_failed", "n_gaps", "n_detections")

LISTENING_SCHEMA = pa.schema(
    [
        pa.field("site", pa.string(), nullable=False),
        pa.field("recorder", pa.string(), nullable=False),
        pa.field("folder", pa.string(), nullable=False),
        pa.field("day", pa.date32()),
        pa.field("time_zone", pa.string(), nullable=False),
        *(pa.field(name, pa.int32(), nullable=False) for name in _COUNTS),
        *(pa.field(name, pa.float64(), nullable=False) for name in _FIGURES),
        pa.field("time_uncertainty_s", pa.float64()),
    ]
)
"""Columns: a null day totals the recordings whose start is not known."""

Row = dict[str, Any]
_Recorder = tuple[str, str, str]


@dataclass(slots=True)
class _Days:
    """Totals of one recorder by day."""

    zone: ZoneInfo
    totals: dict[date | None, Row]

    def day(self, utc: datetime | None) -> Row:
        return self.totals[None if utc is None else utc.astimezone(self.zone).date()]

    def spread(self, start: datetime, stop: datetime, shares: Mapping[str, float]) -> None:
        """Add to the days that a span lies in, a share of each of its seconds to each figure."""
        while start < stop:
            local = start.astimezone(self.zone)
            midnight = datetime.combine(local.date() + timedelta(days=1), time(), self.zone).astimezone(UTC)
            end = min(stop, midnight)
            total = self.totals[local.date()]
            for name, share in shares.items():
                total[name] += share * (end - start).total_seconds()
            start = end


class ListeningHours:
    """Listening hours of recordings that come in parts, in any order.

    Parameters
    ----------
    time_zones : mapping of str to str, optional
        IANA's names by site, such as `Deployments.time_zones` gives.
    """

    def __init__(self, time_zones: Mapping[str, str] | None = None) -> None:
        self._time_zones = time_zones or {}
        self._days: dict[_Recorder, _Days] = {}
        self._spans: dict[_Recorder, array[float]] = {}

    def add(self, recordings: pa.Table) -> None:
        """Count recordings; of each that was heard and whose start is known, 32 bytes are held.

        Parameters
        ----------
        recordings : pyarrow.Table
            Of the ledger, of one model; columns that older results lack are taken as nothing.
        """
        names = [name for name in HOURS_COLUMNS if name in recordings.column_names]
        for part in recordings.select(names).to_batches(max_chunksize=_AT_A_TIME):
            for row in part.to_pylist():
                self._add(row)

    def _add(self, row: Row) -> None:
        folder = "" if row.get("recorder") else row["uri"].rpartition("/")[0]
        recorder = (row.get("site") or "", row.get("recorder") or "", folder)
        if recorder not in self._days:
            zone = ZoneInfo(self._time_zones.get(recorder[0], "UTC"))
            self._days[recorder] = _Days(
                zone, defaultdict(lambda: dict.fromkeys(_COUNTS, 0) | dict.fromkeys(_FIGURES, 0.0))
            )
            self._spans[recorder] = array("d")
        start, read_s, total = row["start_utc"], row["read_s"], self._days[recorder].day(row["start_utc"])
        _count(total, row)
        if row["state"] not in _USED:
            return
        silent_s, clipped_s = _silent_s(row), row.get("clipped_s") or 0.0
        if start is None:
            total["recorded_s"] += read_s
            total["silent_s"] += silent_s
            total["listened_s"] += read_s - silent_s
            total["clipped_s"] += clipped_s
        elif read_s > 0:
            # milliseconds since 1970 are whole numbers far below the first that a float does not hold
            start_ms = (start - _EPOCH) // timedelta(milliseconds=1)
            self._spans[recorder].extend((start_ms, read_s, silent_s, clipped_s))

    def table(self) -> pa.Table:
        """Sum up; nothing may be added afterwards.

        Returns
        -------
        pyarrow.Table
            With `LISTENING_SCHEMA`, by site, recorder, folder and day. A recorder without a name is told by its folder.
        """
        rows: list[Row] = []
        for (site, recorder, folder), days in sorted(self._days.items(), key=lambda item: item[0]):
            _add_gaps(days, _add_spans(days, self._spans[site, recorder, folder]))
            for day in sorted(days.totals, key=lambda day: (day is None, day or date.min)):
                where = {"site": site, "recorder": recorder, "folder": folder, "day": day, "time_zone": days.zone.key}
                rows.append(where | days.totals[day])
        return pa.Table.from_pylist(rows, schema=LISTENING_SCHEMA)


def listening_hours(recordings: pa.Table, *, time_zones: Mapping[str, str] | None = None) -> pa.Table:
    """How long each recorder listened, day by day.

    Parameters
    ----------
    recordings : pyarrow.Table
        As for `ListeningHours.add`.
    time_zones : mapping of str to str, optional
        As for `ListeningHours`.

    Returns
    -------
    pyarrow.Table
        From `ListeningHours.table`.
    """
    hours = ListeningHours(time_zones)
    hours.add(recordings)
    return hours.table()


def _count(total: Row, row: Row) -> None:
    total["n_recordings"] += 1
    total["n_detections"] += row["n_detections"]
    total["n_short"] += row["state"] == "short"
    total["n_failed"] += row["state"] not in _USED
    total["missing_s"] += max(0.0, (row["duration_s"] or 0.0) - row["read_s"]) if row["state"] != "ok" else 0.0
    if row.get("time_uncertainty_s") is not None:
        total["time_uncertainty_s"] = max(total.get("time_uncertainty_s") or 0.0, row["time_uncertainty_s"])


def _silent_s(row: Row) -> float:
    """Older results know only that a recording was silent as a whole."""
    silent_s = row["read_s"] if row["state"] == "silent" else row.get("silent_s") or 0.0
    return float(min(silent_s, row["read_s"]))


def _add_spans(days: _Days, spans: array[float]) -> list[tuple[datetime, datetime]]:
    """Add what each recording covers that none before it does; gives the pauses between them."""
    pauses: list[tuple[datetime, datetime]] = []
    covered: datetime | None = None
    values = np.frombuffer(spans, dtype=np.float64).reshape(-1, 4)
    for row in np.lexsort(values.T[::-1]):
        start_ms, read_s, silent_s, clipped_s = values[row].tolist()
        start = _EPOCH + timedelta(milliseconds=start_ms)
        stop = start + timedelta(seconds=read_s)
        if covered is not None and start > covered:
            pauses.append((covered, start))
        new = start if covered is None else min(max(start, covered), stop)
        silent, clipped = silent_s / read_s, clipped_s / read_s
        shares = {"recorded_s": 1.0, "silent_s": silent, "listened_s": 1 - silent, "clipped_s": clipped}
        days.spread(start, new, {"overlap_s": 1.0})
        days.spread(new, stop, shares)
        covered = stop if covered is None else max(covered, stop)
    return pauses


def _add_gaps(days: _Days, pauses: list[tuple[datetime, datetime]]) -> None:
    for start, stop in _gaps(pauses):
        days.day(start)["n_gaps"] += 1
        days.spread(start, stop, {"gap_s": 1.0})


def _gaps(pauses: list[tuple[datetime, datetime]]) -> Iterator[tuple[datetime, datetime]]:
    """Pauses beyond the usual one; the usual part of a pause comes first."""
    if not pauses:
        return
    usual_s = median((stop - start).total_seconds() for start, stop in pauses)
    for start, stop in pauses:
        if (stop - start).total_seconds() > 1.1 * usual_s + GAP_TOLERANCE_S:
            yield start + timedelta(seconds=usual_s), stop
