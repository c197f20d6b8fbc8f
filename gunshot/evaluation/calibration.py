"""From a score to a probability, and how good a probability is.

Conventions: those of `gunshot.evaluation.metrics`. A probability is that of a gunshot among rows with the same share of
gunshots as those it was fitted on; `Calibration.probability` takes another share. Fitted on validation rows.

Why Platt's method
------------------
Two numbers, monotone, and steady with few rows. On validation rows of a few dozen groups isotonic regression fits best
there and worst on other rows, since whole steps rest on one group; beta calibration (Kull, Silva Filho and Flach, 2017,
AISTATS) lies close to Platt's with a third number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from gunshot.errors import ParameterError
from gunshot.evaluation.rows import labelled_scores, two_class_scores

__all__ = ["N_BINS", "Calibration", "brier_score", "calibration_error", "fit_calibration"]

N_BINS = 15
"""Bins of `calibration_error`."""

_CLOSEST = 1e-7
"""Scores nearer to 0 or 1 count as this near: float32 has no finer step below 1."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A rising curve from scores to probabilities: ``sigmoid(slope * logit(score) + intercept)``.

    Parameters
    ----------
    method : {"platt", "none"}
        "none": the probability is the score itself.
    slope, intercept : float
        Of the curve; the slope is not negative.
    prior : float or None
        Share of gunshots among the rows it was fitted on, in (0, 1); None if it was not fitted.
    n_gunshots, n_others : int
        Rows of each class it was fitted on.
    split : str
        Name of those rows.

    Raises
    ------
    ParameterError
        If the curve falls or a number cannot be.
    """

    method: Literal["platt", "none"]
    slope: float
    intercept: float
    prior: float | None
    n_gunshots: int
    n_others: int
    split: str

    def __post_init__(self) -> None:
        """Refuse what is no rising curve."""
        if self.method not in ("platt", "none"):
            raise ParameterError(f"method of a calibration must be platt or none; got {self.method!r}: train again")
        if not (self.slope >= 0.0 and math.isfinite(self.slope) and math.isfinite(self.intercept)):
            raise ParameterError(
                f"a calibration must rise; got slope {self.slope!r} and intercept {self.intercept!r}: train again"
            )
        if self.prior is not None and not 0.0 < self.prior < 1.0:
            raise ParameterError(f"prior of a calibration must lie in (0, 1); got {self.prior!r}: train again")

    @classmethod
    def none(cls) -> Calibration:
        """Return the calibration of a model without one: the score itself.

        Returns
        -------
        Calibration
            Of method "none".
        """
        return cls(method="none", slope=1.0, intercept=0.0, prior=None, n_gunshots=0, n_others=0, split="")

    def probability(self, scores: ArrayLike, prior: float | None = None) -> NDArray[np.float32]:
        """Return the probability that each is a gunshot.

        Parameters
        ----------
        scores : array_like of any shape
            Scores in [0, 1].
        prior : float, optional
            Share of gunshots among what is scored, in (0, 1), where it is known to be another than that of the rows
            fitted on: the odds are multiplied by the ratio of the two odds (Elkan, 2001, IJCAI, theorem 2).

        Returns
        -------
        ndarray of the same shape, float32
            In [0, 1]; never falls as the score rises.

        Raises
        ------
        ParameterError
            If the prior is outside (0, 1), or the calibration has none to change.
        """
        score = np.asarray(scores, dtype=np.float64)
        if self.method == "none" and prior is None:
            return score.astype(np.float32)
        shift = 0.0 if prior is None else self._shift(prior)
        odds = self.slope * logit(np.clip(score, _CLOSEST, 1.0 - _CLOSEST)) + self.intercept + shift
        return np.asarray(expit(odds), dtype=np.float32)

    def _shift(self, prior: float) -> float:
        if self.prior is None or not 0.0 < prior < 1.0:
            raise ParameterError(
                f"prior must lie in (0, 1), for a calibration that was fitted; got {prior!r} for method {self.method}"
            )
        return float(logit(prior) - logit(self.prior))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON takes them.

        Returns
        -------
        dict
            Plain numbers and text, by the names of the fields.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, figures: Mapping[str, Any]) -> Calibration:
        """Read back what `as_dict` wrote.

        Parameters
        ----------
        figures : mapping
            Exactly the fields of `Calibration`.

        Returns
        -------
        Calibration
            Equal to the one that was written.

        Raises
        ------
        ParameterError
            If a key is missing or unknown, or a value cannot be.
        """
        if set(figures) != {field.name for field in fields(cls)}:
            raise ParameterError(
                f"a calibration has the fields of Calibration; got {', '.join(sorted(figures))}: train again"
            )
        return cls(**figures)


def fit_calibration(
    label: ArrayLike, score: ArrayLike, *, group: Sequence[str] | None = None, split: str = "validation"
) -> Calibration:
    """Fit the curve to labelled rows.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        Labels 0 or 1 of both classes; scores in [0, 1].
    group : sequence of str, optional
        Group of each row. Within a class each group then counts the same, whatever its size: a thousand half seconds of
        one street must not say what the score of a bell means. Both classes count what their rows do.
    split : str
        Name of the rows given.

    Returns
    -------
    Calibration
        Slope and intercept rounded to six decimals.

    Raises
    ------
    ParameterError
        If labels or scores are not what they must be.
    TrainingError
        If one class has no row.

    Notes
    -----
    Platt (1999), "Probabilistic outputs for support vector machines", with his targets ``(n1 + 1) / (n1 + 2)`` and
    ``1 / (n0 + 2)`` in place of 1 and 0: the slope stays finite where the scores separate the classes. Here on the
    logit of the score, and with a slope that may not be negative.
    """
    labels, scores = two_class_scores(label, score)
    n_gunshots = int(labels.sum())
    n_others = labels.size - n_gunshots
    target = np.where(labels == 1, (n_gunshots + 1) / (n_gunshots + 2), 1 / (n_others + 2))
    x = logit(np.clip(scores, _CLOSEST, 1.0 - _CLOSEST))
    weight = _shares(labels, group)

    def _loss(curve: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = curve[0] * x + curve[1]
        error = weight * (expit(z) - target)
        return float(np.sum(weight * (np.logaddexp(0.0, z) - target * z))), np.array([np.sum(error * x), np.sum(error)])

    start = np.array([1.0, 0.0])
    found = minimize(_loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)], tol=1e-12).x
    return Calibration(
        method="platt", slope=round(float(found[0]), 6), intercept=round(float(found[1]), 6),
        prior=n_gunshots / labels.size, n_gunshots=n_gunshots, n_others=n_others, split=split,
    )  # fmt: skip


def _shares(label: NDArray[np.int8], group: Sequence[str] | None) -> NDArray[np.float64]:
    """What each row counts; 1 together."""
    share = np.full(label.size, 1.0 / label.size)
    if group is None:
        return share
    for value in np.unique(label):
        of_class = np.flatnonzero(label == value)
        _, inverse, counts = np.unique(np.asarray(group)[of_class], return_inverse=True, return_counts=True)
        share[of_class] = of_class.size / label.size / (counts.size * counts[inverse])
    return share


def calibration_error(label: ArrayLike, probability: ArrayLike, n_bins: int = N_BINS) -> float:
    """Return the expected calibration error.

    Parameters
    ----------
    label, probability : array_like of shape (n,)
        Labels 0 or 1; probabilities of a gunshot in [0, 1].
    n_bins : int
        Bins of equal width over [0, 1].

    Returns
    -------
    float
        In [0, 1]: the mean over rows of the distance between their bin's mean probability and its share of gunshots.

    Raises
    ------
    ParameterError
        If labels or probabilities are not what they must be, or there is no bin.

    Notes
    -----
    Naeini, Cooper and Hauskrecht (2015), AAAI; 15 bins as in Guo, Pleiss, Sun and Weinberger (2017), ICML, but of the
    probability of a gunshot instead of the confidence in the likelier class. A bin holds its upper end.

    Examples
    --------
    >>> calibration_error([1, 0, 1, 1], [0.75, 0.75, 0.75, 0.75])
    0.0
    """
    if n_bins < 1:
        raise ParameterError(f"n_bins must be >= 1; got {n_bins}")
    labels, probabilities = labelled_scores(label, probability)
    number = np.clip(np.ceil(probabilities * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    surplus = np.bincount(number, weights=probabilities - labels, minlength=n_bins)
    return float(np.abs(surplus).sum() / labels.size)


def brier_score(label: ArrayLike, probability: ArrayLike) -> float:
    """Return the mean squared distance of probability and label.

    Parameters
    ----------
    label, probability : array_like of shape (n,)
        Labels 0 or 1; probabilities of a gunshot in [0, 1].

    Returns
    -------
    float
        In [0, 1]; 0 is perfect, always saying the share p of gunshots gives p (1 - p).

    Raises
    ------
    ParameterError
        If labels or probabilities are not what they must be.

    Notes
    -----
    Brier (1950), Monthly Weather Review 78, in the half of its range that is usual for two classes.

    Examples
    --------
    >>> brier_score([1, 0], [0.5, 0.5])
    0.25
    """
    labels, probabilities = labelled_scores(label, probability)
    return float(np.mean((probabilities - labels) ** 2))
