"""Labels beside each recording: Raven's selection tables and Audacity's label tracks.

Conventions
-----------
One file a recording with detections, in the folders of the archive. Times are seconds in the recording.
"""

from __future__ import annotations

from gunshot.export.cells import on_one_line, seconds
from gunshot.export.names import names_of
from gunshot.export.selection import Key, Row, Selection, by_recording
from gunshot.export.written import Written
from gunshot.recipe import Recipe

__all__ = ["RAVEN_COLUMNS", "write_audacity", "write_raven"]

RAVEN_COLUMNS = (
    "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)", "Begin File",
    "Begin Path", "File Offset (s)", "Annotation", "Score", "Probability", "Shots",
)  # fmt: skip
"""Raven's own columns, and ours behind ``Annotation``."""


def write_raven(selection: Selection, out: str) -> Written:
    """Write a Raven selection table for each recording.

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
    ending = ".Table.1.selections.txt"
    names, written = names_of(selection.keys(), ending), Written(out)
    for key, recording, detections in by_recording(selection):
        lines = [RAVEN_COLUMNS, *(_raven_row(n, key, recording, row) for n, row in enumerate(detections, 1))]
        text = "".join("\t".join(map(on_one_line, line)) + "\n" for line in lines)
        written.write(names[key] + ending, text.encode())
        written.n_detections += len(detections)
    return written


def _raven_row(number: int, key: Key, recording: Row, detection: Row) -> tuple[str, ...]:
    """Channels count from 1 in Raven; the mix of all is shown in the first. A shot fills the band."""
    _, uri = key
    channel, probability = detection.get("channel"), detection.get("probability")
    return (
        str(number),
        "Spectrogram 1",
        str(1 if channel is None else channel + 1),
        seconds(detection["start_s"]),
        seconds(detection["end_s"]),
        "0.0",  # with a decimal, as Raven writes it: readers tell numbers from counts by it
        f"{(recording.get('sr') or Recipe().sr_hz) / 2:.1f}",
        uri.rpartition("/")[2],
        uri,
        seconds(detection["start_s"]),
        "gunshot",
        f"{detection['score']:.4f}",
        "" if probability is None else f"{probability:.4f}",
        str(detection["n_shots"]),
    )


def write_audacity(selection: Selection, out: str) -> Written:
    """Write an Audacity label track for each recording.

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
    ending = ".txt"
    names, written = names_of(selection.keys(), ending), Written(out)
    for key, _, detections in by_recording(selection):
        text = "".join(
            f"{seconds(row['start_s'])}\t{seconds(row['end_s'])}\t{_audacity_label(row)}\n" for row in detections
        )
        written.write(names[key] + ending, text.encode())
        written.n_detections += len(detections)
    return written


def _audacity_label(detection: Row) -> str:
    """Score and shots; no line of frequencies, since a shot fills the band and none were measured."""
    shots = "" if detection["n_shots"] == 1 else f" {detection['n_shots']} shots"
    channel = detection.get("channel")
    place = "" if channel is None else f" channel {channel + 1}"
    return f"gunshot {detection['score']:.3f}{shots}{place}"
