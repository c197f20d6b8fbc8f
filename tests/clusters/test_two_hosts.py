"""A cluster over two hosts, of which one is lost half-way, comes back, stands still for a while, or is slow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client

from flows.clusters.workers import ONE_THREAD, ask_scheduler
from gunshot.scoring.results import KINDS, read_table
from gunshot.store.read import open_store
from gunshot.store.verify import verify_generation
from tests.clusters import hosts
from tests.clusters.hosts import Host
from tests.clusters.runs import Sound, assert_same, n_records, once_it_works, wait_for
from tests.s3.runs import save_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# so that a lost host is noticed within a test's patience; Dask takes nothing below 12 s for the first
SOON = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s", "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "8s"}


class Network(NamedTuple):
    """Address of a scheduler with a worker on its own host and one on another, and both hosts."""

    address: str
    near: Host
    far: Host

    def has_far(self) -> bool:
        return self.far.address in workers_of(self.address)

    def far_has_worked(self) -> bool:
        """Whether the worker that the other host has now has done anything since it began."""

        def worked(dask_worker: Any) -> bool:  # inside: it travels by value
            return any(key[0] == "execute" for key in dask_worker.digests_total)

        with Client(self.address, set_as_default=False) as client:
            found = client.run(worked, on_error="ignore")
        return any(did for worker, did in found.items() if self.far.address in worker)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """Workers are begun again when they end, as systemd, Docker or a queue would: Dask's end when they lose theirs."""
    before = hosts.existing()
    with hosts.two_hosts() as (near, far), ExitStack() as processes:
        address = f"tcp://{near.address}:8786"
        start = [
            (near, "scheduler", ["distributed.cli.dask_scheduler", "--host", near.address, "--port", "8786"]),
            *(
                (host, name, ["distributed.cli.dask_worker", address, "--host", host.address, "--nthreads", "1"])
                for host, name in ((near, "near"), (far, "far"))
            ),
        ]
        for host, name, command in start:
            kept = host.process(tmp_path / f"{name}.log", *command, "--no-dashboard", again=True, **SOON, **ONE_THREAD)
            processes.enter_context(kept)
        wait_for(lambda: workers_of(address) == {near.address, far.address}, 60)
        yield Network(address, near, far)
    assert hosts.existing() == before


def workers_of(address: str) -> set[str]:
    async def identity(scheduler: Any) -> set[str]:
        return {worker["host"] for worker in (await scheduler.identity(n_workers=-1))["workers"].values()}

    try:
        return set(ask_scheduler(address, identity))
    except OSError:
        return set()


def assert_done_once(done: Any, store: Path, expected: Path) -> None:
    """The store is that of a run without workers: each partition has one record, each row was computed, once."""
    assert done.n_computed == done.n_rows
    assert n_records(store) == n_records(expected)
    assert_same(store, expected)
    assert list(verify_generation(open_store(str(store)).header)) == []


def test_a_run_outlives_the_loss_of_a_host(
    network: Network, recordings: Sound, preprocess: Callable[..., Any], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    with once_it_works(store, network.far.cut) as written:
        done = preprocess(recordings.folder, store, scheduler=network.address)
    assert 0 < written.result() < n_records(store)  # there was work left to lose
    assert not network.has_far()
    assert_done_once(done, store, recordings.store)


def lose_and_regain(network: Network) -> None:
    """The link is cut until the scheduler has given the host up; its worker ends, and a new one comes."""
    network.far.cut()
    wait_for(lambda: not network.has_far(), 60)
    network.far.mend()


def stand_still(network: Network) -> None:
    """What is half done is given to the other host, and then goes on here as if nothing had been."""
    with network.far.frozen():
        wait_for(lambda: not network.has_far(), 120)  # for 30 s of them Dask asks its nanny for another worker


def comes_back(network: Network, trouble: Callable[[Network], None]) -> None:
    """The other host crawls, so that there is work left when this one is back and has done some of it."""
    with network.near.crawling():
        trouble(network)
        wait_for(network.has_far, 120)
        wait_for(network.far_has_worked, 120)


@pytest.mark.parametrize("trouble", [lose_and_regain, stand_still])
def test_a_host_that_comes_back_amid_a_run_works_again_and_nothing_is_there_twice(
    network: Network, trouble: Callable[[Network], None], recordings: Sound, preprocess: Callable[..., Any],
    tmp_path: Path,
) -> None:  # fmt: skip
    store = tmp_path / "store"
    with once_it_works(store, lambda: comes_back(network, trouble)) as written:
        done = preprocess(recordings.folder, store, scheduler=network.address)
    assert 0 < written.result() < n_records(store)  # it was back before the end
    assert_done_once(done, store, recordings.store)


def test_a_host_that_is_slow_behind_a_slow_link_is_waited_for(
    network: Network, recordings: Sound, preprocess: Callable[..., Any], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    network.far.slow_down(SLOW)
    with ExitStack() as until_the_end:

        def slow_down() -> None:
            wait_for(network.far_has_worked, 60)  # and has a next unit, which nobody can take from it
            until_the_end.enter_context(network.far.crawling())

        with once_it_works(store, slow_down) as written:
            done = preprocess(recordings.folder, store, scheduler=network.address)
        assert 0 < written.result() < n_records(store)
        assert network.has_far()
    assert_done_once(done, store, recordings.store)


SLOW = "64kbit"


@pytest.fixture(scope="module")
def archive(recordings: Sound, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same recordings under many names: batches enough that a host can come back amid them."""
    folder = tmp_path_factory.mktemp("archive")
    for path in sorted(recordings.folder.glob("*.flac")):
        for number in range(N_COPIES):
            os.link(path, folder / f"{number:02d}-{path.name}")
    return folder


N_COPIES = 8


def written(results: Path) -> dict[str, pa.Table]:
    """Every row of every object, however often it is there."""
    return {
        kind: pa.concat_tables([pq.read_table(path) for path in sorted((results / kind).glob("*.parquet"))])
        for kind in KINDS if (results / kind).is_dir()
    }  # fmt: skip


def test_scoring_with_a_host_that_comes_back_gives_each_recording_one_row(
    network: Network, archive: Path, prefect_server: None, tmp_path: Path
) -> None:
    from flows.score import score

    model, results, alone = save_model(str(tmp_path / "model")), tmp_path / "results", tmp_path / "alone"
    score([str(archive)], model, str(alone), workers=0, keep_candidates=0.0)
    with once_it_works(results, lambda: comes_back(network, lose_and_regain), "recordings/*.parquet") as n_before:
        score([str(archive)], model, str(results), scheduler=network.address, keep_candidates=0.0)
    found, expected = written(results), written(alone)
    assert 0 < n_before.result() < len(list(results.glob("recordings/*.parquet")))
    uris = found["recordings"]["uri"].to_pylist()
    assert len(uris) == len(set(uris)) == len(list(archive.iterdir()))
    assert found.keys() == expected.keys()
    assert expected["candidates"].num_rows > len(uris)
    for kind, table in expected.items():
        told = [name for name in table.column_names if name != "run_id"]
        assert found[kind].select(told).equals(table.select(told))
        assert read_table(str(results), kind).num_rows == table.num_rows
