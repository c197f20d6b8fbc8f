"""The rows that are reported, as columns: all that the figures of an evaluation are made of.

Conventions: one value a row in every column; label 1 is a gunshot; scores and probabilities lie in [0, 1]; what is
not known is None in text and NaN in numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import ParameterError

__all__ = ["ReportedRows", "as_floats"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportedRows:
    """Columns of the rows of one split.

    Attributes
    ----------
    row : ndarray of shape (n,), int64
        Number in the store.
    label : ndarray of shape (n,), int8
        1 gunshot, 0 other.
    score : ndarray of shape (n,), float64
        In [0, 1].
    probability : ndarray of shape (n,), float64, or None
        The calibrated probability of a gunshot; None where the bundle has no calibration.
    path, sound, source, group, device : sequence of str, length n
        As in the manifest.
    sr : sequence of int or None, length n
        Sample rate of the recording [Hz].
    onset_s : ndarray of shape (n,), float64
        From the start of the recording [s].
    snr_db, strength_db : ndarray of shape (n,), float64
        Estimated SNR and onset strength [dB]; NaN where unknown.
    distance_m : ndarray of shape (n,), float64, or None
        Distance of the shot [m]; None where no column tells it.

    Raises
    ------
    ParameterError
        If the columns differ in length.
    """

    row: NDArray[np.int64]
    label: NDArray[np.int8]
    score: NDArray[np.float64]
    probability: NDArray[np.float64] | None
    path: Sequence[str]
    sound: Sequence[str]
    source: Sequence[str]
    group: Sequence[str]
    device: Sequence[str]
    sr: Sequence[int | None]
    onset_s: NDArray[np.float64]
    snr_db: NDArray[np.float64]
    strength_db: NDArray[np.float64]
    distance_m: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Refuse columns that are not of the same rows."""
        lengths = {name: len(column) for name, column in self._columns().items() if column is not None}
        if len(set(lengths.values())) > 1:
            raise ParameterError(f"columns must have one value a row each; got {lengths}: take them from one table")

    def _columns(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __len__(self) -> int:
        return len(self.row)

    def take(self, mask: NDArray[np.bool_]) -> ReportedRows:
        """Return some of the rows.

        Parameters
        ----------
        mask : ndarray of shape (n,), bool
            Which.

        Returns
        -------
        ReportedRows
            In the same order.
        """
        chosen = np.flatnonzero(mask)
        taken: dict[str, Any] = {}
        for name, column in self._columns().items():
            if column is None:
                taken[name] = None
            else:
                taken[name] = column[chosen] if isinstance(column, np.ndarray) else [column[i] for i in chosen]
        return ReportedRows(**taken)


def as_floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Return a column as floats.

    Parameters
    ----------
    values : sequence of float or None
        Any length.

    Returns
    -------
    ndarray of shape (n,), float64
        NaN for None.
    """
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
