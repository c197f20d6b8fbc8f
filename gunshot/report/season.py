"""The report of a night or a season: what was heard where and when, one page that can be mailed.

Conventions
-----------
It tells one model's results, less the detections that all who reviewed them call no gunshot; those are counted. Nights
last from noon to noon of local solar time, hours of the day are solar too (`gunshot.scoring.nights`). Sounds are the
likeliest incident's first; each is FLAC at 16 kHz beside its picture, and none is added that would make the page larger
than `MOST_BYTES`. The page asks nobody for anything: the map is drawn from positions alone.
"""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import jinja2
import pyarrow as pa
import pyarrow.compute as pc

from gunshot.dsp.resample import resample
from gunshot.errors import GunshotError, ParameterError, TransientStorageError
from gunshot.export.selection import Filters, Row, select
from gunshot.progress import steps
from gunshot.report import words
from gunshot.report.season_plots import calendar_svg, hours_svg, map_svg
from gunshot.report.sounds import flac_address
from gunshot.review.decision_log import read_decisions
from gunshot.review.decisions import latest, sound_key
from gunshot.review.labels import agreed
from gunshot.review.queue import Item, check_archive, recording_uri
from gunshot.review.service import ServiceFigures, service_figures
from gunshot.review.sounds import Piece, cut_piece, picture_png
from gunshot.scoring.failures import failures_by_reason
from gunshot.scoring.hours import listening_hours
from gunshot.scoring.incidents import detection_id, find_incidents
from gunshot.scoring.morning import drift_sentences
from gunshot.scoring.nights import drift_of_nights, nights_table
from gunshot.storage import write_bytes

__all__ = ["MOST_BYTES", "SeasonSummary", "season_page", "write_season"]

MOST_BYTES = 14 * 2**20
"""Of pictures and sounds together, as they stand in the page [bytes]: what most mail servers take."""

_MOST_INCIDENTS = 300
_CONTEXT_S = 0.8
_LONGEST_S = 4.0
_SOUND_HZ = 16_000
_COLUMNS = 420


@dataclass(frozen=True, slots=True)
class SeasonSummary:
    """What was written.

    Attributes
    ----------
    report : str
        Where.
    n_incidents, n_detections, n_examples : int
        On the page; examples have picture and sound.
    n_left_out : int
        Detections that people call no gunshot.
    n_without_sound : int
        Incidents whose recording cannot be read any more.
    size_bytes : int
        Of the page.
    """

    report: str
    n_incidents: int
    n_detections: int
    n_examples: int
    n_left_out: int
    n_without_sound: int
    size_bytes: int

    def lines(self) -> list[str]:
        """The summary for a person.

        Returns
        -------
        list of str
            Counts, and where the page is.
        """
        left = f"; {self.n_left_out} reviewed as no gunshots are left out" if self.n_left_out else ""
        gone = (
            f"; {self.n_without_sound} cannot be read any more: give --archive if the recordings have moved"
            if self.n_without_sound
            else ""
        )
        return [
            f"{self.n_incidents} incidents of {self.n_detections} detections{left}",
            f"{self.n_examples} with picture and sound{gone}",
            f"report: {self.report} ({self.size_bytes / 1e6:.1f} MB)",
        ]


