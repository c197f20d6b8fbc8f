"""A Matplotlib figure as inline SVG that takes its colours from the page.

Conventions: a plot draws with the stand-in colours below, which no plot uses otherwise; here they become
`currentColor` and CSS variables, so one drawing reads in light, in dark and on paper. The background is
transparent, text stays text in the page's font, and images inside (spectrograms) are embedded PNG.

Figures are made with Matplotlib's object-oriented API; pyplot and its global state are not used. Two
settings of the SVG writer can only be given as rcParams, and are set for the time of the writing alone.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = [
    "ALARM",
    "FAINT",
    "GUNSHOT",
    "INK",
    "N_SERIES",
    "OTHER",
    "dash_pattern",
    "inline_svg",
    "label_axes",
    "line_style",
    "plain_figure",
    "series_colour",
]

INK = "#010203"
"""Text, axes and marks: the text colour of the page."""

FAINT = "#010204"
"""Grids and what stands back."""

GUNSHOT = "#010205"
"""The gunshot class."""

OTHER = "#010206"
"""The other class."""

ALARM = "#010207"
"""Thresholds and warnings."""

N_SERIES = 8
"""Colours to tell models apart; from then on they repeat with another dash."""

_DASHES: tuple[tuple[float, ...], ...] = ((), (4.0, 1.5), (1.2, 1.2), (5.0, 1.5, 1.2, 1.5))

_CSS_COLOURS = {
    INK: "currentColor",
    FAINT: "var(--faint)",
    GUNSHOT: "var(--gunshot)",
    OTHER: "var(--other)",
    ALARM: "var(--alarm)",
    **{f"#0103{index:02x}": f"var(--series-{index})" for index in range(N_SERIES)},
}


def series_colour(index: int) -> str:
    """Return the stand-in colour of a series.

    Parameters
    ----------
    index : int
        Number of the series, from 0.

    Returns
    -------
    str
        Colour to draw with; on the page it is the CSS variable ``--series-0`` to ``--series-7``.
    """
    return f"#0103{index % N_SERIES:02x}"


def dash_pattern(index: int) -> tuple[float, ...]:
    """Return the dash pattern of a series, so that series differ without colour too.

    Parameters
    ----------
    index : int
        Number of the series, from 0.

    Returns
    -------
    tuple of float
        Lengths of dash and gap in turn, in line widths; empty for a solid line.
    """
    return _DASHES[index % len(_DASHES)]


def line_style(index: int) -> dict[str, Any]:
    """Return what `Axes.plot` needs to draw a series.

    Parameters
    ----------
    index : int
        Number of the series, from 0.

    Returns
    -------
    dict
        Colour, width and dashes.
    """
    return {"color": series_colour(index), "linewidth": 1.7, "linestyle": (0, dash_pattern(index))}


def plain_figure(width_in: float = 4.1, height_in: float = 3.1) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes in the style of the page: ink, faint grid, no box.

    Parameters
    ----------
    width_in, height_in : float
        Size of the drawing; the page scales it [in].

    Returns
    -------
    figure : matplotlib.figure.Figure
        The figure, to draw with `inline_svg`.
    axes : matplotlib.axes.Axes
        Its axes, without labels.
    """
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelcolor=INK, labelsize=8.5, width=0.6, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
        spine.set_linewidth(0.6)
    return figure, axes


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Name both axes in ink.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Axes to label.
    x, y : str
        Names with units.
    """
    axes.set_xlabel(x, color=INK, fontsize=9)
    axes.set_ylabel(y, color=INK, fontsize=9)


def inline_svg(figure: Figure, name: str, description: str) -> Markup:
    """Return a figure as an SVG element for a page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn with the stand-in colours of this module.
    name : str
        Unique in the page, of letters, digits and hyphens: the ids inside begin with it.
    description : str
        What the figure shows, for those who cannot see it.

    Returns
    -------
    Markup
        An ``<svg>`` element with a `viewBox` and no size of its own, which the page inserts as it is; the
        same figure gives the same text.
    """
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\n\s*", "\n", svg)
    svg = re.sub("#01[0-9a-f]{4}", lambda match: _CSS_COLOURS.get(match[0], match[0]), svg)
    svg = _with_own_ids(svg, name)
    view_box = re.search(r'viewBox="[^"]*"', svg)
    assert view_box is not None, "Matplotlib writes a viewBox"
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view_box[0]} '
        f'role="img" aria-label="{escape(description, quote=True)}">'
    )
    return Markup(opening + svg[svg.index(">") + 1 :])  # noqa: S704  (Matplotlib escapes the text it writes)


def _with_own_ids(svg: str, name: str) -> str:
    """Give ids that are referred to a number under `name`, and drop the others."""
    referred = dict.fromkeys(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    numbered = {old: f"{name}-{number}" for number, old in enumerate(referred)}
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{numbered[m[1]]}"' if m[1] in numbered else "", svg)
    return re.sub(r'(url\(#|href="#)([^)"]+)', lambda match: match[1] + numbered[match[2]], svg)
