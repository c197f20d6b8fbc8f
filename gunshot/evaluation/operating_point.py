"""Choose a threshold under a constraint, and remember where it was chosen.

Conventions: those of `gunshot.evaluation.metrics`; a clip is called a gunshot when ``score >= threshold``.
An operating point is chosen on validation rows and only then reported on test rows: its recall and
false-alarm rate are those of the rows it was chosen on, and flatter it a little. What holds beyond those rows is its
guarantee (`gunshot.evaluation.guarantees`). Texts that users choose by are read in `gunshot.evaluation.rules`, and
chosen with their guarantees in `gunshot.evaluation.choice`.

Where the threshold is put
--------------------------
Only the order of the scores matters for the counts, so every threshold between two neighbouring distinct
scores (of both classes together) gives the same counts. The one midway is taken: it does not sit on a
score, so rounding on another machine does not move a row across it. Below the lowest score the neighbour is
0, above the highest it is 1. Where no midway exists the threshold equals the upper score, which is then
called: that is a lowest score of exactly 0, and two scores that are neighbours in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gunshot.errors import ParameterError, TrainingError
from gunshot.evaluation.guarantees import RateBound
from gunshot.evaluation.rows import two_class_scores

__all__ = ["OperatingPoint", "choose_operating_point", "measured_point", "threshold_below"]


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A threshold with its recall, its false-alarm rate and the split it was chosen on.

    Parameters
    ----------
    name : str
        What a user asks for, such as "miss 1%" or "10 a day".
    threshold : float
        In [0, 1]; a clip is called a gunshot when ``score >= threshold``.
    split : str
        Name of the rows it was chosen on, such as "validation".
    recall : float
        Fraction of the gunshots of that split that are called.
    fpr : float
        Fraction of the other sounds of that split that are called.
    n_gunshots, n_others : int
        Rows of each class in that split, at least 1.
    guarantee : str or None
        What holds at the stated confidence for groups not yet seen, in words; None where nothing does.
    note : str
        Why there is no guarantee, or what else a reader must know.
    bound : RateBound or None
        The figures behind both.

    Raises
    ------
    ParameterError
        If a fraction is outside [0, 1], a class is empty, or a guarantee has no bound that holds.
    """

    name: str
    threshold: float
    split: str
    recall: float
    fpr: float
    n_gunshots: int
    n_others: int
    guarantee: str | None = None
    note: str = ""
    bound: RateBound | None = None

    def __post_init__(self) -> None:
        """Refuse figures that cannot be."""
        for field in ("threshold", "recall", "fpr"):
            value = getattr(self, field)
            if not 0.0 <= value <= 1.0:
                raise ParameterError(f"{field} must lie in [0, 1]; got {value!r}: choose the operating point again")
        for field in ("n_gunshots", "n_others"):
            if getattr(self, field) < 1:
                raise ParameterError(
                    f"{field} must be >= 1; got {getattr(self, field)}: choose it on rows of both classes"
                )
        if self.guarantee is not None and (self.bound is None or not self.bound.holds):
            raise ParameterError(
                f"guarantee {self.guarantee!r} has no bound that holds: choose the operating point again"
            )

    @property
    def fnr(self) -> float:
        """Fraction of the gunshots of that split that are missed."""
        return 1.0 - self.recall

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON takes them.

        Returns
        -------
        dict
            Plain numbers and text, by the names of the fields.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, figures: Mapping[str, Any]) -> OperatingPoint:
        """Read back what `as_dict` wrote.

        Parameters
        ----------
        figures : mapping
            Exactly the fields of `OperatingPoint`.

        Returns
        -------
        OperatingPoint
            Equal to the one that was written.

        Raises
        ------
        ParameterError
            If a key is missing or unknown, or a value cannot be.
        """
        expected = {field.name for field in fields(cls)}
        if set(figures) != expected:
            missing = ", ".join(sorted(expected - set(figures))) or "none"
            unknown = ", ".join(sorted(set(figures) - expected)) or "none"
            raise ParameterError(
                f"figures must have the fields of OperatingPoint; missing: {missing}, unknown: {unknown}: "
                "choose the operating point again with this version"
            )
        bound = figures["bound"]
        return cls(**{**figures, "bound": None if bound is None else RateBound.from_dict(bound)})


