"""One check for every function that takes labels and scores.

Conventions: label 1 is a gunshot, label 0 is any other sound; a score lies in [0, 1] and is higher for a
more gunshot-like clip; both are columns of shape (n,), row by row of the same table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gunshot.errors import ParameterError, TrainingError

__all__ = ["labelled_scores", "two_class_scores"]


def labelled_scores(label: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Check a column of labels and a column of scores, and give them one type.

    Parameters
    ----------
    label : array_like of shape (n,), integer, bool or float
        1 for a gunshot, 0 for any other sound.
    score : array_like of shape (n,), float
        One score in [0, 1] for each label.

    Returns
    -------
    label : ndarray of shape (n,), int8
        The labels, 0 or 1.
    score : ndarray of shape (n,), float64
        The scores, in [0, 1].

    Raises
    ------
    ParameterError
        If there are no rows, the shapes differ or are not (n,), a label is neither 0 nor 1, or a score
        is NaN or outside [0, 1]. The message guesses the likely mistake.
    """
    labels = _column("label", label)
    scores = _column("score", score)
    if labels.size != scores.size:
        raise ParameterError(
            f"label and score must have one value a row each; got {labels.size} labels and "
            f"{scores.size} scores: take both from the same table"
        )
    if labels.size == 0:
        raise ParameterError("label must have at least one row; got none: check that the split is not empty")
    if not np.isin(labels, (0.0, 1.0)).all():
        raise ParameterError(_label_message(labels, scores))
    outside = ~((scores >= 0.0) & (scores <= 1.0))
    if outside.any():
        raise ParameterError(_score_message(scores, int(np.flatnonzero(outside)[0])))
    return labels.astype(np.int8), scores


def two_class_scores(label: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Check rows as `labelled_scores` does, and that both classes are among them.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        As for `labelled_scores`.

    Returns
    -------
    label : ndarray of shape (n,), int8
        The labels, 0 or 1.
    score : ndarray of shape (n,), float64
        The scores, in [0, 1].

    Raises
    ------
    ParameterError
        As `labelled_scores`.
    TrainingError
        If all rows are of one class: no curve and no operating point can be had from them.
    """
    labels, scores = labelled_scores(label, score)
    if labels.min() == labels.max():
        only = "gunshots (label 1)" if labels[0] == 1 else "other sounds (label 0)"
        raise TrainingError(
            f"label must hold both classes; got {labels.size} rows that are all {only}: "
            "add rows of the other class to the split"
        )
    return labels, scores


def _column(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return `values` as a column of floats."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" and array.size:
        raise ParameterError(f"{name} must be numbers; got dtype {array.dtype}: map class names to 0 and 1 first")
    if array.ndim != 1:
        remedy = f"pass {name}[:, 0]" if array.ndim == 2 and array.shape[1] == 1 else "pass one value a row"
        raise ParameterError(f"{name} must have shape (n,); got shape {array.shape}: {remedy}")
    return array.astype(np.float64)


def _label_message(labels: NDArray[np.float64], scores: NDArray[np.float64]) -> str:
    """Say which label is wrong, and why it may be."""
    wrong = np.unique(labels[~np.isin(labels, (0.0, 1.0))])
    guess = "map the classes to 1 for a gunshot and 0 for any other sound"
    if np.isin(scores, (0.0, 1.0)).all():
        guess = "label and score may be swapped"
    elif set(np.unique(labels)) <= {-1.0, 1.0}:
        guess = "labels of -1 and 1 become 0 and 1 by label > 0"
    shown = ", ".join(f"{value:g}" for value in wrong[:5])
    return f"label must be 0 (other) or 1 (gunshot) in every row; got {shown}: {guess}"


def _score_message(scores: NDArray[np.float64], row: int) -> str:
    """Say which score is wrong, and why it may be."""
    finite = scores[np.isfinite(scores)]
    guess = "find the row whose features are not finite"
    if np.isfinite(scores[row]):
        percent = finite.min() >= 0.0 and 2.0 < finite.max() <= 100.0
        guess = "scores in percent are divided by 100" if percent else "logits go through the sigmoid first"
    return f"score must lie in [0, 1] in every row; got {scores[row]:g} in row {row}: {guess}"
