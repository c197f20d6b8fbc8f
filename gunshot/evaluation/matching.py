"""Compare detections in recordings with the true events, one to one.

Conventions
-----------
- Times are onsets in seconds from the start of their recording, in any order.
- An event and a detection may be matched when they lie at most `tolerance_s` apart (both ends included, with
  a nanosecond for rounding). Each is matched once at most.
- The matching is maximum: no other has more pairs. Among the maximum matchings the one of least total time
  error is taken, so that the time error is that of the best explanation, not of the order of a search.
- Detections merged from several shots count once: compare like with like (shots, or volleys).
- A rate with nothing to divide by is undefined: ``None``, never 0 and never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gunshot.errors import ParameterError
from gunshot.evaluation.alignment import aligned_pairs
from gunshot.evaluation.intervals import exact_interval, poisson_rate_interval

__all__ = ["DetectionMetrics", "detection_metrics", "match_events"]

MAX_TIME_S = 30 * 3600.0
"""A time later than this in one recording is taken for a mistake of units."""

MAX_TOLERANCE_S = 60.0
"""A tolerance longer than this is taken for a mistake of units."""

ROUNDING_S = 1e-9
"""Slack on the tolerance, so that 1.1 s is within 0.1 s of 1.0 s in floating point too."""


def match_events(reference_s: ArrayLike, estimate_s: ArrayLike, tolerance_s: float) -> NDArray[np.int64]:
    """Match events and detections of one recording, one to one.

    Parameters
    ----------
    reference_s : array_like of shape (n_events,)
        Onsets of the true events [s].
    estimate_s : array_like of shape (n_detections,)
        Onsets of the detections [s].
    tolerance_s : float
        Largest distance of a pair, 0 to 60 [s].

    Returns
    -------
    ndarray of shape (n_pairs, 2), int64
        Index into `reference_s` and index into `estimate_s` of each pair, in the order of the events' times.
        As many pairs as possible, and of those the least total time error.

    Raises
    ------
    ParameterError
        If a column is not (n,), a time is not finite, negative or later than 30 h, or the tolerance is out
        of its range. The message guesses the likely mistake.

    Notes
    -----
    Maximum matching is the convention of mir_eval (Raffel et al., 2014); pairing each event with its nearest
    detection can lose pairs. How it is found: `gunshot.evaluation.alignment`.

    Examples
    --------
    The nearest detection of both events is the one at 1.4 s, yet both can be matched:

    >>> match_events([1.0, 1.5], [1.4, 1.9], tolerance_s=0.5).tolist()
    [[0, 0], [1, 1]]
    """
    reference = _times("reference_s", reference_s)
    estimate = _times("estimate_s", estimate_s)
    if not 0.0 <= tolerance_s <= MAX_TOLERANCE_S:
        raise ParameterError(
            f"tolerance_s must lie in [0, {MAX_TOLERANCE_S:g}] s; got {tolerance_s:g}: is it in milliseconds?"
        )
    reference_order = np.argsort(reference, kind="stable")
    estimate_order = np.argsort(estimate, kind="stable")
    reach_s = tolerance_s + ROUNDING_S
    pairs = aligned_pairs(reference[reference_order], estimate[estimate_order], reach_s)
    return np.column_stack([reference_order[pairs[:, 0]], estimate_order[pairs[:, 1]]])


def _times(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return a checked column of onsets."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        remedy = "pass the onsets, [:, 0]" if array.ndim == 2 and array.shape[1] == 2 else "pass one onset an event"
        raise ParameterError(f"{name} must have shape (n,); got shape {array.shape}: {remedy}")
    wrong = ~((array >= 0.0) & (array <= MAX_TIME_S))
    if wrong.any():
        value = float(array[wrong][0])
        guess = "drop events without a time"
        if value < 0.0:
            guess = "times count from the start of the recording"
        elif value > 1e9:
            guess = "is it a Unix time? times count from the start of the recording"
        elif value > MAX_TIME_S:
            guess = "is it in samples or milliseconds?"
        raise ParameterError(f"{name} must lie in [0 s, 30 h]; got {value:g} at index {int(wrong.argmax())}: {guess}")
    return array


@dataclass(frozen=True, kw_only=True)
class DetectionMetrics:
    """Detections in recordings against the true events.

    Parameters
    ----------
    n_events : int
        True events in all recordings.
    n_detections : int
        Detections in all recordings.
    n_matched : int
        Pairs of the matching.
    listening_s : float
        Total duration listened to, > 0 [s].
    tolerance_s : float
        Largest distance of a pair [s].
    median_time_error_s : float or None
        Median over the pairs of the distance between detection and event [s]; None without pairs.

    Raises
    ------
    ParameterError
        If more is matched than there is, or `listening_s` is not positive and finite.
    """

    n_events: int
    n_detections: int
    n_matched: int
    listening_s: float
    tolerance_s: float
    median_time_error_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        if not 0 <= self.n_matched <= min(self.n_events, self.n_detections):
            raise ParameterError(
                f"n_matched must lie in [0, {min(self.n_events, self.n_detections)}], the lesser of n_events "
                f"and n_detections; got {self.n_matched}: match each event and each detection once at most"
            )
        if not (math.isfinite(self.listening_s) and self.listening_s > 0.0):
            raise ParameterError(
                f"listening_s must be positive and finite; got {self.listening_s:g}: sum the durations listened to"
            )

    @property
    def n_false_alarms(self) -> int:
        """Number of detections that match no event."""
        return self.n_detections - self.n_matched

    @property
    def listening_hours(self) -> float:
        """Total duration listened to [h]."""
        return self.listening_s / 3600.0

    @property
    def recall(self) -> float | None:
        """Fraction of the events that are matched; None without events."""
        return self.n_matched / self.n_events if self.n_events else None

    @property
    def precision(self) -> float | None:
        """Fraction of the detections that are matched; None without detections."""
        return self.n_matched / self.n_detections if self.n_detections else None

    @property
    def false_alarms_per_hour(self) -> float:
        """Detections that match no event, per hour listened to [1/h]."""
        return self.n_false_alarms / self.listening_hours

    @property
    def recall_interval(self) -> tuple[float, float] | None:
        """Exact 95 % interval of the recall."""
        return exact_interval(self.n_matched, self.n_events)

    @property
    def precision_interval(self) -> tuple[float, float] | None:
        """Exact 95 % interval of the precision."""
        return exact_interval(self.n_matched, self.n_detections)

    @property
    def false_alarms_per_hour_interval(self) -> tuple[float, float]:
        """Exact 95 % interval of the false alarms per hour [1/h]."""
        return poisson_rate_interval(self.n_false_alarms, self.listening_hours)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON takes them.

        Returns
        -------
        dict
            Plain numbers, lists and None.
        """
        recall_interval, precision_interval = self.recall_interval, self.precision_interval
        return {
            "n_events": self.n_events,
            "n_detections": self.n_detections,
            "n_matched": self.n_matched,
            "n_false_alarms": self.n_false_alarms,
            "recall": self.recall,
            "recall_interval": None if recall_interval is None else list(recall_interval),
            "precision": self.precision,
            "precision_interval": None if precision_interval is None else list(precision_interval),
            "false_alarms_per_hour": self.false_alarms_per_hour,
            "false_alarms_per_hour_interval": list(self.false_alarms_per_hour_interval),
            "median_time_error_s": self.median_time_error_s,
            "tolerance_s": self.tolerance_s,
            "listening_s": self.listening_s,
        }


