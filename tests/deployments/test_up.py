"""`gunshot up` as a person has it: started, killed, started again, stopped; runs scored, cancelled, retried."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import httpx
import numpy as np
import psutil
import pytest
import soundfile as sf

from flows.operations.processes import marked

BIN = Path(sys.executable).parent
LONG_S = 900  # a busy machine has taken six minutes to start a server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * LONG_S)]


class Up:
    """A running `gunshot up`."""

    started: ClassVar[list[subprocess.Popen[bytes]]] = []

    def __init__(self, home: Path, port: int, *options: str) -> None:
        self.home, self.api = home, f"http://127.0.0.1:{port}/api"
        self.log = home.parent / f"up-{time.monotonic_ns()}.log"
        command = [str(BIN / "gunshot"), "up", "--home", str(home), "--port", str(port), "--workers", "1", *options]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.started.append(self.process)

    def said(self) -> str:
        return self.log.read_text()

    def wait_ready(self) -> None:
        wait(lambda: "Ctrl-C ends it" in self.said() or self.process.poll() is not None)
        assert self.process.poll() is None, self.said()

    def ask(self, path: str, content: Any = None) -> Any:
        answer = httpx.request("GET" if content is None else "POST", self.api + path, json=content, timeout=LONG_S)
        answer.raise_for_status()
        return answer.json()

    def begin(self, deployment: str, **parameters: Any) -> str:
        held = self.ask(f"/deployments/name/{deployment}")
        asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.ask(f"/deployments/{held['id']}/create_flow_run", asked)["id"])

    def state(self, run: str) -> str:
        return str(self.ask(f"/flow_runs/{run}")["state_name"])

    def wait_for(self, run: str, *names: str) -> str:
        wait(lambda: self.state(run) in names)
        return self.state(run)

    def set_state(self, run: str, kind: str, name: str) -> None:
        """As the UI does."""
        self.ask(f"/flow_runs/{run}/set_state", {"state": {"type": kind, "name": name, "message": "from the UI"}})

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(LONG_S)


def wait(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + LONG_S
    while not is_so():
        assert time.monotonic() < ends, f"not within {LONG_S} s"
        time.sleep(0.5)


def write_archive(folder: Path, numbers: range, duration_s: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for number in numbers:
        y = 0.05 * rng.standard_normal(round(duration_s * 12_000))
        y[::6000] = 0.9
        sf.write(folder / f"20261122_19{number:04d}.wav", y, 12_000)


def holder(home: Path) -> int | None:
    """The process that holds the lease of the results."""
    for place in sorted((home / "results" / "lease").glob("*.json"), reverse=True):
        with suppress(OSError, ValueError):  # given back, or written just now
            return int(json.loads(place.read_text())["pid"])
    return None


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("up") / "home"
    yield home
    for up in Up.started:  # of tests that have failed
        up.kill()
        up.wait()
    for process in marked(str(home)):
        process.kill()


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_killed_one_is_taken_up_where_it_was(home: Path, port: int) -> None:
    write_archive(home / "archive", range(2), 2.0)
    up = Up(home, port)
    up.wait_ready()
    assert "created   deployment score-nightly" in up.said()
    done = up.begin("score/score-nightly", inputs=["archive"], model="field", out="results", settle_s=0, workers=0)
    assert up.wait_for(done, "Completed", "Failed", "Crashed") == "Completed"
    assert up.ask(f"/flow_runs/{done}")["name"].startswith("score 20")
    ledger = {path.name: path.stat().st_mtime_ns for path in (home / "results" / "recordings").glob("*.parquet")}
    assert ledger

    # one is at work when everything is killed
    write_archive(home / "archive", range(2, 30), 60.0)
    lost = up.begin("score/score-nightly", inputs=["archive"], model="field", out="results", settle_s=0, workers=1)
    up.wait_for(lost, "Running")
    wait(lambda: holder(home) is not None)
    before = holder(home)
    up.process.kill()
    up.process.wait()
    assert marked(str(home)), "what it started is still there"

    again = Up(home, port)
    again.wait_ready()
    assert "processes of an earlier 'gunshot up' that was killed were ended" in again.said()
    assert "unchanged deployment score-nightly" in again.said()
    assert again.state(lost) == "Crashed"
    assert again.state(done) == "Completed", "history is where it was"
    again.set_state(lost, "SCHEDULED", "AwaitingRetry")  # as the UI's Retry
    # the lease of the one that was killed lies there until the retry takes it over
    wait(lambda: holder(home) not in (None, before) or again.state(lost) == "Completed")

    # cancelled from the UI: its work ends, its lease is given back
    if again.state(lost) != "Completed":
        again.set_state(lost, "CANCELLING", "Cancelling")
        again.wait_for(lost, "Cancelled")
        wait(lambda: not any("spawn" in " ".join(_words(each)) for each in marked(str(home))))
        wait(lambda: holder(home) is None)
    last = again.begin("score/score-backfill", inputs=["archive"], model="field", out="results", plan=False, workers=1)
    assert again.wait_for(last, "Completed", "Failed", "Crashed") == "Completed"
    for name, written in ledger.items():
        assert (home / "results" / "recordings" / name).stat().st_mtime_ns == written, "what was done is not done twice"

    assert again.stop() == 0
    assert not marked(str(home))


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_child_that_dies_ends_the_rest_in_one_line(home: Path, port: int) -> None:
    up = Up(home, port)
    up.wait_ready()
    (worker,) = [each for each in marked(str(home)) if {"worker", "start"} <= set(_words(each))]
    worker.kill()
    assert up.process.wait(LONG_S) == 1
    last = up.said().splitlines()[-1]
    assert last.startswith("gunshot: the Prefect worker has ended (exit code -9")
    assert not marked(str(home))


def test_ctrl_c_while_it_starts(home: Path, port: int) -> None:
    up = Up(home, port)
    wait(lambda: "starting the Prefect server" in up.said())
    assert up.stop(signal.SIGINT) == 130
    assert not marked(str(home))
    assert "Traceback" not in up.said()
