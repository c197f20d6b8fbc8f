"""A threshold that the reader moves: what each place of a slider stands for, told beforehand.

Conventions: label 1 is a gunshot, a clip is called when ``score >= threshold``. The places are thresholds at which the
counts change: those that miss so many gunshots, and those that raise so many false alarms, close together where both
are few. All figures and sentences are made here, by the code that makes those of the rest of the page; the page's
script only shows the ones of the place, so no figure is computed twice. There is a slider for each model on each of its
splits, and the page shows one of them at a time, the default model's main split at first.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from gunshot.evaluation.metrics import ClassificationMetrics
from gunshot.evaluation.rates import alarm_rate
from gunshot.report.content import ModelResult, ReportContent, ScoredSplit
from gunshot.report.words import KeyFigure, class_key_figures, percent, recorder_day_figure

__all__ = [
    "Place",
    "Slider",
    "places_of",
    "script",
    "script_digest",
    "threshold_slider",
    "threshold_sliders",
    "threshold_text",
]

_N_COUNTS = 50


@dataclass(frozen=True)
class Place:
    """A place of the slider.

    Attributes
    ----------
    metrics : ClassificationMetrics
        Counts at its threshold.
    figures : tuple of KeyFigure
        The same in words.
    """

    metrics: ClassificationMetrics
    figures: tuple[KeyFigure, ...]

    @property
    def threshold(self) -> str:
        """Its threshold as shown."""
        return threshold_text(self.metrics.threshold)

    def as_dict(self) -> dict[str, Any]:
        """What the page's script shows, as JSON takes it: counts and rates by cell, and the sentences."""
        m = self.metrics
        return {
            "threshold": self.threshold,
            "counts": [f"{n:,}" for n in (m.true_positives, m.false_negatives, m.false_positives, m.true_negatives)],
            "rates": [percent(rate) for rate in (m.recall, m.fnr, m.fpr, None if m.fpr is None else 1.0 - m.fpr)],
            "figures": [[it.sentence, it.interval, it.basis] for it in self.figures],
        }


@dataclass(frozen=True)
class Slider:
    """All places, of one model on one split.

    Attributes
    ----------
    model, split : str
        Names.
    places : tuple of Place
        By threshold, the lowest first.
    chosen : int
        Which of them is the model's own threshold.
    """

    model: str
    split: str
    places: tuple[Place, ...]
    chosen: int

    @property
    def name(self) -> str:
        """Whose it is and of which clips."""
        return f"{self.model}, {self.split}"

    @property
    def own(self) -> Place:
        """The model's own threshold: what is shown before anybody moves anything."""
        return self.places[self.chosen]

    @property
    def note(self) -> str:
        """What the figures at the model's own threshold, and at another one, are worth."""
        chosen = f"The threshold of {self.model} ({self.own.threshold}) was chosen on"
        if self.split == "validation":
            return f"{chosen} these very clips, so these figures flatter."
        return (
            f"{chosen} other clips. One that is chosen here, on the clips that it is judged by, flatters: try it on "
            "clips of your own, or train again with --operating-point."
        )

    def content(self) -> dict[str, Any]:
        """All places as JSON takes them; what depends on one class alone is there once for each of its counts."""
        told = [place.as_dict() for place in self.places]
        gunshots, of_gunshots = _once([_part(place, slice(0, 2), slice(0, 1)) for place in told])
        others, of_others = _once([_part(place, slice(2, 4), slice(1, None)) for place in told])
        return {
            "model": self.model,
            "split": self.split,
            "note": self.note,
            "chosen": self.chosen,
            "gunshots": gunshots,
            "others": others,
            "places": list(zip((place["threshold"] for place in told), of_gunshots, of_others, strict=True)),
        }


def _part(place: dict[str, Any], cells: slice, figures: slice) -> list[Any]:
    return [place["counts"][cells], place["rates"][cells], place["figures"][figures]]


def _once(parts: Sequence[list[Any]]) -> tuple[list[Any], list[int]]:
    """Each part once, and which of them stands at each place."""
    first: dict[str, int] = {}
    unique: list[list[Any]] = []
    at = []
    for part in parts:
        key = str(part)
        if key not in first:
            first[key] = len(unique)
            unique.append(part)
        at.append(first[key])
    return unique, at


def threshold_sliders(content: ReportContent) -> list[Slider]:
    """Make the sliders of all models on all their splits.

    Parameters
    ----------
    content : ReportContent
        The page.

    Returns
    -------
    list of Slider
        What the key figures are of first, then what else is told of that model, then the others.
    """
    default = content.key_model
    main = default.main_split if default else None
    pairs = [(model, split) for model in content.models for split in model.splits]
    pairs.sort(key=lambda pair: (pair[0] is not default, pair[1] is not main if pair[0] is default else False))
    sliders = (threshold_slider(model, content.candidates_per_hour, split) for model, split in pairs)
    return [slider for slider in sliders if slider is not None]


