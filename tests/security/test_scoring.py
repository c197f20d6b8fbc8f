"""A real run of scoring from a bucket: where it listens, and that the bucket's secret is in nothing that it leaves."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from gunshot.storage import read_bytes
from gunshot.storage.listing import list_files
from tests.s3.conftest import close_clients
from tests.s3.runs import save_model, upload, write_archive
from tests.s3.seaweed import BUCKET, S3Server, SeaweedFS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SECRET = "marked-secret-0b5f6a0e7c"
PLACE = f"s3://{BUCKET}/security"
OF_THE_TESTS = ("DO_NOT_TRACK", "PREFECT_SERVER_ANALYTICS_ENABLED")
# keeps what the flow's process pickles for the scheduler and the workers
RECORDING = """
import logging
import sys
from distributed.protocol import pickle
from flows.cli import main

# who speaks with the bucket; not all: the server's database would write for minutes
for name in ("aiobotocore", "botocore", "fsspec", "s3fs"):
    logging.getLogger(name).setLevel("DEBUG")

if __name__ == "__main__":  # the workers' processes import this file again
    kept, dumps = open(sys.argv.pop(1), "ab"), pickle.dumps

    def recorded(*args, **more):
        content = dumps(*args, **more)
        kept.write(content)
        kept.flush()
        return content

    pickle.dumps = recorded
    main()
"""


@dataclass(frozen=True)
class Run:
    """What a run has left, and where it listened."""

    folder: Path
    hosts: set[str]
    n_processes: int
    output: str


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Scoring by a command, with two workers, a Prefect server of its own and logs at their most talkative."""
    folder = tmp_path_factory.mktemp("run")
    weed = SeaweedFS(tmp_path_factory.mktemp("marked-server"))
    weed.server = S3Server(weed.server.endpoint, "marked-key", SECRET)
    try:
        weed.start()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in weed.server.environment.items():
                patch.setenv(name, value)
            close_clients()
            audio = upload(write_archive(folder / "audio", 20), f"{PLACE}/audio")
            model = save_model(f"{PLACE}/model")
            yield scored(folder, audio, model)
            close_clients()
    finally:
        weed.kill()
        weed.remove()


def scored(folder: Path, audio: str, model: str) -> Run:
    (folder / "script.py").write_text(RECORDING)
    command = [sys.executable, folder / "script.py", folder / "pickled", "score", audio, "--model", model]
    command += ["--out", f"{PLACE}/results", "--workers", "2", "--max-failed-fraction", "1", "--json"]
    talkative = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "DEBUG",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    hosts: set[str] = set()
    seen: set[int] = set()
    # whoever scores has not set what the tests' own environment has
    usual = {name: os.environ[name] for name in os.environ if name not in OF_THE_TESTS}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, env=usual | talkative, stdout=output, stderr=output)
        while process.poll() is None:
            for each in processes(process.pid):
                try:
                    found = {c.laddr.ip for c in each.net_connections("inet") if c.status == psutil.CONN_LISTEN}
                except psutil.Error:
                    continue
                hosts |= found
                seen |= {each.pid} if found else set()
            time.sleep(0.05)
    told = (folder / "output").read_text()
    assert process.returncode == 0, told
    return Run(folder, hosts, len(seen), told)


def processes(pid: int) -> list[psutil.Process]:
    """A process and all that come from it; none when it has just ended."""
    try:
        return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def test_nothing_listens_beyond_loopback(run: Run) -> None:
    assert run.hosts <= {"127.0.0.1", "::1"}
    assert run.n_processes >= 4  # the flow with its scheduler, Prefect's server, and two workers: all were looked at


def test_the_secret_is_in_nothing_that_is_left(run: Run) -> None:
    secret = SECRET.encode()
    files = [file for file in run.folder.rglob("*") if file.is_file()]
    names = {file.name for file in files}
    assert {"output", "pickled", "prefect.db"} <= names
    assert b"/results" in (run.folder / "pickled").read_bytes()  # tasks are in it
    assert b"score-morning" in b"".join(file.read_bytes() for file in files if file.name.startswith("prefect.db"))
    assert [file for file in files if secret in file.read_bytes()] == []


def test_nobody_is_told_that_prefect_is_used(run: Run) -> None:
    with closing(sqlite3.connect(run.folder / "prefect" / "prefect.db")) as database:
        names = [name for (name,) in database.execute("SELECT key FROM configuration")]
    assert "TELEMETRY_SESSION" not in names


def test_the_secret_is_in_no_result(run: Run) -> None:
    objects = [found.uri for found in list_files(f"{PLACE}/results")]
    assert len(objects) > 5
    assert [uri for uri in objects if SECRET.encode() in read_bytes(uri)] == []


def test_a_refusal_does_not_tell_the_secret(run: Run) -> None:
    wrong = {"AWS_SECRET_ACCESS_KEY": f"{SECRET}-wrong"}
    command = [sys.executable, "-c", "from flows.cli import main; main()", "manifest", f"{PLACE}/audio"]
    done = subprocess.run(
        [*command, "--out", str(run.folder / "x.parquet")],
        env=os.environ | wrong, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    told = done.stdout + done.stderr
    assert done.returncode != 0
    assert told.startswith("gunshot: ")
    assert SECRET not in told
