"""The metrics by what is known of each row: source, device, firearm, level, rate, distance.

Conventions
-----------
- Those of `gunshot.evaluation.metrics`. A value is a text; what nobody said is "not known".
- Counts of the parts of one breakdown add up to those of the rows it is of: beyond `MAX_VALUES` values the smaller
  ones are one part.
- A firearm is what follows "gunshot:" in a sound's name, such as "gunshot:9mm Automatic Handgun"; other sounds have
  none and stand in no part of that breakdown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import ArrayLike

from gunshot.errors import ParameterError
from gunshot.evaluation.level import SNR_BANDS_DB, STRENGTH_BANDS_DB, band_names
from gunshot.evaluation.metrics import ClassificationMetrics, classification_metrics
from gunshot.evaluation.reported_rows import ReportedRows
from gunshot.evaluation.rows import labelled_scores

__all__ = ["DISTANCE_BANDS_M", "MAX_VALUES", "REST", "UNKNOWN", "breakdowns", "firearm_of", "metrics_by"]

MAX_VALUES = 100
"""Values of one breakdown that stand by their names."""

UNKNOWN = "not known"
REST = "all others"

DISTANCE_BANDS_M = (100.0, 200.0, 400.0, 800.0)
"""Edges of the bands of the distance, each twice as far: 6 dB of spreading [m]."""


def metrics_by(
    label: ArrayLike,
    score: ArrayLike,
    threshold: float,
    by: Sequence[str],
    group: Sequence[object] | None = None,
) -> dict[str, ClassificationMetrics]:
    """Break the metrics down by a column: source, sample rate, distance, ...

    Parameters
    ----------
    label, score : array_like of shape (n,)
        As for `classification_metrics`.
    threshold : float
        In [0, 1].
    by : sequence of n str
        The value of the column in each row.
    group : sequence of length n, optional
        The group of each row, for the intervals over groups.

    Returns
    -------
    dict of {str: ClassificationMetrics}
        One entry for each value, in sorted order; the counts add up to those of all rows.

    Raises
    ------
    ParameterError
        As `classification_metrics`, or if `by` has another length than the rows.

    Examples
    --------
    >>> parts = metrics_by([1, 1, 0], [0.9, 0.4, 0.6], 0.5, by=["forest", "range", "range"])
    >>> {name: (part.recall, part.fpr) for name, part in parts.items()}
    {'forest': (1.0, None), 'range': (0.0, 1.0)}
    """
    labels, scores = labelled_scores(label, score)
    names = np.array([str(value) for value in by], dtype=object)
    if names.size != labels.size:
        raise ParameterError(
            f"by must name one group a row; got {names.size} names for {labels.size} rows: "
            "take it from the table of the labels"
        )
    parts = {}
    for name in sorted(set(names)):
        rows = np.flatnonzero(names == name)
        groups = None if group is None else [group[row] for row in rows.tolist()]
        parts[name] = classification_metrics(labels[rows], scores[rows], threshold, groups)
    return parts


def firearm_of(sound: str) -> str | None:
    """Return the firearm that a sound's name tells.

    Parameters
    ----------
    sound : str
        From the label table.

    Returns
    -------
    str or None
        None where the name tells none.

    Examples
    --------
    >>> firearm_of("gunshot:45 Cal Automatic Handgun"), firearm_of("gun shot")
    ('45 Cal Automatic Handgun', None)
    """
    kind, _, firearm = sound.partition(":")
    return firearm.strip() or None if kind.strip().lower() in {"gunshot", "gun shot", "gunshots"} else None


def breakdowns(rows: ReportedRows, threshold: float) -> dict[str, dict[str, ClassificationMetrics]]:
    """Break the metrics down by everything that is known.

    Parameters
    ----------
    rows : ReportedRows
        The rows.
    threshold : float
        In [0, 1].

    Returns
    -------
    dict of {str: dict of {str: ClassificationMetrics}}
        By ``source``, ``folder``, ``device``, ``sample_rate``, ``snr``, ``onset_strength``, ``firearm`` (gunshots
        alone) and ``distance``; the last two only where some row has one.
    """
    columns: dict[str, Sequence[str | None]] = {
        "source": rows.source,
        "folder": [str(PurePosixPath(path).parent) for path in rows.path],
        "device": rows.device,
        "sample_rate": [None if sr is None else f"{sr} Hz" for sr in rows.sr],
        "snr": band_names(rows.snr_db, SNR_BANDS_DB),
        "onset_strength": band_names(rows.strength_db, STRENGTH_BANDS_DB),
    }
    if rows.distance_m is not None and not np.isnan(rows.distance_m).all():
        columns["distance"] = band_names(rows.distance_m, DISTANCE_BANDS_M, "m")
    found = {name: _by(rows, threshold, column) for name, column in columns.items()}
    gunshots = rows.take(rows.label == 1)
    firearms = [firearm_of(sound) for sound in gunshots.sound]
    if any(firearms):
        found["firearm"] = _by(gunshots, threshold, firearms)
    return found


def _by(rows: ReportedRows, threshold: float, column: Sequence[str | None]) -> dict[str, ClassificationMetrics]:
    """One breakdown, unknown values named and many rare ones put together."""
    named = [value or UNKNOWN for value in column]
    largest = {value for value, _ in Counter(named).most_common(MAX_VALUES)}
    kept = [value if value in largest else REST for value in named]
    return metrics_by(rows.label, rows.score, threshold, kept, rows.group)
