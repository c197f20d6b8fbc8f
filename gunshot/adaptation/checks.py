"""The old model and the new one on the same rows: what was won, what was lost, and whether that is too much.

Conventions
-----------
Each set of rows is cut at one false-alarm rate for both models: the rate that the old model has on the set's other
sounds at its own threshold, but at least that of `LEAST_ALARMS` of them, since one row must not decide. The recall at
that rate is compared by source, shot by shot. Rows are taken as independent; one shot heard by several sensors is
several rows, so the true interval is wider.

Synthetic rows are judged by the area under the ROC curve instead. A model that has never heard synthetic sounds finds
few of the shots among them at any one rate, and one other sound that crosses the cut then moves several shots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from gunshot.evaluation.guarantees import CONFIDENCE

__all__ = ["LEAST_ALARMS", "SMALL", "Change", "CheckRows", "area_fall", "compare_scores", "fall_bound", "worst_broken"]

LEAST_ALARMS = 3
"""A false-alarm rate is compared at no fewer false alarms than these."""

SMALL = 20
"""Sources with fewer shots are judged together."""

_COUNTS = (
    "n_shots", "n_others", "found_before", "found_after", "alarms_before", "alarms_after", "lost", "won",
)  # fmt: skip


@dataclass(frozen=True)
class CheckRows:
    """Rows that both models are scored on.

    Attributes
    ----------
    name : str
        Of the set: ``synthetic``, ``held out`` or ``site``.
    x : ndarray of shape (n, n_mels, n_frames), float32
        Log-mel spectrograms.
    label : ndarray of shape (n,), int8
        1 gunshot, 0 other.
    source : ndarray of shape (n,), str
        Where each comes from.
    group : ndarray of shape (n,), str
        Which of them are alike.
    measure : {"recall", "area"}
        What is judged: the recall at one false-alarm rate, or the area under the ROC curve.
    """

    name: str
    x: NDArray[np.float32]
    label: NDArray[np.int8]
    source: NDArray[np.str_]
    group: NDArray[np.str_]
    measure: Literal["recall", "area"] = "recall"


@dataclass(frozen=True, slots=True)
class Change:
    """What adaptation did to one source.

    Attributes
    ----------
    rows, source : str
        Name of the set, and of the source in it.
    n_shots, n_others : int
        Its rows of each class.
    found_before, found_after : int
        Its shots that each model finds at the common rate.
    alarms_before, alarms_after : int
        Its other sounds that each calls there.
    lost, won : int
        Shots that only the old, or only the new model finds.
    fpr : float
        The common false-alarm rate, over the whole set.
    measure : {"recall", "area"}
        What is judged.
    fall : float
        By how much that fell; negative where it rose, 0 without shots.
    fall_bound : float
        Upper end of the one-sided 95 % interval of the fall; 1 without shots.
    """

    rows: str
    source: str
    n_shots: int
    n_others: int
    found_before: int
    found_after: int
    alarms_before: int
    alarms_after: int
    lost: int
    won: int
    fpr: float
    measure: Literal["recall", "area"]
    fall: float
    fall_bound: float


def fall_bound(lost: int, won: int, n: int) -> float:
    """Upper end of a one-sided 95 % interval of the difference of two paired proportions.

    Parameters
    ----------
    lost, won : int
        Rows that only the first, or only the second has right.
    n : int
        All rows.

    Returns
    -------
    float
        In [-1, 1]; 1 without rows.

    Notes
    -----
    The adjusted Wald interval of Bonett and Price (2012), J. Educ. Behav. Stat. 37:479: one row is added to each kind
    of disagreement, two to all.

    Examples
    --------
    >>> round(fall_bound(0, 0, 200), 4)
    0.0115
    """
    if not n:
        return 1.0
    first, second = (lost + 1) / (n + 2), (won + 1) / (n + 2)
    difference = first - second
    spread = math.sqrt(max(0.0, first + second - difference**2) / (n + 2))
    return float(np.clip(difference + norm.ppf(CONFIDENCE) * spread, -1.0, 1.0))


def area_fall(label: NDArray[np.int8], before: NDArray[np.float32], after: NDArray[np.float32]) -> tuple[float, float]:
    """By how much the area under the ROC curve fell.

    Parameters
    ----------
    label : ndarray of shape (n,), int8
        1 gunshot, 0 other; two rows of each at least.
    before, after : ndarray of shape (n,), float32
        Scores of both models.

    Returns
    -------
    fall : float
        In [-1, 1].
    bound : float
        Upper end of its one-sided 95 % interval.

    Notes
    -----
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837, for two curves on the same rows: the variance is that
    of the differences of the rows' placements.
    """
    of_shots, of_others = (a - b for a, b in zip(_placements(label, before), _placements(label, after), strict=True))
    fall = float(of_shots.mean())
    variance = of_shots.var(ddof=1) / of_shots.size + of_others.var(ddof=1) / of_others.size
    return fall, min(1.0, fall + float(norm.ppf(CONFIDENCE) * np.sqrt(variance)))


def _placements(label: NDArray[np.int8], score: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of the others below each shot, and of the shots above each other; a tie is half."""
    gap = score[label == 1][:, None] - score[label == 0][None, :]
    wins = (gap > 0) + 0.5 * (gap == 0)
    return wins.mean(axis=1), wins.mean(axis=0)


