"""Export results: select, write, and reconcile.

Conventions
-----------
::

    OUT/
      ...            what the format writes
      export.json    what was exported, of which model and with which filters; written last

Objects are written at once, each over an earlier one of its name, and the same results and options give the same
bytes. What an earlier export left under other names is told, not removed: it may hold somebody's annotations.
Detections in the results = written + filtered + left out.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

from gunshot.errors import ParameterError
from gunshot.export.cells import iso
from gunshot.export.clips import write_clips
from gunshot.export.cutting import ClipFormat
from gunshot.export.geojson import write_geojson
from gunshot.export.labels import write_audacity, write_raven
from gunshot.export.selection import Filters, Selection, select
from gunshot.export.tables import write_csvs, write_kaleidoscope
from gunshot.export.written import Written
from gunshot.storage import exists, list_files

__all__ = ["ExportFormat", "ExportSummary", "export_results"]

ExportFormat = Literal["csv", "raven", "audacity", "kaleidoscope", "geojson", "clips"]

_ENDINGS: dict[ExportFormat, str] = {
    "csv": ".csv", "raven": ".txt", "audacity": ".txt", "kaleidoscope": ".csv", "geojson": ".geojson",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class ExportSummary:
    """What was exported; ``n_detections = n_written + sum(filtered) + sum(left_out)``.

    Attributes
    ----------
    format, results, out : str
        What was written from where to where.
    model, model_digest : str
        Whose detections; empty where nothing has been scored.
    n_recordings : int
        The model's recordings, with or without detections.
    n_detections, n_written : int
        In the results, and exported.
    filtered, left_out : dict
        Detections that were not wanted, and that the format cannot show, by reason.
    n_objects : int
        Objects written, with ``export.json``.
    n_others : int
        Objects of the same ending in the folder that this export did not write.
    """

    format: str
    results: str
    out: str
    model: str
    model_digest: str
    n_recordings: int
    n_detections: int
    n_written: int
    filtered: dict[str, int]
    left_out: dict[str, int]
    n_objects: int
    n_others: int

    def lines(self) -> list[str]:
        """The summary for a person.

        Returns
        -------
        list of str
            Counts that add up, and where everything is.
        """
        counts = [f"{self.n_written} written", *(f"{n} {why}" for why, n in (self.filtered | self.left_out).items())]
        lines = [f"{self.n_detections} detections = {' + '.join(counts)}"]
        if not self.model:
            lines.append(f"nothing has been scored in {self.results}: the export is empty")
        else:
            lines.append(f"model: {self.model} ({self.model_digest}), {self.n_recordings} recordings")
            if not self.n_written:
                lines.append("no detection is left to export: the export is empty")
        if self.n_others:
            lines.append(f"{self.n_others} other files in {self.out} are not of this export")
        return [*lines, f"{self.format}: {self.out} ({self.n_objects} files)"]


def export_results(
    results: str,
    format: ExportFormat,
    out: str,
    *,
    filters: Filters | None = None,
    time_zone: str | None = None,
    context_s: float = 2.0,
    clip_format: ClipFormat = "wav",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ExportSummary:
    """Export results in one format.

    Parameters
    ----------
    results : str
        Where the tables are.
    format : {"csv", "raven", "audacity", "kaleidoscope", "geojson", "clips"}
        What is written.
    out : str
        Folder or prefix.
    filters : Filters, optional
        What is wanted; everything if not given.
    time_zone : str, optional
        Of Kaleidoscope's dates and times, such as ``Africa/Douala``; UTC if not given.
    context_s : float
        Sound before and after the detection in a clip [s].
    clip_format : {"wav", "flac"}
        Container of clips.
    progress : callable
        Is told how many clips of how many are done.

    Returns
    -------
    ExportSummary
        Counts that add up.

    Raises
    ------
    ParameterError
        If the model must be named, or there is no such time zone.
    StorageError
        If the results cannot be read, or something cannot be written.
    """
    filters = filters or Filters()
    zone = _zone(time_zone)
    selection = select(results, filters)
    match format:
        case "csv":
            written = write_csvs(selection, out)
        case "raven":
            written = write_raven(selection, out)
        case "audacity":
            written = write_audacity(selection, out)
        case "kaleidoscope":
            written = write_kaleidoscope(selection, out, zone)
        case "geojson":
            written = write_geojson(selection, out)
        case "clips":
            written = write_clips(selection, out, context_s=context_s, clip_format=clip_format, progress=progress)
    n_others = _others(out, _ENDINGS.get(format, f".{clip_format}"), written)
    summary = ExportSummary(
        format, results, out, selection.model, selection.model_digest, selection.recordings.num_rows,
        selection.n_detections, written.n_detections, selection.filtered, dict(sorted(written.left_out.items())),
        len(written.names) + 1, n_others,
    )  # fmt: skip
    accounted = summary.n_written + sum(summary.filtered.values()) + sum(summary.left_out.values())
    assert accounted == summary.n_detections, f"{accounted} detections accounted for, {summary.n_detections} read"
    written.write("export.json", _record(summary, filters, time_zone, context_s, selection))
    return summary


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # unknown, no possible name, a folder of zones
        raise ParameterError(f"--time-zone takes a name such as Africa/Douala, not {name!r}") from error


def _others(out: str, ending: str, written: Written) -> int:
    if not exists(out):
        return 0
    ours = sum(name.endswith(ending) for name in written.names)
    return max(0, sum(1 for _ in list_files(out, (ending,))) - ours)


def _record(
    summary: ExportSummary, filters: Filters, time_zone: str | None, context_s: float, selection: Selection
) -> bytes:
    """What was done, without a time of writing; other files in the folder are no part of it."""
    content = dataclasses.asdict(summary)
    del content["n_others"], content["out"]
    content["filters"] = {
        "min_score": filters.min_score, "min_probability": filters.min_probability,
        "since": iso(filters.since) or None, "until": iso(filters.until) or None,
    }  # fmt: skip
    if selection.detections.num_rows and summary.format == "kaleidoscope":
        content["time_zone"] = time_zone or "UTC"
    if summary.format == "clips":
        content["context_s"] = context_s
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
