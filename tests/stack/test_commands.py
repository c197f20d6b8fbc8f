"""The stack's page: its commands name what is there, and are what `test_stack.py` does under another name."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.handbook import run_by

ROOT = Path(__file__).resolve().parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
STAGES = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE)


def default(text: str) -> str:
    """What Compose makes of a text where nothing is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "secrets"
    subprocess.run([sys.executable, ROOT / "docker" / "make_secrets.py", folder], check=True)
    return folder


def made_by(target: str) -> list[list[str]]:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
    return [shlex.split(line) for line in done.stdout.splitlines() if not line.startswith("make")]


def test_every_command_of_the_page_is_looked_at() -> None:
    begins = {shlex.split(line)[0].partition("=")[0] for line in run_by("stack")}
    assert begins == {"make", "cat", "AWS_SHARED_CREDENTIALS_FILE", "GUNSHOT_NOTIFY", "docker"}


def test_one_command_makes_secrets_builds_the_image_that_compose_takes_and_waits() -> None:
    secrets, build, up = made_by("stack")
    assert (ROOT / secrets[-1]).is_file()
    assert build[build.index("--target") + 1] in STAGES
    assert build[build.index("-t") + 1] == default(SERVICES["dask-worker"]["image"])
    assert (ROOT / build[build.index("-f") + 1]).is_file()
    assert up[up.index("-f") + 1] == "docker/compose.yaml"
    assert {"up", "-d", "--wait"} <= set(up)
    (down,) = made_by("stack-down")
    assert down[-1] == "down", "volumes stay"


def test_images_are_built_from_stages_that_are_there() -> None:
    builds = [shlex.split(line) for line in run_by("stack") if line.startswith("docker build")]
    assert [build[build.index("--target") + 1] for build in builds] == ["scoring", "training"]
    assert {"scoring", "training"} <= set(STAGES)
    assert builds[0][builds[0].index("-t") + 1] == default(SERVICES["prefect-worker"]["image"])


def test_the_login_and_the_keys_are_where_the_page_looks_for_them(secrets: Path) -> None:
    (shown,) = [line for line in run_by("stack") if line.startswith("cat ")]
    name, _, password = (secrets / Path(shown.split()[1]).name).read_text().strip().partition(":")
    assert name == "admin"
    assert len(password) > 20
    (copied,) = [line for line in run_by("stack") if line.startswith("AWS_")]
    given = dict(re.findall(r"(AWS_\w+)=(\S+)", copied))
    assert (secrets / Path(given["AWS_SHARED_CREDENTIALS_FILE"]).name).read_text().startswith("[default]")
    (published,) = [default(port) for port in SERVICES["s3"]["ports"]]
    assert given["AWS_ENDPOINT_URL"] == f"http://{published.rpartition(':')[0]}"
    assert shlex.split(copied)[-1] == default(SERVICES["init"]["environment"]["GUNSHOT_ARCHIVE"])


def test_what_is_set_for_a_start_reaches_what_deploys() -> None:
    (line,) = [line for line in run_by("stack") if line.startswith("GUNSHOT_")]
    name, command = line.partition("=")[0], line.partition(" ")[2]
    assert name in SERVICES["init"]["environment"]
    assert command == "make stack"
