"""Clusters of flows: where they listen, what their workers import, and that they end."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import psutil
import pytest
from distributed import Client, LocalCluster
from threadpoolctl import threadpool_info, threadpool_limits

import flows.cluster as cluster_module
import flows.clusters.workers as workers_module
from flows.cluster import open_cluster
from gunshot.errors import ParameterError


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with open_cluster(2) as found:
        assert found is not None
        yield found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "_ANSWER_WITHIN_S", 1)


@pytest.fixture
def deaf_server() -> Iterator[str]:
    """Address of a server that takes connections and never says a word, as one of another kind may."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def take() -> None:
        while True:
            try:
                taken.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=take)
    thread.start()
    yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for connection in taken:
        connection.close()


def descendants() -> set[int]:
    """Processes below this one, but for Python's own tracker, which lives as long as this process."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            if not any("resource_tracker" in part for part in process.cmdline()):
                found.add(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def listening(pids: set[int]) -> set[tuple[int, str]]:
    """(process, host) of every listening socket of some processes."""
    return {
        (pid, connection.laddr.ip)
        for pid in pids
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_no_workers_need_no_cluster() -> None:
    before = descendants()
    with open_cluster(0) as address:
        assert address is None
        assert descendants() == before


def test_without_workers_a_product_is_what_it_is_on_workers(address: str) -> None:
    def product() -> bytes:  # as large as those of a clip's spectrogram; inside: it travels by value
        import numpy as np

        rng = np.random.default_rng(0)
        one, other = (rng.standard_normal(shape).astype(np.float32) for shape in ((300, 513), (513, 64)))
        return bytes((one @ other).tobytes())

    with threadpool_limits(2), open_cluster(0):
        here = product()
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    with threadpool_limits(2):
        with open_cluster(0):
            pass
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {2}
    with Client(address, set_as_default=False) as client:
        assert client.submit(product).result() == here


def test_workers_are_processes_of_one_thread(address: str) -> None:
    with Client(address, set_as_default=False) as client:
        assert list(client.nthreads().values()) == [1, 1]
        pids = set(client.run(os.getpid).values())
    assert len(pids) == 2
    assert pids <= descendants()


def test_nothing_listens_beyond_loopback(address: str) -> None:
    with Client(address, set_as_default=False) as client:
        pids = {os.getpid(), *client.run(os.getpid).values()}
    sockets = listening(pids)
    assert {host for _, host in sockets} == {"127.0.0.1"}
    assert {pid for pid, _ in sockets} == pids  # the check sees the scheduler and both workers


def test_there_is_no_dashboard(address: str) -> None:
    # Dask's HTTP server starts all the same, and must have nothing to show
    with Client(address, set_as_default=False) as client:
        port = client.scheduler_info()["services"]["dashboard"]
    assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    assert httpx.get(f"http://127.0.0.1:{port}/status").status_code == 404


def test_workers_begin_without_tensorflow(address: str) -> None:
    with Client(address, set_as_default=False) as client:
        assert set(client.run(lambda: "tensorflow" in sys.modules).values()) == {False}


@pytest.mark.usefixtures("impatient")
def test_a_scheduler_that_runs_is_taken_as_it_is_and_left_running(address: str) -> None:
    for given in (address, address.removeprefix("tcp://")):
        with open_cluster(scheduler=given) as found:
            assert found == given
    with Client(address, set_as_default=False) as client:
        assert client.submit(sum, [1, 2]).result() == 3


def test_two_clusters_may_run_beside_each_other(address: str) -> None:
    # warnings are errors here, and Dask warns of a port that is taken
    with open_cluster(1) as other:
        assert other is not None
        assert other != address


def test_by_default_there_is_a_worker_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    class Recorder:
        def __init__(self, **options: object) -> None:
            asked.append(options["n_workers"])

        scheduler_address = "tcp://127.0.0.1:1"

        def __enter__(self) -> Recorder:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(cluster_module, "LocalCluster", Recorder)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5})
    for workers in (None, 1, 7):
        with open_cluster(workers):
            pass
    assert asked == [3, 1, 7]


@pytest.mark.parametrize("fails", [False, True])
def test_the_cluster_ends_with_the_block(fails: bool) -> None:
    before = descendants()
    with ExitStack() as stack:
        if fails:
            stack.enter_context(pytest.raises(ZeroDivisionError))
        with open_cluster(1) as address:
            during = descendants() - before
            assert during
            assert address is not None
            port = int(address.rpartition(":")[2])
            if fails:
                raise ZeroDivisionError
    for process in [psutil.Process(pid) for pid in during if psutil.pid_exists(pid)]:
        process.wait(timeout=10)
    assert not descendants() - before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


class TestMistakes:
    def test_workers_and_a_scheduler_exclude_each_other(self) -> None:
        with (
            pytest.raises(ParameterError, match=r"give one of them; got --workers 2 and --scheduler tcp://x:1"),
            open_cluster(2, "tcp://x:1"),
        ):
            pass

    def test_a_negative_number_of_workers_is_refused(self) -> None:
        with pytest.raises(ParameterError, match="--workers must be 0 or more; got -1"), open_cluster(-1):
            pass

    @pytest.mark.usefixtures("impatient")
    @pytest.mark.parametrize(
        "wrong",
        [
            "tcp://127.0.0.1:9", "127.0.0.1:9", "tcp://127.0.0.1", "localhost:dask", "localhost",
            "", "http://127.0.0.1:80", "no-such-host.invalid:8786",
        ],
    )  # fmt: skip
    def test_an_address_where_no_scheduler_answers_is_told_soon(self, wrong: str) -> None:
        began = time.monotonic()
        with pytest.raises(ParameterError) as caught, open_cluster(scheduler=wrong):
            pass
        assert time.monotonic() - began < 5
        message = str(caught.value)
        assert f"no Dask scheduler answers at {wrong!r} within 1 s (" in message
        assert message.endswith("start one with 'dask scheduler', or leave --scheduler out")
        assert "1 s ()" not in message

    @pytest.mark.usefixtures("impatient")
    def test_a_server_of_another_kind_is_not_waited_for_for_ever(self, deaf_server: str) -> None:
        with pytest.raises(ParameterError, match="no Dask scheduler answers"), open_cluster(scheduler=deaf_server):
            pass

    @pytest.mark.usefixtures("impatient")
    def test_the_address_of_a_worker_is_not_a_scheduler(self, address: str) -> None:
        with Client(address, set_as_default=False) as client:
            worker = next(iter(client.nthreads()))
        with pytest.raises(ParameterError, match="no Dask scheduler answers"), open_cluster(scheduler=worker):
            pass

    @pytest.mark.usefixtures("impatient")
    def test_a_scheduler_without_workers_is_told(self) -> None:
        options = {"dashboard_address": None, "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"}}
        with LocalCluster(n_workers=0, host="127.0.0.1", **options) as empty:
            lonely = empty.scheduler_address
            with (
                pytest.raises(ParameterError, match=f"at {lonely} has no workers; start some with 'dask worker"),
                open_cluster(scheduler=lonely),
            ):
                pass

    @pytest.mark.usefixtures("impatient")
    def test_it_may_be_asked_from_inside_an_event_loop(self, address: str) -> None:
        async def ask() -> str | None:
            with open_cluster(scheduler=address) as found:
                return found

        assert asyncio.run(ask()) == address

    def test_it_waits_ten_seconds_and_no_longer(self) -> None:
        assert workers_module._ANSWER_WITHIN_S == 10
