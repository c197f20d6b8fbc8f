"""Choose the operating point of a rule on labelled rows, with its guarantee.

Conventions: those of `gunshot.evaluation.guarantees`. A limit is kept with its guarantee where there are groups enough
for one. Where there are not, it is kept as counted on the rows, and the operating point says why it promises nothing.
Each guarantee holds by itself at its confidence; several of one bundle do not hold together at the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import TrainingError
from gunshot.evaluation.guarantees import CONFIDENCE, RateBound, mean_loss_bound, share_of_group, units_needed
from gunshot.evaluation.operating_point import OperatingPoint, choose_operating_point, measured_point, threshold_below
from gunshot.evaluation.rows import two_class_scores
from gunshot.evaluation.rules import PointRule

__all__ = ["ScoredRows", "choose_point", "choose_points"]


@dataclass(frozen=True)
class ScoredRows:
    """Labelled rows with a model's scores, to choose an operating point on.

    Attributes
    ----------
    label : ndarray of shape (n,), int8
        1 gunshot, 0 other.
    score : ndarray of shape (n,), float32
        In [0, 1].
    group : tuple of str, or None
        Group of each row. None where groups tell nothing about rows to come, as when rows were split at random and
        others of the same group were trained on: then there is no guarantee.
    split : str
        Name of the rows.
    """

    label: NDArray[np.int8]
    score: NDArray[np.float32]
    group: tuple[str, ...] | None
    split: str = "validation"


def choose_point(rows: ScoredRows, rule: PointRule) -> OperatingPoint:
    """Choose the operating point of a rule.

    Parameters
    ----------
    rows : ScoredRows
        Rows that trained nothing.
    rule : PointRule
        What is asked for.

    Returns
    -------
    OperatingPoint
        With its guarantee, or with the reason why there is none.

    Raises
    ------
    ParameterError
        If labels or scores are not what they must be.
    TrainingError
        If one class has no row.
    """
    if rule.kind == "threshold":
        note = "no guarantee: the threshold was given, not chosen"
        return measured_point(rows.label, rows.score, rule.value, name=rule.name, split=rows.split, note=note)
    if rows.group is None:
        note = "no guarantee: the rows do not stand for groups to come"
        return _with_note(_counted(rows, rule), note)
    losses = _Losses(rows, misses=rule.kind == "miss")
    threshold = losses.threshold_within(rule.share)
    if threshold is None:
        counted = _counted(rows, rule)
        bound = _rate_bound(rule, losses, counted.threshold)
        return replace(_with_note(counted, _why_none(rule, losses, bound, rows.split)), bound=bound)
    point = measured_point(rows.label, rows.score, threshold, name=rule.name, split=rows.split)
    bound = _rate_bound(rule, losses, threshold)
    return replace(point, bound=bound, guarantee=_promise(rule, losses.n_groups, rows.split))


def _counted(rows: ScoredRows, rule: PointRule) -> OperatingPoint:
    """The limit kept as counted on the rows, or the strictest threshold where none keeps it."""
    budget = {"max_fnr" if rule.kind == "miss" else "max_fpr": min(rule.share, 1.0)}
    try:
        return choose_operating_point(rows.label, rows.score, name=rule.name, split=rows.split, **budget)
    except TrainingError:
        note = "the limit cannot be kept: too many other sounds score exactly 1, so the strictest threshold was taken"
        return measured_point(rows.label, rows.score, 1.0, name=rule.name, split=rows.split, note=note)


class _Losses:
    """Mean loss over groups of every threshold, and its bound."""

    def __init__(self, rows: ScoredRows, *, misses: bool) -> None:
        labels, scores = two_class_scores(rows.label, rows.score)
        mine = labels == (1 if misses else 0)
        share, self.n_groups, self.is_binary = share_of_group(np.asarray(rows.group)[mine])
        order = np.argsort(scores[mine], kind="stable")
        self._misses = misses
        self._level = np.unique(scores)
        self._scores = scores[mine][order]
        first_lost = share[order] if misses else share[order][::-1]
        self._lost = np.concatenate([[0.0], np.cumsum(first_lost)])  # by the number of rows lost

    def loss(self, threshold: float) -> float:
        """Mean over groups of the share lost at a threshold."""
        below = int(np.searchsorted(self._scores, threshold, side="left"))
        return float(self._lost[below if self._misses else self._scores.size - below])

    def bound(self, loss: float) -> float:
        return mean_loss_bound(loss, self.n_groups, is_binary=self.is_binary)

    def threshold_within(self, limit: float) -> float | None:
        """The last threshold whose bound keeps the limit, from where nothing is lost; None where not even that does."""
        n_cuts = self._level.size
        cuts = range(n_cuts + 1) if self._misses else range(n_cuts, -1, -1)
        # the bound rises with the loss, so testing one after the other stops where bisection does
        n_kept = bisect_right(cuts, limit, key=lambda cut: self.bound(self.loss(threshold_below(self._level, cut))))
        return threshold_below(self._level, cuts[n_kept - 1]) if n_kept else None


def _rate_bound(rule: PointRule, losses: _Losses, threshold: float) -> RateBound:
    return RateBound(
        quantity={"miss": "missed gunshots", "fpr": "called other sounds"}.get(rule.kind, "false alarms a day"),
        limit=rule.value,
        upper=losses.bound(losses.loss(threshold)) * rule.per_share,
        confidence=CONFIDENCE,
        unit="group",
        n_units=losses.n_groups,
        method=f"{'Clopper-Pearson' if losses.is_binary else 'Hoeffding-Bentkus'} over groups",
        candidates_per_hour=rule.candidates_per_hour if rule.kind == "day" else None,
    )


def _with_note(point: OperatingPoint, note: str) -> OperatingPoint:
    return replace(point, note=f"{point.note}; {note}" if point.note else note)


def _shown(rule: PointRule, value: float) -> str:
    if rule.kind == "day":
        return f"{value:,.0f} a day" if value >= 100 else f"{value:.3g} a day"
    return f"{100 * value:.3g}%"


def _why_none(rule: PointRule, losses: _Losses, bound: RateBound, split: str) -> str:
    needed = units_needed(rule.share)
    return (
        f"no guarantee: the {losses.n_groups} groups of the {split} rows can promise "
        f"{_shown(rule, losses.bound(0.0) * rule.per_share)} at best, {rule.name} takes "
        f"{f'{needed:,} or more' if needed else 'more than any number of them'}; the bound at this threshold is "
        f"{_shown(rule, bound.upper)}, not corrected for choosing the threshold on the same rows"
    )


def _promise(rule: PointRule, n_groups: int, split: str) -> str:
    what = {
        "miss": f"of the gunshots of a new group at most {_shown(rule, rule.value)} are missed",
        "fpr": f"of the other sounds of a new group at most {_shown(rule, rule.value)} are called",
        "day": f"at most {rule.value:.10g} false alarms a day, where {rule.candidates_per_hour:,.10g} candidates "
        "an hour are other sounds like these",
    }[rule.kind]
    confidence = f"{CONFIDENCE:.0%} confidence, {n_groups} groups"
    return f"{what}, on average over groups like those of the {split} rows ({confidence})"


def choose_points(rows: ScoredRows, rules: Sequence[PointRule]) -> tuple[OperatingPoint, ...]:
    """Choose several operating points, each rule once.

    Parameters
    ----------
    rows : ScoredRows
        Rows that trained nothing.
    rules : sequence of PointRule
        What is asked for.

    Returns
    -------
    tuple of OperatingPoint
        In the order of the rules.

    Raises
    ------
    ParameterError
        If labels or scores are not what they must be.
    TrainingError
        If one class has no row.
    """
    return tuple(choose_point(rows, rule) for rule in dict.fromkeys(rules))
