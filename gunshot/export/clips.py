"""Cut clips to listen to: each detection with some sound before and after it, and an index of them.

Conventions
-----------
A clip's name is its recording's, the detection's start in it [s], and its score. A recording that is gone or cannot be
read is a row of the index with its state and reason; a clip that breaks off is written as far as it goes, and its row
says so.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta

from gunshot.errors import AudioError, ParameterError, StorageError, TransientStorageError
from gunshot.export.cells import csv_bytes, iso, on_one_line
from gunshot.export.cutting import ClipFormat, RecordingChannels, sound_file
from gunshot.export.names import names_of
from gunshot.export.selection import Row, Selection, by_recording
from gunshot.export.written import Written
from gunshot.storage import stat

__all__ = ["INDEX_COLUMNS", "write_clips"]

INDEX_COLUMNS = (
    "clip", "state", "reason", "path", "uri", "channel", "clip_start_s", "clip_end_s", "clip_start_utc", "start_s",
    "end_s", "n_shots", "score", "probability", "sr", "n_channels", "sha256",
)  # fmt: skip
"""Columns of ``index.csv``; ``start_s`` and ``end_s`` are the detection's, all times but UTC are in the recording."""

_CHANGED = "the recording has changed since it was scored"


def write_clips(
    selection: Selection,
    out: str,
    *,
    context_s: float = 2.0,
    clip_format: ClipFormat = "wav",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Written:
    """Cut a clip for each detection, and write ``index.csv``.

    Parameters
    ----------
    selection : Selection
        What is exported.
    out : str
        Where.
    context_s : float
        Sound before and after the detection [s].
    clip_format : {"wav", "flac"}
        Container of the clips.
    progress : callable
        Is told how many detections of how many are done.

    Returns
    -------
    Written
        Detections that could not be cut are left out, and counted by state.

    Raises
    ------
    ParameterError
        If the context is negative or has no end.
    StorageError
        If a clip cannot be written, or a store does not answer.
    """
    if not 0 <= context_s <= 3600:
        raise ParameterError(f"--context-s is between 0 and 3600 seconds, not {context_s:g}")
    names = names_of(selection.keys(), f".{clip_format}")
    etags = _etags(selection)
    written, index, total = Written(out), [], selection.detections.num_rows
    for key, _, detections in by_recording(selection):
        known = etags.get(key[1], set())
        for row, content in _cut_recording(key[1], detections, context_s, clip_format, known):
            if content is None:
                written.left_out[str(row["state"])] += 1
            else:
                row["clip"] = _free_name(names[key], row, clip_format, written.names)
                row["sha256"] = hashlib.sha256(content).hexdigest()
                written.write(str(row["clip"]), content)
                written.n_detections += 1
            index.append([row.get(name) for name in INDEX_COLUMNS])
            progress(len(index), total)
    written.write("index.csv", csv_bytes(INDEX_COLUMNS, index))
    return written


def _etags(selection: Selection) -> dict[str, set[str]]:
    """What each recording's content was told by when it was scored."""
    found: dict[str, set[str]] = {}
    columns = [selection.recordings.column(name).to_pylist() for name in ("uri", "etag")]
    for uri, etag in zip(*columns, strict=True):
        found.setdefault(uri, set()).add(etag)
    return found


def _cut_recording(
    uri: str, detections: list[Row], context_s: float, clip_format: ClipFormat, etags: set[str]
) -> Iterator[tuple[Row, bytes | None]]:
    """Row of the index and content for each detection of a recording, which is opened once."""
    left = list(detections)
    try:
        note = "" if not etags or stat(uri).etag in etags else _CHANGED
        with contextlib.closing(RecordingChannels(uri)) as recording:
            while left:
                row, content = _cut(recording, left[0], context_s, clip_format)
                row["reason"] = "; ".join(filter(None, (note, row["reason"])))
                yield left.pop(0) | row, content
    except TransientStorageError:  # the store's fault: the same command finishes the work
        raise
    except (AudioError, StorageError) as error:
        failed = {"state": "unreadable", "reason": str(error)}
        for detection in left:
            yield detection | failed, None


def _cut(
    recording: RecordingChannels, detection: Row, context_s: float, clip_format: ClipFormat
) -> tuple[Row, bytes | None]:
    header = recording.header
    start = max(0, round((detection["start_s"] - context_s) * header.sr))
    stop = min(header.n_frames, round((detection["end_s"] + context_s) * header.sr))
    row: Row = {"sr": header.sr, "n_channels": header.n_channels}
    try:
        frames = recording.read_frames(start, stop)
        content = sound_file(frames, header.sr, header.subtype, clip_format, _comment(detection))
    except AudioError as error:
        return row | {"state": error.state, "reason": error.reason}, None
    is_short = len(frames) < stop - start
    end_s = (start + len(frames)) / header.sr
    row |= {"clip_start_s": round(start / header.sr, 6), "clip_end_s": round(end_s, 6)}
    if detection.get("start_utc") is not None:
        row["clip_start_utc"] = detection["start_utc"] - timedelta(seconds=detection["start_s"] - start / header.sr)
    return row | {"state": "short" if is_short else "ok", "reason": recording.defect or "" if is_short else ""}, content


def _comment(detection: Row) -> str:
    """What the file itself tells wherever it is sent."""
    when = iso(detection.get("start_utc")) or "time not known"
    return (
        f"gunshot {detection['score']:.3f}; {when}; {detection['start_s']:.3f} s in {on_one_line(detection['path'])}; "
        f"model {detection['model']} {detection['model_digest']}"
    )


def _free_name(name: str, row: Row, clip_format: ClipFormat, taken: list[str]) -> str:
    """Name, time and score; two detections of the same millisecond and score are numbered."""
    channel = "" if row.get("channel") is None else f"_channel{row['channel'] + 1}"
    stem = f"{name}_{row['start_s']:010.3f}s_{row['score']:.3f}{channel}"
    found, number = f"{stem}.{clip_format}", 1
    while found in taken[-64:]:
        number += 1
        found = f"{stem}_{number}.{clip_format}"
    return found
