"""Pictures of a season as SVG in the page's colours: a calendar of nights by site, hours of the day, a map.

Conventions
-----------
Text is escaped; colours are CSS variables of the page. Shades are the root of the number of shots, so that a few are
seen beside many. A night without sound is left blank: "no shots" is not "not listening".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from math import cos, radians, sqrt
from typing import Any

from markupsafe import Markup

__all__ = ["calendar_svg", "hours_svg", "last_nights", "map_svg"]

_CELL, _LEFT, _TOP = 16, 110, 34
_LETTER = 7  # no wider
_MOST_NIGHTS, _MOST_SITES = 400, 60
_NO_PICTURE = Markup("")


def _svg(width: float, height: float, description: str, parts: Sequence[Markup]) -> Markup:
    # no smaller than its letters can be read at; what is wider than the page scrolls
    style = f"max-width: {round(width * 1.2)}px; min-width: {round(width * 0.9)}px"
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}" style="{}">{}</svg>').format(
        round(width), round(height), description, style, Markup("").join(parts)
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def last_nights(known: Sequence[dict[str, Any]], most: int) -> tuple[date, date]:
    """Tell which nights a picture has room for.

    Parameters
    ----------
    known : sequence of dict
        Rows of `gunshot.scoring.nights.nights_table` that have a night; at least one.
    most : int
        Nights at most.

    Returns
    -------
    first, last : date
        Both shown.
    """
    held = [date.fromisoformat(row["night"]) for row in known]
    return max(min(held), max(held) - timedelta(days=most - 1)), max(held)


def calendar_svg(nights: Sequence[dict[str, Any]]) -> Markup:
    """Draw shots by site and night.

    Parameters
    ----------
    nights : sequence of dict
        `gunshot.scoring.nights.nights_table`.

    Returns
    -------
    Markup
        An ``<svg>``; empty where no night is known. The last 400 nights and the first 60 sites are drawn.
    """
    known = [row for row in nights if row["night"]]
    if not known:
        return _NO_PICTURE
    first, last = last_nights(known, _MOST_NIGHTS)
    sites = sorted({row["site"] for row in known})[:_MOST_SITES]
    most = max(1, *(row["shots"] for row in known))
    n_days = (last - first).days + 1
    # rows of six weeks would break a season apart: one line a site, wide as the season is, and the page scrolls it
    parts = [
        _text(_LEFT - 8, _TOP + _CELL * (k + 0.8), site or "site not known", "end") for k, site in enumerate(sites)
    ]
    for row in known:
        day = date.fromisoformat(row["night"])
        if day < first or row["site"] not in sites or not (row["shots"] or row["hours listened"]):
            continue
        x, y = _LEFT + (day - first).days * _CELL, _TOP + sites.index(row["site"]) * _CELL
        share = sqrt(row["shots"] / most)
        what = f"{row['site']} {row['night']}: {row['shots']} shots in {row['hours listened']} h"
        parts.append(_night(x, y, row["shots"], share, what))
    free_from = 0
    for offset in range(n_days):
        day, x = first + timedelta(days=offset), _LEFT + offset * _CELL
        if x >= free_from and (offset == 0 or day.day == 1 or (n_days < 45 and day.weekday() == 0)):
            name = f"{day:%d %b}" + (f" {day.year}" if offset == 0 else "")
            parts.append(_text(x, _TOP - 8, name))
            free_from = x + _LETTER * (len(name) + 1)
    width = _LEFT + max(n_days * _CELL, 90) + 10
    return _svg(width, _TOP + len(sites) * _CELL + 6, "Shots by site and night", parts)


def _night(x: int, y: int, shots: int, share: float, what: str) -> Markup:
    """One square of the calendar."""
    square = Markup('<rect x="{}" y="{}" width="{}" height="{}" rx="2" class="{}" fill-opacity="{:.2f}">{}</rect>')
    kind, shade = ("shots", 0.25 + 0.75 * share) if shots else ("quiet", 1.0)
    size = _CELL - 2
    return square.format(x + 1, y + 1, size, size, kind, shade, Markup("<title>{}</title>").format(what))


def hours_svg(counts: Sequence[int]) -> Markup:
    """Draw shots by hour of the day.

    Parameters
    ----------
    counts : sequence of int
        24 of them, from midnight of solar time on.

    Returns
    -------
    Markup
        An ``<svg>`` from noon to noon; empty where there is no shot.
    """
    if not any(counts):
        return _NO_PICTURE
    most, height, width = max(counts), 120, 24
    parts = []
    for place in range(24):
        hour = (place + 12) % 24
        tall = height * counts[hour] / most
        parts.append(
            Markup('<rect x="{}" y="{:.1f}" width="{}" height="{:.1f}" class="shots"><title>{}</title></rect>').format(
                30 + place * width + 2, 20 + height - tall, width - 4, tall, f"{hour:02d}:00: {counts[hour]} shots"
            )
        )
        if hour % 3 == 0:
            parts.append(_text(30 + place * width, height + 38, f"{hour:02d}"))
    parts.append(_text(26, 28, str(most), "end"))
    parts.append(Markup('<line x1="30" x2="{}" y1="{}" y2="{}"/>').format(30 + 24 * width, 20 + height, 20 + height))
    return _svg(30 + 24 * width + 10, height + 46, "Shots by hour of the day, local solar time, noon to noon", parts)


def map_svg(places: Sequence[tuple[float, float, str, int]]) -> Markup:
    """Draw where recorders stood.

    Parameters
    ----------
    places : sequence of (float, float, str, int)
        Latitude and longitude [degrees], name, and shots heard there.

    Returns
    -------
    Markup
        An ``<svg>`` with north up and a scale; empty where there are no places.
    """
    if not places:
        return _NO_PICTURE
    middle = sum(place[0] for place in places) / len(places)
    km = [(111.2 * cos(radians(middle)) * place[1], 111.2 * place[0]) for place in places]
    left, right = min(x for x, _ in km), max(x for x, _ in km)
    low, high = min(y for _, y in km), max(y for _, y in km)
    scale = min(480 / max(right - left, 0.5), 320 / max(high - low, 0.5))
    most = max(1, *(place[3] for place in places))
    parts = []
    for (x, y), (_, _, name, shots) in sorted(zip(km, places, strict=True), key=lambda each: -each[1][3]):
        at_x, at_y = 60 + (x - left) * scale, 40 + (high - y) * scale
        radius = 4 + 18 * sqrt(shots / most) if shots else 4
        parts.append(
            Markup(
                '<circle cx="{:.1f}" cy="{:.1f}" r="{:.1f}" class="{}" fill-opacity=".6"><title>{}</title></circle>'
            ).format(at_x, at_y, radius, "shots" if shots else "quiet", f"{name}: {shots} shots")
        )
        parts.append(_text(at_x + radius + 3, at_y + 4, name))
    bar_km = min((10.0**k * f for k in range(-1, 5) for f in (1, 2, 5)), key=lambda each: abs(each * scale - 100))
    foot = 70 + (high - low) * scale
    parts.append(Markup('<line x1="60" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(60 + bar_km * scale, foot, foot))
    parts.append(_text(60, foot + 16, f"{bar_km:g} km, north is up"))
    return _svg(
        max((right - left) * scale, 120) + 200, foot + 26, "Map of recorders; a larger disc is more shots", parts
    )
