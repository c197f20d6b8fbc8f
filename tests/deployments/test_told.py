"""Who is told of runs that fail, that nobody begins, and whose machine is lost: `gunshot up` and a real webhook."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from flows.operations.automations import HEARTBEAT_S, PREFIX
from flows.operations.processes import marked
from flows.operations.server import connect
from gunshot.scoring.results import read_table
from gunshot.storage import lease
from tests.deployments.running import BIN, ENDED, LONG_S, Up, free_port, nothing_left, wait, words, write_archive
from tests.deployments.webhook import BLOCK, listening
from tests.handbook import command as command_of
from tests.handbook import run_by

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * LONG_S)]

SILENT_S = HEARTBEAT_S + 30
"""The automation waits for 540 s; here for less, so that the test does."""

AGAIN_S = 30

Told = Callable[[str], str | None]


def of_the_page(line: str, up: Up | None, folder: Path) -> str:
    """A command of the pages, with the places of this test for those of a reader."""
    line = line.replace("/data", str(folder / "data")).replace("/var/lib/node_exporter", str(folder))
    line = line.replace("slack-webhook/ops", BLOCK).replace("'backup.db'", f"'{folder}/backup.db'")
    if up is None:
        return line
    port = urlsplit(up.api).port
    line = re.sub(r"http://[\w.]+:4200/api", up.api, line).replace("~/gunshot", str(up.home))
    return line.replace("--port 9410", f"--port {free_port()}").replace(":4200", f":{port}")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with nothing_left(tmp_path_factory.mktemp("told") / "home") as home:
        write_archive(home.parent / "data" / "recordings", range(1), 2.0)
        for path in (home.parent / "data" / "recordings").iterdir():
            os.utime(path, (0, 0))  # nobody is copying it
        command = of_the_page(command_of("gunshot up", "server"), None, home.parent)
        up = Up(home, free_port(), *shlex.split(command)[2:])
        up.wait_ready()
        yield up
        assert up.stop() == 0


@pytest.fixture(scope="module")
def told(up: Up) -> Iterator[Told]:
    """What was told of a run, as one makes it: a block, and its name to `gunshot deploy`."""
    environment = os.environ | {"PREFECT_API_URL": up.api}
    make = "import sys; from tests.deployments.webhook import save_block; save_block(sys.argv[1])"
    deploy = shlex.split(of_the_page(command_of("gunshot deploy --folder ~", "server"), up, up.home.parent))
    with listening() as (url, got):
        for command in ([sys.executable, "-c", make, url], [str(BIN / deploy[0]), *deploy[1:]]):
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


def test_nobody_else_reaches_it_and_no_page_of_another_site_may_use_it(up: Up) -> None:
    processes = [psutil.Process(up.process.pid), *marked(str(up.home))]
    found = [each for process in processes for each in process.net_connections("inet")]
    hosts = {each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN}
    assert hosts
    assert hosts <= {"127.0.0.1", "::1"}
    # what a browser would send for such a page: without a token it is refused, and a token is not given to be read
    theirs, asked = {"Origin": "https://elsewhere.example"}, "{}"
    assert httpx.post(f"{up.api}/flow_runs/filter", content=asked, headers=theirs, timeout=LONG_S).status_code == 403
    for origin, allowed in (("https://elsewhere.example", None), (up.api.removesuffix("/api"), "its own")):
        answer = httpx.get(
            f"{up.api}/csrf-token", params={"client": "page"}, headers={"Origin": origin}, timeout=LONG_S
        )
        assert answer.headers.get("access-control-allow-origin") == (allowed and origin)


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
    with lease(str(up.home.parent / "data" / "results")):  # for which it waits
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


@pytest.mark.usefixtures("told")
def test_the_commands_of_the_pages_work_beside_it(up: Up) -> None:
    """Each as a shell takes it; what lasts until Ctrl+C is looked at, and ended so."""
    (folder := up.home.parent / "shell").mkdir()
    Path(folder, "results").symlink_to(up.home.parent / "data" / "results")
    environment = os.environ | {"PREFECT_API_URL": up.api, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    ran = []
    for line in run_by("server"):
        if line.startswith(("gunshot up", "gunshot deploy --folder ~")):
            continue  # that is how all of this was begun
        command = of_the_page(line, up, up.home.parent)
        if line.startswith(("prefect worker start", "gunshot metrics --results results --port")):
            ran.append(lasts(command, environment, folder))
            continue
        done = subprocess.run(
            ["bash", "-euc", command], env=environment, cwd=folder, capture_output=True, text=True, timeout=LONG_S,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, command + done.stdout + done.stderr
        ran.append(done.stdout)
        if line.startswith("prefect deployment run"):  # or the next worker might take it, and be ended with it
            assert up.wait_for(asked_run(up), *ENDED) == "Completed"
    assert len([told for told in ran if "export" not in told]) == len(run_by("server")) - 2
    with closing(sqlite3.connect(up.home.parent / "backup.db")) as copy:
        assert copy.execute("SELECT count(*) FROM deployment").fetchone()[0] > 5
        sessions = copy.execute("SELECT count(*) FROM configuration WHERE key = 'TELEMETRY_SESSION'").fetchone()[0]
        assert sessions == 0, "Prefect counts its users by it"
    assert "gunshot_source_up" in (up.home.parent / "gunshot.prom").read_text()
    assert read_table(str(up.home.parent / "data" / "results"), "recordings").num_rows == 1


def asked_run(up: Up) -> str:
    """The nightly run that somebody asked for."""
    held = up.ask("/deployments/name/score/score-nightly")
    found = up.ask("/flow_runs/filter", {"deployments": {"id": {"any_": [held["id"]]}}})
    (asked,) = [run["id"] for run in found if not run["auto_scheduled"]]
    return str(asked)


def lasts(command: str, environment: dict[str, str], folder: Path) -> str:
    """What a command says before it is ended by Ctrl+C."""
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            shlex.split(command), env=environment, cwd=folder, stdout=said, stderr=subprocess.STDOUT
        )
    try:
        wait(lambda: any(word in Path(folder, "said").read_text() for word in ("started!", "metrics: http")))
        if found := re.search(r"metrics: (\S+)", Path(folder, "said").read_text()):
            wait(lambda: httpx.get(found[1], timeout=LONG_S).is_success)
            assert 'gunshot_source_up{source="prefect"} 1.0' in httpx.get(found[1], timeout=LONG_S).text
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(LONG_S)
    return Path(folder, "said").read_text()
