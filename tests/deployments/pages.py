"""The pages of the Prefect UI, as a person uses them: forms, runs, artifacts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.browser import LIMIT_MS, chromium
from tests.deployments.running import LONG_S


@contextmanager
def opened(address: str) -> Iterator[PrefectUI]:
    """A browser with the UI at an address; what it asks of any other host is a failure."""
    elsewhere: list[str] = []

    def look(url: str) -> None:
        if urlsplit(url).scheme not in ("blob", "data") and urlsplit(url).netloc != urlsplit(address).netloc:
            elsewhere.append(url)

    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 2400})  # lists draw only what is in view
        context.set_default_timeout(LIMIT_MS)
        context.on("request", lambda request: look(request.url))
        page = context.new_page()
        page.on("websocket", lambda socket: look(socket.url))
        yield PrefectUI(page, address)
        context.close()
    assert elsewhere == []


class PrefectUI:
    """What a person does with the mouse and the keyboard.

    Labels are not tied to the fields that they stand over, so fields are found by the block that both are in.
    """

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address

    def open_form(self, deployment: str) -> None:
        self.page.goto(f"{self.address}/deployments")
        link = self.page.get_by_role("link", name=deployment, exact=True)
        link.and_(self.page.locator(".deployment-list__name")).click()  # a flow may have the same name
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_text("Custom run").click()
        self.page.locator(".schema-form-property__label").first.wait_for()

    def labels(self) -> list[str]:
        """Names of the form's fields, in order."""
        found = self.page.locator(".schema-form-property__label").all_inner_texts()
        return [name.removesuffix(" (Optional)") for name in found]

    def field(self, name: str) -> Any:
        label = self.page.locator(".schema-form-property__label", has_text=re.compile(rf"^{name}( \(Optional\))?$"))
        return self.page.locator(".schema-form-property").filter(has=label)

    def description(self, name: str) -> str:
        return str(self.field(name).locator(".schema-form-property__description").inner_text())

    def write(self, name: str, value: str) -> None:
        self.field(name).locator("textarea, input").fill(value)

    def write_list(self, name: str, values: Sequence[str]) -> None:
        items = self.field(name).locator("textarea")
        while items.count() < len(values):
            held = items.count()
            self.field(name).get_by_role("button", name="Add item").click()
            items.nth(held).wait_for()
        for number, value in enumerate(values):
            items.nth(number).fill(value)

    def switch(self, name: str) -> None:
        self.field(name).get_by_role("switch").click()

    def submit(self) -> str:
        """Begin the run, and open its page."""
        with self.page.expect_response(lambda answer: "create_flow_run" in answer.url) as waiting:
            self.page.get_by_role("button", name="Submit").click()
        run = str(waiting.value.json()["id"])
        self.open_run(run)
        return run

    def open_run(self, run: str) -> None:
        self.page.goto(f"{self.address}/runs/flow-run/{run}")
        self.badge().wait_for()

    def badge(self) -> Any:
        """The state of the run whose page is open; it follows the run by itself."""
        return self.page.locator(".page-heading-flow-run__meta .state-badge")

    def wait_for(self, *states: str) -> str:
        self.badge().get_by_text(re.compile("^(" + "|".join(states) + ")$")).wait_for(timeout=1000 * LONG_S)
        return str(self.badge().inner_text())

    def open_tab(self, name: str) -> None:
        self.badge().wait_for()
        self.page.locator(".p-tab", has_text=re.compile(f"^{name}$")).click()

    def state_message(self) -> str:
        """As the details of the run tell it; a long one is cut until one asks for more."""
        self.open_tab("Details")
        self.page.get_by_text("See More").click()
        return str(self.page.locator(".p-text-truncate").inner_text()).removesuffix("See Less").strip()

    def log(self) -> list[str]:
        """Entries of the run's log: level, what was said, time."""
        self.open_tab("Logs")
        self.page.locator(".log-row").first.wait_for()
        return [str(text) for text in self.page.locator(".log-row").all_inner_texts()]

    def retry(self) -> None:
        self.page.get_by_role("button", name="Retry").click()
        self.page.get_by_text("This will retry flow run").wait_for()  # is this what you want?
        self.page.get_by_role("button", name="Retry").last.click()
        self.badge().get_by_text("Failed", exact=True).wait_for(state="hidden")

    def cancel(self) -> None:
        self.page.get_by_role("button", name="Cancel").click()
        self.page.get_by_role("button", name="Confirm").click()

    def open_artifact(self, name: str) -> str:
        """What an artifact of the run whose page is open says."""
        self.open_tab("Artifacts")
        self.page.locator(".artifact-card__title").get_by_text(name, exact=True).click()
        return self.artifact()

    def artifact(self) -> str:
        view = self.page.locator(".artifact-data-view")
        view.wait_for()
        return str(view.inner_text())

    def picture_width(self, description: str) -> int:
        """Of a picture in the artifact that is open, in its own pixels; 0 if the browser cannot show it."""
        image = self.page.locator(".artifact-data-view").get_by_alt_text(description)
        image.wait_for()
        return int(image.evaluate("image => image.decode().then(() => image.naturalWidth, () => 0)"))