def detection_metrics(
    reference: Mapping[str, ArrayLike],
    detected: Mapping[str, ArrayLike],
    tolerance_s: float,
    listening_s: float,
) -> DetectionMetrics:
    """Match recording by recording, then count over all of them.

    Parameters
    ----------
    reference : mapping of {str: array_like of shape (n_events,)}
        Onsets of the true events of each recording [s]. A recording without an entry has no events.
    detected : mapping of {str: array_like of shape (n_detections,)}
        Onsets of the detections of each recording [s]. A recording without an entry has none.
    tolerance_s : float
        Largest distance of a pair, 0 to 60 [s].
    listening_s : float
        Total duration of the recordings listened to, > 0 [s].

    Returns
    -------
    DetectionMetrics
        Counts over all recordings, and the median time error over all pairs.

    Raises
    ------
    ParameterError
        As `match_events`; or if one mapping names the recordings by path and the other by file name, or
        `listening_s` is shorter than the time of an event or a detection.

    Examples
    --------
    >>> figures = detection_metrics(
    ...     {"a.wav": [10.0, 20.0]}, {"a.wav": [10.1], "b.wav": [5.0]}, tolerance_s=0.5, listening_s=7200.0
    ... )
    >>> figures.recall, figures.precision, figures.false_alarms_per_hour
    (0.5, 0.5, 0.5)
    """
    events = {name: _times(f"reference[{name!r}]", times) for name, times in reference.items()}
    detections = {name: _times(f"detected[{name!r}]", times) for name, times in detected.items()}
    _check_names(events, detections)
    latest_s = max((float(t.max()) for t in (*events.values(), *detections.values()) if t.size), default=0.0)
    if listening_s < latest_s:
        raise ParameterError(
            f"listening_s must cover every event; got {listening_s:g} s but one lies at {latest_s:g} s: is it in hours?"
        )
    n_matched = 0
    errors_s = []
    nothing = np.empty(0)
    for name in sorted(set(events) | set(detections)):
        of_events, of_detections = events.get(name, nothing), detections.get(name, nothing)
        pairs = match_events(of_events, of_detections, tolerance_s)
        n_matched += len(pairs)
        errors_s.append(np.abs(of_events[pairs[:, 0]] - of_detections[pairs[:, 1]]))
    return DetectionMetrics(
        n_events=sum(times.size for times in events.values()),
        n_detections=sum(times.size for times in detections.values()),
        n_matched=n_matched,
        listening_s=float(listening_s),
        tolerance_s=float(tolerance_s),
        median_time_error_s=float(np.median(np.concatenate(errors_s))) if n_matched else None,
    )


def _check_names(events: Mapping[str, object], detections: Mapping[str, object]) -> None:
    """Refuse paths on one side and file names on the other, which would match nothing."""
    by_stem = {PurePosixPath(name).stem: name for name in events}
    alike = [(by_stem[stem], name) for name in detections if (stem := PurePosixPath(name).stem) in by_stem]
    if alike and not set(events) & set(detections):
        raise ParameterError(
            f"reference and detected must name recordings alike; got {alike[0][0]!r} and {alike[0][1]!r}: "
            "use the same name on both sides"
        )
