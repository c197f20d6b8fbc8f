"""Workers as jobs of a SLURM cluster, through dask-jobqueue.

Conventions
-----------
A job has as many workers as cores, each of one thread. Workers leave before the walltime, not all at once, and hand
their work over; a job that ended so, or was lost, is submitted again as long as the run lasts. One that ended before
its workers came is not: it would end again.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from distributed import Security
from distributed.core import Status

from flows.clusters.profiles import SlurmProfile
from flows.clusters.workers import ONE_THREAD, WORK_FOR_ONE, certificates, check_workers, plan_threads, wait_for_one
from gunshot.errors import RunError

if TYPE_CHECKING:
    from dask_jobqueue import SLURMCluster

__all__ = ["open_slurm", "slurm_options"]

_LOOK_EVERY_S = 5.0


def slurm_options(profile: SlurmProfile) -> dict[str, Any]:
    """What dask-jobqueue is asked for.

    Parameters
    ----------
    profile : SlurmProfile
        The profile.

    Returns
    -------
    dict
        Arguments of ``SLURMCluster``.
    """
    margin_s = min(300.0, profile.walltime_s / 10)
    # a worker leaves within a margin around this, and a margin before SLURM ends its job
    lifetime_s = profile.walltime_s - 2 * margin_s
    return {
        "queue": profile.queue,
        "account": profile.account,
        "walltime": profile.walltime,
        "cores": profile.cores,
        "processes": profile.cores,
        "memory": profile.memory,
        "interface": profile.interface,
        "python": None if profile.python is None else shlex.quote(profile.python),
        "local_directory": profile.local_directory,
        "log_directory": None if profile.log_directory is None else str(profile.log_directory),
        "job_extra_directives": list(profile.job_extra_directives),
        # last, so that nothing before it sets them otherwise
        "job_script_prologue": [*profile.prologue, *(f"export {name}={value}" for name, value in ONE_THREAD.items())],
        "worker_extra_args": ["--lifetime", f"{lifetime_s:.0f}s", "--lifetime-stagger", f"{margin_s:.0f}s"],
        "scheduler_options": {"dashboard_address": "127.0.0.1:0"},  # it has no password
        "security": None if profile.tls is None else Security(require_encryption=True),
    }


@contextmanager
def open_slurm(profile: SlurmProfile) -> Iterator[str]:
    """Submit the jobs, and cancel them at the end.

    Parameters
    ----------
    profile : SlurmProfile
        The profile.

    Yields
    ------
    str
        Address of the scheduler, which runs in this process.

    Raises
    ------
    RunError
        If SLURM does not take the jobs, or no worker comes.
    """
    if shutil.which("sbatch") is None:
        raise RunError("this machine has no sbatch; run where SLURM's commands are, such as its login node")
    with certificates(profile.tls), _cluster_class()(**slurm_options(profile)) as cluster:
        address = str(cluster.scheduler_address)
        _submit(cluster, profile)
        wait_for_one(
            address,
            profile.wait_s,
            "look at squeue and the jobs' output (log_directory), or raise wait_s of the profile",
            is_hopeless=lambda: _have_ended({job.job_id for job in list(cluster.workers.values())}),
        )
        check_workers(address)
        plan_threads(address, profile.most_jobs * profile.cores)
        with _replacing(cluster):
            yield address


def _cluster_class() -> type[SLURMCluster]:
    from dask_jobqueue import SLURMCluster
    from dask_jobqueue.slurm import SLURMJob

    class Job(SLURMJob):
        async def close(self) -> None:
            await super().close()
            self.status = Status.closed  # else Dask's own check fails at the end, when sbatch has refused some jobs

    class Cluster(SLURMCluster):
        job_cls = Job

    return Cluster


def _submit(cluster: SLURMCluster, profile: SlurmProfile) -> None:
    # dask-jobqueue only logs what sbatch refuses, and then waits for workers that never come
    trial = subprocess.run(
        ["sbatch", "--test-only"],  # noqa: S607 (found in the path, as dask-jobqueue does)
        input=cluster.job_script(),
        capture_output=True,
        text=True,
        check=False,
    )
    if trial.returncode != 0:
        raise RunError(f"SLURM does not take such jobs: {' '.join(trial.stderr.split())}; correct the profile")
    cluster.scale(jobs=profile.jobs if profile.adaptive is None else profile.adaptive.minimum)
    if profile.adaptive is not None:
        cluster.adapt(
            minimum_jobs=profile.adaptive.minimum, maximum_jobs=profile.adaptive.maximum, target_duration=WORK_FOR_ONE
        )


def _have_ended(jobs: set[str | None]) -> bool:
    running = _running_jobs()
    return running is not None and not jobs & running


@contextmanager
def _replacing(cluster: SLURMCluster) -> Iterator[None]:
    """Submit jobs again that were lost, which dask-jobqueue does not do by itself."""
    ended = Event()
    seen: set[str] = set()

    def look() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            lost = _lost_jobs(cluster, seen)
            if lost and not ended.is_set():
                cluster.sync(_submit_again, cluster, lost)
                seen.difference_update(lost)

    thread = Thread(target=look, name="slurm-jobs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _lost_jobs(cluster: SLURMCluster, seen: set[str]) -> set[str]:
    """Names of jobs that had workers, have none and have ended; `seen` remembers who had workers."""
    present = {worker["name"] for worker in dict(cluster.scheduler_info["workers"]).values()}
    gone = set()
    for name, spec in dict(cluster.worker_spec).items():
        if present & {f"{name}{suffix}" for suffix in spec.get("group", [""])}:
            seen.add(name)
        elif name in seen:
            gone.add(name)
    if not gone:
        return gone
    jobs = {name: getattr(cluster.workers.get(name), "job_id", None) for name in gone}
    return {name for name, job in jobs.items() if job is None or _have_ended({job})}


def _running_jobs() -> set[str] | None:
    """Numbers of this user's jobs that wait or run; None when SLURM does not answer now."""
    command = ["squeue", "--me", "--noheader", "--format=%A"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (nothing of a user's)
    return set(answer.stdout.split()) if answer.returncode == 0 else None


async def _submit_again(cluster: SLURMCluster, names: set[str]) -> None:
    for name in names:
        cluster.workers.pop(name, None)
    cluster.scale(jobs=len(cluster.worker_spec))
