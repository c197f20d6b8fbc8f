"""The Dask cluster that a flow runs on.

Conventions
-----------
Without settings: a local cluster of one single-threaded worker a core, on loopback, without dashboard. Zero workers
run everything in the flow's own process. An address is taken as it is.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from distributed import LocalCluster, Security, rpc

from gunshot.errors import ParameterError

__all__ = ["open_cluster"]

_ANSWER_WITHIN_S = 10


@contextmanager
def open_cluster(workers: int | None = None, scheduler: str | None = None) -> Iterator[str | None]:
    """Open the cluster, or find it.

    Parameters
    ----------
    workers : int, optional
        Workers of a local cluster; one a core if not given, 0 for none.
    scheduler : str, optional
        Address of a scheduler that is running.

    Yields
    ------
    str or None
        Address of the scheduler; None where there are no workers.

    Raises
    ------
    ParameterError
        If both are given, or no scheduler answers.
    """
    if scheduler is not None:
        if workers is not None:
            raise ParameterError(
                "--workers starts a local cluster and --scheduler names one that runs; give one of them"
            )
        _check_answers(scheduler)
        yield scheduler
    elif workers == 0:
        yield None
    else:
        if workers is not None and workers < 0:
            raise ParameterError(f"--workers must be 0 or more; got {workers}")
        with LocalCluster(
            n_workers=workers or len(os.sched_getaffinity(0)),
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            worker_dashboard_address=None,
            # its small HTTP server starts even so: on any free port, for two runs may share a machine
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        ) as cluster:
            yield cluster.scheduler_address


def _check_answers(address: str) -> None:
    try:
        with ThreadPoolExecutor(1) as pool:  # in a thread, for the caller's may have a loop of its own
            workers = pool.submit(asyncio.run, _count_workers(address)).result()
    except (OSError, ValueError, TypeError, KeyError) as error:  # TypeError: tls:// without certificates
        why = str(error) or type(error).__name__
        raise ParameterError(
            f"no Dask scheduler answers at {address!r} within {_ANSWER_WITHIN_S} s ({why}); start one with 'dask "
            "scheduler', or leave --scheduler out"
        ) from error
    if workers == 0:
        raise ParameterError(f"the Dask scheduler at {address} has no workers; start some with 'dask worker {address}'")


async def _count_workers(address: str) -> int:
    # not by a Client: its timeout ends with the connection, and another kind of server never ends the greeting
    async with (
        asyncio.timeout(_ANSWER_WITHIN_S),
        rpc(address, connection_args=Security().get_connection_args("client")) as scheduler,
    ):
        return len((await scheduler.identity(n_workers=-1))["workers"])
