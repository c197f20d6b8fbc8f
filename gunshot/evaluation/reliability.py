"""Whether a probability of 0.8 comes true eight times of ten: reliability curve, ECE and Brier score.

Conventions: a probability is that of a gunshot, in [0, 1]; bins have equal width, each holds its upper end, and the
lowest holds 0 too (`gunshot.evaluation.calibration`, which defines ECE and Brier score). All three figures are of the
mix of classes in the rows given: where shots are rarer, the same probabilities say too much.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gunshot.evaluation.calibration import N_BINS, brier_score, calibration_error
from gunshot.evaluation.intervals import exact_interval
from gunshot.evaluation.rows import labelled_scores

__all__ = ["Reliability", "ReliabilityBin", "reliability"]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows whose probability lies in one bin.

    Attributes
    ----------
    low, high : float
        Edges of the bin.
    n : int
        Rows in it, at least 1.
    n_gunshots : int
        Gunshots among them.
    probability : float
        Their mean probability.
    """

    low: float
    high: float
    n: int
    n_gunshots: int
    probability: float

    @property
    def frequency(self) -> float:
        """Fraction of its rows that are gunshots."""
        return self.n_gunshots / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Exact 95 % interval of the frequency."""
        return exact_interval(self.n_gunshots, self.n) or (0.0, 1.0)


@dataclass(frozen=True)
class Reliability:
    """How well probabilities come true.

    Attributes
    ----------
    bins : tuple of ReliabilityBin
        Those that hold a row, rising.
    ece : float
        Expected calibration error over `N_BINS` bins, in [0, 1].
    brier : float
        Brier score, in [0, 1]; 0 is best.
    is_calibrated : bool
        Whether the probabilities come from a bundle's calibration; else they are the raw scores.
    """

    bins: tuple[ReliabilityBin, ...]
    ece: float
    brier: float
    is_calibrated: bool

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON takes them.

        Returns
        -------
        dict
            Plain numbers and lists.
        """
        return {
            "of": "probability" if self.is_calibrated else "score",
            "n_bins": N_BINS,
            "ece": self.ece,
            "brier": self.brier,
            "bins": [asdict(it) | {"frequency": it.frequency, "interval": list(it.interval)} for it in self.bins],
        }


def reliability(label: ArrayLike, probability: ArrayLike, *, is_calibrated: bool) -> Reliability:
    """Compare probabilities with what came true.

    Parameters
    ----------
    label : array_like of shape (n,)
        1 for a gunshot, 0 for any other sound; one class alone is allowed.
    probability : array_like of shape (n,)
        Of a gunshot, in [0, 1].
    is_calibrated : bool
        Whether they come from a calibration, or are raw scores.

    Returns
    -------
    Reliability
        Curve and figures.

    Raises
    ------
    ParameterError
        If labels or probabilities are not what they must be.

    Notes
    -----
    With few rows a bin, chance alone makes the ECE greater than 0.

    Examples
    --------
    >>> found = reliability([1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], is_calibrated=True)
    >>> found.ece, found.brier
    (0.0, 0.1875)
    """
    labels, probabilities = labelled_scores(label, probability)
    index = np.clip(np.ceil(probabilities * N_BINS).astype(int) - 1, 0, N_BINS - 1)
    bins = tuple(
        ReliabilityBin(
            low=int(b) / N_BINS,
            high=(int(b) + 1) / N_BINS,
            n=int(np.count_nonzero(index == b)),
            n_gunshots=int(np.count_nonzero(labels[index == b])),
            probability=float(probabilities[index == b].mean()),
        )
        for b in np.unique(index)
    )
    ece, brier = calibration_error(labels, probabilities), brier_score(labels, probabilities)
    return Reliability(bins, ece, brier, is_calibrated)
