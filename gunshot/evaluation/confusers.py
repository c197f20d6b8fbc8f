"""Which other sounds raise false alarms, and how loud they are then.

Conventions: rows of the matrix are sounds as the label table names them, columns are bands of the estimated SNR
(`gunshot.evaluation.level`); the worst sound comes first: the one with the most false alarms, among equals the one
with the higher rate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gunshot.evaluation.intervals import exact_interval
from gunshot.evaluation.level import SNR_BANDS_DB, all_bands, band_names
from gunshot.evaluation.reported_rows import ReportedRows

__all__ = ["Confuser", "ConfuserMatrix", "confuser_matrix"]

Count = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Confuser:
    """One sound.

    Attributes
    ----------
    sound : str
        Its name.
    n_alarms, n : int
        Clips of it that are called gunshots, and all.
    bands : tuple of (int, int)
        The same two counts in each SNR band, in the order of the matrix's columns.
    """

    sound: str
    n_alarms: int
    n: int
    bands: tuple[Count, ...]

    @property
    def rate(self) -> float:
        """Fraction of its clips that raise a false alarm."""
        return self.n_alarms / self.n

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """The counts as JSON takes them.

        Parameters
        ----------
        names : sequence of str
            The bands.

        Returns
        -------
        dict
            Counts, rates and the exact 95 % interval of the sound's rate; bands without a clip are left out.
        """
        return {
            "sound": self.sound,
            "n_alarms": self.n_alarms,
            "n": self.n,
            "rate": self.rate,
            "rate_interval": list(exact_interval(self.n_alarms, self.n) or (0.0, 1.0)),
            "bands": {
                name: {"n_alarms": alarms, "n": n, "rate": alarms / n}
                for name, (alarms, n) in zip(names, self.bands, strict=True)
                if n
            },
        }


@dataclass(frozen=True)
class ConfuserMatrix:
    """All other sounds of the rows reported.

    Attributes
    ----------
    bands : tuple of str
        Names of the columns, quiet to loud, the unknown last.
    sounds : tuple of Confuser
        The worst first; those that raise no alarm follow, the most clips first.
    """

    bands: tuple[str, ...]
    sounds: tuple[Confuser, ...]

    @property
    def raising(self) -> tuple[Confuser, ...]:
        """The sounds that raise at least one false alarm."""
        return tuple(sound for sound in self.sounds if sound.n_alarms)

    def as_dict(self) -> dict[str, Any]:
        """The matrix as JSON takes it.

        Returns
        -------
        dict
            Bands, and the sounds in their order.
        """
        return {"bands": list(self.bands), "sounds": [sound.as_dict(self.bands) for sound in self.sounds]}


def confuser_matrix(rows: ReportedRows, threshold: float) -> ConfuserMatrix:
    """Count the false alarms of each sound in each SNR band.

    Parameters
    ----------
    rows : ReportedRows
        Gunshots among them are left out.
    threshold : float
        A row is called a gunshot when ``score >= threshold``.

    Returns
    -------
    ConfuserMatrix
        Its counts add up to the other sounds and to the false alarms of the rows.
    """
    is_other = rows.label == 0
    others = rows.take(is_other)
    called = others.score >= threshold
    bands = all_bands(SNR_BANDS_DB)
    band = band_names(others.snr_db, SNR_BANDS_DB)
    n = Counter(zip(others.sound, band, strict=True))
    alarms = _counted(others, band, called)
    sounds = [
        Confuser(
            sound,
            sum(alarms[sound, name] for name in bands),
            sum(n[sound, name] for name in bands),
            tuple((alarms[sound, name], n[sound, name]) for name in bands),
        )
        for sound in sorted(set(others.sound))
    ]
    return ConfuserMatrix(tuple(bands), tuple(sorted(sounds, key=lambda it: (-it.n_alarms, -it.rate, -it.n, it.sound))))


def _counted(rows: ReportedRows, band: Sequence[str], where: NDArray[np.bool_]) -> Counter[tuple[str, str]]:
    return Counter((rows.sound[index], band[index]) for index in np.flatnonzero(where).tolist())
