"""All figures of the rows of one split, in one place: what ``metrics.json`` and the report show of it.

Conventions: the threshold is the bundle's own. A figure that the rows cannot give is None, never 0. Every one of them
is defined in docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gunshot.evaluation.breakdown import breakdowns
from gunshot.evaluation.confusers import ConfuserMatrix, confuser_matrix
from gunshot.evaluation.curves import curve_points
from gunshot.evaluation.fixed_fpr import FIXED_FPRS, FixedFprRecall, fixed_fpr_recall
from gunshot.evaluation.metrics import ClassificationMetrics, classification_metrics
from gunshot.evaluation.mistakes import Mistakes, mistakes
from gunshot.evaluation.open_set import OpenSet, Sound, open_set
from gunshot.evaluation.rates import DEFAULT_CANDIDATES_PER_HOUR, DEFAULT_SHOTS_PER_DAY, AlarmRate, alarm_rate
from gunshot.evaluation.reliability import Reliability, reliability
from gunshot.evaluation.reported_rows import ReportedRows

__all__ = ["BaseRates", "ReportedFigures", "reported_figures"]


@dataclass(frozen=True, slots=True)
class BaseRates:
    """What one recorder brings, for the figures a day.

    Attributes
    ----------
    candidates_per_hour : float
        Candidates that the gate passes [1/h].
    shots_per_day : tuple of float
        True shots a day for which the precision is told [1/day].
    """

    candidates_per_hour: float = DEFAULT_CANDIDATES_PER_HOUR
    shots_per_day: tuple[float, ...] = DEFAULT_SHOTS_PER_DAY


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportedFigures:
    """The figures of one split.

    Attributes
    ----------
    metrics : ClassificationMetrics
        At the threshold, with both kinds of interval.
    fixed_fpr : tuple of FixedFprRecall
        At each of `FIXED_FPRS`; empty unless both classes are present.
    curves : mapping
        As `curve_points`; empty unless both classes are present.
    reliability : Reliability
        Of the probability where the bundle has a calibration, else of the score.
    breakdowns : mapping
        As `gunshot.evaluation.breakdown.breakdowns`.
    confusers : ConfuserMatrix
        Which other sounds raise alarms.
    alarms : AlarmRate
        False alarms and precision of a recorder-day.
    open_set : OpenSet or None
        None where it is not known which sounds were trained on.
    misses, false_alarms : Mistakes
        The rows called wrong.
    """

    metrics: ClassificationMetrics
    fixed_fpr: tuple[FixedFprRecall, ...]
    curves: Mapping[str, Any]
    reliability: Reliability
    breakdowns: Mapping[str, Mapping[str, ClassificationMetrics]]
    confusers: ConfuserMatrix
    alarms: AlarmRate
    open_set: OpenSet | None
    misses: Mistakes
    false_alarms: Mistakes

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON takes them; those of `metrics` stand beside them already.

        Returns
        -------
        dict
            Plain numbers, text, lists and None.
        """
        return {
            "recall_at_fpr": {f"{it.max_fpr:g}": it.as_dict() for it in self.fixed_fpr},
            "curves": dict(self.curves),
            "calibration": self.reliability.as_dict(),
            "breakdown": {
                name: {value: part.as_dict() for value, part in parts.items()}
                for name, parts in self.breakdowns.items()
            },
            "confusers": self.confusers.as_dict(),
            "recorder_day": self.alarms.as_dict(),
            "open_set": None if self.open_set is None else self.open_set.as_dict(),
            "misses": self.misses.as_dict(),
            "false_alarms": self.false_alarms.as_dict(),
        }


def reported_figures(
    rows: ReportedRows,
    threshold: float,
    *,
    trained: Collection[Sound] | None = None,
    base_rates: BaseRates | None = None,
    max_fprs: Sequence[float] = FIXED_FPRS,
) -> ReportedFigures:
    """Make all figures of the rows of one split.

    Parameters
    ----------
    rows : ReportedRows
        At least one.
    threshold : float
        The bundle's.
    trained : collection of (str, int), optional
        Name and label of the sounds trained on; None where nobody knows.
    base_rates : BaseRates, optional
        What a recorder brings.
    max_fprs : sequence of float
        Rates of the recall at a fixed false-alarm rate.

    Returns
    -------
    ReportedFigures
        All figures.

    Raises
    ------
    ParameterError
        If scores, labels or rates are not what they must be.
    """
    rates = base_rates or BaseRates()
    metrics = classification_metrics(rows.label, rows.score, threshold, rows.group)
    has_both = bool(metrics.n_gunshots and metrics.n_others)
    misses, false_alarms = mistakes(rows, threshold)
    probability = rows.score if rows.probability is None else rows.probability
    return ReportedFigures(
        metrics=metrics,
        fixed_fpr=tuple(fixed_fpr_recall(rows.label, rows.score, rate, rows.group) for rate in max_fprs if has_both),
        curves=curve_points(rows.label, rows.score) if has_both else {},
        reliability=reliability(rows.label, probability, is_calibrated=rows.probability is not None),
        breakdowns=breakdowns(rows, threshold),
        confusers=confuser_matrix(rows, threshold),
        alarms=alarm_rate(metrics, rates.candidates_per_hour, rates.shots_per_day),
        open_set=None if trained is None else open_set(rows, trained, threshold),
        misses=misses,
        false_alarms=false_alarms,
    )
