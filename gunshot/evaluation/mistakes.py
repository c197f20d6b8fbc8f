"""The rows that a model calls wrong, those it was most sure of first.

Conventions: a miss is a gunshot below the threshold, a false alarm another sound at or above it. Equal scores keep the
order of the rows.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gunshot.evaluation.reported_rows import ReportedRows

__all__ = ["MAX_MISTAKES", "Mistake", "Mistakes", "mistakes"]

MAX_MISTAKES = 100
"""Rows of each kind that are listed; all are in ``predictions.parquet``."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One row that is called wrong.

    Attributes
    ----------
    row : int
        Number in the store.
    path, sound, source, device : str
        As in the manifest.
    onset_s : float
        From the start of the recording [s].
    score : float
        In [0, 1].
    snr_db : float or None
        Estimated SNR [dB]; None where unknown.
    """

    row: int
    path: str
    sound: str
    source: str
    device: str
    onset_s: float
    score: float
    snr_db: float | None


@dataclass(frozen=True)
class Mistakes:
    """Misses or false alarms.

    Attributes
    ----------
    n : int
        How many there are.
    worst : tuple of Mistake
        At most `MAX_MISTAKES` of them, the worst first.
    """

    n: int
    worst: tuple[Mistake, ...]

    def as_dict(self) -> dict[str, Any]:
        """The rows as JSON takes them.

        Returns
        -------
        dict
            Their number and the worst.
        """
        return {"n": self.n, "worst": [asdict(it) for it in self.worst]}


def mistakes(rows: ReportedRows, threshold: float) -> tuple[Mistakes, Mistakes]:
    """List misses and false alarms.

    Parameters
    ----------
    rows : ReportedRows
        The rows.
    threshold : float
        A row is called a gunshot when ``score >= threshold``.

    Returns
    -------
    misses, false_alarms : Mistakes
        The lowest scores first, and the highest.
    """
    called = rows.score >= threshold
    return (
        _listed(rows, (rows.label == 1) & ~called, rows.score),
        _listed(rows, (rows.label == 0) & called, -rows.score),
    )


def _listed(rows: ReportedRows, where: NDArray[np.bool_], rank: NDArray[np.float64]) -> Mistakes:
    chosen = np.flatnonzero(where)
    chosen = chosen[np.argsort(rank[chosen], kind="stable")]
    worst = tuple(
        Mistake(
            row=int(rows.row[i]),
            path=rows.path[i],
            sound=rows.sound[i],
            source=rows.source[i],
            device=rows.device[i],
            onset_s=float(rows.onset_s[i]),
            score=float(rows.score[i]),
            snr_db=None if np.isnan(rows.snr_db[i]) else round(float(rows.snr_db[i]), 1),
        )
        for i in chosen[:MAX_MISTAKES]
    )
    return Mistakes(int(chosen.size), worst)
