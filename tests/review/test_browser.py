"""The review page in a real browser: keys, sound, decisions that outlive the server; nothing leaves the machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gunshot.review.decision_log import read_decisions
from gunshot.review.decisions import latest
from tests.browser import LIMIT_MS, chromium
from tests.review.conftest import make_results

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@contextmanager
def reviewing(results: str, who: str = "Anna") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`gunshot review` as a user starts it; its address, and its process to kill."""
    code = "import sys; from flows.cli import main; sys.argv = sys.argv[1:]; main()"
    words = ["gunshot", "review", results, "--who", who, "--port", "0", "--no-browser"]
    command = [sys.executable, "-u", "-c", code, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            line = next(line for line in server.stdout if line.startswith("review: "))
            yield line.split()[1], server
        finally:
            server.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page; whatever it asks for elsewhere, and each error of its own, fails the test."""
    contexts, strange = [], []

    def open_page(url: str, **options: Any) -> Any:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 860}} | options))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(LIMIT_MS)
        page.on("request", lambda request: request.url.startswith(url) or strange.append(request.url))
        page.on("pageerror", lambda error: strange.append(str(error)))
        page.goto(url, timeout=LIMIT_MS)
        until(page, "() => document.getElementById('image').naturalWidth > 0")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert strange == []


def until(page: Any, condition: str) -> None:
    """Wait for a condition; the page forbids Playwright's own way, which compiles text."""
    end = time.monotonic() + LIMIT_MS / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"{condition} did not become true: {page.inner_text('#said')}"
        page.wait_for_timeout(50)


def pressed(page: Any, key: str) -> None:
    """Press a key that decides or undoes, and wait until the server has answered."""
    with page.expect_response(lambda answer: "/api/decide" in answer.url or "/api/undo" in answer.url) as waiting:
        page.keyboard.press(key)
    assert waiting.value.ok
    until(page, "() => document.body.dataset.busy !== '1'")


def test_keys_decide_undo_zoom_and_play(tmp_path: Path, opened: Callable[..., Any]) -> None:
    results = make_results(tmp_path)
    with reviewing(results) as (url, _):
        page = opened(url)
        first = page.inner_text("#facts")
        page.keyboard.press("m")
        page.keyboard.type("1 2 3 by the river <b>")  # digits in a note decide nothing
        page.keyboard.press("Enter")
        page.select_option("#class", "rifle")
        page.evaluate("() => document.activeElement.blur()")
        pressed(page, "1")
        until(page, f"() => document.getElementById('facts').textContent !== {first!r}")
        ((decision,),) = [list(people.values()) for people in latest(read_decisions(results)).values()]
        assert (decision.label, decision.kind, decision.note) == ("gunshot", "rifle", "1 2 3 by the river <b>")
        pressed(page, "z")
        until(page, f"() => document.getElementById('facts').textContent === {first!r}")
        assert latest(read_decisions(results)) == {}
        assert page.input_value("#note") == ""
        page.keyboard.press("Space")
        until(page, "() => document.getElementById('audio').currentTime > 0.1")
        assert page.evaluate("() => document.getElementById('audio').duration") == pytest.approx(4.45, abs=0.1)
        page.keyboard.press("Space")
        before = page.get_attribute("#image", "src")
        page.keyboard.press("-")
        until(page, f"() => document.getElementById('image').getAttribute('src') !== {before!r}")
        until(
            page, "() => document.getElementById('image').complete && document.getElementById('image').naturalWidth > 0"
        )
        page.select_option("#site", "site 1")
        until(page, "() => document.getElementById('facts').textContent.includes('site 1')")
        page.click("#unsure")
        until(page, "() => document.getElementById('progress').textContent.startsWith('1 of 10')")
        page.keyboard.press("Space")  # the button that was clicked is not pressed once more
        until(page, "() => !document.getElementById('audio').paused")
        assert len(read_decisions(results)) == 3


def test_300_decisions_are_there_after_the_server_is_killed(tmp_path: Path, opened: Callable[..., Any]) -> None:
    results = make_results(tmp_path, 10, 32)
    with reviewing(results) as (url, server):
        page = opened(url)
        for number in range(30):
            pressed(page, "123"[number % 3])
        version = httpx.get(f"{url}api/start", timeout=300).json()["version"]
        with httpx.Client(base_url=url, headers={"X-Gunshot": "1"}, timeout=300) as client:  # as the page asks, faster
            for number in range(30, 300):
                place = client.get("/api/next", params={"after": -1}).json()["place"]
                row = client.get("/api/queue", params={"offset": place, "limit": 1}).json()["rows"][0]
                label = ("gunshot", "not", "unsure")[number % 3]
                asked = {"version": version, "number": row["number"], "label": label}
                assert client.post("/api/decide", json=asked).status_code == 200
        server.send_signal(signal.SIGKILL)
        server.wait()
    kept = latest(read_decisions(results))
    assert len(kept) == 300
    labels = [each["Anna"].label for each in kept.values()]
    assert {label: labels.count(label) for label in set(labels)} == {"gunshot": 100, "not": 100, "unsure": 100}
    with reviewing(results) as (url, _):
        assert opened(url).inner_text("#progress").startswith("300 of 320 decided")
        found = httpx.get(f"{url}api/next?order=likeliest&after=-1", timeout=300).json()
        assert found["place"] is not None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nobody_is_shut_out(tmp_path: Path, opened: Callable[..., Any], width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    results = make_results(tmp_path, 3, 4)
    with reviewing(results) as (url, _):
        page = opened(url, viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True)
        pressed(page, "1")
        found = axe.Axe().run(page).response["violations"]
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        page.keyboard.press("?")
        found += axe.Axe().run(page, context="#keys").response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in {"serious", "critical"}] == []


def test_the_next_pictures_are_made_ahead_and_neighbours_are_a_key_away(
    tmp_path: Path, opened: Callable[..., Any]
) -> None:
    results = make_results(tmp_path)
    with reviewing(results) as (url, _):
        page = opened(url)
        asked = "performance.getEntriesByType('resource').map((each) => new URL(each.name).pathname)"
        until(page, f"() => new Set({asked}.filter((path) => path.startsWith('/picture/'))).size >= 5")
        known = set(page.evaluate(f"() => {asked}"))
        rows = httpx.get(f"{url}api/queue?order=likeliest&limit=5", timeout=300).json()["rows"]
        assert {f"/picture/{row['number']}" for row in rows} <= known
        pressed(page, "2")
        until(page, "() => document.getElementById('image').complete")
        assert f"/picture/{rows[1]['number']}" in page.get_attribute("#image", "src")
        name, before = page.inner_text("#name"), page.inner_text("#facts")
        key, back = ("]", "[") if page.is_enabled("#after") else ("[", "]")
        page.keyboard.press(key)
        until(page, f"() => document.getElementById('facts').textContent !== {before!r}")
        assert page.inner_text("#name") == name
        page.keyboard.press(back)
        until(page, f"() => document.getElementById('facts').textContent === {before!r}")
        page.select_option("#night", "2026-11-23")
        until(page, "() => document.getElementById('progress').textContent.includes(' of 10 decided')")


FRAMES = """async () => {
    const list = document.getElementById("list"), times = [];
    let last = await new Promise(requestAnimationFrame);
    for (let step = 1; step <= 120; step += 1) {
        list.scrollTop = (list.scrollHeight - list.clientHeight) * step / 120;
        const now = await new Promise(requestAnimationFrame);
        times.push(now - last);
        last = now;
    }
    return times;
}"""


def test_10000_detections_scroll_smoothly_to_the_end(tmp_path: Path, opened: Callable[..., Any]) -> None:
    results = make_results(tmp_path, 5, 2000)
    with reviewing(results) as (url, _):
        page = opened(url)
        assert page.get_attribute("#list .row", "aria-setsize") == "10000"
        frames_ms = sorted(page.evaluate(FRAMES))
        assert (
            frames_ms[len(frames_ms) // 2] < 34
        )  # every second frame of a screen of 60, on a machine that others load
        until(page, "() => document.getElementById('row-9999')?.textContent.includes('.wav')")
        assert page.evaluate("() => document.querySelectorAll('.row').length") < 60
