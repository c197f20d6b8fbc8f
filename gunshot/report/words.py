"""Figures in the words of the report: counts, rates, durations, and the key sentences.

Conventions: rates lie in [0, 1], durations are in seconds; what is undefined (None) is a dash. A rate is told
as a natural frequency ("of 100 gunshots, 2 are missed"), which readers judge better than per cent
(Gigerenzer and Hoffrage, 1995, Psychological Review 102). The limits of an interval are rounded outwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gunshot.evaluation.intervals import exact_interval
from gunshot.evaluation.matching import DetectionMetrics
from gunshot.evaluation.metrics import ClassificationMetrics
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.evaluation.rates import AlarmRate

__all__ = [
    "KeyFigure",
    "class_key_figures",
    "count",
    "duration",
    "figure",
    "frequency",
    "percent",
    "reconciliation",
    "recorder_day_figure",
    "threshold_words",
    "truth_key_figures",
]

UNDEFINED = "—"
"""What is shown for a figure that is not defined."""

_LARGEST_BASE = 100_000


@dataclass(frozen=True)
class KeyFigure:
    """One sentence of the key figures.

    Parameters
    ----------
    sentence : str
        The figure in words.
    interval : str
        Its 95 % interval, in the same unit; empty where there is none.
    basis : str
        What was counted.
    """

    sentence: str
    interval: str
    basis: str


def count(value: int) -> str:
    """Return a whole number with thousands separators.

    Parameters
    ----------
    value : int
        Any whole number.

    Returns
    -------
    str
        Such as 12,345.

    Examples
    --------
    >>> count(12345)
    '12,345'
    """
    return f"{value:,}"


def percent(rate: float | None) -> str:
    """Return a rate in per cent, with the digits that tell rates near 0 and 1 apart.

    Parameters
    ----------
    rate : float or None
        In [0, 1], or None where undefined.

    Returns
    -------
    str
        At least one decimal between 0% and 100%, which stand for exactly 0 and 1.

    Examples
    --------
    >>> percent(0.9724), percent(0.0004), percent(0.99996), percent(1.0), percent(None)
    ('97.2%', '0.04%', '99.996%', '100%', '—')
    """
    if rate is None:
        return UNDEFINED
    nearest_end = min(rate, 1.0 - rate)
    if nearest_end <= 1e-12:
        return f"{100 * rate:.0f}%"
    decimals = min(max(1, math.ceil(-math.log10(100 * nearest_end))), 6)
    return f"{100 * rate:.{decimals}f}%"


def figure(value: float | None, decimals: int = 3) -> str:
    """Return a number with fixed decimals, or a dash where it is undefined.

    Parameters
    ----------
    value : float or None
        Any number, or None where undefined.
    decimals : int
        Digits after the point.

    Returns
    -------
    str
        The number, or a dash.

    Examples
    --------
    >>> figure(0.98765), figure(None)
    ('0.988', '—')
    """
    return UNDEFINED if value is None else f"{value:.{decimals}f}"


def duration(seconds: float) -> str:
    """Return a duration in the two units that matter.

    Parameters
    ----------
    seconds : float
        At least 0 [s].

    Returns
    -------
    str
        Seconds, minutes and seconds, or hours and minutes; less than a millisecond is 0 s.

    Examples
    --------
    >>> duration(0.42), duration(75), duration(5400), duration(200000)
    ('0.42 s', '1 min 15 s', '1 h 30 min', '55 h 33 min')
    """
    if seconds < 10:
        return f"{seconds if seconds >= 0.001 else 0.0:.2g} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def frequency(n_hits: int, n_trials: int, base: int) -> tuple[int, int, int, int] | None:
    """Return a proportion as so many of a round number, with its 95 % interval.

    Parameters
    ----------
    n_hits, n_trials : int
        Counts; None is returned where there was no trial.
    base : int
        The round number to tell it by; ten times more where the proportion would round to nothing.

    Returns
    -------
    tuple of (int, int, int, int) or None
        Base, rounded number, lower limit rounded down, upper limit rounded up.

    Examples
    --------
    >>> frequency(3, 150, 100)
    (100, 2, 0, 6)
    >>> frequency(1, 5000, 1000)
    (10000, 2, 0, 12)
    """
    interval = exact_interval(n_hits, n_trials)
    if interval is None:
        return None
    while n_hits and round(n_hits / n_trials * base) == 0 and base < _LARGEST_BASE:
        base *= 10
    low, high = math.floor(interval[0] * base + 1e-9), math.ceil(interval[1] * base - 1e-9)
    return base, round(n_hits / n_trials * base), low, high


def class_key_figures(metrics: ClassificationMetrics, split: str) -> list[KeyFigure]:
    """Return misses and false alarms of a model in words.

    Parameters
    ----------
    metrics : ClassificationMetrics
        Figures of the default model.
    split : str
        Name of the rows they were counted on.

    Returns
    -------
    list of KeyFigure
        One for the gunshots and one for the other sounds; a class without rows says so.
    """
    missed = frequency(metrics.false_negatives, metrics.n_gunshots, 100)
    alarmed = frequency(metrics.false_positives, metrics.n_others, 1000)
    figures = []
    if missed is None:
        figures.append(KeyFigure(f"How many gunshots are missed is not known: the {split} rows hold none", "", ""))
    else:
        base, n, low, high = missed
        basis = f"{count(metrics.false_negatives)} missed of {count(metrics.n_gunshots)} {split} gunshots"
        verb = "is" if n == 1 else "are"
        figures.append(KeyFigure(f"Of {count(base)} gunshots, {count(n)} {verb} missed", _limits(low, high), basis))
    if alarmed is None:
        figures.append(KeyFigure(f"How many false alarms there are is not known: no other {split} sounds", "", ""))
    else:
        base, n, low, high = alarmed
        basis = f"{count(metrics.false_positives)} of {count(metrics.n_others)} other {split} sounds"
        verb = "raises" if n == 1 else "raise"
        figures.append(
            KeyFigure(f"Of {count(base)} other sounds, {count(n)} {verb} a false alarm", _limits(low, high), basis)
        )
    return figures


def recorder_day_figure(rate: AlarmRate) -> KeyFigure | None:
    """Return the false alarms of a recorder-day in words.

    Parameters
    ----------
    rate : AlarmRate
        What a false-alarm rate means for one recorder.

    Returns
    -------
    KeyFigure or None
        None where it cannot be told.
    """
    if rate.false_alarms_per_day is None or rate.interval is None:
        return None
    a_day, low, high = (
        f"{value:.2g}" if value < 10 else f"{value:,.0f}" for value in (rate.false_alarms_per_day, *rate.interval)
    )
    return KeyFigure(
        f"One recorder raises {a_day} false alarms a day",
        f"95%: {low} to {high}",
        f"where it brings {rate.candidates_per_hour:,.0f} candidates an hour",
    )


def _limits(low: int, high: int) -> str:
    """Write a 95 % interval of whole numbers."""
    return f"95%: {count(low)} to {count(high)}"


def truth_key_figures(truth: DetectionMetrics) -> list[KeyFigure]:
    """Return what was found in recordings, against true events, in words.

    Parameters
    ----------
    truth : DetectionMetrics
        Figures over the recordings.

    Returns
    -------
    list of KeyFigure
        Misses among the events, and false alarms an hour.
    """
    figures = []
    missed = frequency(truth.n_events - truth.n_matched, truth.n_events, 100)
    if missed is not None:
        base, n, low, high = missed
        basis = f"{count(truth.n_events - truth.n_matched)} missed of {count(truth.n_events)} known events"
        sentence = f"In recordings, of {count(base)} events, {count(n)} {'is' if n == 1 else 'are'} missed"
        figures.append(KeyFigure(sentence, _limits(low, high), basis))
    per_hour, limits = truth.false_alarms_per_hour, truth.false_alarms_per_hour_interval
    unit, factor = ("hour", 1.0) if per_hour >= 1.0 else ("day", 24.0)
    value, low_rate, high_rate = (
        f"{factor * rate:.2g}" if factor * rate < 10 else f"{factor * rate:,.0f}" for rate in (per_hour, *limits)
    )
    figures.append(
        KeyFigure(
            f"In recordings, {value} false alarms {'an hour' if unit == 'hour' else 'a day'}",
            f"95%: {low_rate} to {high_rate}",
            f"{count(truth.n_false_alarms)} in {duration(truth.listening_s)} of sound",
        )
    )
    return figures


def threshold_words(threshold: float, point: OperatingPoint | None) -> str:
    """Return when a clip is called a gunshot, and where that rule comes from.

    Parameters
    ----------
    threshold : float
        In [0, 1].
    point : OperatingPoint, optional
        Where it was chosen; not told where it has another threshold.

    Returns
    -------
    str
        One or two sentences.
    """
    rule = f"A clip is called a gunshot when its score is {threshold:.3f} or more."
    if point is None or point.threshold != threshold:
        return rule
    return (
        f"{rule} This is the operating point “{point.name}”, chosen on the {point.split} rows "
        f"({count(point.n_gunshots)} gunshots, {count(point.n_others)} other sounds): there it finds "
        f"{percent(point.recall)} of the gunshots, and {percent(point.fpr)} of the other sounds raise a "
        "false alarm."
    )


def reconciliation(n_listed: int, states: Mapping[str, int]) -> str:
    """Return the sum that must hold: listed = ok + each failure state.

    Parameters
    ----------
    n_listed : int
        Recordings listed.
    states : mapping of {str: int}
        Recordings in each state.

    Returns
    -------
    str
        The sum in words; states with no recordings are left out.

    Examples
    --------
    >>> reconciliation(12, {"ok": 9, "short": 1, "silent": 2, "empty": 0})
    '12 listed = 9 ok + 1 short + 2 silent'
    """
    parts = " + ".join(f"{count(n)} {state}" for state, n in states.items() if n)
    return f"{count(n_listed)} listed = {parts or '0'}"
