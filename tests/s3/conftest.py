"""A real S3 server on loopback, started once for the tests in this folder and gone after them, and faults before it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from uuid import uuid4

import fsspec.asyn
import pytest
import zarr.core.sync

from gunshot import storage
from gunshot.storage.s3 import Bucket
from tests.s3.faults import FaultProxy, Plan
from tests.s3.seaweed import BUCKET, S3Server, SeaweedFS


def close_clients() -> None:
    """Close what s3fs holds open, each client in the loop it was opened in, and forget it.

    At the end of a process nobody minds; here a socket left open would be a ResourceWarning, and so an error, and a
    client opened with other credentials would answer for the next test.
    """
    for filesystem in list(Bucket._cache.values()):
        client = getattr(filesystem, "_s3creator", None)
        if client is not None and filesystem.asynchronous:
            zarr.core.sync.sync(client.__aexit__(None, None, None))
        elif client is not None:
            fsspec.asyn.sync(filesystem.loop, client.__aexit__, None, None, None)
    Bucket.clear_instance_cache()
    storage.access._filesystem_of_process.cache_clear()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    weed = SeaweedFS(tmp_path_factory.mktemp("s3-server"))
    try:
        weed.start()
        yield weed.server
    finally:
        close_clients()
        weed.kill()  # its data are thrown away, so there is nothing to close in order
        weed.remove()


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


@pytest.fixture
def through_faults(
    s3_server: S3Server, fresh_clients: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Plan], FaultProxy]]:
    """Puts a proxy between this process, with those it starts, and the server, until the end of the test."""
    proxies: list[FaultProxy] = []

    def put(plan: Plan) -> FaultProxy:
        proxies.append(FaultProxy(s3_server.endpoint, plan).__enter__())
        fresh_clients()
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxies[-1].endpoint)
        return proxies[-1]

    yield put
    fresh_clients()
    for proxy in proxies:
        proxy.__exit__()


@pytest.fixture
def weed(
    tmp_path_factory: pytest.TempPathFactory, fresh_clients: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[SeaweedFS]:
    """A server of its own, which may be killed."""
    weed = SeaweedFS(tmp_path_factory.mktemp("own-server"))
    weed.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", weed.server.endpoint)
    yield weed
    fresh_clients()
    weed.kill()
    weed.remove()
