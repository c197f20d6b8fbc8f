"""A schedule of every minute over an archive that grows, while server, worker and all are killed: each recording once.

`GUNSHOT_SCHEDULE_MINUTES` says for how long; 15 is what is told in docs/schedule.md.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.operations.processes import marked
from flows.operations.specification import SHIPPED_FILE
from gunshot.scoring.results import read_table
from gunshot.scoring.results.checks import verify_results
from tests.deployments.running import ENDED, LONG_S, Up, free_port, nothing_left, wait, words, write_archive

MINUTES = float(os.environ.get("GUNSHOT_SCHEDULE_MINUTES", "2"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * LONG_S + 120 * MINUTES)]

EVERY_S = 4.0
"""Between two recordings that come [s]."""


def every_minute(folder: Path) -> Path:
    """The project's deployments, but for when the score flow runs and how long a file must have lain."""
    text = SHIPPED_FILE.read_text()
    for old, new in (('cron: "0 6 * * *"', 'cron: "* * * * *"'), ("settle_s: 60 ", "settle_s: 1 ")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = folder / "every-minute.yaml"
    path.write_text(text)
    return path


@contextmanager
def growing(archive: Path) -> Iterator[list[int]]:
    """Recordings come, one after another, until the block ends; their number."""
    stopped, come = threading.Event(), [0]

    def grow() -> None:
        while not stopped.wait(EVERY_S):
            write_archive(archive / "coming", range(come[0], come[0] + 1), 20.0)
            for path in (archive / "coming").iterdir():  # a card's file is copied elsewhere first, then it is there
                path.rename(archive / path.name)
            come[0] += 1

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        yield come
    finally:
        stopped.set()
        thread.join()


def the(home: Path, *named: str) -> psutil.Process:
    """The process of this home whose command has these words, nearest to `gunshot up`."""
    found = [process for process in marked(str(home)) if set(named) <= set(words(process))]
    return min(found, key=lambda process: process.pid)


def scoring_runs(up: Up) -> list[dict[str, Any]]:
    asked = {"flows": {"name": {"any_": ["score"]}}, "limit": 200, "sort": "START_TIME_ASC"}
    return [run for run in up.ask("/flow_runs/filter", asked) if run["start_time"]]


def test_each_recording_is_scored_once_whatever_is_killed(tmp_path: Path) -> None:
    port, rest_s = free_port(), MINUTES * 60 / 4
    with nothing_left(tmp_path / "home") as home:
        archive = home / "archive"
        write_archive(archive, range(5000, 5003), 20.0)
        options = ("--prefect-file", str(every_minute(tmp_path)))
        up = Up(home, port, *options)
        up.wait_ready()
        with growing(archive) as come:
            for killed in (("server", "start"), ("worker", "start"), ()):
                time.sleep(rest_s)
                if killed:
                    the(home, *killed).kill()
                    assert up.process.wait(LONG_S) == 1
                else:
                    up.process.kill()  # and with it, unasked, the database
                    up.process.wait()
                up = Up(home, port, *options)
                up.wait_ready()
            time.sleep(rest_s)
        expected = come[0] + 3
        wait(lambda: n_scored(home) == expected)
        wait(lambda: not [run for run in scoring_runs(up) if run["state_name"] not in ENDED])
        rows = read_table(str(home / "results"), "recordings")
        times = Counter(rows["path"].to_pylist())
        assert len(times) == expected
        assert set(times.values()) == {1}
        assert set(rows["state"].to_pylist()) == {"ok"}
        faults = [fault.what for fault in verify_results(str(home / "results"))]
        assert [what for what in faults if "left over" not in what] == []
        runs = scoring_runs(up)
        states = Counter(run["state_name"] for run in runs)
        print(f"\n{MINUTES:g} minutes, {expected} recordings, runs {dict(states)}")
        assert states["Completed"] >= MINUTES / 2
        assert states["Failed"] == 0
        done = [run for run in runs if run["state_name"] == "Completed"]
        for one, other in pairwise(done):
            assert moment(one["end_time"]) <= moment(other["start_time"]), "two at once"
        assert up.stop() == 0


def n_scored(home: Path) -> int:
    return read_table(str(home / "results"), "recordings").num_rows


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
