"""The picture of the last nights: as tall as what it shows, and the nights that it says."""

from __future__ import annotations

import base64
from datetime import date, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from gunshot.report.nights_plot import nights_image


def night(day: str, shots: int, hours: float, site: str = "hill") -> dict[str, Any]:
    return {"site": site, "night": day, "shots": shots, "hours listened": hours}


def drawn(nights: list[dict[str, Any]]) -> tuple[list[dict[str, str]], list[str]]:
    """Bars from left to right within their row, and what is written."""
    head, _, content = nights_image(nights).partition(",")
    assert head == "data:image/svg+xml;base64"
    svg = ElementTree.fromstring(base64.b64decode(content))
    return [bar.attrib for bar in svg.findall("{*}rect")], [text.text or "" for text in svg.findall("{*}text")]


def test_bars_are_as_tall_as_what_they_show_and_a_night_that_is_not_known_is_a_gap() -> None:
    bars, texts = drawn([night("2026-11-20", 4, 2.0), night("2026-11-22", 1, 8.0), night("2026-11-22", 1, 0.0, "mill")])
    shots, hours = bars[:2], bars[2:]
    assert [float(bar["height"]) for bar in shots] == [70.0, 35.0]
    assert [float(bar["height"]) for bar in hours] == [17.5, 70.0]
    assert float(shots[1]["x"]) - float(shots[0]["x"]) == pytest.approx(2 * 640 / 7, abs=0.2)
    assert {"shots", "hours listened", "4", "8", "20 Nov 2026", "22 Nov"} == set(texts)


def test_a_night_without_a_shot_is_seen() -> None:
    bars, _ = drawn([night("2026-11-20", 0, 2.0)])
    assert float(bars[0]["height"]) == 1.0


def test_only_the_last_nights_are_drawn() -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(100)]
    bars, texts = drawn([night(day.isoformat(), 1, 1.0) for day in days])
    assert len(bars) == 2 * 60
    assert f"{days[-60]:%d %b %Y}" in texts
    assert max(float(bar["x"]) + float(bar["width"]) for bar in bars) <= 700


def test_without_a_night_there_is_no_picture() -> None:
    assert nights_image([night("", 3, 1.0)]) == nights_image([]) == ""
