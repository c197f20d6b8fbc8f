"""The recall at a fixed false-alarm rate: one number to compare models and sources by.

Conventions: those of `gunshot.evaluation.curves`. The cut is found on the rows reported, so it belongs to the
figure and to nothing else: a bundle's threshold is chosen on validation rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gunshot.evaluation.bootstrap import GroupInterval, recall_at_fpr_group_interval
from gunshot.evaluation.curves import recall_at_fpr
from gunshot.evaluation.intervals import exact_interval

__all__ = ["FIXED_FPRS", "FixedFprRecall", "fixed_fpr_recall"]

FIXED_FPRS = (0.01, 0.001)
"""False-alarm rates at which the recall is a named figure."""


@dataclass(frozen=True, kw_only=True)
class FixedFprRecall:
    """The recall at a fixed false-alarm rate, and how far the other sounds at hand can tell that rate.

    Attributes
    ----------
    max_fpr : float
        The rate, in [0, 1].
    recall : float
        Greatest recall of any threshold that keeps it on these rows. It compares models; no threshold is set by it.
    recall_interval : tuple of (float, float)
        Exact 95 % interval over clips, as if the cut were given.
    over_groups : GroupInterval or None
        The interval over groups, the cut found again in each replicate; None where groups were not given.
    n_gunshots, n_others : int
        Rows of each class.
    n_allowed : int
        False alarms that the rate allows among so many: ``floor(max_fpr * n_others)``.
    fpr_limit : float
        Upper end of the exact 95 % interval of the false-alarm rate with `n_allowed` false alarms: what is shown
        of the rate.
    """

    max_fpr: float
    recall: float
    recall_interval: tuple[float, float]
    over_groups: GroupInterval | None
    n_gunshots: int
    n_others: int
    n_allowed: int
    fpr_limit: float

    @property
    def is_bounded(self) -> bool:
        """Whether there are other sounds enough to allow one false alarm at this rate."""
        return self.n_allowed >= 1

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON takes them.

        Returns
        -------
        dict
            Plain numbers, lists and None.
        """
        return {
            "max_fpr": self.max_fpr,
            "recall": self.recall,
            "recall_interval": list(self.recall_interval),
            "over_groups": None if self.over_groups is None else self.over_groups.as_dict(),
            "n_gunshots": self.n_gunshots,
            "n_others": self.n_others,
            "n_allowed": self.n_allowed,
            "fpr_limit": self.fpr_limit,
            "is_bounded": self.is_bounded,
        }


def fixed_fpr_recall(
    label: ArrayLike, score: ArrayLike, max_fpr: float, group: Sequence[object] | None = None
) -> FixedFprRecall:
    """Return the recall at a fixed false-alarm rate with its intervals.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        Labels 0 or 1 of both classes; scores in [0, 1].
    max_fpr : float
        In [0, 1].
    group : sequence of length n, optional
        The group of each row, for the interval over groups.

    Returns
    -------
    FixedFprRecall
        The recall is that of `recall_at_fpr`.

    Raises
    ------
    ParameterError
        If labels or scores are not what they must be, or the rate is outside [0, 1].
    TrainingError
        If one class has no row.

    Examples
    --------
    Two other sounds cannot tell a rate of one in a hundred:

    >>> figure = fixed_fpr_recall([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1], max_fpr=0.01)
    >>> figure.recall, figure.n_allowed, round(figure.fpr_limit, 3)
    (0.5, 0, 0.842)
    """
    recall = recall_at_fpr(label, score, max_fpr)
    labels = np.asarray(label)
    n_gunshots, n_others = int(np.count_nonzero(labels == 1)), int(np.count_nonzero(labels == 0))
    n_allowed = floor(max_fpr * n_others + 1e-9)
    return FixedFprRecall(
        max_fpr=max_fpr,
        recall=recall,
        recall_interval=exact_interval(round(recall * n_gunshots), n_gunshots) or (0.0, 1.0),
        over_groups=None if group is None else recall_at_fpr_group_interval(label, score, group, max_fpr),
        n_gunshots=n_gunshots,
        n_others=n_others,
        n_allowed=n_allowed,
        fpr_limit=(exact_interval(n_allowed, n_others) or (0.0, 1.0))[1],
    )
