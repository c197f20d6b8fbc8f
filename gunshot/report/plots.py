"""The figures about scores and training, each a function from arrays to an SVG element.

Conventions: rates lie in [0, 1] and are shown in per cent where that reads better. Figures are drawn about
as wide as a phone, so their text stays readable there. No name given by a user is drawn; legends are left
to the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from gunshot.evaluation.curves import det_points, precision_recall_points, roc_points
from gunshot.report.svg import (
    ALARM,
    GUNSHOT,
    INK,
    OTHER,
    inline_svg,
    label_axes,
    line_style,
    plain_figure,
    series_colour,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["curve_svg", "epochs_svg", "score_histogram_svg"]

Curve = Literal["roc", "precision-recall", "det"]

_DET_TICKS = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8])


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Drop points that fall on the same spot as the one before, at 500 spots an axis."""
    span = [float(np.ptp(values)) or 1.0 for values in (x, y)]
    spot = np.round(np.column_stack([x / span[0], y / span[1]]) * 500)
    is_new = np.ones(x.size, dtype=bool)
    is_new[1:-1] = (spot[1:-1] != spot[:-2]).any(axis=1)
    return x[is_new], y[is_new]


def curve_svg(
    curve: Curve,
    rows: Sequence[tuple[ArrayLike, ArrayLike]],
    points: Sequence[tuple[float, float]],
    *,
    name: str,
) -> Markup:
    """Draw one curve for each model in one figure.

    Parameters
    ----------
    curve : {"roc", "precision-recall", "det"}
        Which curve.
    rows : sequence of (label, score)
        Labels and scores of each model, of both classes.
    points : sequence of (float, float)
        Recall and false-alarm rate of each model at its threshold, marked on the curve.
    name : str
        Unique in the page.

    Returns
    -------
    Markup
        An ``<svg>`` element.

    Raises
    ------
    TrainingError
        If a model has rows of one class only.
    """
    figure, axes = plain_figure()
    draw = {"roc": _draw_roc, "precision-recall": _draw_precision_recall, "det": _draw_det}[curve]
    for index, ((label, score), (recall, fpr)) in enumerate(zip(rows, points, strict=True)):
        line, mark = draw(np.asarray(label), np.asarray(score, dtype=np.float64), recall, fpr)
        axes.plot(*_thinned(*line), **line_style(index))
        axes.plot(
            *mark,
            marker="o",
            markersize=6,
            markeredgecolor=INK,
            markeredgewidth=0.8,
            clip_on=False,
            color=series_colour(index),
        )
    _CURVE_AXES[curve](axes)
    what = {"roc": "ROC", "precision-recall": "precision-recall", "det": "DET"}[curve]
    return inline_svg(figure, name, f"{what} curves of {len(rows)} models, a dot at each model's threshold")


Line = tuple[tuple[NDArray[np.float64], NDArray[np.float64]], tuple[float, float]]


def _draw_roc(label: NDArray[Any], score: NDArray[np.float64], recall: float, fpr: float) -> Line:
    """Return the ROC curve, and where the threshold lies on it."""
    curve = roc_points(label, score)
    return (curve.fpr, curve.recall), (fpr, recall)


def _draw_precision_recall(label: NDArray[Any], score: NDArray[np.float64], recall: float, fpr: float) -> Line:
    """Return the precision-recall curve, and where the threshold lies on it."""
    curve = precision_recall_points(label, score)
    n_hits = recall * np.count_nonzero(label == 1)
    n_called = n_hits + fpr * np.count_nonzero(label == 0)
    return (curve.recall, curve.precision), (recall, float(n_hits / n_called) if n_called else 1.0)


def _draw_det(label: NDArray[Any], score: NDArray[np.float64], recall: float, fpr: float) -> Line:
    """Return the DET curve in normal deviates, rates of 0 and 1 drawn half a row inside."""
    curve = det_points(label, score)
    half_other, half_gunshot = (0.5 / np.count_nonzero(label == value) for value in (0, 1))

    def deviate(rate: ArrayLike, half_row: float) -> NDArray[np.float64]:
        return np.asarray(ndtri(np.clip(rate, half_row, 1.0 - half_row)))

    # The curve leaves out its level ends; go on along them as far as the threshold lies.
    rates = np.concatenate([[max(fpr, curve.fpr[0])], curve.fpr, curve.fpr[-1:]])
    misses = np.concatenate([curve.fnr[:1], curve.fnr, [max(1.0 - recall, curve.fnr[-1])]])
    line = deviate(rates, half_other), deviate(misses, half_gunshot)
    return line, (float(deviate(fpr, half_other)), float(deviate(1.0 - recall, half_gunshot)))


