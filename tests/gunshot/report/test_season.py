"""The report of a season: counts that agree, sounds that play, nothing that runs or leaves the page."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import soundfile as sf

from gunshot.export.selection import Filters
from gunshot.report import season
from gunshot.report.season import season_page, write_season
from gunshot.report.season_plots import calendar_svg, hours_svg, map_svg
from gunshot.review.queue import load_queue
from gunshot.review.session import ReviewSession
from tests.review.conftest import make_results


@pytest.fixture
def results(tmp_path: Path) -> str:
    return make_results(tmp_path, 3, 4)


def sounds(page: str) -> list[bytes]:
    return [base64.b64decode(text) for text in re.findall(r"data:audio/flac;base64,([^\"]+)", page)]


def test_the_page_tells_what_was_heard_and_its_sounds_are_the_detections(results: str, tmp_path: Path) -> None:
    summary = write_season(results, str(tmp_path / "report.html"), n_examples=5, title="<script>1</script>")
    page = (tmp_path / "report.html").read_text()
    assert (summary.n_detections, summary.n_examples, summary.size_bytes) == (12, 5, len(page.encode()))
    assert len(sounds(page)) == page.count("data:image/png") == 5
    for content in sounds(page):
        y, sr = sf.read(io.BytesIO(content))
        assert sr == 16_000
        assert 1 < y.size / sr < 4
        assert abs(y).max() > 0.5
    assert "<script" not in page
    assert html.escape("<script>1</script>") in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    for what in ("Nights", "Hours of the day", "Map", "Incidents", "Listening"):
        assert f"<h2>{what}</h2>" in page


def test_what_people_call_no_gunshot_is_left_out_and_the_rest_is_trusted_as_they_say(results: str) -> None:
    queue = load_queue(results)
    anna = ReviewSession(results, queue, "Anna")
    for number in range(12):
        anna.decide(number, "not" if number < 3 else "gunshot")
    page, summary = season_page(results, n_examples=0)
    assert (summary.n_left_out, summary.n_detections) == (3, 9)
    assert "Of 12 detections that people listened to, 9 are gunshots." in page
    assert "3 detections that people call no gunshot are left out" in page


def test_a_page_stays_small_enough_to_mail(results: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(season, "MOST_BYTES", 400_000)
    page, summary = season_page(results)
    assert 0 < summary.n_examples < 12
    assert len(page) < 400_000 + 60_000


def test_a_period_is_part_of_the_season(results: str) -> None:
    first, last = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, 12, tzinfo=UTC)
    counts = [
        season_page(results, filters=filters, n_examples=0)[1].n_detections
        for filters in (Filters(), Filters(since=first, until=last), Filters(since=last))
    ]
    assert counts[0] == counts[1] + counts[2]
    assert min(counts) > 0


def test_recordings_that_are_gone_leave_the_incidents_in_the_table(results: str, tmp_path: Path) -> None:
    (tmp_path / "archive").rename(tmp_path / "moved")
    page, summary = season_page(results)
    assert (summary.n_examples, summary.n_without_sound) == (0, summary.n_incidents)
    assert "<h2>Incidents</h2>" in page
    assert season_page(results, archive=str(tmp_path / "moved"))[1].n_examples == summary.n_incidents


@pytest.mark.parametrize("draw", [lambda: calendar_svg([]), lambda: hours_svg([0] * 24), lambda: map_svg([])])
def test_nothing_is_no_picture(draw: Callable[[], str]) -> None:
    assert draw() == ""


def test_dates_of_the_calendar_do_not_run_into_each_other() -> None:
    for n_days in (2, 9, 40, 200):
        first = date(2026, 11, 22)
        nights = [
            {"site": "a", "night": str(first + timedelta(days=k)), "shots": 1, "hours listened": 1.0}
            for k in range(n_days)
        ]
        labels = re.findall(r'<text x="([\d.]+)" [^>]*text-anchor="start">([^<]*)<', calendar_svg(nights))
        assert labels[0][1] == "22 Nov 2026"
        for (x, text), (after, _) in pairwise(labels):
            assert float(x) + 6.5 * len(text) < float(after)


def test_names_are_text_in_pictures() -> None:
    assert "<b>" not in map_svg([(1.0, 2.0, "<b>", 3)])
    night = {"site": "<b>", "night": "2026-11-22", "shots": 1, "hours listened": 1.0}
    assert "<b>" not in calendar_svg([night])
