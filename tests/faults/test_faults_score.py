"""Scoring on a Dask cluster of its own processes, any of them killed at random moments.

`GUNSHOT_KILLS` says how many runs are killed; a few in the test suite.
"""

from __future__ import annotations

import json
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from gunshot.scoring.results import read_table
from gunshot.scoring.results.checks import verify_results
from tests.faults.test_faults_flow import BIN, N_KILLS, VICTIMS, cluster_of, kill, server, wait_until
from tests.s3.runs import save_model, write_archive

__all__ = ["server"]

pytestmark = pytest.mark.slow

N_FILES = 1600  # of a second: 25 batches
N_BATCHES = 25
KINDS = ("detections", "recordings")


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings with a shot each; some are no sound, empty, or break off."""
    return write_archive(tmp_path_factory.mktemp("audio"), N_FILES)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(save_model(str(tmp_path_factory.mktemp("model") / "model")))


def command(audio: Path, model: Path, results: Path, *where: str) -> list[str]:
    return [
        str(BIN / "gunshot"), "score", str(audio), "--model", str(model), "--out", str(results), *where,
        "--max-failed-fraction", "1", "--json",
    ]  # fmt: skip


def tables(results: Path) -> dict[str, Any]:
    """All rows, but for which run wrote them."""
    found = {kind: read_table(str(results), kind) for kind in KINDS}
    return found | {"recordings": found["recordings"].drop_columns(["run_id"])}


@pytest.fixture(scope="module")
def clean(audio: Path, model: Path, server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The tables of a run that nobody disturbed, without workers."""
    results = tmp_path_factory.mktemp("clean") / "results"
    subprocess.run(command(audio, model, results, "--workers", "0"), env=server, check=True, capture_output=True)
    assert len(ledger(results)) == N_BATCHES
    return tables(results)


def ledger(results: Path) -> dict[str, tuple[int, int]]:
    """Objects of the ledger, each with what changes when it is written again."""
    found = {}
    for path in results.glob("recordings/*.parquet"):
        found[path.name] = (path.stat().st_ino, path.stat().st_mtime_ns)
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", range(N_KILLS))
def test_whatever_is_killed_the_tables_end_as_those_of_a_clean_run(
    audio: Path, model: Path, clean: dict[str, Any], server: dict[str, str], tmp_path: Path, number: int
) -> None:
    moments = random.Random(number)
    victim = VICTIMS[number % len(VICTIMS)]
    results = tmp_path / "results"
    with cluster_of(tmp_path / "dask") as cluster:
        run = command(audio, model, results, "--scheduler", cluster.start())
        flow = subprocess.Popen(run, env=server, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        enough = moments.randint(0, N_BATCHES - 4)
        wait_until(lambda: flow.poll() is not None or len(ledger(results)) >= enough, 300)
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
    done = ledger(results)
    with cluster_of(tmp_path / "dask") as cluster:
        run = command(audio, model, results, "--scheduler", cluster.start())
        again = json.loads(subprocess.run(run, env=server, check=True, capture_output=True).stdout)
    assert {name: ledger(results)[name] for name in done} == done  # nothing in the ledger was scored again
    assert again["n_listed"] == sum(again["states"].values()) == N_FILES
    found = tables(results)
    assert all(found[kind].equals(clean[kind]) for kind in KINDS)
    assert list(verify_results(str(results))) == []
    assert [path for path in results.rglob("*") if path.name.endswith((".part", ".partial"))] == []
    assert not (results / "lease").exists()
    once_more = command(audio, model, results, "--workers", "0")
    assert json.loads(subprocess.run(once_more, env=server, check=True, capture_output=True).stdout)["n_scored"] == 0
