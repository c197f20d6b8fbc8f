"""Recordings that were scored, from the tables of results to what the page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gunshot.evaluation.matching import DetectionMetrics
from gunshot.report.archive import DetectionRow, RecordingTimeline, ScoringSummary
from gunshot.scoring.results import read_table

__all__ = ["ScoredArchive", "scored_recordings", "scoring_summary"]

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ScoredArchive:
    """Recordings that the default model has scored.

    Attributes
    ----------
    results : str
        Where the tables are.
    what : str
        What the recordings are, for people.
    uris : frozenset of str
        The recordings.
    truth : mapping of str to sequence of float
        Onsets of known events by URI [s]; may be empty.
    metrics : DetectionMetrics or None
        The detections held against the truth.
    """

    results: str
    what: str
    uris: frozenset[str]
    truth: Mapping[str, Sequence[float]] = field(default_factory=dict)
    metrics: DetectionMetrics | None = None


def scored_recordings(archive: ScoredArchive, digest: str) -> list[Row]:
    """Return the rows of an archive's recordings in the ledger.

    Parameters
    ----------
    archive : ScoredArchive
        The recordings.
    digest : str
        Which model scored them.

    Returns
    -------
    list of dict
        As `gunshot.scoring.results` has them.
    """
    return _of(archive, "recordings", digest)


def _of(archive: ScoredArchive, table: Literal["recordings", "detections"], digest: str) -> list[Row]:
    rows = read_table(archive.results, table).to_pylist()
    return [row for row in rows if row["model_digest"] == digest and row["uri"] in archive.uris]


def scoring_summary(archive: ScoredArchive, digest: str) -> ScoringSummary:
    """Return what a model found in an archive's recordings.

    Parameters
    ----------
    archive : ScoredArchive
        The recordings.
    digest : str
        Which model scored them.

    Returns
    -------
    ScoringSummary
        For the page.
    """
    recordings = scored_recordings(archive, digest)
    detections = _of(archive, "detections", digest)
    starts: dict[str, list[float]] = {row["uri"]: [] for row in recordings}
    for row in detections:
        starts[row["uri"]].append(row["start_s"])
    states = [row["state"] for row in recordings]
    return ScoringSummary(
        n_listed=len(recordings),
        states={state: states.count(state) for state in sorted(set(states))},
        listened_s=sum(row["read_s"] for row in recordings),
        n_detections=len(detections),
        archive=archive.what,
        detections=[
            DetectionRow(
                recording=row["path"],
                start_s=row["start_s"],
                score=row["score"],
                n_shots=row["n_shots"],
                start_utc=None if row["start_utc"] is None else row["start_utc"].isoformat(timespec="milliseconds"),
            )
            for row in sorted(detections, key=lambda row: -row["score"])
        ],
        timelines=[
            RecordingTimeline(
                recording=row["path"],
                duration_s=row["read_s"],
                detection_s=starts[row["uri"]],
                event_s=archive.truth.get(row["uri"]),
            )
            for row in recordings
            if row["read_s"] > 0
        ],
        truth=archive.metrics,
    )
