"""Incidents: shots that several recorders heard, joined.

Conventions
-----------
Two detections agree if the pause between them can be the way of the sound: at most the distance of the recorders over
the speed of sound, and the uncertainty of both times. Where positions are not known, recorders of one site agree within
`SITE_TOLERANCE_S`. Detections of one recorder agree where they overlap: its channels, or a recording given twice.
Detections that agree are one incident, and so are those that agree with a third; an incident never lasts longer than
`LONGEST_S`, so fire that goes on is several. Nothing depends on the order of the rows. A detection whose time is not
known well enough is an incident of its own, and says so.

References
----------
ISO 9613-1:1993, speed of sound in air: 343.2 m/s at 293.15 K, with the square root of the temperature. Distances are on
a sphere of 6,371,008.8 m (mean radius, IUGG).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gunshot.errors import ParameterError

__all__ = [
    "INCIDENT_SCHEMA",
    "LONGEST_S",
    "MAX_DISTANCE_M",
    "MAX_UNCERTAINTY_S",
    "SITE_TOLERANCE_S",
    "detection_id",
    "find_incidents",
    "speed_of_sound",
]

SITE_TOLERANCE_S = 3.0
"""Recorders of one site without positions are taken to be at most so far apart, as sound goes: about 1 km [s]."""

MAX_DISTANCE_M = 5000.0
"""Recorders farther apart do not hear the same shot [m]."""

MAX_UNCERTAINTY_S = 2.0
"""A time that may be off by more joins nothing [s]: it would agree with everything."""

LONGEST_S = 60.0
"""From the first shot of an incident to the start of its last detection [s]."""

_ONE_SOUND_S = 0.1  # the same onset in two channels
_EARTH_M = 6_371_008.8
_SECOND = timedelta(seconds=1)
_UTC = pa.timestamp("ms", tz="UTC")

INCIDENT_SCHEMA = pa.schema(
    [
        pa.field("incident", pa.string(), nullable=False),
        pa.field("start_utc", _UTC),
        pa.field("end_utc", _UTC),
        pa.field("sites", pa.list_(pa.string()), nullable=False),
        pa.field("recorders", pa.list_(pa.string()), nullable=False),
        pa.field("n_recorders", pa.int32(), nullable=False),
        pa.field("n_detections", pa.int32(), nullable=False),
        pa.field("n_shots", pa.int32(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("detections", pa.list_(pa.string()), nullable=False),
        pa.field("model_digest", pa.string(), nullable=False),
        pa.field("note", pa.string(), nullable=False),
    ]
)
"""Columns of the table of incidents."""

Row = dict[str, Any]
Float64 = NDArray[np.float64]


def speed_of_sound(temperature_c: float = 20.0) -> float:
    """Speed of sound in air.

    Parameters
    ----------
    temperature_c : float
        Of the air [degrees Celsius].

    Returns
    -------
    float
        [m/s], by ISO 9613-1.

    Raises
    ------
    ParameterError
        If no air on Earth has that temperature.

    Examples
    --------
    >>> round(speed_of_sound(), 1)
    343.2
    """
    if not -90 <= temperature_c <= 60:
        raise ParameterError(f"temperature_c must lie in [-90, 60]; got {temperature_c:g}")
    return float(343.2 * np.sqrt((temperature_c + 273.15) / 293.15))


def detection_id(row: Row) -> str:
    """A detection's name: the same wherever and whenever it is computed.

    Parameters
    ----------
    row : dict
        Of the detections.

    Returns
    -------
    str
        16 hexadecimal digits of URI, channel, start and model.
    """
    identity = [row["uri"], row.get("channel"), f"{row['start_s']:.6f}", row["model_digest"], row["recipe_digest"]]
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Heard:
    """Detections whose times are known, by time: a column an array."""

    rows: list[Row]
    start_s: Float64  # since 1970
    end_s: Float64  # of the last shot
    uncertainty_s: Float64
    latitude: Float64  # [rad]; NaN where not known
    longitude: Float64
    recorder: NDArray[np.int64]
    site: NDArray[np.int64]  # -1 where not known


def find_incidents(detections: pa.Table, *, temperature_c: float = 20.0) -> pa.Table:
    """Join detections into incidents.

    Parameters
    ----------
    detections : pyarrow.Table
        Of the results. Those of different models are never joined.
    temperature_c : float
        Of the air [degrees Celsius].

    Returns
    -------
    pyarrow.Table
        With `INCIDENT_SCHEMA`, by time, those without a time last. ``n_shots`` is the largest count of a recorder's
        channel, ``score`` the best; every detection is in exactly one incident.

    Raises
    ------
    ParameterError
        If no air on Earth has that temperature.
    """
    speed = speed_of_sound(temperature_c)
    models: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in detections.to_pylist():
        models[(row["model_digest"], row["recipe_digest"])].append(row)
    incidents: list[Row] = []
    for rows in models.values():
        sure = [row for row in rows if _is_sure(row)]
        incidents += [_incident([row]) for row in rows if not _is_sure(row)]
        incidents += [_incident(members) for members in _join(_heard(sure), speed)]
    latest = datetime.max.replace(tzinfo=None)
    incidents.sort(key=lambda row: ((row["start_utc"] or latest).replace(tzinfo=None), row["incident"]))
    return pa.Table.from_pylist(incidents, schema=INCIDENT_SCHEMA)


def _is_sure(row: Row) -> bool:
    uncertainty_s = row["time_uncertainty_s"]
    return row["start_utc"] is not None and uncertainty_s is not None and uncertainty_s <= MAX_UNCERTAINTY_S


def _heard(rows: Sequence[Row]) -> _Heard:
    keyed = sorted(((row["start_utc"].timestamp(), detection_id(row), row) for row in rows), key=lambda item: item[:2])
    rows = [row for _, _, row in keyed]
    start_s = np.array([start for start, _, _ in keyed], dtype=np.float64)
    span_s = np.array([row["shots_s"][-1] - row["shots_s"][0] if row["shots_s"] else 0.0 for row in rows])
    places = np.array(
        [(np.nan, np.nan) if row["latitude"] is None else (row["latitude"], row["longitude"]) for row in rows]
    ).reshape(-1, 2)
    recorders = {name: number for number, name in enumerate(sorted({_recorder(row) for row in rows}))}
    sites = {name: number for number, name in enumerate(sorted({row["site"] for row in rows} - {""}))} | {"": -1}
    return _Heard(
        list(rows), start_s, start_s + span_s,
        np.array([row["time_uncertainty_s"] for row in rows], dtype=np.float64),
        np.radians(places[:, 0]), np.radians(places[:, 1]),
        np.array([recorders[_recorder(row)] for row in rows], dtype=np.int64),
        np.array([sites[row["site"]] for row in rows], dtype=np.int64),
    )  # fmt: skip


def _recorder(row: Row) -> str:
    """Which recorder heard it: where its name is not known, all recordings of one folder are taken to be of one."""
    return f"{row['site']}/{row['recorder']}" if row["recorder"] else f"folder {row['uri'].rpartition('/')[0]}"


def _join(heard: _Heard, speed: float) -> list[list[Row]]:
    """Union by agreement, earliest first; two incidents stay apart if together they last too long."""
    n_rows = len(heard.rows)
    parent = list(range(n_rows))  # the root is the earliest detection of an incident
    last = heard.start_s.copy()  # start of the last one, at the root
    farthest_s = max(MAX_DISTANCE_M / speed, SITE_TOLERANCE_S) + 2 * MAX_UNCERTAINTY_S
    reach_s = np.maximum.accumulate(heard.end_s) + farthest_s if n_rows else heard.end_s
    # nothing before this one can agree with a detection: its sound, and that of all before it, is over
    first = np.searchsorted(reach_s, heard.start_s)
    # and nothing that began longer ago may be in one incident with it
    first = np.maximum(first, np.searchsorted(heard.start_s, heard.start_s - LONGEST_S))
    for index in range(n_rows):
        earlier = np.arange(first[index], index)
        for other in earlier[_agree(heard, earlier, index, speed)]:
            a, b = sorted((_root(parent, int(other)), _root(parent, index)))
            end = max(last[a], last[b])
            if a != b and end - heard.start_s[a] <= LONGEST_S:
                parent[b], last[a] = a, end
    members: dict[int, list[Row]] = defaultdict(list)
    for index, row in enumerate(heard.rows):
        members[_root(parent, index)].append(row)
    return list(members.values())


def _root(parent: list[int], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index


def _agree(heard: _Heard, earlier: NDArray[np.int64], index: int, speed: float) -> NDArray[np.bool_]:
    pause_s = heard.start_s[index] - heard.end_s[earlier]  # negative where they overlap
    distance_m = _distance_m(
        heard.latitude[earlier], heard.longitude[earlier], heard.latitude[index], heard.longitude[index]
    )
    is_same_site = (heard.site[earlier] == heard.site[index]) & (heard.site[index] >= 0)
    allowed_s = np.where(distance_m <= MAX_DISTANCE_M, distance_m / speed, -np.inf)
    allowed_s = np.where(np.isnan(distance_m), np.where(is_same_site, SITE_TOLERANCE_S, -np.inf), allowed_s)
    allowed_s += heard.uncertainty_s[earlier] + heard.uncertainty_s[index]
    allowed_s = np.where(heard.recorder[earlier] == heard.recorder[index], _ONE_SOUND_S, allowed_s)
    return np.asarray(pause_s <= allowed_s, dtype=np.bool_)


def _distance_m(latitude: Float64, longitude: Float64, to_latitude: float, to_longitude: float) -> Float64:
    """Great-circle distance by the haversine [m]; NaN where a position is not known."""
    half = (
        np.sin((latitude - to_latitude) / 2) ** 2
        + np.cos(latitude) * np.cos(to_latitude) * np.sin((longitude - to_longitude) / 2) ** 2
    )
    distance: Float64 = 2 * _EARTH_M * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
    return distance


def _incident(rows: list[Row]) -> Row:
    names = sorted(detection_id(row) for row in rows)
    n_shots: dict[tuple[str, str, Any], int] = defaultdict(int)
    for row in rows:
        n_shots[(_recorder(row), row["uri"], row.get("channel"))] += row["n_shots"]
    known = [row for row in rows if row["start_utc"] is not None]
    ends = [row["start_utc"] + (row["end_s"] - row["start_s"]) * _SECOND for row in known]
    return {
        "incident": hashlib.sha256(" ".join(names).encode()).hexdigest()[:16],
        "start_utc": min((row["start_utc"] for row in known), default=None),
        "end_utc": max(ends, default=None),
        "sites": sorted({row["site"] for row in rows} - {""}),
        "recorders": sorted({row["recorder"] for row in rows} - {""}),
        "n_recorders": len({_recorder(row) for row in rows}),
        "n_detections": len(rows),
        "n_shots": max(n_shots.values()),
        "score": max(row["score"] for row in rows),
        "detections": names,
        "model_digest": rows[0]["model_digest"],
        "note": "" if _is_sure(rows[0]) else _note(rows[0]),
    }


def _note(row: Row) -> str:
    if row["start_utc"] is None:
        return f"not joined: no time ({row['time_source']})"
    if row["time_uncertainty_s"] is None:
        return "not joined: how far its time may be off is not known"
    return f"not joined: its time may be off by {row['time_uncertainty_s']:g} s ({row['time_source']})"
