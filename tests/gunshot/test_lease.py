"""A lease has one holder, and a dead one does not keep it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from gunshot.errors import LeaseError
from gunshot.storage import delete, delete_tree, exists, lease, list_files, write_bytes
from gunshot.storage.lease import _host

HOLDER = r"""
import sys, time
from gunshot.storage import lease
with lease(sys.argv[1], length_s=float(sys.argv[2])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["local", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "local":
        yield str(tmp_path / "place")
        return
    uri = f"memory://{uuid4().hex}"
    yield uri
    delete_tree(uri)


@contextmanager
def holder_process(place: str, length_s: float) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, place, str(length_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_it_is_free_again_after_its_end_and_leaves_nothing(place: str) -> None:
    for _ in range(3):
        with lease(place, length_s=1) as held:
            held.check()
            assert len(list(list_files(f"{place}/lease"))) == 1
    assert not exists(f"{place}/lease/00000001.json")


def test_a_second_run_is_told_who_holds_it(place: str) -> None:
    told = pytest.raises(LeaseError, match=rf"{place} is being written by process \d+ on ")
    with lease(place, length_s=0.8), told, lease(place, length_s=0.8):
        raise AssertionError("two runs hold one lease")


def test_of_many_at_once_one_holds_it(place: str) -> None:
    inside: list[int] = []
    most: list[int] = []

    def run(number: int) -> None:
        try:
            with lease(place, length_s=0.5):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.3)
                inside.remove(number)
        except LeaseError:
            pass

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most
    assert max(most) == 1


def test_a_killed_process_of_this_machine_is_dead_at_once(tmp_path: Path) -> None:
    with holder_process(str(tmp_path), 60):
        pass
    began = time.monotonic()
    with lease(str(tmp_path), length_s=60):
        assert time.monotonic() - began < 5
        assert len(list(list_files(str(tmp_path / "lease")))) == 1


def test_a_living_process_keeps_it_against_another(tmp_path: Path) -> None:
    with holder_process(str(tmp_path), 1) as holder:
        told = pytest.raises(LeaseError, match=f"by process {holder.pid} on")
        with told, lease(str(tmp_path), length_s=1):
            raise AssertionError("two processes hold one lease")


@pytest.mark.parametrize("content", ["", "no json", '{"host": "far", "pid": 1, "process": "1", "beat": 3}'])
def test_one_without_a_sign_of_life_is_dead_after_its_length(tmp_path: Path, content: str) -> None:
    (tmp_path / "lease").mkdir()
    (tmp_path / "lease" / "00000007.json").write_text(content)
    began = time.monotonic()
    with lease(str(tmp_path), length_s=0.4) as held:
        assert time.monotonic() - began >= 0.4
        assert held.uri.endswith("00000008.json")
        assert [Path(info.uri).name for info in list_files(str(tmp_path / "lease"))] == ["00000008.json"]


def test_a_process_of_another_machine_with_our_number_is_not_us(tmp_path: Path) -> None:
    assert _host()
    (tmp_path / "lease").mkdir()
    (tmp_path / "lease" / "00000001.json").write_text('{"host": "elsewhere", "pid": 999999, "process": "", "beat": 0}')
    began = time.monotonic()
    with lease(str(tmp_path), length_s=0.4):
        assert time.monotonic() - began >= 0.4


def test_who_lost_it_is_told_before_the_commit(place: str) -> None:
    # as after a pause longer than the lease: another run has made the next object
    with lease(place, length_s=30) as held:
        write_bytes(f"{held.uri.rpartition('/')[0]}/00000002.json", b"{}")
        with pytest.raises(LeaseError, match="another run has taken it over; run again"):
            held.check()
        delete(f"{held.uri.rpartition('/')[0]}/00000002.json")
