"""The whole flow on a Dask cluster of its own processes, any of them killed at random moments.

`GUNSHOT_KILLS` says how many runs are killed; a few in the test suite, 30 for the figure in the documents.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import soundfile as sf

from gunshot.store.read import open_store

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
N_FILES = 3000
N_KILLS = int(os.environ.get("GUNSHOT_KILLS", "4"))
VICTIMS = ("worker", "scheduler", "flow", "all")


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many files of a few contents; some are no sound, or break off."""
    folder = tmp_path_factory.mktemp("audio")
    contents = []
    for number in range(40):
        y = np.random.default_rng(number).normal(size=30_000) * 0.003
        y[9_000:12_000] *= 40
        sf.write(folder / "one.wav", y, 44_100)
        contents.append((folder / "one.wav").read_bytes())
    (folder / "one.wav").unlink()
    for number in range(N_FILES):
        path = folder / ("gunshot" if number % 2 else "dog") / f"{number:04d}.wav"
        path.parent.mkdir(exist_ok=True)
        content = contents[number % 40]
        path.write_bytes(b"no sound" if number % 50 == 7 else content[:9_000] if number % 50 == 9 else content)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of runs: one Prefect server for all, for each would start its own for ten seconds."""
    home = tmp_path_factory.mktemp("prefect")
    port = 4300 + os.getpid() % 500
    environment = os.environ | {"PREFECT_HOME": str(home), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    command = [str(BIN / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/api/health"), 400)
        yield environment
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def wait_until(condition: object, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


@dataclass
class Cluster:
    """A scheduler and two workers with their nannies, each a process."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self) -> str:
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self._spawn("scheduler", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                    "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file))  # fmt: skip
        wait_until(lambda: file.exists() and file.stat().st_size > 0, 300)
        for number in range(2):
            self._spawn(f"worker{number}", "dask", "worker", "--scheduler-file", str(file), "--nthreads", "1",
                        "--host", "127.0.0.1", "--no-dashboard", "--local-directory", str(self.folder))  # fmt: skip
        return str(json.loads(file.read_text())["address"])

    def _spawn(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("a") as log:
            self.processes[name] = subprocess.Popen([str(BIN / command[0]), *command[1:]], stdout=log, stderr=log)

    def kill(self, name: str) -> None:
        """Kill a part with all processes below it; of a worker only the one that works: its nanny starts another."""
        process = psutil.Process(self.processes[name].pid)
        below = process.children(recursive=True)
        if name.startswith("worker") and below:
            working = [child for child in below if "spawn_main" in " ".join(child.cmdline())]
            below = working[-1:]
        else:
            below = [*below, process]
        for victim in below:
            kill(victim.pid)

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                victims = psutil.Process(process.pid).children(recursive=True)
                kill(process.pid)
                for victim in victims:
                    kill(victim.pid)
            process.wait()
        self.processes.clear()


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def cluster_of(folder: Path) -> Iterator[Cluster]:
    folder.mkdir(exist_ok=True)
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.stop()


def start_flow(audio: Path, store: Path, address: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [str(BIN / "gunshot"), "preprocess", str(audio), "--store", str(store), "--scheduler", address, "--json"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def records(store: Path) -> dict[str, tuple[int, int]]:
    """Commit records, each with what changes when it is written again."""
    found = {}
    for path in store.glob("generations/*/partitions/*.parquet"):
        found[path.name] = (path.stat().st_ino, path.stat().st_mtime_ns)
    return found


@pytest.fixture(scope="module")
def clean(audio: Path, server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run that nobody disturbed, without workers."""
    store = tmp_path_factory.mktemp("clean") / "store"
    command = [str(BIN / "gunshot"), "preprocess", str(audio), "--store", str(store), "--workers", "0"]
    subprocess.run(command, env=server, check=True, capture_output=True)
    return store


def assert_same(store: Path, clean: Path) -> None:
    found, expected = open_store(str(store)), open_store(str(clean))
    everything = range(N_FILES)
    assert found.rows.equals(expected.rows)
    assert np.array_equal(found.waveforms(everything), expected.waveforms(everything), equal_nan=True)
    assert np.array_equal(found.log_mels(everything), expected.log_mels(everything), equal_nan=True)


@pytest.mark.parametrize("number", range(N_KILLS))
def test_whatever_is_killed_a_rerun_ends_as_a_clean_run(
    audio: Path, clean: Path, server: dict[str, str], tmp_path: Path, number: int
) -> None:
    moments = random.Random(number)
    victim = VICTIMS[number % len(VICTIMS)]
    store = tmp_path / "store"
    n_partitions = len(records(clean))
    with cluster_of(tmp_path / "dask") as cluster:
        address = cluster.start()
        flow = start_flow(audio, store, address, server)
        enough = moments.randint(0, n_partitions - 4)
        wait_until(lambda: flow.poll() is not None or len(records(store)) >= enough, 300)
        time.sleep(moments.uniform(0, 0.3))
        if victim in {"flow", "all"}:
            kill(flow.pid)
        for name in list(cluster.processes):
            if victim == "all" or name.startswith(victim):
                cluster.kill(name)
                if victim == "worker":
                    break
        _, told = flow.communicate(timeout=300)
        if victim == "worker":
            assert flow.returncode == 0, told.decode()  # the rest of the cluster does its work
        elif victim == "scheduler" and flow.returncode != 0:
            assert b"scheduler" in told.splitlines()[-1], told.decode()
    done = records(store)
    with cluster_of(tmp_path / "dask") as cluster:
        flow = start_flow(audio, store, cluster.start(), server)
        printed, told = flow.communicate(timeout=300)
        assert flow.returncode == 0, told.decode()
    assert {name: records(store)[name] for name in done} == done  # nothing committed was computed again
    summary = json.loads(printed)
    assert summary["n_rows"] == sum(summary["states"].values()) == N_FILES
    assert_same(store, clean)
    left = [path for path in store.rglob("*") if path.name.endswith((".part", ".partial"))]
    assert left == []
    assert not (store / "lease").exists()
