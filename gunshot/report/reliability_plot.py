"""Whether probabilities come true, as a section of the page: one drawing a split.

Conventions: those of `gunshot.evaluation.reliability`; what nobody drew before stays in the style of
`gunshot.report.svg`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import PercentFormatter

from gunshot.evaluation.reliability import Reliability
from gunshot.evaluation.reported import ReportedFigures
from gunshot.report.blocks import Block, Section
from gunshot.report.svg import FAINT, GUNSHOT, INK, inline_svg, label_axes, plain_figure
from gunshot.report.words import count, figure

__all__ = ["reliability_section", "reliability_svg"]


def reliability_svg(found: Reliability, *, name: str) -> Markup:
    """Draw the fraction of gunshots over the probability, with exact 95 % intervals.

    Parameters
    ----------
    found : Reliability
        The bins.
    name : str
        Unique in the page.

    Returns
    -------
    Markup
        An ``<svg>`` element; the dotted line is where probabilities come true.
    """
    drawing, axes = plain_figure()
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.7, dashes=(2, 3))
    at = [it.probability for it in found.bins]
    came = np.array([it.frequency for it in found.bins])
    limits = np.array([it.interval for it in found.bins])
    axes.vlines(at, limits[:, 0], limits[:, 1], color=FAINT, linewidth=2.5)
    axes.plot(at, came, color=GUNSHOT, linewidth=1.4, marker="o", markersize=4.5, clip_on=False)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    what = "Probability" if found.is_calibrated else "Score"
    label_axes(axes, f"{what} told", "Clips that are gunshots")
    return inline_svg(drawing, name, f"Reliability curve of {len(found.bins)} bins, with 95% ranges")


def reliability_section(figures: Mapping[str, ReportedFigures]) -> Section:
    """Write how well probabilities come true.

    Parameters
    ----------
    figures : mapping of str to ReportedFigures
        By split, in the order to show.

    Returns
    -------
    Section
        A drawing a split.
    """
    return Section(
        id="reliability",
        name="Do probabilities come true?",
        blocks=[_block(split, of.reliability, of.metrics.n) for split, of in figures.items()],
    )


def _block(split: str, found: Reliability, n: int) -> Block:
    what = "calibrated probability" if found.is_calibrated else "score"
    said = (
        f"On {count(n)} {split} clips the {what} is off by {figure(found.ece)} on average (expected calibration "
        f"error); the Brier score is {figure(found.brier)}, of which 0 is best."
    )
    if not found.is_calibrated:
        said += " The bundle has no calibration: its score is no probability."
    return Block(
        heading=f"{split[0].upper()}{split[1:]} clips",
        sentences=[said],
        svg=reliability_svg(found, name=f"reliability-{split}"),
        note="On the dotted line, of 100 clips told 80%, 80 are gunshots. Bars are exact 95% ranges. All of it is for "
        "the mix of classes in these clips: where shots are rarer, the same probabilities say too much.",
    )
