"""A cluster over two hosts, of which one is lost to the network half-way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flows.clusters.workers import ONE_THREAD, ask_scheduler
from tests.clusters import hosts
from tests.clusters.hosts import Host
from tests.clusters.runs import Sound, assert_same, n_records, once_it_works, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

# so that a lost host is noticed within a test's patience; Dask takes nothing below 12 s for the first
SOON = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s", "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "8s"}


@pytest.fixture
def network(tmp_path: Path) -> Iterator[tuple[str, Host]]:
    """Address of a scheduler with a worker on its own host and one on another, and that other host."""
    before = hosts.existing()
    with hosts.two_hosts() as (near, far), ExitStack() as processes:
        address = f"tcp://{near.address}:8786"
        quiet = ("--no-dashboard",)
        start = [
            (near, "scheduler", ["distributed.cli.dask_scheduler", "--host", near.address, "--port", "8786", *quiet]),
            *(
                (
                    host,
                    name,
                    ["distributed.cli.dask_worker", address, "--host", host.address, "--nthreads", "1", *quiet],
                )
                for host, name in ((near, "near"), (far, "far"))
            ),
        ]
        for host, name, command in start:
            log = tmp_path / f"{name}.log"
            processes.enter_context(host.process(log, *command, **SOON, **ONE_THREAD))
        wait_for(lambda: workers_of(address) == {near.address, far.address}, 60)
        yield address, far
    assert hosts.existing() == before


def workers_of(address: str) -> set[str]:
    async def identity(scheduler: Any) -> set[str]:
        return {worker["host"] for worker in (await scheduler.identity(n_workers=-1))["workers"].values()}

    try:
        return set(ask_scheduler(address, identity))
    except OSError:
        return set()


def test_a_run_outlives_the_loss_of_a_host(
    network: tuple[str, Host], recordings: Sound, preprocess: Callable[..., Any], tmp_path: Path
) -> None:
    address, far = network
    store = tmp_path / "store"
    began = time.monotonic()
    with once_it_works(store, far.cut) as written:
        done = preprocess(recordings.folder, store, scheduler=address)
    assert 0 < written.result() < n_records(store)  # there was work left to lose
    assert far.address not in workers_of(address)
    assert done.n_computed == done.n_rows
    assert_same(store, recordings.store)
    assert time.monotonic() - began < 120
