"""Chromium for tests, on a machine without a network: Debian's, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
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
