"""The whole stack, from the Dockerfile on: a bucket is scored by the schedule while a worker and the store are lost.

PostgreSQL, Redis and the S3 server run from images built under `images/`: the same programs, from Debian's and Python's
packages, so that the test needs no registry of images beyond the base.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from flows.operations.automations import HEARTBEAT_S
from flows.operations.server import Server, connect
from gunshot.errors import GunshotError
from gunshot.scoring.results import read_table
from gunshot.storage import lease, write_bytes
from tests.s3.conftest import close_clients
from tests.s3.runs import save_model, upload, write_archive
from tests.stack.engine import ROOT, Stack

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(5400)]

SILENT_S = HEARTBEAT_S + 30
"""The automation waits for 540 s; here for less, so that the test does [s]."""

N_FILES = 320  # five batches
ARCHIVE, MODEL, RESULTS = "s3://archive/recordings", "s3://archive/model", "s3://archive/results"


@pytest.fixture(scope="module")
def began() -> float:
    return time.monotonic()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, began: float) -> Iterator[Stack]:
    """Built and started; the schedule has nothing to score yet."""
    found = Stack(tmp_path_factory.mktemp("stack"))
    found.build()
    print(f"\nimages: built after {time.monotonic() - began:.0f} s")
    try:
        found("up", "-d", "--no-build", "--pull", "never", "--wait", "--wait-timeout", "800")
        print(f"stack: healthy after {time.monotonic() - began:.0f} s")
        yield found
    except BaseException:
        print(found("logs", "--no-color", "--tail", "60"))
        raise
    finally:
        close_clients()
        found.remove()


@pytest.fixture(scope="module")
def scored(stack: Stack, began: float, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """Tables of a bucket that was scored by the schedule, a worker killed and the store restarted meanwhile."""
    audio = write_archive(tmp_path_factory.mktemp("archive") / "audio", N_FILES)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.bucket_environment().items():
            patch.setenv(name, value)
        close_clients()
        save_model(MODEL)
        upload(audio, ARCHIVE)
        wait_for(lambda: n_scored() > 0, 900)
        print(f"first recordings scored after {time.monotonic() - began:.0f} s")
        stack.docker("kill", stack.containers("dask-worker")[0])
        stack.docker("restart", *stack.containers("s3"))
        wait_for(lambda: n_scored() == N_FILES and "COMPLETED" in states(stack), 1800)
        print(f"all scored after {time.monotonic() - began:.0f} s")
        tables = {kind: read_table(RESULTS, kind) for kind in ("recordings", "detections", "candidates")}
        close_clients()
        return tables | reference(tmp_path_factory.mktemp("alone"))


def reference(place: Path) -> dict[str, pa.Table]:
    """The same objects in one process: which candidates are kept is drawn by address and content."""
    model, results = save_model(str(place / "model")), str(place / "results")
    command = ["-c", "from flows.cli import main; main()", "score", ARCHIVE, "--model", model, "--out", results]
    command += ["--workers", "0", "--sample", "0.01", "--max-failed-fraction", "1"]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, timeout=1200, capture_output=True)
    return {f"{kind} alone": read_table(results, kind) for kind in ("recordings", "detections", "candidates")}


def n_scored() -> int:
    try:
        return int(read_table(RESULTS, "recordings").num_rows)
    except (GunshotError, OSError):  # nothing yet, or the store is away
        return 0


def states(stack: Stack) -> set[str]:
    """Of the runs that the schedule has started."""
    runs = api(stack, "flow_runs/filter", {"limit": 100})
    return {run["state_type"] for run in runs if run["auto_scheduled"]}


def api(stack: Stack, what: str, question: dict[str, Any]) -> Any:
    """Ask Prefect as a person's browser does: with the login, and a token against forged requests."""
    with httpx.Client(
        base_url=f"http://127.0.0.1:{stack.ports['prefect']}/api/",
        auth=("admin", stack.secret_values()["prefect"]),
        timeout=60,
    ) as client:
        token = client.get("csrf-token", params={"client": "test"}).json()["token"]
        headers = {"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": token}
        answer = client.post(what, json=question, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


def wait_for(is_so: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(2.0)


@pytest.mark.parametrize("kind", ["recordings", "detections", "candidates"])
def test_what_the_stack_wrote_is_what_one_process_writes(scored: dict[str, pa.Table], kind: str) -> None:
    drop = ["uri", "etag", "run_id"]
    found, alone = (
        sorted(json.dumps({key: row[key] for key in row if key not in drop}, default=str) for row in table.to_pylist())
        for table in (scored[kind], scored[f"{kind} alone"])
    )
    assert found == alone
    if kind == "recordings":
        assert len(found) == N_FILES
    if kind == "detections":
        assert len(found) > N_FILES / 2


@pytest.mark.usefixtures("scored")
class TestSecrecy:
    """After the run, so that all there is to find has been written."""

    def test_no_password_is_in_what_docker_tells_of_containers(self, stack: Stack) -> None:
        told = json.dumps(stack.inspect())
        assert "PREFECT_PROFILES_PATH" in told  # environments are in it
        assert [name for name, value in stack.secret_values().items() if value in told] == []

    def test_no_password_is_in_the_logs(self, stack: Stack) -> None:
        logs = stack("logs", "--no-color")
        assert "score" in logs
        assert [name for name, value in stack.secret_values().items() if value in logs] == []

    def test_no_password_is_in_prefects_database(self, stack: Stack) -> None:
        password = stack.secret_values()["database"]
        dump = stack.docker(
            "exec", "-e", f"PGPASSWORD={password}", *stack.containers("postgres"),
            "pg_dump", "-h", "127.0.0.1", "-U", "prefect", "prefect",
        )  # fmt: skip
        assert "score-nightly" in dump
        assert [name for name, value in stack.secret_values().items() if value in dump] == []

    def test_only_loopback_is_published(self, stack: Stack) -> None:
        hosts = [
            binding["HostIp"]
            for container in stack.inspect()
            for bindings in container["NetworkSettings"]["Ports"].values()
            for binding in bindings or []
        ]
        assert len(hosts) == 2
        assert set(hosts) == {"127.0.0.1"}

    def test_nothing_of_the_projects_runs_as_root(self, stack: Stack) -> None:
        for service in ("prefect-server", "prefect-worker", "dask-scheduler"):
            assert stack.docker("exec", *stack.containers(service), "id", "-u").strip() == "1000"

    def test_prefect_asks_for_the_login_and_for_a_token(self, stack: Stack) -> None:
        base, login = f"http://127.0.0.1:{stack.ports['prefect']}/api", ("admin", stack.secret_values()["prefect"])
        with httpx.Client(base_url=base, timeout=60) as client:
            given = client.get("/csrf-token", params={"client": "test"}, auth=login).json()["token"]
            token = {"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": given}
            asked = [
                client.post("/flow_runs/filter", json={}, headers=headers, auth=auth).status_code
                for headers, auth in ((token, login), (token, None), ({}, login), ({}, None))
            ]
            assert asked == [200, 401, 403, 403]  # the token is looked at first
            assert client.get("/csrf-token", params={"client": "other"}).status_code == 401
            assert client.get("/health").status_code == 200

    def test_the_bucket_asks_for_keys(self, stack: Stack) -> None:
        assert httpx.get(f"http://127.0.0.1:{stack.ports['s3']}/archive", timeout=60).status_code == 403

    def test_dask_does_not_hear_who_speaks_in_clear_or_has_no_certificate(self, stack: Stack) -> None:
        for address in ("tcp://dask-scheduler:8786", "tls://dask-scheduler:8786"):
            code = (
                "from flows.cluster import open_cluster\n"
                "from gunshot.errors import ParameterError\n"
                "try:\n"
                f"    with open_cluster(scheduler={address!r}): pass\n"
                "except ParameterError: print('refused')"
            )
            answer = stack.docker("exec", *stack.containers("prefect-worker"), "python", "-c", code)
            assert answer.split() == ["refused"]


@pytest.fixture(scope="module")
def told(stack: Stack, scored: dict[str, pa.Table]) -> Callable[..., bool]:
    """Whether words were told together, to a block that was made and named as one does: a setting, and `init` again."""
    heard = stack.containers("dask-scheduler")[0]  # it hears on the network inside, and outlives the workers
    stack.docker("exec", "-d", heard, "python", "-c", LISTENER)
    stack.docker("exec", *stack.containers("prefect-worker"), "python", "-c", BLOCK)
    assert {line.partition(" ")[0] for line in init(stack)} == {"unchanged", "nobody"}
    lines = init(stack, "custom-webhook/ops")
    assert {f"created   automation {kind} runs" for kind in ("failed", "crashed", "late")} <= set(lines)
    assert {line.partition(" ")[0] for line in init(stack, "custom-webhook/ops")} == {"unchanged"}

    def words(*words: str) -> bool:
        got = stack.docker("exec", heard, "sh", "-c", "touch /tmp/told; cat /tmp/told").splitlines()
        return any(all(word in text for word in words) for text in got)

    return words


LISTENER = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Post(BaseHTTPRequestHandler):
    def do_POST(self):
        with open("/tmp/told", "ab") as file:
            file.write(self.rfile.read(int(self.headers["content-length"])) + b"\\n")
        self.send_response(200)
        self.end_headers()
HTTPServer(("0.0.0.0", 9999), Post).serve_forever()
"""
BLOCK = """
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block
block = Block(name="ops", url="http://dask-scheduler:9999", json_data={"text": "{{subject}} {{body}}"})
block.save("ops", overwrite=True, _sync=True)
"""


def init(stack: Stack, notify: str = "") -> list[str]:
    """What `init` says of the server's things, run once more."""
    said = stack("run", "--rm", "-T", "--no-deps", "-e", f"GUNSHOT_NOTIFY={notify}", "init")
    return [line for line in said.splitlines() if not line.startswith("bucket: ")]


@pytest.fixture
def server(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """As commands of this project talk to it; and the bucket."""
    close_clients()
    for name, value in stack.bucket_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", f"admin:{stack.secret_values()['prefect']}")
    with connect(f"http://127.0.0.1:{stack.ports['prefect']}/api") as server:
        yield server
    close_clients()


def begin(server: Server, **parameters: Any) -> str:
    held = server.ask("GET", "/deployments/name/score/score-backfill")
    asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    return str(server.ask("POST", f"/deployments/{held['id']}/create_flow_run", asked)["id"])


def state(server: Server, run: str) -> str:
    return str(server.ask("GET", f"/flow_runs/{run}")["state_name"])


def test_a_run_that_fails_is_told_with_its_reason_and_its_page(
    stack: Stack, server: Server, told: Callable[..., bool]
) -> None:
    runs: list[str] = []

    def is_told() -> bool:
        if not runs or state(server, runs[-1]) == "Failed":  # the server takes a moment to learn whom to tell
            runs.append(begin(server, inputs=["s3://archive/nowhere/"]))
        page = f"http://127.0.0.1:{stack.ports['prefect']}/runs/flow-run/"
        return any(told(page + run, " failed", "s3://archive/nowhere/") for run in runs)

    wait_for(is_told, 400)


def test_a_run_that_is_lost_with_its_worker_is_told_and_so_are_those_that_nobody_begins(
    stack: Stack, server: Server, told: Callable[..., bool]
) -> None:
    (watch,) = [each for each in server.all_of("automations") if each["name"].endswith("without a sign of life")]
    kept = {key: watch[key] for key in ("name", "description", "enabled", "tags", "trigger", "actions")}
    sooner = kept | {"trigger": watch["trigger"] | {"within": SILENT_S}}
    server.ask("PUT", f"/automations/{watch['id']}", sooner)
    with lease("s3://archive/held"):  # for which the run waits
        run = begin(server, out="s3://archive/held", plan=False)
        wait_for(lambda: state(server, run) == "Running", 600)
        time.sleep(1.5 * SILENT_S)
        assert state(server, run) == "Running", "it gives signs of life"
        (worker,) = stack.containers("prefect-worker")
        stack.docker("kill", worker)
        lost = time.monotonic()
        wait_for(lambda: state(server, run) == "Crashed", 600)
        print(f"a run lost with its worker: crashed after {time.monotonic() - lost:.0f} s, of {SILENT_S} s of silence")
        wait_for(lambda: told(run, " crashed", "no sign of life") and told(" late", "is Late"), 300)
    changed = [line for line in init(stack, "custom-webhook/ops") if not line.startswith("unchanged")]
    assert changed == ["changed   automation runs without a sign of life"]  # back to what was deployed
    stack.docker("start", worker)


def test_a_later_recording_is_scored_without_anybodys_doing(
    stack: Stack, scored: dict[str, pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stack.bucket_environment().items():
        monkeypatch.setenv(name, value)
    close_clients()
    write_bytes(f"{ARCHIVE}/late.wav", b"no sound, but a recording that has a row")
    wait_for(lambda: n_scored() == N_FILES + 1, 900)
    close_clients()
