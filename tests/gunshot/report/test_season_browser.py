"""The report of a season in a real browser: from the disk, without a network, on a phone and a desk, by eye and ear."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gunshot.report.season import SeasonSummary, write_season
from tests.browser import chromium, heard, offline_pages, serious
from tests.review.conftest import make_results

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SeasonSummary]:
    folder = tmp_path_factory.mktemp("season")
    path = folder / "season.html"
    return path, write_season(make_results(folder, 3, 25), str(path))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def test_sixty_examples_fit_into_a_mail_and_each_is_seen_and_heard(
    browser: Any, season: tuple[Path, SeasonSummary]
) -> None:
    path, summary = season
    assert summary.n_examples == 60
    assert summary.size_bytes == path.stat().st_size < 15_000_000
    with offline_pages(browser) as open_page:
        page = open_page(path)
        assert page.locator("audio").count() == 60
        for number in (0, 59):
            assert 1.0 < heard(page, number) < 4.1
        page.evaluate("() => document.querySelectorAll('img').forEach((each) => { each.loading = 'eager'; })")
        widths = "() => [...document.images].map((each) => each.complete && each.naturalWidth)"
        page.wait_for_function(f"() => ({widths})().every((width) => width > 0)")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_nobody_is_shut_out(browser: Any, season: tuple[Path, SeasonSummary], width: int, scheme: str) -> None:
    with offline_pages(browser) as open_page:
        page = open_page(season[0], viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True)
        assert serious(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
