"""Who is told of runs that fail, that nobody begins, and whose machine is lost: `gunshot up` and a real webhook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest

from flows.operations.automations import HEARTBEAT_S, PREFIX
from flows.operations.processes import marked
from flows.operations.server import connect
from gunshot.storage import lease
from tests.deployments.running import BIN, LONG_S, Up, free_port, nothing_left, wait, words, write_archive
from tests.deployments.webhook import BLOCK, listening

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * LONG_S)]

SILENT_S = HEARTBEAT_S + 30
"""The automation waits for 540 s; here for less, so that the test does."""

AGAIN_S = 30

Told = Callable[[str], str | None]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with nothing_left(tmp_path_factory.mktemp("told") / "home") as home:
        write_archive(home / "archive", range(1), 2.0)
        up = Up(home, free_port())
        up.wait_ready()
        yield up
        assert up.stop() == 0


@pytest.fixture(scope="module")
def told(up: Up) -> Iterator[Told]:
    """What was told of a run, as one makes it: a block, and its name to `gunshot deploy`."""
    environment = os.environ | {"PREFECT_API_URL": up.api}
    make = "import sys; from tests.deployments.webhook import save_block; save_block(sys.argv[1])"
    deploy = [str(BIN / "gunshot"), "deploy", "--folder", str(up.home), "--workers", "1", "--notify", BLOCK]
    with listening() as (url, got):
        for command in ([sys.executable, "-c", make, url], deploy):
            subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], check=True, timeout=LONG_S)

        def about(run: str) -> str | None:
            texts = [str(json.loads(body)["text"]) for body in got]
            return next((text for text in texts if run in text), None)  # the address of its page is in it

        yield about


def until_told(told: Told, begin: Callable[[], str]) -> str:
    """What is told of a run; another one is begun now and then, as the server takes a moment to learn whom to tell."""
    runs: list[str] = []
    ends = monotonic() + LONG_S
    while monotonic() < ends:
        runs.append(begin())
        for _ in range(AGAIN_S):
            for text in filter(None, map(told, runs)):
                return text
            sleep(1)
    raise AssertionError(f"nothing was told of {runs}")


@contextmanager
def frozen_worker(up: Up) -> Iterator[None]:
    """The worker begins nothing and tells nothing: as if its machine were lost, until the end."""
    (worker,) = [each for each in marked(str(up.home)) if {"worker", "start"} <= set(words(each))]
    worker.suspend()
    try:
        yield
    finally:
        worker.resume()


def test_a_run_that_fails_is_told_with_its_reason(up: Up, told: Told) -> None:
    text = until_told(told, lambda: up.begin("score/score-backfill", inputs=["nowhere"], plan=True))
    assert "failed" in text.splitlines()[0]
    assert "cannot list nowhere: it does not exist; check the address" in text
    assert "Retry does only what is missing" in text


def test_a_run_that_nobody_begins_is_told_and_begun_when_somebody_is_there(up: Up, told: Told) -> None:
    runs: list[str] = []

    def begin() -> str:
        runs.append(up.begin("score/score-backfill", workers=0))
        return runs[-1]

    with frozen_worker(up):
        assert " late " in until_told(told, begin)
        assert up.state(runs[0]) == "Late"
    for run in runs:
        assert up.wait_for(run, "Completed", "Failed", "Crashed") == "Completed"


@pytest.fixture
def impatient(up: Up, told: Told) -> Iterator[None]:
    """The automation that watches for signs of life as it is deployed, but for how long it waits."""
    keys = ("name", "description", "enabled", "tags", "trigger", "actions")
    with connect(up.api) as server:
        found = server.all_of("automations")
        (held,) = [each for each in found if each["name"] == f"{PREFIX}runs without a sign of life"]
        as_deployed = {key: held[key] for key in keys}
        sooner = as_deployed | {"trigger": held["trigger"] | {"within": SILENT_S}}
        server.ask("PUT", f"/automations/{held['id']}", sooner)
        yield
        server.ask("PUT", f"/automations/{held['id']}", as_deployed)


@pytest.mark.usefixtures("impatient")
def test_a_run_whose_machine_is_lost_is_called_crashed_and_told(up: Up, told: Told) -> None:
    with lease(str(up.home / "results")):  # for which it waits
        run = up.begin("score/score-backfill", plan=False, workers=0)
        up.wait_for(run, "Running")
        sleep(1.5 * SILENT_S)
        assert up.state(run) == "Running", "it gives signs of life"
        with frozen_worker(up):
            assert kill(up, run)
            lost = monotonic()
            assert up.wait_for(run, "Crashed", "Completed", "Failed") == "Crashed"
            print(f"\nfrom kill -9 to crashed: {monotonic() - lost:.0f} s, of {SILENT_S} s without a sign of life")
            message = up.ask(f"/flow_runs/{run}")["state"]["message"]
            assert message.startswith("no sign of life for ")
            wait(lambda: told(run) is not None)
            assert message in str(told(run))


def kill(up: Up, run: str) -> list[int]:
    """End the processes of a run as a loss of power would; which there were."""
    ended = []
    for process in marked(str(up.home)):
        with suppress(psutil.Error):
            if process.environ().get("PREFECT__FLOW_RUN_ID") == run:
                process.kill()
                ended.append(process.pid)
    return ended
