"""A running `gunshot up`, as tests start, ask and end it, and archives for it to score."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import httpx
import numpy as np
import psutil
import soundfile as sf

from flows.operations.processes import marked

BIN = Path(sys.executable).parent
LONG_S = 900  # a busy machine has taken six minutes to start a server
ENDED = ("Completed", "Failed", "Crashed", "Cancelled")


class Up:
    """A running `gunshot up`."""

    started: ClassVar[list[Up]] = []

    def __init__(self, home: Path, port: int, *options: str) -> None:
        self.home, self.api = home, f"http://127.0.0.1:{port}/api"
        self.token: dict[str, str] = {}
        self.log = home.parent / f"up-{time.monotonic_ns()}.log"
        command = [str(BIN / "gunshot"), "up", "--home", str(home), "--port", str(port), "--workers", "1", *options]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.started.append(self)

    def said(self) -> str:
        return self.log.read_text()

    def wait_ready(self) -> None:
        wait(lambda: "Ctrl+C ends it" in self.said() or self.process.poll() is not None)
        assert self.process.poll() is None, self.said()

    def ask(self, path: str, content: Any = None) -> Any:
        """Ask the server, with its token; again while its database is busy, as Prefect's own clients do."""
        ends = time.monotonic() + LONG_S
        while True:
            how = "GET" if content is None else "POST"
            answer = httpx.request(how, self.api + path, json=content, timeout=LONG_S, headers=self.token)
            if answer.status_code == httpx.codes.FORBIDDEN and not self.token:
                given = httpx.get(f"{self.api}/csrf-token", params={"client": "test"}, timeout=LONG_S).json()["token"]
                self.token = {"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": given}
                continue
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > ends:
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer.json()

    def begin(self, deployment: str, **parameters: Any) -> str:
        held = self.ask(f"/deployments/name/{deployment}")
        asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.ask(f"/deployments/{held['id']}/create_flow_run", asked)["id"])

    def state(self, run: str) -> str:
        return str(self.ask(f"/flow_runs/{run}")["state_name"])

    def log_of(self, run: str) -> list[str]:
        """What the run's page shows under Logs."""
        asked = {"logs": {"flow_run_id": {"any_": [run]}}}
        return [str(entry["message"]) for entry in self.ask("/logs/filter", asked)]

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


def holder(home: Path, results: str = "results") -> int | None:
    """The process that holds the lease of the results."""
    for place in sorted((home / results / "lease").glob("*.json"), reverse=True):
        with suppress(OSError, ValueError):  # given back, or written just now
            return int(json.loads(place.read_text())["pid"])
    return None


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def dask_workers(home: Path) -> list[psutil.Process]:
    """Processes that runs of this home have started for their Dask workers."""
    return [process for process in marked(str(home)) if any("spawn" in word for word in words(process))]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def nothing_left(home: Path) -> Iterator[Path]:
    """Ends what a failed test has left behind: each `gunshot up` over this home, and all that it has started."""
    try:
        yield home
    finally:
        for up in Up.started:
            if up.home == home:
                up.process.kill()
                up.process.wait()
        for process in marked(str(home)):
            with suppress(psutil.Error):
                process.kill()
