"""What `gunshot up` costs: its start, runs of flows and of tasks, memory while idle, and how soon a cancelled run ends.

``pytest tests/benchmarks/test_up_cost.py --run-slow -s`` prints the figures, each with the load of the machine, for a
busy one is slower. Nothing is asserted about time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest

from flows.operations.processes import marked
from tests.deployments.running import Up, dask_workers, free_port, holder, nothing_left, wait, write_archive

N_TASK_RUNS = 200
TASKS = f"""
from time import perf_counter
from prefect import flow, task

@task
def nothing():
    pass

@flow
def many():
    nothing()
    began_s = perf_counter()
    for _ in range({N_TASK_RUNS}):
        nothing()
    return (perf_counter() - began_s) / {N_TASK_RUNS}

print(f"{{many():.6f}}")
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def tell(what: str, value: float, unit: str) -> None:
    print(f"\n{what}: {value:.3g} {unit} (load {os.getloadavg()[0]:.1f})", flush=True)


def cpu_s(processes: list[psutil.Process]) -> float:
    """Processor time of processes and of what they started and saw end."""
    return sum(sum(process.cpu_times()[:4]) for process in processes)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with nothing_left(tmp_path_factory.mktemp("up") / "home") as home:
        yield home


def test_cost(home: Path) -> None:
    write_archive(home / "archive", range(2), 2.0)
    began_s = monotonic()
    up = Up(home, free_port())
    try:
        up.wait_ready()
        tell("nothing to ready", monotonic() - began_s, "s")
        tell("processor time of it", cpu_s(_all(up, home)), "s")
        _runs(up, began_s)
        _memory(up, home)
        _task_runs(up)
        _cancel(up, home)
    finally:
        began_s = monotonic()
        up.stop()
        tell("stop", monotonic() - began_s, "s")


def _all(up: Up, home: Path) -> list[psutil.Process]:
    return [psutil.Process(up.process.pid), *marked(str(home))]


def _runs(up: Up, began_s: float) -> None:
    for number, workers in enumerate((0, 0, 1)):
        asked_s = monotonic()
        given = {"inputs": ["archive"], "model": "field", "out": f"results-{number}", "settle_s": 0}
        run = up.begin("score/score-nightly", **given, workers=workers)
        up.wait_for(run, "Running", "Completed")
        if not number:
            tell("nothing to the first flow run", monotonic() - began_s, "s")
        assert up.wait_for(run, "Completed", "Failed", "Crashed") == "Completed"
        tell(f"flow run over two recordings, workers={workers}, asked to completed", monotonic() - asked_s, "s")
        tell("of it from its start", up.ask(f"/flow_runs/{run}")["total_run_time"], "s")


def _memory(up: Up, home: Path) -> None:
    sleep(10)  # what the last run has started is gone
    for process in _all(up, home):
        name = " ".join(process.cmdline()[1:5])
        tell(f"idle memory of {name}", process.memory_full_info().pss / 1e6, "MB, proportional set size")
    tell("idle memory", sum(each.memory_full_info().pss for each in _all(up, home)) / 1e6, "MB")


def _task_runs(up: Up) -> None:
    environment = os.environ | {"PREFECT_API_URL": up.api, "PREFECT_LOGGING_LEVEL": "ERROR"}
    done = subprocess.run(
        [sys.executable, "-c", TASKS], env=environment, capture_output=True, text=True, check=True, timeout=1800
    )
    tell("a task run", float(done.stdout.split()[-1]) * 1000, "ms")


def _cancel(up: Up, home: Path) -> None:
    write_archive(home / "archive", range(2, 200), 60.0)
    run = up.begin(
        "score/score-nightly", inputs=["archive"], model="field", out="results", settle_s=0, workers=2
    )  # fmt: skip
    wait(lambda: holder(home) is not None and bool(dask_workers(home)))
    up.set_state(run, "CANCELLING", "Cancelling")
    began_s = monotonic()
    wait(lambda: holder(home) is None)
    tell("cancel to lease free", monotonic() - began_s, "s")
    wait(lambda: not dask_workers(home))
    tell("cancel to no worker left", monotonic() - began_s, "s")
    up.wait_for(run, "Cancelled")
    tell("cancel to state Cancelled", monotonic() - began_s, "s")
