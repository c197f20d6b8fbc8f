"""A picture of the last nights that stands alone: what was heard, and how long was listened.

Conventions
-----------
It is shown where no style sheet of a page reaches it, as an image, on light and on dark: colours are its own, of middle
brightness, and the background is transparent. Sites are added up. A night of which nothing is known is a gap in both
rows: "no shots" is not "not listening".
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from markupsafe import Markup

from gunshot.report.season_plots import last_nights

__all__ = ["nights_image"]

_MOST_NIGHTS = 60
_ROWS = (("shots", "#d9662b"), ("hours listened", "#4a90c9"))
_INK = "#808080"
_LEFT, _WIDTH, _TALL, _GAP = 60, 640, 70, 34


def nights_image(nights: Sequence[dict[str, Any]]) -> str:
    """Draw shots and hours listened by night.

    Parameters
    ----------
    nights : sequence of dict
        `gunshot.scoring.nights.nights_table`.

    Returns
    -------
    str
        A ``data:`` address of an SVG image, for Markdown or ``<img>``; empty where no night is known. The last 60
        nights are drawn.
    """
    known = [row for row in nights if row["night"]]
    if not known:
        return ""
    first, last = last_nights(known, _MOST_NIGHTS)
    n_days = (last - first).days + 1
    parts = []
    for number, (column, colour) in enumerate(_ROWS):
        values: Counter[int] = Counter()
        for row in known:
            values[(date.fromisoformat(row["night"]) - first).days] += row[column]
        shown = {day: value for day, value in values.items() if day >= 0}
        parts += _bars(shown, n_days, column, colour, top=20 + number * (_TALL + _GAP))
    height = 20 + len(_ROWS) * (_TALL + _GAP)
    parts += [_text(_LEFT, height - 4, f"{first:%d %b %Y}"), _text(_LEFT + _WIDTH, height - 4, f"{last:%d %b}", "end")]
    svg = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}" '
        'font-family="sans-serif" font-size="12">{2}</svg>'
    ).format(_LEFT + _WIDTH + 10, height, Markup("").join(parts))
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _text(x: float, y: float, text: str, anchor: str = "start") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" fill="{}">{}</text>').format(x, y, anchor, _INK, text)


def _bars(values: Mapping[int, float], n_days: int, name: str, colour: str, top: float) -> list[Markup]:
    """One row: a bar a night, the greatest as tall as the row."""
    most = max([*values.values(), 0])
    step = _WIDTH / max(n_days, 7)
    bar = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>')
    parts = [_text(_LEFT, top - 6, name), _text(_LEFT - 6, top + 10, f"{most:,.4g}", "end")]
    for day, value in sorted(values.items()):
        tall = max(1.0, _TALL * value / most) if most else 1.0  # one that was listened to is seen, without a shot too
        parts.append(bar.format(_LEFT + day * step, top + _TALL - tall, step * 0.8, tall, colour))
    base = Markup('<line x1="{}" x2="{}" y1="{}" y2="{}" stroke="{}"/>')
    return [*parts, base.format(_LEFT, _LEFT + _WIDTH, top + _TALL, top + _TALL, _INK)]
