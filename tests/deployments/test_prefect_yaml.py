"""The deployments: what the YAML names exists, and a real server and worker run the nightly one."""

from __future__ import annotations

import importlib
import inspect
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect.exceptions import ParameterTypeError
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

LONG_S = 900  # a busy machine has taken six minutes to start a server
ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())
BY_NAME = {deployment["name"]: deployment for deployment in CONFIG["deployments"]}


def _flow(name: str) -> Any:
    path, _, function = BY_NAME[name]["entrypoint"].partition(":")
    return getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), function)


@pytest.mark.parametrize("name", BY_NAME)
def test_entrypoint_is_a_flow_that_takes_the_parameters(name: str) -> None:
    signature = inspect.signature(_flow(name).fn)
    signature.bind(**BY_NAME[name]["parameters"])  # raises on an unknown or a missing one


@pytest.mark.parametrize("name", BY_NAME)
def test_parameters_fit_the_form(name: str) -> None:
    """As Prefect checks them when a person, or the schedule, starts a run."""
    flow = _flow(name)
    validate(BY_NAME[name]["parameters"], parameter_schema(flow).model_dump_for_openapi(), raise_on_error=True)
    flow.validate_parameters(BY_NAME[name]["parameters"])


MISTAKES = [
    {"sample": 1.5}, {"max_failed_fraction": -0.1}, {"settle_s": -1}, {"file_limit_s": 0}, {"channels": "left"},
    {"channels": "01"}, {"workers": -1}, {"keep_candidates": 2}, {"inputs": []}, {"since": "yesterday"},
    {"plan": "perhaps"},
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_the_form_of_scoring_refuses_what_cannot_be(mistake: dict[str, Any]) -> None:
    with pytest.raises(ParameterTypeError):
        _flow("score-nightly").validate_parameters(BY_NAME["score-nightly"]["parameters"] | mistake)


def test_the_form_of_scoring_says_what_each_field_is() -> None:
    for name, about in parameter_schema(_flow("score-nightly")).properties.items():
        assert about["description"].endswith("."), name


def test_each_runs_one_at_a_time() -> None:
    for name in BY_NAME:
        assert BY_NAME[name]["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}


def test_only_the_nightly_run_has_a_schedule() -> None:
    (schedule,) = BY_NAME["score-nightly"]["schedules"]
    assert len(schedule["cron"].split()) == 5
    assert schedule["timezone"] == "UTC"
    assert [name for name in BY_NAME if "schedules" in BY_NAME[name]] == ["score-nightly"]


def test_a_backfill_writes_into_what_the_nightly_run_writes() -> None:
    """By the same rule, or the ledger would take every recording for a new one."""
    nightly, backfill = (BY_NAME[name]["parameters"] for name in ("score-nightly", "score-backfill"))
    for name in ("inputs", "model", "out", "sample"):
        assert nightly[name] == backfill[name]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server on loopback, and the environment that reaches it."""
    home, port = tmp_path_factory.mktemp("prefect"), _free_port()
    environment = os.environ | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    }
    command = [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_healthy(f"http://127.0.0.1:{port}/api/health")
            yield environment
        finally:
            process.terminate()
            process.wait(LONG_S)


def _wait_healthy(url: str) -> None:
    ends = time.monotonic() + LONG_S
    while time.monotonic() < ends:
        with suppress(httpx.TransportError):
            if httpx.get(url, timeout=30).status_code == 200:
                return
        time.sleep(0.5)
    pytest.fail(f"the Prefect server did not answer within {LONG_S} s")


def _prefect(environment: dict[str, str], *arguments: str) -> str:
    command = [str(BIN / "prefect"), "--no-prompt", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LONG_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _gunshot(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [str(BIN / "gunshot"), *arguments], env=environment, capture_output=True, text=True, timeout=LONG_S, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(4 * LONG_S)
def test_server_and_worker_score_what_is_new(server: dict[str, str], tmp_path: Path) -> None:
    corpus, store, model = (str(tmp_path / name) for name in ("corpus", "store.zarr", "model"))
    _gunshot(server, "synthesize", "corpus", "--out", corpus, "--gunshots", "40", "--others", "40", "--groups", "8")
    _gunshot(server, "preprocess", corpus, "--store", store, "--workers", "0")
    _gunshot(server, "train", "--store", store, "--model", "logistic", "--out", model, "--workers", "0")
    archive, results = str(tmp_path / "archive"), str(tmp_path / "results")
    planted = ["--recordings", "2", "--duration-s", "20", "--shots", "4", "--confusers", "4"]
    _gunshot(server, "synthesize", "archive", "--out", archive, *planted)

    _prefect(server, "work-pool", "create", "gunshot", "--type", "process")
    _prefect(server, "deploy", "--all", "--prefect-file", "deployments/prefect.yaml")
    listed = _prefect(server, "deployment", "ls")
    assert all(name in listed for name in BY_NAME)

    ledger = Path(results, "recordings")
    for _ in range(2):
        parameters = f'{{"inputs": ["{archive}"], "model": "{model}", "out": "{results}", "workers": 0, '
        parameters += '"settle_s": 0}'  # the archive was written a moment ago
        _prefect(server, "deployment", "run", "score/score-nightly", "--params", parameters)
        before = {path.name: path.stat().st_mtime_ns for path in ledger.glob("*")}
        _prefect(server, "worker", "start", "--pool", "gunshot", "--run-once")
        states = _states(server)
        assert set(states) == {"COMPLETED"}, states
        assert before.items() <= {path.name: path.stat().st_mtime_ns for path in ledger.glob("*")}.items()
    assert len(list(ledger.glob("*.parquet"))) == 1, "the second run had nothing to do"


def _states(environment: dict[str, str]) -> list[str]:
    """States of the runs that are not waiting for their schedule."""
    url = f"{environment['PREFECT_API_URL']}/flow_runs/filter"
    answer = httpx.post(url, json={"flow_runs": {"name": {"like_": "score"}}}, timeout=LONG_S).json()
    return [run["state_type"] for run in answer if run["state_type"] != "SCHEDULED"]
