"""The fan-out: every unit once, a bounded window, and nothing left behind.

Units of work are closures here, which travel to the workers by value: a test module cannot be imported there.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from distributed.comm import CommClosedError
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.cluster import open_cluster
from gunshot.errors import AudioError, RunError, TransientStorageError, UnwantedError
from gunshot.wanted import check_wanted
from tasks.fanout import fan_out

WINDOW = 2 * 3  # three units for each of the cluster's two threads


class Counted:
    """Items that count how many of them were asked for."""

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items
        self.read = 0

    def __iter__(self) -> Iterator[int]:
        for item in range(self.n_items):
            self.read += 1
            yield item


def tasks_on(address: str) -> int:
    """How many tasks the scheduler knows, once it has had the time to forget those released."""
    gc.collect()
    with Client(address, set_as_default=False) as client:
        for _ in range(50):
            left = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
            if left == 0:
                break
            time.sleep(0.1)
        return int(left)


class TestHere:
    @given(items=st.lists(st.integers(), max_size=50))
    def test_every_item_is_done_once_and_in_order(self, items: list[int]) -> None:
        done: list[int] = []

        def unit(item: int) -> int:
            done.append(item)
            return 2 * item

        assert list(fan_out(None, unit, items)) == [2 * item for item in items]
        assert done == items

    def test_nothing_is_read_ahead(self) -> None:
        items = Counted(10)
        for number, _ in enumerate(fan_out(None, str, items), start=1):
            assert items.read == number

    def test_errors_come_through(self) -> None:
        def unit(item: int) -> int:
            if item == 2:
                raise TransientStorageError("no answer")
            return item

        results = fan_out(None, unit, range(5))
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(TransientStorageError, match="no answer"):
            next(results)


class TestOnWorkers:
    @pytest.mark.parametrize("n_items", [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 60])
    def test_every_item_is_done_once(self, cluster: str, tmp_path: Path, n_items: int) -> None:
        log = tmp_path / "log"
        log.touch()

        def unit(item: int) -> int:
            with log.open("a") as file:
                file.write(f"{item}\n")
            return 2 * item

        assert Counter(fan_out(cluster, unit, range(n_items))) == Counter(2 * item for item in range(n_items))
        assert sorted(map(int, log.read_text().split())) == list(range(n_items))

    def test_equal_items_are_each_done(self, cluster: str, tmp_path: Path) -> None:
        # to Dask the same function of the same value is the same result; to us it is work
        log = tmp_path / "log"

        def unit(item: int) -> str:
            with log.open("a") as file:
                file.write(f"{item}\n")
            return hex(item)

        items = [3, 3, 3, 5] * 5
        assert sorted(fan_out(cluster, unit, items)) == sorted(map(hex, items))
        assert sorted(map(int, log.read_text().split())) == sorted(items)

    def test_both_workers_work_and_this_process_does_not(self, cluster: str) -> None:
        def unit(_: int) -> int:
            time.sleep(0.05)
            return os.getpid()

        pids = set(fan_out(cluster, unit, range(20)))
        assert len(pids) == 2
        assert os.getpid() not in pids

    def test_items_are_never_read_further_than_the_window(self, cluster: str) -> None:
        items = Counted(40)
        for n_before, _ in enumerate(fan_out(cluster, str, items)):
            assert items.read <= n_before + WINDOW
        assert items.read == 40

    def test_a_slow_reader_of_results_is_waited_for(self, cluster: str) -> None:
        # the archive is not pumped into the scheduler while its results are being written somewhere
        items = Counted(1000)
        results = fan_out(cluster, str, items)
        next(results)
        time.sleep(0.5)
        assert items.read == WINDOW
        results.close()

    @pytest.mark.parametrize(
        "error", [TransientStorageError("no answer"), AudioError("short", "breaks off"), ZeroDivisionError("a bug")]
    )
    def test_errors_come_through_with_their_type_and_text(self, cluster: str, error: Exception) -> None:
        def unit(item: int) -> int:
            if item == 7:
                raise error
            return item

        with pytest.raises(type(error), match=str(error)) as caught:
            list(fan_out(cluster, unit, range(20)))
        assert getattr(caught.value, "state", None) == getattr(error, "state", None)

    def test_after_an_error_no_further_item_is_read(self, cluster: str) -> None:
        def unit(item: int) -> int:
            raise ValueError(item)

        items = Counted(1000)
        with pytest.raises(ValueError, match=r"^[0-5]$"):
            list(fan_out(cluster, unit, items))
        assert items.read <= WINDOW


class TestNothingIsLeft:
    def consumed(self, results: Iterator[Any]) -> None:
        list(results)

    def abandoned(self, results: Iterator[Any]) -> None:
        next(results)
        results.close()

    def failed(self, results: Iterator[Any]) -> None:
        with pytest.raises(ValueError, match="bad"):
            list(results)

    @pytest.mark.parametrize("how", ["consumed", "abandoned", "failed"])
    def test_the_scheduler_forgets_units_however_a_run_ends(self, cluster: str, how: str) -> None:
        def unit(item: int) -> int:
            if how == "failed" and item == 9:
                raise ValueError("bad")
            return item

        getattr(self, how)(fan_out(cluster, unit, range(30)))
        assert tasks_on(cluster) == 0

    def test_the_scheduler_forgets_units_while_a_run_goes_on(self, cluster: str) -> None:
        with Client(cluster, set_as_default=False) as client:
            most = 0
            for _ in fan_out(cluster, bytes, [10_000] * 60):
                known = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
                most = max(most, known)
        assert 0 < most <= 2 * WINDOW

    def test_units_under_way_end_when_the_run_does_and_those_of_others_go_on(
        self, cluster: str, tmp_path: Path
    ) -> None:
        def unit(name: str) -> str:
            (tmp_path / f"{name} began").touch()
            try:
                while not (tmp_path / "enough").exists():
                    time.sleep(0.05)
                    check_wanted()
            except UnwantedError:
                (tmp_path / f"{name} ended").touch()
                raise
            return name

        def touched(what: str) -> list[str]:
            return sorted(path.name.split()[0] for path in tmp_path.glob(f"* {what}"))

        ends = time.monotonic() + 120
        with Client(cluster, set_as_default=False) as client:
            other = client.submit(unit, "other")  # without an end of its own
            ours = fan_out(
                cluster, lambda name: "first" if name == "first" else unit(name), ["first", "second", "third"]
            )
            assert next(ours) == "first"
            while len(touched("began")) < 2:
                assert time.monotonic() < ends
                time.sleep(0.05)
            ours.close()
            while not touched("ended"):
                assert time.monotonic() < ends
                time.sleep(0.05)
            assert touched("began") == ["other", *touched("ended")]
            (tmp_path / "enough").touch()
            assert other.result(timeout=120) == "other"

    def test_no_client_becomes_the_default(self, cluster: str) -> None:
        list(fan_out(cluster, str, range(3)))
        with pytest.raises(ValueError, match="No client"):
            Client.current()


def killer(marker: Path, times: int) -> Callable[[int], int]:
    """A unit that kills its worker, as often as asked, when it comes to item 4."""

    def unit(item: int) -> int:
        if item == 4 and (times < 0 or len(list(marker.iterdir())) < times):
            (marker / f"{time.time_ns()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    return unit


@pytest.fixture(scope="module")
def workers_of_one() -> Iterator[str]:
    with open_cluster(1) as address:
        yield address


@pytest.fixture
def one_worker(workers_of_one: str) -> Iterator[str]:
    """A cluster of one worker, which is there: also at the end, for one that is closed while a worker starts waits."""
    with Client(workers_of_one, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=240)
        yield workers_of_one
        client.wait_for_workers(1, timeout=240)


class TestKilledWorkers:
    def test_a_unit_whose_worker_was_killed_runs_again_and_all_results_arrive(
        self, cluster: str, tmp_path: Path
    ) -> None:
        assert sorted(fan_out(cluster, killer(tmp_path, 1), range(20))) == list(range(20))
        assert len(list(tmp_path.iterdir())) == 1
        assert tasks_on(cluster) == 0

    def test_those_that_were_blamed_run_alone_and_all_results_arrive(self, one_worker: str, tmp_path: Path) -> None:
        # with one worker all units of the window are blamed for what one of them did
        assert sorted(fan_out(one_worker, killer(tmp_path, 2), range(8))) == list(range(8))
        assert len(list(tmp_path.iterdir())) == 2
        assert tasks_on(one_worker) == 0

    def test_a_unit_that_always_kills_its_worker_ends_the_run_and_no_other_does(
        self, one_worker: str, tmp_path: Path
    ) -> None:
        with pytest.raises(
            RunError, match=r"^4 killed its workers again and again \(.*\); see the workers' logs"
        ) as caught:
            list(fan_out(one_worker, killer(tmp_path, -1), range(8)))
        assert "\n" not in str(caught.value)
        assert len(list(tmp_path.iterdir())) == 4  # twice among others, twice alone

    def test_what_is_done_after_deaths_replaces_the_unit(self, one_worker: str, tmp_path: Path) -> None:
        results = list(fan_out(one_worker, killer(tmp_path, -1), range(8), after_deaths=lambda item: -item))
        assert sorted(map(abs, results)) == list(range(8))
        assert -4 in results
        assert len(list(tmp_path.iterdir())) == 2

    def test_what_is_done_after_deaths_is_not_believed_without_end(self, one_worker: str, tmp_path: Path) -> None:
        unit = killer(tmp_path, -1)
        with pytest.raises(RunError, match=r"^4 killed its workers"):
            list(fan_out(one_worker, unit, range(5), after_deaths=lambda item: unit(item)))
        assert len(list(tmp_path.iterdir())) == 6

    @pytest.mark.slow
    def test_a_worker_that_dies_again_and_again_is_brought_back(self) -> None:
        # Dask looks 15 s after a death whether the worker lives, and must not give it up if that is a later death
        with open_cluster(1) as address:
            with Client(address, set_as_default=False) as client:
                last = time.monotonic() + 20
                while time.monotonic() < last:
                    client.wait_for_workers(1, timeout=240)
                    with suppress(CommClosedError, OSError):
                        client.run(os._exit, 1, on_error="ignore")
            assert sorted(fan_out(address, int, range(3))) == [0, 1, 2]

    def test_a_cluster_whose_last_worker_is_gone_ends_the_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flows.cluster._NO_WORKERS_S", "1 s")
        with open_cluster(1) as address:
            with Client(address, set_as_default=False) as client:
                client.retire_workers(close_workers=True)  # the nanny takes it for wanted, and starts none anew
            with pytest.raises(RunError, match=f"no worker is left at {address}"):
                list(fan_out(address, str, range(3)))

    def test_a_lost_scheduler_ends_the_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # what a client does when the connection is gone: it cancels all it waits for
        def submit(client: Client, function: Callable[[int], int], item: int, **_: object) -> Any:
            future = original(client, function, item, pure=False)
            future.cancel()
            return future

        original = Client.submit
        monkeypatch.setattr(Client, "submit", submit)
        with (
            open_cluster(1) as address,
            pytest.raises(RunError, match=f"scheduler at {address} was lost; run again"),
        ):
            list(fan_out(address, str, range(3)))

    @pytest.mark.parametrize(
        "said",
        [OSError("Timed out trying to connect"), AttributeError("'NoneType' object has no attribute 'ncores'")],
        ids=["not answered", "known to be gone"],
    )
    def test_a_scheduler_that_is_lost_when_its_threads_are_counted_again_ends_the_run(
        self, cluster: str, said: Exception, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # both are what Dask's client did, with a scheduler that was killed: the first once, the second from then on
        def nthreads(client: Client) -> dict[str, int]:
            counted.append(1)
            if len(counted) > 1:
                raise said
            return original(client)

        counted: list[int] = []
        original = Client.nthreads
        monkeypatch.setattr(Client, "nthreads", nthreads)
        monkeypatch.setattr("tasks.fanout._LOOK_EVERY_S", 0.0)
        with pytest.raises(RunError, match=f"scheduler at {cluster} was lost; run again"):
            list(fan_out(cluster, str, range(20)))


@settings(deadline=None, max_examples=5)
@given(counts=st.lists(st.integers(0, 12), min_size=1, max_size=3))
def test_runs_one_after_another_do_not_mix(cluster: str, counts: list[int]) -> None:
    def results(items: Iterable[int]) -> list[int]:
        return sorted(fan_out(cluster, int, items))

    for number, n_items in enumerate(counts):
        items = range(100 * number, 100 * number + n_items)
        assert results(items) == list(items)