def _percent(value: float, _position: int | None = None) -> str:
    """Write a rate as a tick label."""
    return f"{100 * value:g}%"


def _roc_axes(axes: Axes) -> None:
    """Draw the frame of a ROC curve, with the line of a coin toss."""
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.7, dashes=(2, 3))
    _percent_axes(axes)
    label_axes(axes, "Other sounds that raise a false alarm", "Gunshots found (recall)")


def _precision_recall_axes(axes: Axes) -> None:
    """Draw the frame of a precision-recall curve."""
    _percent_axes(axes)
    label_axes(axes, "Gunshots found (recall)", "Calls that are gunshots (precision)")


def _percent_axes(axes: Axes) -> None:
    """Give both axes 0 to 100 %."""
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))


def _det_axes(axes: Axes) -> None:
    """Draw the frame of a DET curve: normal deviate scales, ticks in per cent."""
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        ticks = _spaced(_DET_TICKS[(ndtri(_DET_TICKS) >= limits[0]) & (ndtri(_DET_TICKS) <= limits[1])], limits)
        axis.set_major_locator(FixedLocator(ndtri(ticks)))
        axis.set_ticklabels([_percent(tick) for tick in ticks])
        axis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", labelrotation=45)
    label_axes(axes, "False alarms per other sound", "Misses per gunshot")


def _spaced(rates: NDArray[np.float64], limits: tuple[float, float]) -> NDArray[np.float64]:
    """Keep the rates whose labels have room: a fourteenth of the axis from one to the next."""
    kept: list[float] = []
    for rate in rates.tolist():
        if not kept or ndtri(rate) - ndtri(kept[-1]) >= (limits[1] - limits[0]) / 14:
            kept.append(rate)
    return np.array(kept)


_CURVE_AXES: dict[Curve, Callable[[Axes], None]] = {
    "roc": _roc_axes,
    "precision-recall": _precision_recall_axes,
    "det": _det_axes,
}


def score_histogram_svg(label: ArrayLike, score: ArrayLike, threshold: float, *, name: str) -> Markup:
    """Draw how the scores of both classes are spread, with the threshold.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        Labels 0 or 1 and scores in [0, 1].
    threshold : float
        In [0, 1].
    name : str
        Unique in the page.

    Returns
    -------
    Markup
        An ``<svg>`` element; counts are on a logarithmic scale, so that single errors show.
    """
    labels, scores = np.asarray(label), np.asarray(score)
    figure, axes = plain_figure(height_in=2.6)
    edges = np.linspace(0.0, 1.0, 41)
    for value, colour in ((0, OTHER), (1, GUNSHOT)):
        counts, _ = np.histogram(scores[labels == value], edges)
        heights = np.maximum(counts, 0.6)
        axes.stairs(heights, edges, baseline=0.6, fill=True, color=colour, alpha=0.35, linewidth=0)
        axes.stairs(heights, edges, baseline=0.6, color=colour, linewidth=1.4)
    axes.axvline(threshold, color=ALARM, linewidth=1.4, dashes=(4, 2))
    axes.set_yscale("log")
    axes.set(xlim=(-0.01, 1.01), ylim=(0.6, None))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_minor_locator(NullLocator())
    label_axes(axes, "Score", "Clips (logarithmic)")
    return inline_svg(figure, name, f"Histogram of the scores of both classes, threshold at {threshold:.3f}")


def epochs_svg(training: Sequence[float], validation: Sequence[float], what: str, *, name: str) -> Markup:
    """Draw a figure of training over the epochs.

    Parameters
    ----------
    training, validation : sequence of float
        One value an epoch; either may be empty.
    what : {"Loss", "Accuracy"}
        Name of the axis; accuracy is drawn in per cent.
    name : str
        Unique in the page.

    Returns
    -------
    Markup
        An ``<svg>`` element.
    """
    figure, axes = plain_figure(height_in=2.6)
    for values, index in ((training, 0), (validation, 1)):
        if len(values):
            marker = "." if len(values) <= 60 else None
            epochs = np.arange(1, len(values) + 1)
            axes.plot(epochs, values, marker=marker, **line_style(index))
    axes.set_xlim(0.5, max(len(training), len(validation)) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if what == "Accuracy":
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    label_axes(axes, "Epoch", what)
    return inline_svg(figure, name, f"{what} of training and validation rows over {len(training)} epochs")