def season_page(
    results: str,
    *,
    filters: Filters | None = None,
    archive: str | None = None,
    n_examples: int = 60,
    title: str = "Gunshots heard",
) -> tuple[str, SeasonSummary]:
    """Make the page.

    Parameters
    ----------
    results : str
        Where the tables are.
    filters : Filters, optional
        Whose detections, and of which time.
    archive : str, optional
        Where the recordings are now, if they have moved.
    n_examples : int
        Incidents with picture and sound, at most.
    title : str
        Of the page.

    Returns
    -------
    page : str
        A complete HTML document.
    summary : SeasonSummary
        Counts; where it is written is empty.

    Raises
    ------
    ParameterError
        If the model must be named.
    StorageError
        If the results cannot be read.
    """
    filters = filters or Filters()
    check_archive(archive)
    selection = select(results, filters)
    recordings = _in_time(selection.recordings, filters)
    if not recordings.num_rows:
        raise ParameterError(_nothing(results, selection.recordings))
    detections, n_left_out = _without_others(results, selection.detections)
    known = set(zip(*(recordings.column(name).to_pylist() for name in ("uri", "etag")), strict=True))
    pairs = zip(*(detections.column(name).to_pylist() for name in ("uri", "etag")), strict=True)
    detections = detections.filter(pa.array([pair in known for pair in pairs], pa.bool_()))
    incidents = sorted(find_incidents(detections).to_pylist(), key=lambda row: (-row["score"], row["incident"]))
    nights = nights_table(recordings, detections)
    examples, n_gone = _examples(incidents, detections, archive, n_examples)
    page = _environment().get_template("season.html.jinja").render(
        title=title, model=selection.model, digest=selection.model_digest, nights=nights, n_left_out=n_left_out,
        n_detections=detections.num_rows, period=_period(nights), key=_key(nights, incidents),
        service=_service(results, selection.model_digest), calendar=calendar_svg(nights),
        hours=hours_svg(_solar_hours(detections)), places=map_svg(_places(recordings, detections)),
        examples=examples, incidents=incidents[:_MOST_INCIDENTS], n_more=max(0, len(incidents) - _MOST_INCIDENTS),
        listening=_listening(recordings), failures=failures_by_reason(recordings),
        drift=drift_sentences(drift_of_nights(recordings)),
    )  # fmt: skip
    size = len(page.encode())
    return page, SeasonSummary("", len(incidents), detections.num_rows, len(examples), n_left_out, n_gone, size)


def write_season(results: str, out: str, **parameters: Any) -> SeasonSummary:
    """Write the page.

    Parameters
    ----------
    results : str
        Where the tables are.
    out : str
        Where the page goes.
    **parameters
        Of `season_page`.

    Returns
    -------
    SeasonSummary
        What was written.

    Raises
    ------
    ParameterError
        If the model must be named.
    StorageError
        If the results cannot be read, or the page cannot be written.
    """
    page, summary = season_page(results, **parameters)
    write_bytes(out, page.encode())
    return replace(summary, report=out)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gunshot.report", "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(count=words.count, percent=words.percent)
    return environment


def _in_time(recordings: pa.Table, filters: Filters) -> pa.Table:
    """Recordings of the period; those of unknown start only where no period is asked for."""
    for limit, keep in ((filters.since, pc.greater_equal), (filters.until, pc.less)):
        if limit is not None:
            recordings = recordings.filter(keep(recordings.column("start_utc"), pa.scalar(limit)))
    return recordings


def _nothing(results: str, recordings: pa.Table) -> str:
    """Why there is no page."""
    if not recordings.num_rows:
        return f"nothing has been scored into {results} yet: run gunshot score INPUT --out {results} first"
    span = pc.min_max(recordings.column("start_utc")).as_py()
    if span["min"] is None:
        return f"{results}: no recording's start is known, so --since and --until find none; leave them out"
    first, last = (span[end].isoformat(timespec="minutes") for end in ("min", "max"))
    return f"{results}: no recording begins in this time; they begin from {first} to {last}: change --since or --until"


def _without_others(results: str, detections: pa.Table) -> tuple[pa.Table, int]:
    """Detections without those that all who reviewed them call no gunshot."""
    others = {sound for sound, people in latest(read_decisions(results)).items() if agreed(people) == "not"}
    columns = (detections.column(name).to_pylist() for name in ("uri", "channel", "start_s"))
    keep = [sound_key(*values) not in others for values in zip(*columns, strict=True)]
    return detections.filter(pa.array(keep, pa.bool_())), keep.count(False)


def _period(nights: list[Row]) -> str:
    names = sorted(row["night"] for row in nights if row["night"])
    if not names:
        return "times not known"
    return f"night of {names[0]}" if names[0] == names[-1] else f"nights of {names[0]} to {names[-1]}"


def _key(nights: list[Row], incidents: list[Row]) -> list[tuple[str, str]]:
    """Figures at the head: a number and what it counts."""
    heard_h = sum(row["hours listened"] for row in nights)
    heard = f"{heard_h:,.{0 if heard_h >= 10 else 1}f} h" if heard_h >= 1 else f"{60 * heard_h:.0f} min"
    with_shots = len({row["night"] for row in nights if row["night"] and row["detections"]})
    n_nights = len({row["night"] for row in nights if row["night"]})
    sites = len({row["site"] for row in nights if row["site"]})
    joined = sum(row["n_recorders"] > 1 for row in incidents)
    return [
        (words.count(len(incidents)), f"incidents, {joined} of them heard by several recorders"),
        (words.count(sum(row["shots"] for row in nights)), "shots in them"),
        (f"{with_shots} of {n_nights}", "nights with shots"),
        (heard, f"listened{f' at {sites} sites' if sites else ''}"),
    ]


