"""The stack under a Docker engine: its images, secrets and containers, and that nothing of them is left."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = ("postgres", "redis", "s3")
KEEP_IMAGES = "GUNSHOT_STACK_KEEP_IMAGES"
USE_IMAGE = "GUNSHOT_STACK_IMAGE"  # one that is there already, in place of one built from this tree


def find_compose() -> list[str]:
    """The command of Docker Compose; skips where there is no engine, or no Compose."""
    if shutil.which("docker") is None:
        pytest.skip("no Docker here")
    if subprocess.run(["docker", "info"], capture_output=True, timeout=60, check=False).returncode != 0:
        pytest.skip("no Docker engine answers; start one, or say where it is (DOCKER_HOST)")
    for command in (["docker", "compose"], ["docker-compose"]):
        try:
            if subprocess.run([*command, "version"], capture_output=True, timeout=60, check=False).returncode == 0:
                return command
        except FileNotFoundError:
            continue
    pytest.skip("a Docker engine is here, but no Docker Compose")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Stack:
    """The containers of one project; images of its own names, so that a real stack beside it is not touched."""

    def __init__(self, folder: Path) -> None:
        self.compose = find_compose()
        self.name = f"gunshot-test-{os.getpid()}"
        self.secrets = folder / "secrets"
        self.ports = {"prefect": free_port(), "s3": free_port()}
        subprocess.run([sys.executable, ROOT / "docker" / "make_secrets.py", self.secrets], check=True)
        image = os.environ.get(USE_IMAGE, "gunshot-test:scoring")
        self.environment = os.environ | {
            "GUNSHOT_SECRETS": str(self.secrets),
            "GUNSHOT_IMAGE": image,
            "GUNSHOT_FLOW_IMAGE": image,
            "POSTGRES_IMAGE": "gunshot-test:postgres",
            "REDIS_IMAGE": "gunshot-test:redis",
            "S3_IMAGE": "gunshot-test:s3",
            "GUNSHOT_PREFECT_PORT": str(self.ports["prefect"]),
            "GUNSHOT_S3_PORT": str(self.ports["s3"]),
            "GUNSHOT_MODEL": "s3://archive/model",
            "GUNSHOT_NIGHTLY": "* * * * *",
        }
        self._built: list[str] = []

    def build(self) -> None:
        """Build what is not there yet; the project's image is built always, from what its layers keep."""
        if USE_IMAGE not in os.environ:
            # the stage of packages by a name too: a builder that keeps stages leaves it without one, and it would stay
            for stage in ("packages", "scoring"):
                self._build(
                    f"gunshot-test:{stage}", "--target", stage, "-f", str(ROOT / "docker/Dockerfile"), str(ROOT)
                )
        for name in STAND_INS:
            self._build(f"gunshot-test:{name}", str(ROOT / "tests" / "stack" / "images" / name))

    def _build(self, tag: str, *where: str) -> None:
        self._built.append(tag)
        self.docker("build", "-q", "-t", tag, *where, timeout_s=2400)

    def docker(self, *arguments: str, timeout_s: float = 300) -> str:
        return self._run(["docker", *arguments], timeout_s)

    def __call__(self, *arguments: str, timeout_s: float = 900) -> str:
        """Run a command of Compose."""
        return self._run(
            [*self.compose, "-p", self.name, "-f", str(ROOT / "docker/compose.yaml"), *arguments], timeout_s
        )

    def _run(self, command: list[str], timeout_s: float) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}: {(done.stdout + done.stderr)[-6000:]}"
        return done.stdout

    def containers(self, service: str = "") -> list[str]:
        """Identifiers of containers, of one service or all, ended ones too."""
        return self("ps", "-a", "-q", *([service] if service else [])).split()

    def inspect(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", *self.containers()))
        return found

    def secret_values(self) -> dict[str, str]:
        """Every password that was made, by what it is for."""
        words = json.loads((self.secrets / "s3_keys.json").read_text())["identities"][0]["credentials"][0]
        return {
            "database": (self.secrets / "postgres_password").read_text(),
            "redis": (self.secrets / "redis.conf").read_text().split()[1],
            "prefect": (self.secrets / "prefect_login").read_text().strip().partition(":")[2],
            "s3": words["secretKey"],
        }

    def bucket_environment(self) -> dict[str, str]:
        """What a client on this machine needs to use the bucket."""
        return {
            "AWS_SHARED_CREDENTIALS_FILE": str(self.secrets / "s3_credentials"),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.ports['s3']}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def remove(self) -> None:
        """Containers, networks, volumes and images."""
        self("down", "-v", "--remove-orphans", "-t", "5")
        left = [
            self.docker(kind, "ls", "-q", "--filter", f"label=com.docker.compose.project={self.name}").split()
            for kind in ("container", "network", "volume")
        ]
        assert left == [[], [], []]
        if not os.environ.get(KEEP_IMAGES):
            self.docker("rmi", *self._built)
