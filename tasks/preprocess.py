"""Stages of preprocessing."""

from __future__ import annotations

from functools import partial

from prefect import task

from gunshot.preprocess import preprocess_partition
from gunshot.store.layout import read_header
from gunshot.store.write import missing_partitions
from tasks.artifacts import stage
from tasks.fanout import fan_out
from tasks.retries import TRANSIENT

__all__ = ["preprocess_partitions"]


@task(name="preprocess-partitions", **TRANSIENT)
def preprocess_partitions(store: str, scheduler: str | None) -> int:
    """Preprocess every partition that has no commit record.

    Parameters
    ----------
    store : str
        The prepared store.
    scheduler : str or None
        Address of the Dask scheduler; None runs here.

    Returns
    -------
    int
        Rows that were computed.
    """
    missing = missing_partitions(read_header(store))
    rows = 0
    with stage("preprocess", sum(partition.n_rows for partition in missing), "clips") as advance:
        for outcome in fan_out(scheduler, partial(preprocess_partition, store), missing):
            rows += outcome.n_rows
            advance(outcome.n_rows)
    return rows
