"""Decisions in a bucket put together: killed between the steps, by two at once, and while people decide."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gunshot.review.compaction import compact_decisions
from gunshot.review.decision_log import DecisionLog, DecisionReader, read_decisions
from gunshot.review.decisions import Decision
from gunshot.storage import list_files, write_bytes
from tests.review.test_compaction import said

ROOT = Path(__file__).resolve().parents[2]

_KILLED = """
import os, signal, sys
from gunshot.review import compaction
results, after, delete = sys.argv[1], iter(range(int(sys.argv[2]))), compaction.delete
def delete_or_die(uri):
    if next(after, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
    delete(uri)
compaction.delete = delete_or_die
compaction.compact_decisions(results, most=5)
"""


def sittings(results: str, who: str, n: int) -> list[Decision]:
    """Decisions of so many sittings, of one each, as they lie in the bucket."""
    made = [said(who, number) for number in range(n)]
    for number, each in enumerate(made):
        write_bytes(f"{results}/review/decisions/{who}/20261122T{number:06}-00000000-000000.jsonl", each.line())
    return made


def names(results: str) -> list[str]:
    return [info.uri.rpartition("/")[2] for info in list_files(f"{results}/review/decisions")]


@pytest.mark.parametrize("after", [0, 6])
def test_a_kill_between_the_steps_loses_nothing_and_the_next_one_ends_it(prefix: str, after: int) -> None:
    made = sittings(prefix, "Anna", 20)
    done = subprocess.run([sys.executable, "-c", _KILLED, prefix, str(after)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    left = names(prefix)
    assert sum(name.startswith("compacted-") for name in left) == 1
    assert len(left) >= 21 - after
    assert read_decisions(prefix) == made
    compact_decisions(prefix, most=5)
    assert len(names(prefix)) == 1
    assert read_decisions(prefix) == made


def test_two_compact_at_once_while_three_decide_and_one_reads(prefix: str) -> None:
    told: list[Decision] = []
    failed: list[BaseException] = []
    over = threading.Event()

    def compact() -> None:
        try:
            while not over.is_set():
                compact_decisions(prefix, most=1)
        except BaseException as error:  # noqa: BLE001 - a thread's own failure would go unseen
            failed.append(error)

    def decide(who: str, first: int) -> None:
        for number in range(first, first + 30):
            if number % 7 == 0 or number == first:
                log = DecisionLog(prefix, who)
            log.add(said(who, number))
            told.append(said(who, number))

    compactors = [threading.Thread(target=compact) for _ in range(2)]
    deciders = [threading.Thread(target=decide, args=args) for args in (("Anna", 0), ("Anna", 1000), ("Ben", 2000))]
    for thread in (*compactors, *deciders):
        thread.start()
    reader, n_read = DecisionReader(prefix), 0
    while any(thread.is_alive() for thread in deciders):
        before = set(told)
        assert before <= set(reader.read())
        n_read += 1
    over.set()
    for thread in compactors:
        thread.join()
    assert failed == []
    assert n_read > 3
    assert len(told) == 90
    assert set(read_decisions(prefix)) == set(told)
    compact_decisions(prefix, most=1)
    assert len(names(prefix)) == 2
    assert set(read_decisions(prefix)) == set(reader.read()) == set(told)
