"""Exact 95 % intervals of proportions and of rates.

Conventions: an interval is a pair (low, high); a proportion lies in [0, 1]; a rate is a count a unit of
exposure (an hour, say). Both intervals assume independent trials. Clips of one session, and detections of
one storm, are more alike than that, so the true uncertainty about another site is wider.
"""

from __future__ import annotations

import math
from functools import lru_cache

from scipy.stats import binomtest, chi2

from gunshot.errors import ParameterError

__all__ = ["CONFIDENCE", "exact_interval", "poisson_rate_interval"]

CONFIDENCE = 0.95
"""Confidence of every interval in this package."""


def exact_interval(n_hits: int, n_trials: int) -> tuple[float, float] | None:
    """Return the exact 95 % interval of a proportion.

    Parameters
    ----------
    n_hits : int
        Number of trials that came out, 0 <= n_hits <= n_trials.
    n_trials : int
        Number of trials.

    Returns
    -------
    tuple of (float, float) or None
        Lower and upper limit in [0, 1]; None where there was no trial.

    Raises
    ------
    ParameterError
        If ``0 <= n_hits <= n_trials`` does not hold.

    Notes
    -----
    Clopper and Pearson (1934), "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26.

    Examples
    --------
    >>> low, high = exact_interval(0, 100)
    >>> low, round(high, 4)
    (0.0, 0.0362)
    """
    if not 0 <= n_hits <= n_trials:
        raise ParameterError(
            f"n_hits must lie in [0, n_trials={n_trials}]; got {n_hits}: pass the hits first, then the trials"
        )
    return _clopper_pearson(int(n_hits), int(n_trials)) if n_trials else None


@lru_cache(maxsize=4096)  # a report asks for the same ones again and again, and each is a search for a root
def _clopper_pearson(n_hits: int, n_trials: int) -> tuple[float, float]:
    interval = binomtest(n_hits, n_trials).proportion_ci(confidence_level=CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def poisson_rate_interval(n_events: int, exposure: float) -> tuple[float, float]:
    """Return the exact 95 % interval of a rate from a count.

    Parameters
    ----------
    n_events : int
        Events counted, >= 0.
    exposure : float
        What they were counted over, > 0 [hours, or any unit; the rate is per that unit].

    Returns
    -------
    tuple of (float, float)
        Lower and upper limit of the rate [events per unit of exposure].

    Raises
    ------
    ParameterError
        If the count is negative or the exposure is not a positive finite number.

    Notes
    -----
    Garwood (1936), "Fiducial limits for the Poisson distribution", Biometrika 28: half a quantile of the
    chi-squared distribution with 2 n and 2 n + 2 degrees of freedom.

    Examples
    --------
    No false alarm in 10 hours still allows one every 2.7 hours:

    >>> low, high = poisson_rate_interval(0, 10.0)
    >>> low, round(high, 4)
    (0.0, 0.3689)
    """
    if n_events < 0:
        raise ParameterError(f"n_events must be >= 0; got {n_events}: pass a count")
    if not (math.isfinite(exposure) and exposure > 0.0):
        raise ParameterError(f"exposure must be positive and finite; got {exposure:g}: pass what was listened to")
    tail = (1.0 - CONFIDENCE) / 2.0
    low = float(chi2.ppf(tail, 2 * n_events)) / 2.0 if n_events else 0.0
    high = float(chi2.ppf(1.0 - tail, 2 * n_events + 2)) / 2.0
    return low / exposure, high / exposure
