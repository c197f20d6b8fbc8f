"""From rates a clip to what a recorder brings in a day: false alarms, and how many calls would be shots.

Conventions
-----------
- A recorder-day is 24 h of sound from one recorder. The gate passes `candidates_per_hour` candidates an hour
  (1,300 in a city, docs/decisions.md 7 and 15); practically all are other sounds.
- False alarms a day: ``A = 24 * candidates_per_hour * FPR``. Its limits are those of the FPR times the same factor:
  they hold the uncertainty of the FPR, and none about the base rate, which is the user's to say.
- Expected precision at s true shots a day (Bayes' rule): ``s R / (s R + A)``, R the recall. It is
  ``R p / (R p + FPR (1 - p))`` with the prior ``p = s / (s + 24 * candidates_per_hour)``.
- R is the recall of clips: a shot that the gate does not pass is not in it.
- The negatives at hand stand for what the recorder hears. They hold more impulses than most places do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from gunshot.errors import ParameterError
from gunshot.evaluation.metrics import ClassificationMetrics

__all__ = ["DEFAULT_CANDIDATES_PER_HOUR", "DEFAULT_SHOTS_PER_DAY", "AlarmRate", "ExpectedPrecision", "alarm_rate"]

DEFAULT_CANDIDATES_PER_HOUR = 1300.0
"""What the gate passes in a city [1/h] (docs/decisions.md, 7)."""

DEFAULT_SHOTS_PER_DAY = (1.0, 10.0, 100.0)
"""True shots a day for which the precision is told."""

_HOURS = 24.0

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ExpectedPrecision:
    """The fraction of calls that are shots, at a number of true shots a day.

    Attributes
    ----------
    shots_per_day : float
        True shots a recorder-day.
    precision : float or None
        None where the recall or the false-alarm rate is undefined, or nothing at all is expected to be called.
    interval : tuple of (float, float) or None
        From the least recall with the greatest false-alarm rate to the reverse, each at its 95 % limit: at least 90 %
        confidence for the pair (Bonferroni).
    """

    shots_per_day: float
    precision: float | None
    interval: Pair | None


@dataclass(frozen=True, slots=True)
class AlarmRate:
    """What the false-alarm rate means for one recorder.

    Attributes
    ----------
    candidates_per_hour : float
        The base rate [1/h].
    false_alarms_per_day : float or None
        Expected [1/day]; None without other sounds.
    interval : tuple of (float, float) or None
        From the exact 95 % interval of the false-alarm rate over clips [1/day].
    interval_over_groups : tuple of (float, float) or None
        From the interval over groups [1/day]; None where there are too few.
    precision : tuple of ExpectedPrecision
        One a number of shots a day.
    """

    candidates_per_hour: float
    false_alarms_per_day: float | None
    interval: Pair | None
    interval_over_groups: Pair | None
    precision: tuple[ExpectedPrecision, ...]

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON takes them.

        Returns
        -------
        dict
            Plain numbers, lists and None.
        """
        return {
            "candidates_per_hour": self.candidates_per_hour,
            "false_alarms_per_day": self.false_alarms_per_day,
            "interval": None if self.interval is None else list(self.interval),
            "interval_over_groups": None if self.interval_over_groups is None else list(self.interval_over_groups),
            "expected_precision": [
                {
                    "shots_per_day": it.shots_per_day,
                    "precision": it.precision,
                    "interval": None if it.interval is None else list(it.interval),
                }
                for it in self.precision
            ],
        }


def alarm_rate(
    metrics: ClassificationMetrics,
    candidates_per_hour: float = DEFAULT_CANDIDATES_PER_HOUR,
    shots_per_day: Sequence[float] = DEFAULT_SHOTS_PER_DAY,
) -> AlarmRate:
    """Return the false alarms of a recorder-day, and the precision to expect.

    Parameters
    ----------
    metrics : ClassificationMetrics
        Figures at the model's threshold.
    candidates_per_hour : float
        Candidates that the gate passes, > 0 [1/h].
    shots_per_day : sequence of float
        True shots a recorder-day, each >= 0 [1/day].

    Returns
    -------
    AlarmRate
        By the formulas of this module.

    Raises
    ------
    ParameterError
        If a rate is negative or not finite, or the base rate is 0.

    Examples
    --------
    >>> from gunshot.evaluation.metrics import classification_metrics
    >>> metrics = classification_metrics([1] * 2 + [0] * 100, [0.9, 0.1] + [0.9] + [0.1] * 99, threshold=0.5)
    >>> rate = alarm_rate(metrics, candidates_per_hour=100, shots_per_day=[24])
    >>> rate.false_alarms_per_day, rate.precision[0].precision
    (24.0, 0.3333333333333333)
    """
    _check("candidates_per_hour", candidates_per_hour, candidates_per_hour > 0)
    for shots in shots_per_day:
        _check("shots_per_day", shots, shots >= 0)
    per_day = _HOURS * candidates_per_hour
    over_groups = None if metrics.fpr_over_groups is None else metrics.fpr_over_groups.pair
    return AlarmRate(
        candidates_per_hour,
        None if metrics.fpr is None else per_day * metrics.fpr,
        _times(metrics.fpr_interval, per_day),
        _times(over_groups, per_day),
        tuple(_expected(metrics, per_day, shots) for shots in shots_per_day),
    )


def _expected(metrics: ClassificationMetrics, per_day: float, shots: float) -> ExpectedPrecision:
    if metrics.recall is None or metrics.fpr is None:
        return ExpectedPrecision(shots, None, None)
    assert metrics.recall_interval is not None
    assert metrics.fpr_interval is not None
    low = _bayes(metrics.recall_interval[0], metrics.fpr_interval[1], per_day, shots)
    high = _bayes(metrics.recall_interval[1], metrics.fpr_interval[0], per_day, shots)
    interval = None if low is None or high is None else (low, high)
    return ExpectedPrecision(shots, _bayes(metrics.recall, metrics.fpr, per_day, shots), interval)


def _bayes(recall: float, fpr: float, per_day: float, shots: float) -> float | None:
    called = shots * recall + per_day * fpr
    return shots * recall / called if called > 0 else None


def _times(interval: Pair | None, factor: float) -> Pair | None:
    return None if interval is None else (factor * interval[0], factor * interval[1])


def _check(name: str, value: float, is_right: bool) -> None:
    if not (isfinite(value) and is_right):
        least = "positive" if name == "candidates_per_hour" else "0 or more"
        raise ParameterError(f"{name} must be {least} and finite; got {value:g}: give what one recorder brings")
