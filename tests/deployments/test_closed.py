"""The stack's deployments on a server that is as closed as the stack's: it asks for a login and for a token."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from flows.operations.server import connect
from gunshot.errors import RunError
from tests.deployments.running import BIN, LONG_S, free_port, wait

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * LONG_S)]

ROOT = Path(__file__).resolve().parents[2]
DEPLOY: list[str] = runpy.run_path(str(ROOT / "docker" / "init.py"))["DEPLOY"]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "prefect.yaml").read_text())
SITE = {
    "GUNSHOT_BUCKET": "archive",
    "GUNSHOT_ARCHIVE": "s3://archive/recordings",
    "GUNSHOT_RESULTS": "s3://archive/results",
    "GUNSHOT_MODEL": "field",
    "GUNSHOT_NIGHTLY": "30 4 * * *",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a client that has the login as the stack's `init` has it, in a profile."""
    folder = tmp_path_factory.mktemp("closed")
    subprocess.run([sys.executable, ROOT / "docker" / "make_secrets.py", folder / "secrets"], check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    address = f"http://127.0.0.1:{(port := free_port())}/api"
    client = kept | SITE | {
        "PATH": f"{BIN}{os.pathsep}{kept['PATH']}",
        "PREFECT_HOME": str(folder / "client"),
        "PREFECT_PROFILES_PATH": str(folder / "secrets" / "prefect_client.toml"),
        "PREFECT_API_URL": address,
    }  # fmt: skip
    serves = kept | {
        "PREFECT_HOME": str(folder / "server"),
        "PREFECT_SERVER_API_AUTH_STRING": (folder / "secrets" / "prefect_login").read_text().strip(),
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    command = [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=serves, stdout=log, stderr=log)
    try:
        wait(lambda: _answers(f"{address}/health"))
        yield client
    finally:
        process.terminate()
        process.wait(LONG_S)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def deployed(server: dict[str, str]) -> Callable[..., list[str]]:
    """What `init` runs, and the lines that it says."""

    def run(notify: str = "", **site: str) -> list[str]:
        done = subprocess.run(
            [*DEPLOY, "--notify", notify],
            cwd=ROOT, env=server | site, capture_output=True, text=True, timeout=LONG_S, check=False,
        )  # fmt: skip
        assert done.returncode == (2 if done.stderr else 0), done.stderr
        return (done.stdout + done.stderr).splitlines()

    return run


def changes(lines: list[str]) -> set[str]:
    return {line.split()[0] for line in lines if not line.startswith("nobody is told")}


def test_a_second_start_changes_nothing_and_a_changed_setting_what_it_is_for(
    deployed: Callable[..., list[str]],
) -> None:
    assert changes(first := deployed()) == {"created"}
    assert {f"deployment {each['name']}" for each in CONFIG["deployments"]} < {
        " ".join(line.split()[1:]) for line in first
    }
    assert changes(deployed()) == {"unchanged"}
    later = [line for line in deployed(GUNSHOT_NIGHTLY="15 3 * * *") if line.startswith("changed")]
    assert later == ["changed   deployment score-nightly (schedules)"]


def test_whom_the_site_names_is_told_until_it_names_nobody(
    deployed: Callable[..., list[str]], server: dict[str, str]
) -> None:
    deployed()
    (line,) = deployed("custom-webhook/ops")
    assert "--notify custom-webhook/ops: no such block" in line
    make = "from tests.deployments.webhook import save_block; save_block('http://127.0.0.1:9')"
    csrf = {"PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true"}
    subprocess.run([sys.executable, "-c", make], env=server | csrf, cwd=ROOT, check=True, timeout=LONG_S)
    told = {f"automation {kind} runs" for kind in ("failed", "crashed", "late")}
    for notify, what in (("custom-webhook/ops", "created"), ("custom-webhook/ops", "unchanged"), ("", "removed")):
        lines = deployed(notify)
        assert told <= {line.removeprefix(what).strip() for line in lines if line.startswith(what)}


def test_a_login_that_is_not_right_or_not_there_is_one_line(
    server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for login, why in (("admin:wrong", "asks for a password; set PREFECT_API_AUTH_STRING"), (None, "asks for a pass")):
        if login is None:
            monkeypatch.delenv("PREFECT_API_AUTH_STRING", raising=False)
        else:
            monkeypatch.setenv("PREFECT_API_AUTH_STRING", login)
        with connect(server["PREFECT_API_URL"]) as closed, pytest.raises(RunError, match=why):
            closed.ask("POST", "/deployments/filter", {})
