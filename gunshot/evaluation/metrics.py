"""Right and wrong calls of clips, as counts, rates and 95 % intervals.

Conventions
-----------
- Label 1 is a gunshot (the positive class), label 0 is any other sound.
- A score lies in [0, 1]; higher is more gunshot-like. It is a probability only where a model says so.
- A clip is *called* a gunshot when ``score >= threshold``.
- A *miss* is a gunshot that is not called (false negative); a *false alarm* is another sound that is
  called (false positive). ``fnr`` is misses per gunshot, ``fpr`` is false alarms per other sound.
- Counts are kept and rates are derived from them, so no two figures of one result can disagree.
- A rate with nothing to divide by is undefined: ``None``, never 0 and never NaN.
- Precision and accuracy depend on the mix of the two classes in the rows given; recall, fpr and fnr do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score

from gunshot.errors import ParameterError
from gunshot.evaluation.intervals import exact_interval
from gunshot.evaluation.rows import labelled_scores

__all__ = ["ClassificationMetrics", "classification_metrics", "metrics_by"]


def _ratio(part: int, whole: int) -> float | None:
    """Return part / whole, or None where there is no whole."""
    return part / whole if whole else None


@dataclass(frozen=True, kw_only=True)
class ClassificationMetrics:
    """Calls of one model on one set of rows at one threshold.

    Parameters
    ----------
    true_positives, false_negatives, false_positives, true_negatives : int
        Gunshots called, gunshots missed, other sounds called (false alarms), other sounds not called.
    threshold : float
        A clip is called a gunshot when ``score >= threshold``.
    roc_auc : float or None
        Area under the ROC curve; None unless both classes are present.
    average_precision : float or None
        Mean precision over the ranks of the gunshots; None unless both classes are present.

    Raises
    ------
    ParameterError
        If a count is negative.
    """

    true_positives: int
    false_negatives: int
    false_positives: int
    true_negatives: int
    threshold: float
    roc_auc: float | None = None
    average_precision: float | None = None

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        for name in ("true_positives", "false_negatives", "false_positives", "true_negatives"):
            if getattr(self, name) < 0:
                raise ParameterError(f"{name} must be >= 0; got {getattr(self, name)}: count the rows again")

    @property
    def n_gunshots(self) -> int:
        """Number of rows labelled 1."""
        return self.true_positives + self.false_negatives

    @property
    def n_others(self) -> int:
        """Number of rows labelled 0."""
        return self.false_positives + self.true_negatives

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.n_gunshots + self.n_others

    @property
    def accuracy(self) -> float | None:
        """Fraction of rows called right."""
        return _ratio(self.true_positives + self.true_negatives, self.n)

    @property
    def recall(self) -> float | None:
        """Fraction of gunshots that are called; None without gunshots."""
        return _ratio(self.true_positives, self.n_gunshots)

    @property
    def fnr(self) -> float | None:
        """Fraction of gunshots that are missed (1 - recall); None without gunshots."""
        return _ratio(self.false_negatives, self.n_gunshots)

    @property
    def fpr(self) -> float | None:
        """Fraction of other sounds that raise a false alarm; None without other sounds."""
        return _ratio(self.false_positives, self.n_others)

    @property
    def precision(self) -> float | None:
        """Fraction of calls that are gunshots; None where nothing is called."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall_interval(self) -> tuple[float, float] | None:
        """Exact 95 % interval of the recall."""
        return exact_interval(self.true_positives, self.n_gunshots)

    @property
    def fnr_interval(self) -> tuple[float, float] | None:
        """Exact 95 % interval of the miss rate."""
        return exact_interval(self.false_negatives, self.n_gunshots)

    @property
    def fpr_interval(self) -> tuple[float, float] | None:
        """Exact 95 % interval of the false-alarm rate."""
        return exact_interval(self.false_positives, self.n_others)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON takes them.

        Returns
        -------
        dict
            Plain numbers, lists and None.
        """
        return {
            "n": self.n,
            "n_gunshots": self.n_gunshots,
            "n_others": self.n_others,
            "threshold": self.threshold,
            "accuracy": self.accuracy,
            "recall": self.recall,
            "fnr": self.fnr,
            "fpr": self.fpr,
            "precision": self.precision,
            "recall_interval": _as_list(self.recall_interval),
            "fpr_interval": _as_list(self.fpr_interval),
            "roc_auc": self.roc_auc,
            "average_precision": self.average_precision,
            "confusion": {
                "tn": self.true_negatives,
                "fp": self.false_positives,
                "fn": self.false_negatives,
                "tp": self.true_positives,
            },
        }

    @classmethod
    def from_dict(cls, figures: Mapping[str, Any]) -> ClassificationMetrics:
        """Read back what `as_dict` wrote; rates are derived again from the counts.

        Parameters
        ----------
        figures : mapping
            With the keys ``confusion``, ``threshold``, ``roc_auc`` and ``average_precision``.

        Returns
        -------
        ClassificationMetrics
            Equal to the one that was written.

        Raises
        ------
        ParameterError
            If a key is missing.
        """
        try:
            confusion = figures["confusion"]
            return cls(
                true_positives=int(confusion["tp"]),
                false_negatives=int(confusion["fn"]),
                false_positives=int(confusion["fp"]),
                true_negatives=int(confusion["tn"]),
                threshold=float(figures["threshold"]),
                roc_auc=figures["roc_auc"],
                average_precision=figures["average_precision"],
            )
        except KeyError as missing:
            raise ParameterError(
                f"figures must have the keys of ClassificationMetrics.as_dict; {missing} is missing: "
                "evaluate the model again with this version"
            ) from None


def _as_list(interval: tuple[float, float] | None) -> list[float] | None:
    """Return an interval as JSON has it."""
    return None if interval is None else list(interval)


def classification_metrics(label: ArrayLike, score: ArrayLike, threshold: float) -> ClassificationMetrics:
    """Count the calls of one threshold, and rank-based figures that need none.

    Parameters
    ----------
    label : array_like of shape (n,)
        1 for a gunshot, 0 for any other sound. One class alone is allowed; what needs both is None then.
    score : array_like of shape (n,)
        Scores in [0, 1].
    threshold : float
        In [0, 1]; a row is called a gunshot when ``score >= threshold``.

    Returns
    -------
    ClassificationMetrics
        Counts at the threshold, and the two ranking figures.

    Raises
    ------
    ParameterError
        As `labelled_scores`, or if the threshold is outside [0, 1].

    Examples
    --------
    >>> m = classification_metrics([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1], threshold=0.5)
    >>> m.recall, m.fpr, m.accuracy, m.roc_auc
    (0.5, 0.5, 0.5, 0.75)
    """
    labels, scores = labelled_scores(label, score)
    if not 0.0 <= threshold <= 1.0:
        raise ParameterError(
            f"threshold must lie in [0, 1], like the scores; got {threshold:g}: "
            "take it from an operating point of this model"
        )
    is_gunshot = labels == 1
    is_called = scores >= threshold
    has_both = bool(is_gunshot.any() and not is_gunshot.all())
    return ClassificationMetrics(
        true_positives=int(np.count_nonzero(is_gunshot & is_called)),
        false_negatives=int(np.count_nonzero(is_gunshot & ~is_called)),
        false_positives=int(np.count_nonzero(~is_gunshot & is_called)),
        true_negatives=int(np.count_nonzero(~is_gunshot & ~is_called)),
        threshold=float(threshold),
        roc_auc=float(roc_auc_score(labels, scores)) if has_both else None,
        average_precision=float(average_precision_score(labels, scores)) if has_both else None,
    )


def metrics_by(
    label: ArrayLike, score: ArrayLike, threshold: float, by: Sequence[str]
) -> dict[str, ClassificationMetrics]:
    """Break the metrics down by a column: source, sample rate, distance, ...

    Parameters
    ----------
    label, score : array_like of shape (n,)
        As for `classification_metrics`.
    threshold : float
        In [0, 1].
    by : sequence of n str
        The value of the column in each row.

    Returns
    -------
    dict of {str: ClassificationMetrics}
        One entry for each value, in sorted order; the counts add up to those of all rows.

    Raises
    ------
    ParameterError
        As `classification_metrics`, or if `by` has another length than the rows.

    Examples
    --------
    >>> parts = metrics_by([1, 1, 0], [0.9, 0.4, 0.6], 0.5, by=["forest", "range", "range"])
    >>> {name: (part.recall, part.fpr) for name, part in parts.items()}
    {'forest': (1.0, None), 'range': (0.0, 1.0)}
    """
    labels, scores = labelled_scores(label, score)
    names = np.array([str(value) for value in by], dtype=object)
    if names.size != labels.size:
        raise ParameterError(
            f"by must name one group a row; got {names.size} names for {labels.size} rows: "
            "take it from the table of the labels"
        )
    return {
        name: classification_metrics(labels[names == name], scores[names == name], threshold)
        for name in sorted(set(names))
    }
