"""Bounds that hold for rows not yet seen, from the rows that there are.

Conventions
-----------
A bound is one-sided and upper, at `CONFIDENCE`. The unit is the group: rows of one group (one shot at six sensors, the
cuts of one recording) are alike, groups are taken as independent and like those to come. A group's loss is the share of
its gunshots that are missed, or of its other sounds that are called; what is bounded is the mean loss of a new group. A
group without rows of the class does not count. Rows that are independent have a group each.

Why the threshold may be chosen on the same rows
------------------------------------------------
Misses rise with the threshold and false alarms fall. From the end where there are none, thresholds are tried one after
the other, and the last one before the first whose bound exceeds the limit is taken: a fixed sequence of tests, each at
the full level (Angelopoulos, Bates, Candès, Jordan and Lei, 2021, "Learn then Test", arXiv 2110.01052, fixed-sequence
testing; for losses that are monotone the same choice is that of Bates, Angelopoulos, Lei, Malik and Jordan, 2021,
"Distribution-free, risk-controlling prediction sets", J. ACM 68). The true mean loss exceeds the limit in at most one
of twenty such choices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import betainccinv, gammainccinv

from gunshot.errors import ParameterError

__all__ = [
    "CONFIDENCE",
    "RateBound",
    "mean_loss_bound",
    "poisson_rate_bound",
    "proportion_bound",
    "share_of_group",
    "units_needed",
]

CONFIDENCE = 0.95
"""Confidence of every one-sided bound in this package."""


@dataclass(frozen=True, kw_only=True)
class RateBound:
    """What is known of a rate beyond the rows it was counted on.

    Parameters
    ----------
    quantity : str
        What is bounded: "missed gunshots", "called other sounds" or "false alarms a day".
    limit : float
        What was asked for, in the unit of the quantity.
    upper : float
        The bound at the threshold that was taken, in the same unit.
    confidence : float
        Of the bound, one-sided.
    unit : str
        What is taken as independent: "group" or "hour".
    n_units : float
        How many of them there were.
    method : str
        Formula of the bound.
    candidates_per_hour : float or None
        Rate of candidates that a figure a day takes for granted [1/h].

    Raises
    ------
    ParameterError
        If a figure is negative or not a number.
    """

    quantity: str
    limit: float
    upper: float
    confidence: float
    unit: str
    n_units: float
    method: str
    candidates_per_hour: float | None = None

    def __post_init__(self) -> None:
        """Refuse figures that cannot be."""
        for name in ("limit", "upper", "confidence", "n_units"):
            if not getattr(self, name) >= 0.0:
                raise ParameterError(f"{name} of a bound must be >= 0; got {getattr(self, name)!r}: choose it again")

    @property
    def holds(self) -> bool:
        """Whether the bound is within the limit."""
        return self.upper <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON takes them.

        Returns
        -------
        dict
            Plain numbers and text, by the names of the fields.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, figures: Mapping[str, Any]) -> RateBound:
        """Read back what `as_dict` wrote.

        Parameters
        ----------
        figures : mapping
            Exactly the fields of `RateBound`.

        Returns
        -------
        RateBound
            Equal to the one that was written.

        Raises
        ------
        ParameterError
            If a key is missing or unknown, or a value cannot be.
        """
        if set(figures) != {field.name for field in fields(cls)}:
            raise ParameterError(f"a bound has the fields of RateBound; got {', '.join(sorted(figures))}: choose again")
        return cls(**figures)


def proportion_bound(n_hits: int, n_trials: int) -> float:
    """Return the exact upper bound of a proportion.

    Parameters
    ----------
    n_hits, n_trials : int
        Independent trials, and how many of them came out; ``0 <= n_hits <= n_trials``, at least one trial.

    Returns
    -------
    float
        In (0, 1].

    Raises
    ------
    ParameterError
        If ``0 <= n_hits <= n_trials`` does not hold or there is no trial.

    Notes
    -----
    Clopper and Pearson (1934), Biometrika 26, the upper end alone: the quantile of the beta distribution with
    ``n_hits + 1`` and ``n_trials - n_hits``.

    Examples
    --------
    Without a miss it takes 299 trials to promise less than 1%:

    >>> proportion_bound(0, 298) > 0.01 > proportion_bound(0, 299)
    True
    """
    _check_counts(n_hits, n_trials)
    return _beta_bound(n_hits, n_trials, 1.0 - CONFIDENCE)


def _check_counts(n_hits: int, n_trials: int) -> None:
    if not 0 <= n_hits <= n_trials or n_trials < 1:
        raise ParameterError(f"n_hits must lie in [0, n_trials={n_trials}], of at least one trial; got {n_hits}")


def _beta_bound(n_hits: int, n_trials: int, level: float) -> float:
    return 1.0 if n_hits >= n_trials else float(betainccinv(n_hits + 1, n_trials - n_hits, level))


def mean_loss_bound(mean_loss: float, n_units: int, *, is_binary: bool) -> float:
    """Return the upper bound of the mean loss of a new unit.

    Parameters
    ----------
    mean_loss : float
        Mean over the units of a loss in [0, 1].
    n_units : int
        Independent units, at least one.
    is_binary : bool
        Whether each unit can only lose all or nothing, by its nature and not as it happened: the bound is then exact.

    Returns
    -------
    float
        In (0, 1].

    Raises
    ------
    ParameterError
        If the mean is outside [0, 1] or there is no unit.

    Notes
    -----
    Binary: `proportion_bound`. Otherwise the inverse of the Hoeffding-Bentkus p-value, the smaller of
    ``exp(-n h(r, x))``, with h the relative entropy of two coins (Hoeffding, 1963, J. Am. Stat. Assoc. 58, theorem 1),
    and ``e P(Binomial(n, x) <= ceil(n r))`` (Bentkus, 2004, Ann. Probab. 32); Bates et al. (2021), section 3.
    Without any loss the exact bound and Hoeffding's are both ``1 - (1 - CONFIDENCE) ** (1 / n)``.
    """
    if not 0.0 <= mean_loss <= 1.0 + 1e-9 or n_units < 1:
        raise ParameterError(f"mean_loss must lie in [0, 1], of at least one unit; got {mean_loss!r} of {n_units}")
    n_lost = n_units * min(mean_loss, 1.0)
    if is_binary:
        return proportion_bound(round(n_lost), n_units)
    level = 1.0 - CONFIDENCE
    n_up = min(n_units, math.ceil(n_lost - 1e-9))  # 3 groups' whole losses may add up to 3.0000000000000004
    return min(_hoeffding_bound(n_lost / n_units, n_units, level), _beta_bound(n_up, n_units, level / math.e))


def _hoeffding_bound(mean: float, n: int, level: float) -> float:
    """Solve ``n h(mean, x) = -log(level)`` for x above the mean."""
    target = -math.log(level) / n

    def excess(x: float) -> float:
        low = mean * math.log(mean / x) if mean > 0.0 else 0.0
        return low + (1.0 - mean) * (math.log1p(-mean) - math.log1p(-x)) - target

    if mean >= 1.0 - 1e-12:
        return 1.0
    highest = 1.0 - 1e-15
    return 1.0 if excess(highest) <= 0.0 else float(brentq(excess, max(mean, 1e-300), highest, xtol=1e-15))


def units_needed(limit: float) -> int | None:
    """Return how many units without any loss it takes to promise a limit.

    Parameters
    ----------
    limit : float
        In [0, 1].

    Returns
    -------
    int or None
        None where no number suffices: nothing can promise 0.

    Examples
    --------
    >>> units_needed(0.01), units_needed(0.05)
    (299, 59)
    """
    if limit <= 0.0:
        return None
    return 1 if limit >= 1.0 else math.ceil(math.log(1.0 - CONFIDENCE) / math.log1p(-limit))


def poisson_rate_bound(n_events: int, exposure: float) -> float:
    """Return the exact upper bound of a rate from a count.

    Parameters
    ----------
    n_events : int
        Events counted, >= 0.
    exposure : float
        What they were counted over, > 0 [hours, or any unit; the rate is per that unit].

    Returns
    -------
    float
        Events per unit of exposure.

    Raises
    ------
    ParameterError
        If the count is negative or the exposure is not a positive finite number.

    Notes
    -----
    Garwood (1936), Biometrika 28, the upper end alone: half the quantile of the chi-squared distribution with
    ``2 n_events + 2`` degrees of freedom, which is the quantile of the gamma distribution with ``n_events + 1``.
    Events are taken as independent of each other; those of one storm are not.

    Examples
    --------
    >>> round(poisson_rate_bound(0, 1.0), 3)
    2.996
    """
    if n_events < 0:
        raise ParameterError(f"n_events must be >= 0; got {n_events}: pass a count")
    if not (math.isfinite(exposure) and exposure > 0.0):
        raise ParameterError(f"exposure must be positive and finite; got {exposure!r}: pass what was listened to")
    return float(gammainccinv(n_events + 1, 1.0 - CONFIDENCE)) / exposure


def share_of_group(group: ArrayLike) -> tuple[NDArray[np.float64], int, bool]:
    """Return what each row counts in the mean over groups.

    Parameters
    ----------
    group : array_like of shape (n,)
        Group of each row of one class.

    Returns
    -------
    share : ndarray of shape (n,), float64
        1 / (number of groups x rows of this row's group); the sum is 1.
    n_groups : int
        Number of groups.
    is_binary : bool
        Whether every group has one row.
    """
    _, inverse, counts = np.unique(np.asarray(group), return_inverse=True, return_counts=True)
    return 1.0 / (counts.size * counts[inverse]), int(counts.size), bool(counts.size == inverse.size)
