"""Logistic regression on waveforms, the paper's first model.

Conventions
-----------
The weights travel as two plain arrays, ``coefficients`` of shape (n_samples,) and ``intercept`` of shape (1,),
float64; scoring needs NumPy alone.
"""

from __future__ import annotations

import io
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from gunshot.errors import BundleError

__all__ = ["fit_logistic", "logistic_scores", "read_logistic"]

Weights = tuple[NDArray[np.float64], float]


def fit_logistic(waveforms: NDArray[np.float32], label: NDArray[np.int8], *, seed: int = 0) -> bytes:
    """Fit the model.

    Parameters
    ----------
    waveforms : ndarray of shape (n, n_samples), float32
        Training clips.
    label : ndarray of shape (n,), int8
        1 gunshot, 0 other.
    seed : int
        Of the solver.

    Returns
    -------
    bytes
        The weights as an ``.npz``.

    Notes
    -----
    scikit-learn's defaults (L2 with C = 1, L-BFGS), as in the paper; on raw waveforms the limit of iterations is
    often reached, which changes the accuracy by less than its spread over seeds.
    """
    import warnings

    model = LogisticRegression(max_iter=200, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(waveforms, label)
    buffer = io.BytesIO()
    np.savez(buffer, coefficients=model.coef_[0].astype(np.float64), intercept=model.intercept_.astype(np.float64))
    return buffer.getvalue()


def read_logistic(content: bytes) -> Weights:
    """Read the weights.

    Parameters
    ----------
    content : bytes
        The ``.npz``.

    Returns
    -------
    coefficients : ndarray of shape (n_samples,), float64
        One weight a sample.
    intercept : float
        The constant.

    Raises
    ------
    BundleError
        If it holds anything but two arrays of numbers.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            # "same_kind" refuses what would lose something, such as complex numbers
            coefficients = arrays["coefficients"].astype(np.float64, casting="same_kind")
            return coefficients, float(arrays["intercept"][0])
    except (OSError, ValueError, KeyError, EOFError, TypeError, IndexError, BadZipFile) as error:
        raise BundleError(f"weights are not those of a logistic regression: {error}") from error


def logistic_scores(weights: Weights, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score clips.

    Parameters
    ----------
    weights : tuple
        Of :func:`read_logistic`.
    waveforms : ndarray of shape (n, n_samples), float32
        Clips.

    Returns
    -------
    ndarray of shape (n,), float32
        Scores in [0, 1].
    """
    coefficients, intercept = weights
    return np.asarray(expit(waveforms @ coefficients + intercept), dtype=np.float32)