def threshold_slider(
    model: ModelResult | None, candidates_per_hour: float | None = None, split: ScoredSplit | None = None
) -> Slider | None:
    """Make the slider of a model on one of its splits.

    Parameters
    ----------
    model : ModelResult or None
        The model.
    candidates_per_hour : float, optional
        What a recorder brings, for the false alarms a day [1/h].
    split : ScoredSplit, optional
        Which; that of the key figures if not given.

    Returns
    -------
    Slider or None
        None without rows of both classes.
    """
    split = split or (model.main_split if model else None)
    if (
        model is None
        or split is None
        or split.rows is None
        or not (split.metrics.n_gunshots and split.metrics.n_others)
    ):
        return None
    label, score = split.rows
    found = places_of(label, score, split.metrics.threshold)
    places = tuple(_place(split, *place, candidates_per_hour) for place in found)
    chosen = next(index for index, place in enumerate(found) if place[0] == split.metrics.threshold)
    return Slider(model.name, split.split, places, chosen)


def _place(split: ScoredSplit, threshold: float, n_found: int, n_alarms: int, per_hour: float | None) -> Place:
    m = split.metrics
    metrics = ClassificationMetrics(
        true_positives=n_found, false_negatives=m.n_gunshots - n_found, false_positives=n_alarms,
        true_negatives=m.n_others - n_alarms, threshold=threshold,
    )  # fmt: skip
    figures = class_key_figures(metrics, split.split)
    day = None if per_hour is None else recorder_day_figure(alarm_rate(metrics, per_hour, ()))
    return Place(metrics, tuple(figures if day is None else [*figures, day]))


def places_of(label: NDArray[np.int8], score: NDArray[np.float64], own: float) -> list[tuple[float, int, int]]:
    """Thresholds to stop at, and what each finds.

    Parameters
    ----------
    label : ndarray of shape (n,), int8
        0 or 1, both there.
    score : ndarray of shape (n,), float64
        In [0, 1].
    own : float
        The model's threshold; always one of them.

    Returns
    -------
    list of (float, int, int)
        Threshold, gunshots found and false alarms, by rising threshold; no two but `own` and another find the same.

    Examples
    --------
    >>> import numpy as np
    >>> places_of(np.array([1, 1, 0, 0], np.int8), np.array([0.9, 0.4, 0.6, 0.1]), 0.5)
    [(0.1, 2, 2), (0.4, 2, 1), (0.5, 1, 1), (0.9, 1, 0), (1.0, 0, 0)]
    """
    shots, others, every = np.sort(score[label == 1]), np.sort(score[label == 0]), np.unique(score)
    alarms = list(_at_counts(others[::-1]))
    above = np.append(every, 1.0)[np.searchsorted(every, alarms, side="right")]
    between = (np.asarray(alarms) + above) / 2.0  # so that a false alarm, which is a score too, is not called any more
    wanted = {0.0, own, 1.0, *_at_counts(shots), *alarms, *between.tolist()}
    found: dict[tuple[int, int], float] = {}
    for threshold in sorted(wanted):
        counts = int(np.sum(shots >= threshold)), int(np.sum(others >= threshold))
        if found.get(counts) != own:  # of thresholds that find the same the model's own stands, else the highest
            found[counts] = threshold
    return sorted((threshold, *counts) for counts, threshold in found.items())


def _at_counts(scores: NDArray[np.float64]) -> Iterator[float]:
    """Scores at ranks 0, 1, 2, 3, ... that grow apart: where so many rows lie on the wrong side."""
    last = scores.size - 1
    ranks = np.unique(np.round(np.geomspace(1, scores.size, min(_N_COUNTS, scores.size)))).astype(int) - 1
    return (float(scores[rank]) for rank in np.unique([*ranks[ranks <= last], last]))


def threshold_text(threshold: float) -> str:
    """Write a threshold with three decimals, or more where it is close to 0 or 1.

    Parameters
    ----------
    threshold : float
        In [0, 1].

    Returns
    -------
    str
        The number.

    Examples
    --------
    >>> threshold_text(0.5), threshold_text(0.99987), threshold_text(1.0)
    ('0.500', '0.99987', '1.000')
    """
    nearest_end = min(threshold, 1.0 - threshold)
    decimals = 3 if nearest_end <= 1e-12 else min(max(3, math.ceil(-math.log10(nearest_end)) + 1), 9)
    return f"{threshold:.{decimals}f}"


@cache
def script() -> Markup:
    """The page's script, as it stands in the page.

    Returns
    -------
    Markup
        Plain JavaScript of this package; nothing of the content is in it.
    """
    return Markup((files("gunshot.report") / "templates" / "slider.js").read_text(encoding="utf-8"))  # noqa: S704


def script_digest() -> str:
    """The digest by which the page's policy lets this script run, and no other.

    Returns
    -------
    str
        As a Content-Security-Policy has it.
    """
    return f"sha256-{b64encode(sha256(script().encode()).digest()).decode()}"
