"""The SLURM profile on SLURM itself: one node, real jobs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client

import flows.clusters.slurm as slurm_module
from flows.cluster import open_cluster
from flows.clusters.profiles import SlurmProfile
from flows.clusters.slurm import slurm_options
from flows.clusters.workers import ONE_THREAD
from gunshot.errors import RunError
from tasks.fanout import fan_out
from tests.clusters import slurm
from tests.clusters.runs import Sound, assert_same, n_records, once_it_works, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

# on a node of this machine; jobs of one worker
PROFILE = """
kind: slurm
queue: short
cores: 1
memory: 1GiB
walltime: "00:30:00"
interface: lo
wait_s: 90
log_directory: logs
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    before = daemons()
    with slurm.one_node(tmp_path_factory.mktemp("slurm")) as configuration:
        yield configuration
    wait_for(lambda: daemons() <= before, 20)  # the last job is being put away


def daemons() -> set[str]:
    names = {"slurmctld", "slurmd", "slurmstepd", "munged"}
    return {f"{process.pid} {process.name()}" for process in psutil.process_iter() if process.name() in names}


def jobs() -> list[str]:
    """Numbers of jobs that wait or run, the oldest first."""
    return sorted(slurm.run("squeue", "--noheader", "--format=%A").split(), key=int)


def no_job_is_left() -> None:
    wait_for(lambda: not jobs(), 40)


@pytest.mark.usefixtures("node")
class TestPreprocessing:
    def test_jobs_write_what_a_run_without_workers_does(
        self, clips: Sound, preprocess: Callable[..., Any], profile: Callable[[str], Path], tmp_path: Path
    ) -> None:
        done = preprocess(clips.folder, tmp_path / "store", cluster=str(profile(PROFILE + "jobs: 2")))
        assert done.n_computed == done.n_rows == 60
        assert_same(tmp_path / "store", clips.store)
        no_job_is_left()
        assert list((tmp_path / "logs").glob("*.err"))  # beside the profile

    def test_a_cancelled_job_costs_nothing_but_time(
        self, recordings: Sound, preprocess: Callable[..., Any], profile: Callable[[str], Path], tmp_path: Path
    ) -> None:
        cancelled: list[str] = []

        def cancel() -> None:
            cancelled.extend(jobs()[:1])
            slurm.run("scancel", *cancelled)

        store = tmp_path / "store"
        with once_it_works(store, cancel) as written:
            done = preprocess(recordings.folder, store, cluster=str(profile(PROFILE + "jobs: 2")))
        assert cancelled
        assert 0 < written.result() < n_records(store)
        assert done.n_computed == done.n_rows
        assert_same(store, recordings.store)
        no_job_is_left()


