"""Stages of augmentation."""

from __future__ import annotations

import hashlib
from functools import partial

import numpy as np
from prefect import task

from gunshot.augment.chain import AugmentRule
from gunshot.augmentation import augment_partition, prepare_copies
from gunshot.storage import join
from gunshot.store.read import open_store
from gunshot.store.records import missing_partitions
from gunshot.store.write import commit_store
from gunshot.training import SplitPlan, splits_of
from tasks.artifacts import stage
from tasks.fanout import fan_out
from tasks.retries import TRANSIENT

__all__ = ["augment_training_rows"]


@task(name="augment-training-rows", **TRANSIENT)
def augment_training_rows(store: str, plan: SplitPlan, rule: AugmentRule, scheduler: str | None) -> str:
    """Write a distorted copy of every training row, unless it is there.

    Parameters
    ----------
    store : str
        The committed store.
    plan : SplitPlan
        Which rows are training rows.
    rule : AugmentRule
        How they are distorted.
    scheduler : str or None
        Address of the Dask scheduler; None runs here.

    Returns
    -------
    str
        The store of copies, below the generation it was made from.
    """
    source = open_store(store)
    rows = np.flatnonzero(splits_of(source, plan) == "train")
    key = hashlib.sha256(rows.tobytes() + rule.model_dump_json().encode()).hexdigest()[:12]
    copies = join(source.header.uri, "copies", f"{rule.kind}-{key}")  # goes when its generation goes
    header = prepare_copies(source, rows, copies, rule)
    missing = missing_partitions(header)
    with stage("augment", sum(partition.n_rows for partition in missing), "clips") as advance:
        for outcome in fan_out(scheduler, partial(augment_partition, source.header.uri, copies), missing):
            advance(outcome.n_rows)
    commit_store(header)
    return copies
