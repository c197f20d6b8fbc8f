"""Intervals by resampling whole groups: what another set of sessions would have given.

Conventions
-----------
- A group is what is never split between training and test: clips of one recording, one shot heard by six sensors.
  Clips of a group are right or wrong together, so an exact interval over clips is narrower than the truth.
- Groups are drawn with replacement, as many as there are, and the figure is computed again from their rows; the
  interval holds the middle 95 % of the replicates (the percentile method).
- Below `MIN_GROUPS` groups no interval is given: so few say nothing of the next one.
- Where all replicates are exactly 0, or all exactly 1, the width of zero would be a lie: the exact interval with
  groups as trials stands there instead.
- The seed is fixed: the same rows give the same interval.

Source: Davison and Hinkley (1997), "Bootstrap Methods and their Application", 3.8 (resampling of clusters) and
5.3.1 (percentile limits).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gunshot.errors import ParameterError
from gunshot.evaluation.intervals import CONFIDENCE, exact_interval
from gunshot.evaluation.rows import two_class_scores

__all__ = ["MIN_GROUPS", "N_REPLICATES", "GroupInterval", "group_interval", "recall_at_fpr_group_interval"]

MIN_GROUPS = 5
"""Fewer groups than this give no interval."""

N_REPLICATES = 1000
"""Replicates of every bootstrap."""

_SEED = 0


@dataclass(frozen=True, slots=True)
class GroupInterval:
    """A 95 % interval whose trials are groups.

    Attributes
    ----------
    n_groups : int
        Groups that have a row to count; the smaller number of the two classes where the figure needs both.
    low, high : float or None
        Limits in [0, 1]; None where there are too few groups.
    method : str
        How they were found, or why there are none.
    """

    n_groups: int
    low: float | None
    high: float | None
    method: str

    @property
    def pair(self) -> tuple[float, float] | None:
        """Both limits; None where there are none."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON takes them.

        Returns
        -------
        dict
            Plain numbers and text.
        """
        return asdict(self)


def group_interval(hit: ArrayLike, group: Sequence[object]) -> GroupInterval:
    """Interval of the fraction of rows that came out, over groups.

    Parameters
    ----------
    hit : array_like of shape (n,), bool
        What is counted: a called gunshot for the recall, a called other sound for the false-alarm rate. Rows of the
        other class are left out by the caller.
    group : sequence of length n
        The group of each row.

    Returns
    -------
    GroupInterval
        Of ``hit.mean()``.

    Raises
    ------
    ParameterError
        If the lengths differ.

    Examples
    --------
    >>> group_interval([True, True, False, True], ["a", "a", "b", "b"])
    GroupInterval(n_groups=2, low=None, high=None, method='none: fewer than 5 groups')
    """
    hits = np.asarray(hit, dtype=bool)
    index, n_groups = _group_index(group, hits.size)
    if n_groups < MIN_GROUPS:
        return _too_few(n_groups)
    n_rows = np.bincount(index, minlength=n_groups)
    n_hits = np.bincount(index, weights=hits, minlength=n_groups)
    if not hits.any() or hits.all():
        return _all_alike(n_groups, bool(hits.any()))
    rng = np.random.default_rng(_SEED)
    rates = np.empty(N_REPLICATES)
    for replicate in range(N_REPLICATES):
        drawn = rng.integers(0, n_groups, n_groups)
        rates[replicate] = n_hits[drawn].sum() / n_rows[drawn].sum()
    return _of_replicates(n_groups, rates)


def recall_at_fpr_group_interval(
    label: ArrayLike, score: ArrayLike, group: Sequence[object], max_fpr: float
) -> GroupInterval:
    """Interval of the recall at a false-alarm budget, over groups: the cut is found again in every replicate.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        Labels 0 or 1 of both classes; scores in [0, 1].
    group : sequence of length n
        The group of each row.
    max_fpr : float
        Budget in [0, 1], false alarms per other sound.

    Returns
    -------
    GroupInterval
        Of `gunshot.evaluation.curves.recall_at_fpr`. It holds what an interval at a fixed threshold leaves out:
        that the cut rests on few other sounds.

    Raises
    ------
    ParameterError
        If labels or scores are not what they must be, or the lengths differ.
    TrainingError
        If one class has no row.
    """
    labels, scores = two_class_scores(label, score)
    index, n_groups = _group_index(group, labels.size)
    n_least = min(np.unique(index[labels == value]).size for value in (0, 1))
    if n_least < MIN_GROUPS:
        return _too_few(int(n_least))
    order = np.argsort(-scores, kind="stable")
    index, is_gunshot, falling = index[order], labels[order] == 1, scores[order]
    ends = np.append(np.flatnonzero(np.diff(falling)), falling.size - 1)  # equal scores are called together
    rng = np.random.default_rng(_SEED)
    recalls = []
    for _ in range(N_REPLICATES):
        times = np.bincount(rng.integers(0, n_groups, n_groups), minlength=n_groups)[index]
        others = np.cumsum(times * ~is_gunshot)
        gunshots = np.cumsum(times * is_gunshot)
        if others[-1] and gunshots[-1]:
            cut = int(np.searchsorted(others[ends] / others[-1], max_fpr, side="right"))
            recalls.append(gunshots[ends[cut - 1]] / gunshots[-1] if cut else 0.0)
    if set(recalls) in ({0.0}, {1.0}):
        return _all_alike(int(n_least), recalls[0] == 1.0)
    return _of_replicates(int(n_least), np.asarray(recalls))


def _group_index(group: Sequence[object], n_rows: int) -> tuple[NDArray[np.intp], int]:
    """Number each row's group."""
    if len(group) != n_rows:
        raise ParameterError(f"group must name one group a row; got {len(group)} groups for {n_rows} rows")
    numbers: dict[object, int] = {}
    index = np.fromiter((numbers.setdefault(name, len(numbers)) for name in group), dtype=np.intp, count=n_rows)
    return index, len(numbers)


def _too_few(n_groups: int) -> GroupInterval:
    return GroupInterval(n_groups, None, None, f"none: fewer than {MIN_GROUPS} groups")


def _all_alike(n_groups: int, is_one: bool) -> GroupInterval:
    low, high = exact_interval(n_groups if is_one else 0, n_groups) or (0.0, 1.0)
    return GroupInterval(n_groups, low, high, "exact, groups as trials: all are alike")


def _of_replicates(n_groups: int, figures: NDArray[np.float64]) -> GroupInterval:
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(figures, [tail, 1.0 - tail])
    return GroupInterval(n_groups, float(low), float(high), f"bootstrap over groups, {figures.size} replicates")
