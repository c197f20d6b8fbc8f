"""Chromium for tests, on a machine without a network: Debian's, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.packages import install

LIMIT_MS = 300_000
"""A loaded machine takes seconds for each key."""

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of Playwright's; Chromium is installed when it is not there."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    if not any(map(shutil.which, names)):
        install({"chromium": "chromium"})
    found = next(filter(None, map(shutil.which, names)))
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS), timeout=LIMIT_MS)
        yield browser
        browser.close()


@contextmanager
def offline_pages(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens files from the disk without a network; whatever a page asks for, and each error of its own, fails."""
    contexts, strange = [], []

    def open_page(path: Path, **options: Any) -> Any:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 860}, "offline": True} | options))
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(LIMIT_MS)
        tab.on("request", lambda request: request.url.startswith(("data:", path.as_uri())) or strange.append(request))
        tab.on("pageerror", lambda error: strange.append(str(error)))
        tab.on("console", lambda message: message.type == "error" and strange.append(message.text))
        tab.goto(path.as_uri(), timeout=LIMIT_MS)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert strange == []


def serious(page: Any) -> list[tuple[str, str]]:
    """What axe finds that shuts people out: its rule and the first element."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    found = axe.Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"][:300]) for each in found if each["impact"] in {"serious", "critical"}]


def heard(page: Any, number: int) -> float:
    """Play a sound of the page to its end, by its element's number; the place where it ended [s]."""
    script = """async (number) => {
        const audio = document.querySelectorAll("audio")[number];
        const ended = new Promise((done) => audio.addEventListener("ended", done));
        await audio.play();
        await ended;
        return audio.currentTime;
    }"""
    return float(page.evaluate(script, number))
