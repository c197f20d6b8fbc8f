"""A lease in a bucket has one holder, however its requests fare, and a dead one does not keep it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gunshot.errors import LeaseError
from gunshot.storage import exists, lease, list_files
from tests.s3.faults import FaultProxy, Plan

# holds the lease as a process of another machine would, whose end nobody sees: "held", and then it lives until killed
HOLDER = r"""
import importlib, sys, time
module = importlib.import_module("gunshot.storage.lease")
from gunshot.errors import LeaseError

place, length_s, host, stays_s = sys.argv[1], float(sys.argv[2]), sys.argv[3], float(sys.argv[4])
module._host = lambda: host
print("ready", flush=True)
sys.stdin.readline()
try:
    with module.lease(place, length_s=length_s) as held:
        print("held", flush=True)
        time.sleep(stays_s)
        held.check()
except LeaseError as error:
    print(f"refused: {error}", flush=True)
"""


def start(place: str, length_s: float, host: str, stays_s: float) -> subprocess.Popen[str]:
    """A process that is ready, and waits for a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, place, str(length_s), host, str(stays_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_of_eight_processes_at_once_one_gets_it(prefix: str) -> None:
    processes = [start(prefix, 2, f"machine{number}", 6) for number in range(8)]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert sorted(text.partition(" ")[0].strip() for text in said) == ["held"] + ["refused:"] * 7
    assert all("is being written by process" in text for text in said if text.startswith("refused"))
    assert not exists(f"{prefix}/lease/00000001.json")


@pytest.mark.slow
def test_a_killed_process_of_another_machine_loses_it_after_its_length(prefix: str) -> None:
    length_s = 2.0
    process = start(prefix, length_s, "elsewhere", 60)
    assert process.stdin
    assert process.stdout
    process.stdin.write("go\n")
    process.stdin.flush()
    assert process.stdout.readline() == "held\n"
    with (
        pytest.raises(LeaseError, match=f"is being written by process {process.pid} on elsewhere"),
        lease(prefix, length_s=length_s),
    ):
        raise AssertionError("two hold one lease")
    process.kill()
    process.communicate()
    began = time.monotonic()
    with lease(prefix, length_s=length_s) as held:
        assert time.monotonic() - began >= length_s
        held.check()
        assert [info.uri for info in list_files(f"{prefix}/lease")] == [held.uri]


def test_a_lost_answer_does_not_shut_a_run_out_of_its_own_lease(
    prefix: str, through_faults: Callable[[Plan], FaultProxy]
) -> None:
    proxy = through_faults(Plan({"lost answer": 1.0}, most=1))
    began = time.monotonic()
    with lease(prefix, length_s=20) as held:
        assert time.monotonic() - began < 15  # it did not wait for its own end
        held.check()
    assert any(one.action == "PUT" and one.fault == "lost answer" for one in proxy.asked)
