"""The report in a real browser: the threshold is moved by mouse and keys, and the page is whole without its script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gunshot.evaluation.metrics import classification_metrics
from gunshot.report import ReportContent
from gunshot.report.slider import Slider, threshold_slider, threshold_sliders
from gunshot.report.words import class_key_figures
from tests.browser import LIMIT_MS, chromium, heard, offline_pages, serious

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

NUMBERS = range(4)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def opened(browser: Any, page: str, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    with offline_pages(browser) as open_page:
        yield lambda **options: open_page(path, **options)


@pytest.fixture
def slider(content: ReportContent) -> Slider:
    found = threshold_slider(content.key_model)
    assert found is not None
    return found


def shown(page: Any) -> tuple[list[int], list[str]]:
    counts = [int(page.inner_text(f"#threshold-count-{number}").replace(",", "")) for number in NUMBERS]
    return counts, [page.inner_text(f"#threshold-figure-{row}-0") for row in range(2)]


def expected(content: ReportContent, threshold: float, of: Slider | None = None) -> tuple[list[int], list[str]]:
    """Counted anew from the rows, not read from the slider."""
    split = content.key_model.main_split if content.key_model else None
    if of is not None:
        splits = {(model.name, split.split): split for model in content.models for split in model.splits}
        split = splits[of.model, of.split]
    assert split is not None
    assert split.rows is not None
    m = classification_metrics(*split.rows, threshold)
    counts = [m.true_positives, m.false_negatives, m.false_positives, m.true_negatives]
    return counts, [it.sentence for it in class_key_figures(m, split.split)]


def test_keys_and_mouse_move_the_threshold_and_the_figures_follow(
    opened: Callable[..., Any], content: ReportContent, slider: Slider
) -> None:
    page = opened()
    own = slider.own.metrics.threshold
    assert shown(page) == expected(content, own)
    page.get_by_label("Move the threshold").focus()
    for key, index in (("ArrowRight", slider.chosen + 1), ("Home", 0), ("End", len(slider.places) - 1)):
        page.keyboard.press(key)
        place = slider.places[index]
        assert shown(page) == expected(content, place.metrics.threshold)
        assert page.inner_text("#threshold-value") == place.threshold
        assert page.get_attribute("#threshold-slider", "aria-valuetext") == place.threshold
        assert page.inner_text("#threshold-own") == ""
    box = page.locator("#threshold-slider").bounding_box()
    # not by the page's coordinates: they move while it scrolls to what has the focus
    page.locator("#threshold-slider").click(position={"x": box["width"] * 0.25, "y": box["height"] / 2})
    index = int(page.input_value("#threshold-slider"))
    assert 0 < index < len(slider.places) - 1
    assert shown(page) == expected(content, slider.places[index].metrics.threshold)
    page.get_by_role("button", name="Back to").click()
    assert shown(page) == expected(content, own)
    assert "own" in page.inner_text("#threshold-own")


def test_every_model_and_split_has_its_own_and_a_models_threshold_is_kept(
    opened: Callable[..., Any], content: ReportContent
) -> None:
    page = opened()
    sliders = threshold_sliders(content)
    options = page.locator("#threshold-which option").all_inner_texts()
    assert options == [f"{sliders[0].name} (key figures)", *(of.name for of in sliders[1:])]
    assert len(options) == sum(len(model.splits) for model in content.models)
    for index, of in reversed(list(enumerate(sliders))):
        page.get_by_label("Model and clips").select_option(str(index))
        assert shown(page) == expected(content, of.own.metrics.threshold, of)
        told = [page.inner_text(f"#threshold-{name}") for name in ("model", "split", "caption", "note")]
        assert told == [of.model, of.split, of.name, of.note]
        assert "own" in page.inner_text("#threshold-own")
        page.focus("#threshold-slider")
        page.keyboard.press("End")
        assert shown(page) == expected(content, of.places[-1].metrics.threshold, of)
        page.get_by_role("button", name=f"Back to {of.own.threshold}").click()
        assert shown(page) == expected(content, of.own.metrics.threshold, of)
    first, second = sliders[:2]
    assert first.model == second.model
    page.focus("#threshold-slider")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    moved_to = float(page.inner_text("#threshold-value"))
    page.get_by_label("Model and clips").select_option("1")
    place = second.places[int(page.input_value("#threshold-slider"))]
    assert abs(float(place.threshold) - moved_to) == min(abs(float(it.threshold) - moved_to) for it in second.places)
    assert shown(page) == expected(content, place.metrics.threshold, second)
    page.get_by_label("Model and clips").select_option("2")  # another model, at its own
    assert shown(page) == expected(content, sliders[2].own.metrics.threshold, sliders[2])


def test_what_changed_is_said_once_the_slider_rests(opened: Callable[..., Any], slider: Slider) -> None:
    page = opened()
    said = page.get_by_role("status")
    assert said.inner_text() == ""
    page.focus("#threshold-slider")
    page.keyboard.press("Home")
    page.wait_for_timeout(1000)
    assert said.inner_text().startswith(slider.places[0].figures[0].sentence)


def test_without_scripts_it_shows_the_models_own_threshold(
    opened: Callable[..., Any], content: ReportContent, slider: Slider
) -> None:
    page = opened(java_script_enabled=False)
    assert not page.is_visible("#threshold-slider")
    assert not page.is_visible("#threshold-back")
    assert not page.is_visible("#threshold-which")
    assert shown(page) == expected(content, slider.own.metrics.threshold)


def test_on_paper_there_is_nothing_to_move_and_the_threshold_is_told(
    opened: Callable[..., Any], content: ReportContent, slider: Slider
) -> None:
    page = opened()
    page.get_by_label("Model and clips").select_option("1")
    other = threshold_sliders(content)[1]
    page.focus("#threshold-slider")
    page.keyboard.press("Home")
    page.emulate_media(media="print")
    assert not page.is_visible("#threshold-slider")
    assert not page.is_visible("#threshold-which")
    assert page.inner_text("#threshold-value") == other.places[0].threshold
    assert page.inner_text("#threshold-caption") == other.name != slider.name
    assert shown(page) == expected(content, other.places[0].metrics.threshold, other)


def test_every_sound_plays_to_its_end(opened: Callable[..., Any], content: ReportContent) -> None:
    page = opened()
    n_sounds = 2 + len(content.misses) + len(content.false_alarms)
    assert page.locator("audio").count() == n_sounds
    for number in (0, 1, 2, n_sounds - 1):
        assert heard(page, number) == pytest.approx(0.7, abs=0.05)
    page.locator(".example audio").first.scroll_into_view_if_needed()
    page.locator(".example audio").first.focus()
    page.keyboard.press("Space")  # the player takes the keys that it always takes
    page.wait_for_function("() => document.querySelector('.example audio').currentTime > 0")


def test_no_other_script_runs(browser: Any, content: ReportContent, page: str, tmp_path: Path) -> None:
    """If something were ever to slip through the escaping, the policy would still stop it."""
    evil = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"
    path = tmp_path / "evil.html"
    path.write_text(page.replace("<main>", f"<main>{evil}", 1), encoding="utf-8")
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(path.as_uri(), timeout=LIMIT_MS)
    tab.wait_for_timeout(500)
    assert tab.title() == content.title
    assert tab.is_visible("#threshold-slider")  # its own does
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nobody_is_shut_out(opened: Callable[..., Any], width: int, scheme: str) -> None:
    page = opened(viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True)
    page.focus("#threshold-slider")
    page.keyboard.press("ArrowLeft")
    page.evaluate("() => document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found = serious(page)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert found == []
