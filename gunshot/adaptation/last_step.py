"""Another last step for a network, fitted to what it makes of clips.

Conventions
-----------
All that comes before the last step stays as it is, so a few shots cannot spoil it, and the fit takes seconds. The new
step is held near the old one by a penalty: a linear probe that begins at the network's own (Kumar et al. 2022,
"Fine-tuning can distort pretrained features and underperform out-of-distribution", ICLR).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

__all__ = ["PENALTY", "fit_last_step", "joint_logit"]

PENALTY = 3e-4
"""What a squared change of one standardised feature's weight costs, beside the mean loss of the draws."""

_LEAST_SPREAD = 0.05  # of the mean spread: a feature that hardly varies must not be blown up
_MOST_STEPS = 300

Float64 = NDArray[np.float64]


def joint_logit(logit: Float64, call: Float64) -> Float64:
    """Logit of the probability that one of two opinions is right, as if they erred apart.

    Parameters
    ----------
    logit, call : ndarray of shape (n,), float64
        Both opinions; minus infinity where there is none.

    Returns
    -------
    ndarray of shape (n,), float64
        Of ``p + q (1 - p)``.

    Examples
    --------
    >>> joint_logit(np.zeros(2), np.array([0.0, -np.inf])).round(3).tolist()  # 0.75 and 0.5
    [1.099, 0.0]
    """
    return np.asarray(np.logaddexp(np.logaddexp(logit, call), logit + call))


def fit_last_step(
    features: Float64, logit: Float64, call: Float64, target: Float64, penalty: float = PENALTY
) -> tuple[Float64, float]:
    """Fit a change of a network's last step.

    Parameters
    ----------
    features : ndarray of shape (n, n_features), float64
        What that step reads.
    logit, call : ndarray of shape (n,), float64
        What it says, and what counts beside it (`gunshot.models.heads.Heard`).
    target : ndarray of shape (n,), float64
        Labels or probabilities, in [0, 1].
    penalty : float
        0 or more.

    Returns
    -------
    direction : ndarray of shape (n_features,), float64
        What is to be added to the weight of each feature.
    constant : float
        What is to be added to the logit.

    Notes
    -----
    Minimises the mean cross-entropy of the joint probability and the penalty on standardised features, by L-BFGS from
    no change at all.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread = spread + _LEAST_SPREAD * spread.mean() + 1e-12
    x = np.column_stack([(features - mean) / spread, np.ones(len(features))])

    def _loss(change: Float64) -> tuple[float, Float64]:
        own = logit + x @ change
        joint = joint_logit(own, call)
        # the joint logit grows with the network's own by p / (p + q - p q)
        slope = (expit(joint) - target) * np.exp(np.minimum(0.0, -np.logaddexp(0.0, -own) + np.logaddexp(0.0, -joint)))
        value = np.mean(np.logaddexp(0.0, joint) - target * joint) + penalty * change[:-1] @ change[:-1]
        gradient = x.T @ slope / len(x)
        gradient[:-1] += 2.0 * penalty * change[:-1]
        return float(value), gradient

    change = minimize(_loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": _MOST_STEPS}).x
    direction = change[:-1] / spread
    return direction, float(change[-1] - direction @ mean)
