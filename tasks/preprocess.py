"""Stages of preprocessing."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from prefect import task

from gunshot.preprocess.partition import preprocess_partition
from gunshot.storage import absolute
from gunshot.store.layout import read_header
from gunshot.store.records import missing_partitions
from tasks.artifacts import stage
from tasks.fanout import fan_out
from tasks.logs import event
from tasks.retries import TRANSIENT

__all__ = ["preprocess_partitions"]


@task(name="preprocess-partitions", **TRANSIENT)
def preprocess_partitions(store: str, scheduler: str | None, file_limit_s: float = 300.0) -> int:
    """Preprocess every partition that has no commit record.

    Parameters
    ----------
    store : str
        The prepared generation of a store.
    scheduler : str or None
        Address of the Dask scheduler; None runs here.
    file_limit_s : float
        Longest time for one recording on a worker [s]. Without workers there is no limit: nothing would be left to
        end the process that hangs.

    Returns
    -------
    int
        Rows that were computed.
    """
    missing = missing_partitions(read_header(store))
    rows = 0
    with stage("preprocess", sum(partition.n_rows for partition in missing), "clips") as advance:
        limit_s = None if scheduler is None else file_limit_s
        # a worker may run in another folder
        work = partial(preprocess_partition, absolute(store), limit_s=limit_s, folder=str(Path.cwd()))
        # a recording that kills its worker, or is killed for taking too long, is found in a process apart
        for outcome in fan_out(scheduler, work, missing, after_deaths=partial(work, apart=True)):
            rows += outcome.n_rows
            event("partition-written", partition=outcome.index, states=outcome.states, elapsed_s=outcome.elapsed_s)
            advance(outcome.n_rows)
    return rows
