"""A threshold for one site, from its own background.

Conventions
-----------
The background is the scores of all candidates in some hours of the site's sound, unlabelled. Each counts as a false
alarm: a gunshot among them makes the threshold stricter than it need be, never laxer. Alarms are taken as independent
of each other; in a storm they are not, so listen to more than one kind of weather. What counts is candidates: a burst
that becomes one detection counts as many times as it has candidates.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gunshot.errors import ParameterError
from gunshot.evaluation.choice import ScoredRows
from gunshot.evaluation.guarantees import CONFIDENCE, RateBound, poisson_rate_bound
from gunshot.evaluation.operating_point import OperatingPoint, measured_point, threshold_below

__all__ = ["refit_threshold"]


def refit_threshold(
    score: ArrayLike, listened_h: float, max_per_day: float, validation: ScoredRows, *, name: str | None = None
) -> OperatingPoint:
    """Choose the lowest threshold that keeps false alarms a day within a limit on a site's own background.

    Parameters
    ----------
    score : array_like of shape (n,)
        Scores in [0, 1] of all candidates of the background; there may be none.
    listened_h : float
        Sound that they come from, > 0 [h].
    max_per_day : float
        Limit, > 0 [false alarms a day of sound].
    validation : ScoredRows
        The bundle's own rows: recall and false-alarm rate of the new point are measured on them.
    name : str, optional
        Of the new point; "site 10 a day" for 10 if not given.

    Returns
    -------
    OperatingPoint
        With a guarantee where its bound (Garwood, `gunshot.evaluation.guarantees.poisson_rate_bound`) keeps the limit.
        Where the hours are too few for that, the threshold whose count keeps it, and the reason.

    Raises
    ------
    ParameterError
        If scores, hours or limit cannot be.
    TrainingError
        If the validation rows are of one class.

    Notes
    -----
    The count falls as the threshold rises, so thresholds are tried from 1 downward, each at the full level, as in
    `gunshot.evaluation.guarantees`: the choice on the same hours costs no confidence.

    Examples
    --------
    >>> import numpy as np
    >>> rows = ScoredRows(np.array([1, 0], np.int8), np.array([0.9, 0.2], np.float32), ("a", "b"))
    >>> refit_threshold([0.25, 0.5], 24.0, 3.0, rows).threshold
    0.75
    """
    scores = _checked(score, listened_h, max_per_day)
    level = np.unique(scores)

    def _bound(threshold: float) -> float:
        return poisson_rate_bound(int(np.sum(scores >= threshold)), listened_h / 24.0)

    def _counted(threshold: float) -> float:
        return float(np.sum(scores >= threshold)) / (listened_h / 24.0)

    held = _lowest(level, _bound, max_per_day)
    threshold = held if held is not None else _lowest(level, _counted, max_per_day)
    if threshold is None:
        threshold = 1.0
    figures = RateBound(
        quantity="false alarms a day", limit=max_per_day, upper=_bound(threshold), confidence=CONFIDENCE, unit="hour",
        n_units=listened_h, method="Garwood over the site's own hours",
    )  # fmt: skip
    point = measured_point(
        validation.label, validation.score, threshold, name=name or f"site {max_per_day:.10g} a day",
        split=validation.split, note=f"threshold from {listened_h:.4g} h of the site's own sound",
    )  # fmt: skip
    if held is None:
        return replace(point, note=f"{point.note}; {_why_none(figures, _counted(threshold))}", bound=figures)
    promise = (
        f"at most {max_per_day:.10g} false alarms a day in sound like the {listened_h:.4g} h listened to at this site "
        f"({CONFIDENCE:.0%} confidence)"
    )
    return replace(point, guarantee=promise, bound=figures)


def _checked(score: ArrayLike, listened_h: float, max_per_day: float) -> NDArray[np.float64]:
    for parameter, value in (("listened_h", listened_h), ("max_per_day", max_per_day)):
        if not (math.isfinite(value) and value > 0.0):
            raise ParameterError(f"{parameter} must be positive and finite; got {value!r}")
    scores = np.asarray(score, dtype=np.float64)
    if scores.ndim != 1 or not np.all((scores >= 0.0) & (scores <= 1.0)):
        raise ParameterError(
            f"score must be one value in [0, 1] a candidate; got shape {scores.shape} with "
            f"{int(np.sum(~((scores >= 0.0) & (scores <= 1.0))))} values outside"
        )
    return scores


def _lowest(level: NDArray[np.float64], rate: Callable[[float], float], limit: float) -> float | None:
    """The last threshold, from above all scores downward, at which a rate that rises keeps the limit."""
    cuts = range(level.size, -1, -1)
    n_kept = bisect_right(cuts, limit, key=lambda cut: rate(threshold_below(level, cut)))
    return threshold_below(level, cuts[n_kept - 1]) if n_kept else None


def _why_none(bound: RateBound, counted: float) -> str:
    needed_h = 24.0 * poisson_rate_bound(0, 1.0) / bound.limit
    reason = (
        f"{needed_h:.3g} h without any alarm could promise {bound.limit:.10g} a day"
        if bound.n_units < needed_h
        else "too many candidates score exactly 1"
    )
    return (
        f"no guarantee: {reason}; counted here {counted:.3g} a day, the bound at this threshold is {bound.upper:.3g} a "
        "day, not corrected for choosing the threshold on the same hours"
    )