def _service(results: str, digest: str) -> ServiceFigures | None:
    """Figures of what was reviewed; None where nothing was."""
    if not digest:
        return None
    figures = service_figures(results, digest)
    return figures if figures.n_reviewed or figures.misses else None


def _solar_hours(detections: pa.Table) -> list[int]:
    """Shots by hour of the local solar day."""
    counts = [0] * 24
    columns = (detections.column(name).to_pylist() for name in ("start_utc", "longitude", "n_shots"))
    for start, longitude, n_shots in zip(*columns, strict=True):
        if start is not None:
            counts[(start + timedelta(hours=(longitude or 0.0) / 15)).hour] += n_shots
    return counts


def _places(recordings: pa.Table, detections: pa.Table) -> list[tuple[float, float, str, int]]:
    """Where recorders stood, what they are called, and shots heard there."""
    names = ("latitude", "longitude", "site", "recorder")
    shots: Counter[Any] = Counter()
    columns = (detections.column(name).to_pylist() for name in (*names, "n_shots"))
    for *place, n_shots in zip(*columns, strict=True):
        shots[tuple(place)] += n_shots
    places = set(zip(*(recordings.column(name).to_pylist() for name in names), strict=True))
    return sorted(
        (place[0], place[1], " ".join(filter(None, place[2:])), shots[place])
        for place in places
        if place[0] is not None and place[1] is not None
    )


def _listening(recordings: pa.Table) -> list[Row]:
    """Hours by site and recorder, all days together."""
    totals: dict[tuple[str, str], Row] = defaultdict(lambda: defaultdict(float))
    for row in listening_hours(recordings).to_pylist():
        total = totals[row["site"], row["recorder"] or row["folder"].rpartition("/")[2]]
        for name in ("listened_s", "silent_s", "missing_s", "gap_s", "n_gaps", "n_failed", "n_recordings"):
            total[name] += row[name]
    return [{"site": site, "recorder": recorder, **total} for (site, recorder), total in sorted(totals.items())]


def _examples(incidents: list[Row], detections: pa.Table, archive: str | None, most: int) -> tuple[list[Row], int]:
    """Picture and sound of the likeliest incidents, as long as the page stays small enough."""
    by_id = {detection_id(row): row for row in detections.to_pylist()}
    found: list[Row] = []
    n_bytes = n_gone = 0
    for incident in steps(incidents, "cut", "incidents", min(most, len(incidents))):
        if len(found) >= most:
            break
        best = max((by_id[name] for name in incident["detections"]), key=lambda row: (row["score"], row["uri"]))
        try:
            picture, sound = _media(best, archive)
        except TransientStorageError:
            raise
        except GunshotError:  # gone or damaged since it was scored: the incident stays in the table
            n_gone += 1
            continue
        n_bytes += len(picture) + len(sound)
        if n_bytes > MOST_BYTES:
            break
        found.append({"incident": incident, "best": best, "picture": picture, "sound": sound})
    return found, n_gone


def _media(row: Row, archive: str | None) -> tuple[str, str]:
    item = Item(
        number=0, path=row["path"], uri=row["uri"], channel=row["channel"], start_s=row["start_s"],
        end_s=row["end_s"], score=row["score"],
    )  # fmt: skip
    end_s = min(item.end_s, item.start_s + _LONGEST_S - 2 * _CONTEXT_S)
    piece = cut_piece(recording_uri(item, archive), item.channel, item.start_s, end_s, _CONTEXT_S)
    sr = min(piece.sr, _SOUND_HZ)
    y = resample(piece.y, piece.sr, sr)
    picture = picture_png(Piece(y, sr, piece.start_s, piece.end_s, piece.duration_s), columns=_COLUMNS)
    return base64.b64encode(picture).decode(), flac_address(y, sr)
