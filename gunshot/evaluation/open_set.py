"""Sounds that training has met by name, and sounds that it has not.

Conventions: a sound is a pair of name and label as the label table has them ("dog bark", 0). A sound is *known* if a
training row has the same name and label, else *new*. Names are taken as they are: a table that names each file gives
new sounds that are old ones under another name, and one name may hold many kinds of sound.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gunshot.evaluation.metrics import ClassificationMetrics, classification_metrics
from gunshot.evaluation.reported_rows import ReportedRows

__all__ = ["OpenSet", "Sound", "is_known", "open_set"]

Sound = tuple[str, int]


@dataclass(frozen=True)
class OpenSet:
    """The figures of known and of new sounds.

    Attributes
    ----------
    known, new : ClassificationMetrics or None
        None where there is no such row.
    new_sounds : tuple of (sound, label)
        The new ones, sorted.
    """

    known: ClassificationMetrics | None
    new: ClassificationMetrics | None
    new_sounds: tuple[Sound, ...]

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON takes them.

        Returns
        -------
        dict
            Plain numbers, lists and None.
        """
        return {
            "known": None if self.known is None else self.known.as_dict(),
            "new": None if self.new is None else self.new.as_dict(),
            "new_sounds": [{"sound": sound, "label": label} for sound, label in self.new_sounds],
        }


def is_known(rows: ReportedRows, trained: Collection[Sound]) -> NDArray[np.bool_]:
    """Tell the rows whose sound was trained on.

    Parameters
    ----------
    rows : ReportedRows
        The rows.
    trained : collection of (str, int)
        Name and label of each sound among the training rows.

    Returns
    -------
    ndarray of shape (n,), bool
        True for known sounds.
    """
    seen = set(trained)
    pairs = zip(rows.sound, rows.label.tolist(), strict=True)
    return np.fromiter((pair in seen for pair in pairs), dtype=bool, count=len(rows))


def open_set(rows: ReportedRows, trained: Collection[Sound], threshold: float) -> OpenSet:
    """Count known and new sounds apart.

    Parameters
    ----------
    rows : ReportedRows
        The rows.
    trained : collection of (str, int)
        Name and label of each sound among the training rows.
    threshold : float
        A row is called a gunshot when ``score >= threshold``.

    Returns
    -------
    OpenSet
        The counts of both add up to those of all rows.
    """
    known = is_known(rows, trained)
    parts = [rows.take(where) for where in (known, ~known)]
    found = [
        classification_metrics(part.label, part.score, threshold, part.group) if len(part) else None for part in parts
    ]
    names = set(zip(parts[1].sound, parts[1].label.tolist(), strict=True))
    return OpenSet(found[0], found[1], tuple(sorted(names)))
