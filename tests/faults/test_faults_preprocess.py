"""Preprocessing killed at any moment and run again is preprocessing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile as sf

from gunshot.errors import StoreIncompleteError
from gunshot.manifest.sources import build_manifest
from gunshot.manifest.table import read_manifest, write_manifest
from gunshot.recipe import Recipe
from gunshot.store.layout import prepare_store
from gunshot.store.read import open_store
from gunshot.store.records import record_states

N_FILES = 200  # four partitions

# What a run does from its beginning, in a process of its own. The imports take a second, so they are done once: each
# line on stdin forks a process that does the job, and its number is told. Killing it kills a process like any other.
# A line with a number alone waits for that process, and its exit code is told.
SERVER = r"""
import os, sys
from gunshot.manifest.table import read_manifest
from gunshot.preprocess.partition import preprocess_partition
from gunshot.recipe import Recipe
from gunshot.store.layout import prepare_store
from gunshot.store.records import missing_partitions
from gunshot.store.write import commit_store

def run(manifest, store):
    header = prepare_store(store, read_manifest(manifest), Recipe())
    for partition in missing_partitions(header):
        preprocess_partition(store, partition)
    commit_store(header)

for line in sys.stdin:
    job = line.rstrip("\n").split("\t")
    if len(job) == 1:
        answer = os.waitstatus_to_exitcode(os.waitpid(int(job[0]), 0)[1])
    else:
        answer = os.fork()
        if answer == 0:
            status = 1
            try:
                run(*job)
                status = 0
            finally:
                os._exit(status)
    print(answer, flush=True)
"""


class Runs:
    """Starts runs of preprocessing and waits for their ends."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, manifest: Path, store: Path) -> int:
        """Number of the process that does it."""
        return self._ask(f"{manifest}\t{store}")

    def ended(self, pid: int) -> int:
        """Exit code of a run; minus nine if it was killed."""
        return self._ask(str(pid))

    def _ask(self, line: str) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that forks the runs has ended; see its stderr above"
        return int(answer)


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        yield Runs(process)
        assert process.stdin
        process.stdin.close()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for number in range(N_FILES):
        path = folder / "audio" / ("gunshot" if number % 2 else "dog") / f"{number:03d}.wav"
        path.parent.mkdir(exist_ok=True, parents=True)
        sf.write(path, np.random.default_rng(number).normal(size=4000) * 0.1, 8000)
        if number % 9 == 0:
            path.write_text("no sound")
    write_manifest(build_manifest([str(folder / "audio")]), folder / "manifest.parquet")
    return folder / "manifest.parquet"


@pytest.fixture(scope="module")
def clean(runs: Runs, manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run that nobody disturbed."""
    store = tmp_path_factory.mktemp("clean") / "store"
    assert runs.ended(runs.start(manifest, store)) == 0
    return store


def objects(store: Path) -> dict[str, bytes]:
    """All objects by name; not what a killed write leaves under a name that nobody reads."""
    files = {str(path.relative_to(store)): path for path in store.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.endswith((".partial", ".part"))}


def n_files(store: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(store))  # which forgives folders that vanish


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_moments_and_run_again_it_ends_as_a_clean_run(
    runs: Runs, manifest: Path, clean: Path, tmp_path: Path, seed: int
) -> None:
    moments = random.Random(seed)
    store = tmp_path / "store"
    killed = 0
    for _ in range(8):
        # a few files further than the last one came, and then at no particular moment
        enough = n_files(store) + moments.randint(0, 3)
        pid = runs.start(manifest, store)
        while n_files(store) < enough and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.02))
        os.kill(pid, signal.SIGKILL)  # which does no harm to one that has ended
        killed += runs.ended(pid) == -signal.SIGKILL
    assert killed >= 4
    assert runs.ended(runs.start(manifest, store)) == 0
    assert objects(store) == objects(clean)
    found, expected = open_store(str(store)), open_store(str(clean))
    everything = range(N_FILES)
    assert found.rows.equals(expected.rows)
    assert np.array_equal(found.waveforms(everything), expected.waveforms(everything), equal_nan=True)
    assert np.array_equal(found.log_mels(everything), expected.log_mels(everything), equal_nan=True)


def test_as_long_as_it_is_killed_readers_are_told_that_it_has_not_ended(
    runs: Runs, manifest: Path, clean: Path, tmp_path: Path
) -> None:
    # killed as soon as a first record is there: between two partitions, or amid the second one
    store = tmp_path / "store"
    pid = runs.start(manifest, store)
    deadline = time.monotonic() + 30
    while not list(store.glob("partitions/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    assert runs.ended(pid) == -signal.SIGKILL
    with pytest.raises(StoreIncompleteError, match="is not committed"):
        open_store(str(store))
    assert runs.ended(runs.start(manifest, store)) == 0
    assert objects(store) == objects(clean)


def test_two_runs_at_once_into_one_store_write_the_same(
    runs: Runs, manifest: Path, clean: Path, tmp_path: Path
) -> None:
    # a lock keeps flows apart; what slips past it must do no harm either
    store = tmp_path / "store"
    prepare_store(str(store), read_manifest(manifest), Recipe())
    both = [runs.start(manifest, store) for _ in range(2)]
    assert [runs.ended(pid) for pid in both] == [0, 0]
    assert objects(store) == objects(clean)
    assert sum(record_states(open_store(str(store)).header).values()) == N_FILES