def choose_operating_point(
    label: ArrayLike,
    score: ArrayLike,
    *,
    name: str,
    split: str,
    max_fpr: float | None = None,
    max_fnr: float | None = None,
) -> OperatingPoint:
    """Choose the threshold that makes most of exactly one constraint.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        Labels 0 or 1 of both classes; scores in [0, 1].
    name : str
        Name of the operating point.
    split : str
        Name of the rows given.
    max_fpr : float, optional
        Budget of false alarms per other sound, in [0, 1]: the lowest threshold that keeps it is chosen,
        hence the greatest recall it allows.
    max_fnr : float, optional
        Budget of misses per gunshot, in [0, 1]: the highest threshold that keeps it is chosen, hence the
        fewest false alarms it allows.

    Returns
    -------
    OperatingPoint
        The constraint holds on the rows given, as counted with ``score >= threshold``.

    Raises
    ------
    ParameterError
        If labels or scores are not what they must be, not exactly one constraint is given, or it is outside
        [0, 1].
    TrainingError
        If one class has no row, or other sounds that score exactly 1 use up more than the budget, so that
        no threshold in [0, 1] keeps it. (A budget of misses can always be kept: threshold 0 misses nothing.)

    Examples
    --------
    >>> point = choose_operating_point(
    ...     [1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1], name="quiet", split="validation", max_fpr=0.0
    ... )
    >>> point.threshold, point.recall, point.fpr
    (0.75, 0.5, 0.0)
    """
    labels, scores = two_class_scores(label, score)
    _check_constraint(max_fpr, max_fnr)
    level = np.unique(scores)
    n_called_gunshots = _n_at_or_above(level, scores[labels == 1])
    n_called_others = _n_at_or_above(level, scores[labels == 0])
    n_gunshots, n_others = int(n_called_gunshots[0]), int(n_called_others[0])
    if max_fpr is not None:
        keeps = np.flatnonzero(n_called_others / n_others <= max_fpr)
        cut = int(keeps[0])
        if cut == level.size and level[-1] >= 1.0:
            raise TrainingError(
                f"max_fpr={max_fpr:g} cannot be kept by a threshold in [0, 1]: {n_called_others[-2]} of "
                f"{n_others} other sounds score exactly 1; allow more false alarms or train a less sure model"
            )
    else:
        assert max_fnr is not None
        cut = int(np.flatnonzero((n_gunshots - n_called_gunshots) / n_gunshots <= max_fnr)[-1])
        if cut == level.size and level[-1] >= 1.0:
            cut -= 1
    return measured_point(labels, scores, threshold_below(level, cut), name=name, split=split)


def measured_point(
    label: ArrayLike, score: ArrayLike, threshold: float, *, name: str, split: str, note: str = ""
) -> OperatingPoint:
    """Measure what a given threshold does.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        Labels 0 or 1 of both classes; scores in [0, 1].
    threshold : float
        In [0, 1].
    name, split, note : str
        Of the operating point.

    Returns
    -------
    OperatingPoint
        Without guarantee.

    Raises
    ------
    ParameterError
        If labels, scores or threshold are not what they must be.
    TrainingError
        If one class has no row.
    """
    labels, scores = two_class_scores(label, score)
    called = labels[scores >= threshold]
    n_gunshots = int(labels.sum())
    n_found = int(called.sum())
    return OperatingPoint(
        name=name, threshold=float(threshold), split=split, recall=n_found / n_gunshots,
        fpr=(called.size - n_found) / (labels.size - n_gunshots), n_gunshots=n_gunshots,
        n_others=labels.size - n_gunshots, note=note,
    )  # fmt: skip


def _check_constraint(max_fpr: float | None, max_fnr: float | None) -> None:
    """Refuse anything but one budget in [0, 1]."""
    if (max_fpr is None) == (max_fnr is None):
        raise ParameterError(
            f"exactly one of max_fpr and max_fnr must be given; got max_fpr={max_fpr} and max_fnr={max_fnr}: "
            "choose what to limit, false alarms or misses"
        )
    for constraint, value in (("max_fpr", max_fpr), ("max_fnr", max_fnr)):
        if value is not None and not 0.0 <= value <= 1.0:
            raise ParameterError(f"{constraint} must lie in [0, 1]; got {value:g}: one in a hundred is 0.01")


def _n_at_or_above(level: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the scores >= each level, and 0 for a last cut above all levels: shape (n_levels + 1,)."""
    below = np.searchsorted(np.sort(scores), level, side="left")
    return np.append(scores.size - below, 0).astype(np.int64)


def threshold_below(level: NDArray[np.float64], cut: int) -> float:
    """Return the threshold that calls the levels from index `cut` on, midway to the level before.

    Parameters
    ----------
    level : ndarray of shape (n_levels,), float64
        The distinct scores, rising.
    cut : int
        In [0, n_levels]; n_levels calls none, unless a score is 1.

    Returns
    -------
    float
        In [0, 1].
    """
    lower = float(level[cut - 1]) if cut > 0 else 0.0
    upper = float(level[cut]) if cut < level.size else 1.0
    midway = lower + (upper - lower) / 2.0
    return midway if midway > lower else upper