@pytest.mark.usefixtures("node")
class TestJobs:
    def test_workers_are_as_the_profile_says(self, profile: Callable[[str], Path]) -> None:
        text = PROFILE.replace("cores: 1", "cores: 2").replace("1GiB", "2GiB")
        text += "jobs: 1\nprologue: ['export OMP_NUM_THREADS=9']"
        names = tuple(ONE_THREAD)

        def look() -> dict[str, Any]:
            import os

            return {name: os.environ.get(name) for name in (*names, "SLURM_JOB_PARTITION")}

        with open_cluster(cluster=str(profile(text))) as address, Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            assert len(jobs()) == 1
            workers = client.scheduler_info(n_workers=-1)["workers"].values()
            assert [(worker["nthreads"], worker["memory_limit"]) for worker in workers] == [(1, 2**30)] * 2
            assert list(client.run(look).values()) == [ONE_THREAD | {"SLURM_JOB_PARTITION": "short"}] * 2
        no_job_is_left()

    @pytest.mark.parametrize("cores", [1, 2])
    def test_a_lost_job_is_submitted_again(self, cores: int, profile: Callable[[str], Path]) -> None:
        text = PROFILE.replace("cores: 1", f"cores: {cores}").replace("1GiB", "2GiB") + "jobs: 1"
        with open_cluster(cluster=str(profile(text))) as address, Client(address, set_as_default=False) as client:
            client.wait_for_workers(cores, timeout=60)
            (first,) = jobs()
            time.sleep(6)  # it has been seen to have workers
            slurm.run("scancel", first)
            wait_for(lambda: bool(jobs()) and jobs() != [first], 60)
            client.wait_for_workers(cores, timeout=60)
            assert client.submit(sum, [1, 2]).result(timeout=30) == 3
            assert len(jobs()) == 1
        no_job_is_left()

    def test_workers_leave_before_the_walltime_without_harm_and_others_follow(
        self, profile: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def brief(chosen: SlurmProfile) -> dict[str, Any]:
            # the least walltime of a profile is minutes, and a test has no minutes
            return slurm_options(chosen) | {"worker_extra_args": ["--lifetime", "25s", "--lifetime-stagger", "1s"]}

        def unit(item: int) -> tuple[int, str]:
            import os

            time.sleep(0.5)
            return item, os.environ["SLURM_JOB_ID"]

        monkeypatch.setattr(slurm_module, "slurm_options", brief)
        with open_cluster(cluster=str(profile(PROFILE + "jobs: 1"))) as address:
            done = list(fan_out(address, unit, range(80)))
        assert sorted(item for item, _ in done) == list(range(80))
        assert len({job for _, job in done}) >= 2
        no_job_is_left()

    def test_a_job_that_is_refused_later_leaves_the_others_to_work(
        self, profile: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # a limit on jobs a user may submit needs a database of accounts: here sbatch itself refuses the second one
        sbatch = tmp_path / "bin" / "sbatch"
        sbatch.parent.mkdir()
        sbatch.write_text(
            f"""#!/bin/sh
            [ "$1" = --test-only ] || mkdir {tmp_path}/first || {{ echo too many jobs >&2; exit 1; }}
            exec {shutil.which("sbatch")} "$@"
            """
        )
        sbatch.chmod(0o755)
        monkeypatch.setenv("PATH", str(sbatch.parent), prepend=os.pathsep)
        with open_cluster(cluster=str(profile(PROFILE + "jobs: 2"))) as address:
            assert sorted(fan_out(address, abs, range(20))) == list(range(20))
            assert len(jobs()) == 1
        no_job_is_left()

    def test_there_are_more_jobs_as_there_is_more_work_and_they_speak_encrypted(
        self, profile: Callable[[str], Path], certificate: dict[str, str]
    ) -> None:
        text = PROFILE + "adaptive: {minimum: 1, maximum: 2}\ntls: " + str(certificate).replace("'", '"')

        def unit(item: int) -> int:
            time.sleep(0.5)
            return item

        most = 0
        with open_cluster(cluster=str(profile(text))) as address:
            assert address is not None
            assert address.startswith("tls://")
            assert len(jobs()) == 1
            for _ in fan_out(address, unit, range(80)):
                most = max(most, len(jobs()))
        assert most == 2
        no_job_is_left()


@pytest.mark.usefixtures("node")
class TestMistakes:
    def test_a_queue_that_is_not_there(self, profile: Callable[[str], Path]) -> None:
        path = profile(PROFILE.replace("short", "endless") + "jobs: 1")
        with (
            pytest.raises(RunError, match=r"SLURM does not take such jobs: .*nvalid partition") as caught,
            open_cluster(cluster=str(path)),
        ):
            pass
        assert "\n" not in str(caught.value)

    def test_jobs_that_end_before_they_have_a_worker(self, profile: Callable[[str], Path]) -> None:
        path = profile(PROFILE + "jobs: 1\nprologue: ['exit 3']")
        began = time.monotonic()
        with (
            pytest.raises(RunError, match="all workers ended before they had joined; look at squeue"),
            open_cluster(cluster=str(path)),
        ):
            pass
        assert time.monotonic() - began < 60
        no_job_is_left()
