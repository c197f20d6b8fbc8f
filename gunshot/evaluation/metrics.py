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
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from gunshot.errors import ParameterError
from gunshot.evaluation.bootstrap import GroupInterval, group_interval
from gunshot.evaluation.intervals import exact_interval
from gunshot.evaluation.rows import labelled_scores

__all__ = ["ClassificationMetrics", "classification_metrics"]


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
    recall_over_groups, fpr_over_groups : GroupInterval or None
        95 % intervals whose trials are groups (`gunshot.evaluation.bootstrap`); None where groups were not given or
        the class has no row.

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
    recall_over_groups: GroupInterval | None = None
    fpr_over_groups: GroupInterval | None = None

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

    @property
    def precision_interval(self) -> tuple[float, float] | None:
        """Exact 95 % interval of the precision, at the mix of classes of these rows."""
        return exact_interval(self.true_positives, self.true_positives + self.false_positives)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON takes them.

        Returns
        -------
        dict
            Plain numbers, lists and None; the intervals over groups only where there are any.
        """
        over_groups = {"recall_over_groups": self.recall_over_groups, "fpr_over_groups": self.fpr_over_groups}
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
            "fnr_interval": _as_list(self.fnr_interval),
            "fpr_interval": _as_list(self.fpr_interval),
            "precision_interval": _as_list(self.precision_interval),
            "roc_auc": self.roc_auc,
            "average_precision": self.average_precision,
            "confusion": {
                "tn": self.true_negatives,
                "fp": self.false_positives,
                "fn": self.false_negatives,
                "tp": self.true_positives,
            },
            **{name: interval.as_dict() for name, interval in over_groups.items() if interval is not None},
        }

    @classmethod
    def from_dict(cls, figures: Mapping[str, Any]) -> ClassificationMetrics:
        """Read back what `as_dict` wrote; rates and exact intervals are derived again from the counts.

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
                recall_over_groups=_group_interval(figures.get("recall_over_groups")),
                fpr_over_groups=_group_interval(figures.get("fpr_over_groups")),
            )
        except KeyError as missing:
            raise ParameterError(
                f"figures must have the keys of ClassificationMetrics.as_dict; {missing} is missing: "
                "evaluate the model again with this version"
            ) from None


def _group_interval(figures: Mapping[str, Any] | None) -> GroupInterval | None:
    """Read back an interval over groups."""
    return None if figures is None else GroupInterval(**figures)


def _as_list(interval: tuple[float, float] | None) -> list[float] | None:
    """Return an interval as JSON has it."""
    return None if interval is None else list(interval)


def classification_metrics(
    label: ArrayLike, score: ArrayLike, threshold: float, group: Sequence[object] | None = None
) -> ClassificationMetrics:
    """Count the calls of one threshold, and rank-based figures that need none.

    Parameters
    ----------
    label : array_like of shape (n,)
        1 for a gunshot, 0 for any other sound. One class alone is allowed; what needs both is None then.
    score : array_like of shape (n,)
        Scores in [0, 1].
    threshold : float
        In [0, 1]; a row is called a gunshot when ``score >= threshold``.
    group : sequence of length n, optional
        The group of each row, for the intervals over groups.

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
        recall_over_groups=_called_over_groups(is_called, is_gunshot, group),
        fpr_over_groups=_called_over_groups(is_called, ~is_gunshot, group),
    )


def _called_over_groups(
    is_called: NDArray[np.bool_], of_class: NDArray[np.bool_], group: Sequence[object] | None
) -> GroupInterval | None:
    """Interval over groups of the calls among the rows of one class."""
    if group is None or not of_class.any():
        return None
    if len(group) != of_class.size:
        raise ParameterError(
            f"group must name one group a row; got {len(group)} names for {of_class.size} rows: take it from the table"
            " of the labels"
        )
    return group_interval(is_called[of_class], [group[row] for row in np.flatnonzero(of_class).tolist()])
