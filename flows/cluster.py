"""The Dask cluster that a flow runs on.

Conventions
-----------
Without settings: a local cluster of one single-threaded worker a core, on loopback, without dashboard. Zero workers
run everything in the flow's own process, with products of matrices on one thread as on a worker. An address is taken as
it is. Everything else is a profile's to say.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import LocalCluster
from threadpoolctl import threadpool_limits

from flows.clusters.choice import choose_profile
from flows.clusters.kubernetes import open_kubernetes
from flows.clusters.profiles import AddressProfile, KubernetesProfile, LocalProfile, SlurmProfile
from flows.clusters.slurm import open_slurm
from flows.clusters.workers import ONE_THREAD, certificates, check_answers, check_workers

__all__ = ["open_cluster"]


@contextmanager
def open_cluster(
    workers: int | None = None, scheduler: str | None = None, cluster: str | None = None
) -> Iterator[str | None]:
    """Open the cluster, or find it.

    Parameters
    ----------
    workers : int, optional
        Workers of a local cluster, 0 for none; `choice.LOCAL_WORKERS` or one a core if not given.
    scheduler : str, optional
        Address of a scheduler that is running.
    cluster : str, optional
        A profile: the name of a shipped one, or a YAML file.

    Yields
    ------
    str or None
        Address of the scheduler; None where there are no workers. As long as the block lasts, Dask's own
        configuration has the certificates that a client needs.

    Raises
    ------
    ParameterError
        If more than one is given, a profile is not valid, or no scheduler answers.
    RunError
        If no workers come, or they run other versions than the flow.
    """
    match choose_profile(workers, scheduler, cluster):
        case LocalProfile(workers=0):
            # as on workers: where two threads share a product its last bits are others, and they wait for each other
            with threadpool_limits(1, user_api="blas"):
                yield None
        case LocalProfile() as profile:
            with _open_local(profile) as address:
                yield address
        case AddressProfile() as profile:
            with certificates(profile.tls):
                check_answers(profile.address)
                check_workers(profile.address)
                yield profile.address
        case SlurmProfile() as profile:
            with open_slurm(profile) as address:
                yield address
        case KubernetesProfile() as profile:
            with open_kubernetes(profile) as address:
                yield address


_NO_WORKERS_S = "300 s"
_NEVER = "3650 d"


@contextmanager
def _open_local(profile: LocalProfile) -> Iterator[str]:
    before_they_start = {f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in ONE_THREAD.items()}
    # a unit that two workers died of is done apart (`tasks.fanout`): on one machine more deaths would prove no more
    before_they_start |= {"distributed.scheduler.allowed-failures": 1}
    # nobody else brings workers here: if none is left, and none comes back, the run ends instead of waiting for ever
    before_they_start |= {"distributed.scheduler.no-workers-timeout": _NO_WORKERS_S}
    # Dask looks so long after a death whether the worker is there again, and if not gives it up for good. Its nanny has
    # brought it back long before; what it would see is a later death, of which the nanny is about to bring it back.
    before_they_start |= {"distributed.deploy.lost-worker-timeout": _NEVER}
    with dask.config.set(before_they_start), _own_environment():
        with _own_environment():
            os.environ.update(ONE_THREAD)  # Dask lets the flow's own environment go before its configuration
            cluster = LocalCluster(
                n_workers=profile.workers or len(os.sched_getaffinity(0)),
                threads_per_worker=1,
                memory_limit=profile.memory_limit or "auto",
                host="127.0.0.1",
                dashboard_address=None,
                worker_dashboard_address=None,
                env=ONE_THREAD,
                # its small HTTP server starts even so: on any free port, for two runs may share a machine
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            )
        with cluster:
            yield cluster.scheduler_address


@contextmanager
def _own_environment() -> Iterator[None]:
    """Give this process its environment back.

    Dask's nanny sets what a worker is to have in its own process, and leaves it there: a network trained afterwards
    would have one thread.
    """
    names = (*dask.config.get("distributed.nanny.pre-spawn-environ"), "PYTHONHASHSEED")
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
