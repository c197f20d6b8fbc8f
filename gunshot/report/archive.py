"""Scored recordings as the report shows them: the ledger's counts, detections and failures.

Conventions: times are seconds from the start of their recording; time stamps are ISO 8601 text in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from gunshot.errors import ParameterError
from gunshot.evaluation.matching import DetectionMetrics

__all__ = ["DetectionRow", "FailureRow", "RecordingTimeline", "ScoringSummary"]


@dataclass(frozen=True, kw_only=True)
class DetectionRow:
    """One detection as the table lists it.

    Parameters
    ----------
    recording : str
        Name of the recording.
    start_s : float
        Onset from the start of the recording [s].
    score : float
        In [0, 1].
    n_shots : int
        Shots merged into the detection.
    start_utc : str, optional
        Onset as UTC, where the recording's start is known.
    """

    recording: str
    start_s: float
    score: float
    n_shots: int = 1
    start_utc: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordingTimeline:
    """One recording in the overview picture.

    Parameters
    ----------
    recording : str
        Name of the recording.
    duration_s : float
        Duration listened to [s].
    detection_s : array_like of shape (n_detections,)
        Onsets of its detections [s].
    event_s : array_like of shape (n_events,), optional
        Onsets of the true events, where they are known [s].
    """

    recording: str
    duration_s: float
    detection_s: ArrayLike
    event_s: ArrayLike | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoringSummary:
    """Recordings listed, listened to and what was found in them.

    Parameters
    ----------
    n_listed : int
        Recordings that were listed.
    states : mapping of {str: int}
        Recordings in each state, "ok" and the failures; they add up to `n_listed`.
    listened_s : float
        Total duration scored [s].
    n_detections : int
        Detections in all recordings.
    archive : str
        Where the recordings are.
    detections : sequence of DetectionRow
        Detections in the order to show; the page lists the first 50.
    timelines : sequence of RecordingTimeline
        Recordings of the overview; the page draws the 24 with the most detections.
    truth : DetectionMetrics, optional
        Figures against planted or annotated events.

    Raises
    ------
    ParameterError
        If the states do not add up to `n_listed`.
    """

    n_listed: int
    states: Mapping[str, int]
    listened_s: float
    n_detections: int
    archive: str = ""
    detections: Sequence[DetectionRow] = ()
    timelines: Sequence[RecordingTimeline] = ()
    truth: DetectionMetrics | None = None

    def __post_init__(self) -> None:
        """Refuse counts that do not reconcile."""
        if sum(self.states.values()) != self.n_listed:
            counts = " + ".join(f"{state} {n}" for state, n in self.states.items()) or "nothing"
            raise ParameterError(
                f"n_listed must equal the sum of the states; got {self.n_listed} and {counts}: "
                "take both from the same ledger"
            )


@dataclass(frozen=True, kw_only=True)
class FailureRow:
    """One file that gave no result.

    Parameters
    ----------
    file : str
        Name or URI of the file.
    state : str
        Its state: short, empty, silent, unreadable or timed out.
    reason : str
        One line that says why.
    """

    file: str
    state: str
    reason: str
