"""Curves over all thresholds: ROC, precision-recall, DET, and recall under a false-alarm budget.

Conventions: those of `gunshot.evaluation.metrics`. Every curve needs both classes. The points of a curve are
in the order of scikit-learn; `threshold` is the score itself (a row is called when ``score >= threshold``),
and infinity stands for calling nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import det_curve, precision_recall_curve, roc_curve

from gunshot.errors import ParameterError
from gunshot.evaluation.rows import two_class_scores

__all__ = [
    "DetPoints",
    "PrecisionRecallPoints",
    "RocPoints",
    "curve_points",
    "det_points",
    "precision_recall_points",
    "recall_at_fpr",
    "roc_points",
]

_MOST_POINTS = 200


class RocPoints(NamedTuple):
    """Points of a receiver operating characteristic, thresholds falling from infinity.

    Parameters
    ----------
    fpr, recall, threshold : ndarray of shape (n_points,), float64
        False-alarm rate, recall, and the threshold that gives them.
    """

    fpr: NDArray[np.float64]
    recall: NDArray[np.float64]
    threshold: NDArray[np.float64]


class PrecisionRecallPoints(NamedTuple):
    """Points of a precision-recall curve, thresholds rising.

    Parameters
    ----------
    precision, recall, threshold : ndarray of shape (n_points,), float64
        The last point (precision 1, recall 0) is a convention for calling nothing; its threshold is
        infinity.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    threshold: NDArray[np.float64]


class DetPoints(NamedTuple):
    """Points of a detection error trade-off curve, thresholds rising.

    Parameters
    ----------
    fpr, fnr, threshold : ndarray of shape (n_points,), float64
        False-alarm rate, miss rate, and the threshold that gives them.
    """

    fpr: NDArray[np.float64]
    fnr: NDArray[np.float64]
    threshold: NDArray[np.float64]


def roc_points(label: ArrayLike, score: ArrayLike) -> RocPoints:
    """Return one point a distinct score: false-alarm rate against recall.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        Labels 0 or 1 of both classes; scores in [0, 1].

    Returns
    -------
    RocPoints
        From (0, 0), calling nothing, to (1, 1), calling everything.

    Raises
    ------
    ParameterError
        If labels or scores are not what they must be.
    TrainingError
        If one class has no row.
    """
    labels, scores = two_class_scores(label, score)
    fpr, recall, threshold = roc_curve(labels, scores, drop_intermediate=False)
    return RocPoints(fpr, recall, threshold)


def precision_recall_points(label: ArrayLike, score: ArrayLike) -> PrecisionRecallPoints:
    """Return one point a distinct score: precision against recall.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        Labels 0 or 1 of both classes; scores in [0, 1].

    Returns
    -------
    PrecisionRecallPoints
        From calling everything (recall 1) to calling nothing (recall 0).

    Raises
    ------
    ParameterError
        If labels or scores are not what they must be.
    TrainingError
        If one class has no row.
    """
    labels, scores = two_class_scores(label, score)
    precision, recall, threshold = precision_recall_curve(labels, scores)
    return PrecisionRecallPoints(precision, recall, np.append(threshold, np.inf))


def det_points(label: ArrayLike, score: ArrayLike) -> DetPoints:
    """Return one point a distinct score: false-alarm rate against miss rate.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        Labels 0 or 1 of both classes; scores in [0, 1].

    Returns
    -------
    DetPoints
        One point a distinct score, without the level ends.

    Raises
    ------
    ParameterError
        If labels or scores are not what they must be.
    TrainingError
        If one class has no row.

    Notes
    -----
    Martin et al. (1997), "The DET curve in assessment of detection task performance", Eurospeech. Points
    that share the least miss rate, or the least false-alarm rate, are dropped by scikit-learn but for one.
    """
    labels, scores = two_class_scores(label, score)
    fpr, fnr, threshold = det_curve(labels, scores)
    return DetPoints(fpr, fnr, threshold)


def recall_at_fpr(label: ArrayLike, score: ArrayLike, max_fpr: float) -> float:
    """Return the greatest recall of any threshold that keeps the false-alarm rate within a budget.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        Labels 0 or 1 of both classes; scores in [0, 1].
    max_fpr : float
        Budget in [0, 1], false alarms per other sound.

    Returns
    -------
    float
        In [0, 1]; 0 where only calling nothing keeps the budget.

    Raises
    ------
    ParameterError
        If labels or scores are not what they must be, or the budget is outside [0, 1].
    TrainingError
        If one class has no row.

    Examples
    --------
    >>> recall_at_fpr([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1], max_fpr=0.0)
    0.5
    """
    if not 0.0 <= max_fpr <= 1.0:
        raise ParameterError(f"max_fpr must lie in [0, 1]; got {max_fpr:g}: one false alarm in a hundred is 0.01")
    points = roc_points(label, score)
    return float(points.recall[points.fpr <= max_fpr].max())


def curve_points(label: ArrayLike, score: ArrayLike) -> dict[str, dict[str, list[float | None]]]:
    """Return all three curves as JSON takes them, at most 200 points each.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        Labels 0 or 1 of both classes; scores in [0, 1].

    Returns
    -------
    dict
        ``roc``, ``precision_recall`` and ``det``, each of columns. Every point is one of the curve; of a longer one
        points are left out evenly. An infinite threshold is None.

    Raises
    ------
    ParameterError, TrainingError
        As `roc_points`.
    """
    curves: dict[str, RocPoints | PrecisionRecallPoints | DetPoints] = {
        "roc": roc_points(label, score),
        "precision_recall": precision_recall_points(label, score),
        "det": det_points(label, score),
    }
    return {
        name: {field: _some(column) for field, column in points._asdict().items()} for name, points in curves.items()
    }


def _some(column: NDArray[np.float64]) -> list[float | None]:
    """Points spread evenly over a column, both ends among them."""
    chosen = np.unique(np.linspace(0, column.size - 1, min(column.size, _MOST_POINTS)).round().astype(int))
    return [float(value) if np.isfinite(value) else None for value in column[chosen]]
