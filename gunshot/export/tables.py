"""Tables for people, spreadsheets and Kaleidoscope: one CSV of everything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import PurePosixPath

from gunshot.export.cells import csv_bytes, seconds
from gunshot.export.selection import Key, Row, Selection, by_recording, rows
from gunshot.export.written import Written

__all__ = ["KALEIDOSCOPE_COLUMNS", "write_csvs", "write_kaleidoscope"]

KALEIDOSCOPE_COLUMNS = (
    "INDIR", "FOLDER", "IN FILE", "CHANNEL", "OFFSET", "DURATION", "Fmin", "Fmax", "DATE", "TIME", "HOUR", "DATE-12",
    "TIME-12", "HOUR-12", "TOP1MATCH", "TOP1DIST", "MANUAL ID",
)  # fmt: skip
"""Columns of Kaleidoscope Pro's ``cluster.csv`` that say something of a gunshot; columns of other names it does not
show (BirdNET-Analyzer's issue 855)."""


def write_csvs(selection: Selection, out: str) -> Written:
    """Write ``detections.csv`` and ``recordings.csv``, with the columns of the results.

    Parameters
    ----------
    selection : Selection
        What is exported.
    out : str
        Where.

    Returns
    -------
    Written
        All of the selection.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    written = Written(out)
    for name, table in (("detections.csv", selection.detections), ("recordings.csv", selection.recordings)):
        written.write(name, csv_bytes(table.column_names, (list(row.values()) for row in rows(table))))
    written.n_detections = selection.detections.num_rows
    return written


def write_kaleidoscope(selection: Selection, out: str, time_zone: tzinfo = UTC) -> Written:
    """Write ``cluster.csv`` for Kaleidoscope: a row a detection.

    Parameters
    ----------
    selection : Selection
        What is exported.
    out : str
        Where.
    time_zone : tzinfo
        That of the dates and times; the results know UTC only.

    Returns
    -------
    Written
        All of the selection.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    written = Written(out)
    lines = [
        _kaleidoscope_row(key, recording, detection, time_zone)
        for key, recording, detections in by_recording(selection)
        for detection in detections
    ]
    written.write("cluster.csv", csv_bytes(KALEIDOSCOPE_COLUMNS, lines))
    written.n_detections = len(lines)
    return written


def _kaleidoscope_row(key: Key, recording: Row, detection: Row, time_zone: tzinfo) -> list[object]:
    """Channels count from 0. As BirdNET does, the score stands where Kaleidoscope has the distance to a cluster."""
    rate = recording.get("sr")
    start = _recording_start(recording, detection)
    return [
        *_place(key),
        detection.get("channel") or 0,
        seconds(detection["start_s"]),
        seconds(detection["end_s"] - detection["start_s"]),
        *(("", "") if rate is None else (0, rate // 2)),
        *_clock(start, time_zone),
        *_clock(None if start is None else start - timedelta(hours=12), time_zone),
        "gunshot",
        f"{detection['score']:.4f}",
        "",
    ]


def _recording_start(recording: Row, detection: Row) -> datetime | None:
    """Kaleidoscope's date and time are the recording's; the offset is added to them."""
    start: datetime | None = recording.get("start_utc")
    if start is None and detection.get("start_utc") is not None:
        start = detection["start_utc"] - timedelta(seconds=detection["start_s"])
    return start


def _clock(time: datetime | None, time_zone: tzinfo) -> tuple[str, str, str]:
    if time is None:
        return "", "", ""
    local = time.astimezone(time_zone)
    return local.strftime("%Y-%m-%d"), local.strftime("%H:%M:%S"), str(local.hour)


def _place(key: Key) -> tuple[str, str, str]:
    """Root, folder and name, which Kaleidoscope joins to find the recording; none begins like a formula."""
    path, uri = key
    name = PurePosixPath(uri).name
    if uri.endswith("/" + path) and path:
        folder = path.rpartition("/")[0]
        root = uri[: -len(path) - 1]
    else:
        folder, root = "", uri[: -len(name) - 1] if name else uri
    return root or "/", _unlike_a_formula(folder), _unlike_a_formula(name)


def _unlike_a_formula(path: str) -> str:
    # an apostrophe would make it another name; this is the same file
    return f"./{path}" if path.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else path