def compare_scores(
    rows: CheckRows, before: NDArray[np.float32], after: NDArray[np.float32], threshold: float
) -> tuple[Change, ...]:
    """Compare two models on a set of rows.

    Parameters
    ----------
    rows : CheckRows
        The set.
    before, after : ndarray of shape (n,), float32
        Scores of the old and the new model.
    threshold : float
        The old model's.

    Returns
    -------
    tuple of Change
        One a source, by name; none where the set has no other sound to set a rate by.
    """
    is_other = rows.label == 0
    n_others = int(is_other.sum())
    if not n_others:
        return ()
    n_allowed = min(n_others, max(LEAST_ALARMS, int(np.sum(before[is_other] >= threshold))))
    called = [scores > _cut(scores[is_other], n_allowed) for scores in (before, after)]
    changes = []
    for source in np.unique(rows.source).tolist():
        mine = rows.source == source
        shots, others = mine & ~is_other, mine & is_other
        lost, won = int(np.sum(called[0][shots] & ~called[1][shots])), int(np.sum(~called[0][shots] & called[1][shots]))
        falls = _recall_fall(lost, won, int(shots.sum()))
        if rows.measure == "area":
            falls = area_fall(rows.label[mine], before[mine], after[mine])
        changes.append(
            Change(
                rows=rows.name, source=str(source), n_shots=int(shots.sum()), n_others=int(others.sum()),
                found_before=int(called[0][shots].sum()), found_after=int(called[1][shots].sum()),
                alarms_before=int(called[0][others].sum()), alarms_after=int(called[1][others].sum()),
                lost=lost, won=won, fpr=n_allowed / n_others, measure=rows.measure, fall=falls[0], fall_bound=falls[1],
            )
        )  # fmt: skip
    return tuple(changes)


def _recall_fall(lost: int, won: int, n: int) -> tuple[float, float]:
    return (lost - won) / n if n else 0.0, fall_bound(lost, won, n)


def _cut(others: NDArray[np.float32], n_allowed: int) -> float:
    """The score above which no more than so many other sounds are called."""
    return -1.0 if n_allowed >= others.size else float(np.sort(others)[others.size - 1 - n_allowed])


def worst_broken(changes: Sequence[Change], may_lose: float) -> Change | None:
    """Find the source that fell most, of those that fell too far.

    Parameters
    ----------
    changes : sequence of Change
        Of all sets.
    may_lose : float
        Largest fall that is allowed.

    Returns
    -------
    Change or None
        None where every bound is kept. Sources of one set with fewer than `SMALL` shots are judged together; where
        they have fewer still, one shot would be more than any limit, and only a fall beyond chance breaks it.
    """
    broken = [change for change in _judged(changes) if _least_fall(change) > may_lose]
    return max(broken, key=lambda change: change.fall, default=None)


def _least_fall(change: Change) -> float:
    """The fall, or with too few shots to tell one in a hundred the lower end of its one-sided interval."""
    return change.fall if change.n_shots >= SMALL else -fall_bound(change.won, change.lost, change.n_shots)


def _judged(changes: Sequence[Change]) -> list[Change]:
    judged = [change for change in changes if change.n_shots >= SMALL]
    for rows in dict.fromkeys(change.rows for change in changes):
        small = [change for change in changes if change.rows == rows and 0 < change.n_shots < SMALL]
        if small:
            counts = {name: sum(getattr(change, name) for change in small) for name in _COUNTS}
            fall, bound = _recall_fall(counts["lost"], counts["won"], counts["n_shots"])
            source = small[0].source if len(small) == 1 else f"{len(small)} small sources"
            judged.append(replace(small[0], source=source, fall=fall, fall_bound=bound, **counts))
    return judged
