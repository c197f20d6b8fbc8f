"""Stages of augmentation."""

from __future__ import annotations

import hashlib
from functools import partial

import numpy as np
from numpy.typing import NDArray
from prefect import task

from gunshot.augment.chain import AugmentRule
from gunshot.augmentation import augment_partition, prepare_copies
from gunshot.division import SplitPlan, splits_of
from gunshot.storage import absolute, join
from gunshot.store.joined import open_joined
from gunshot.store.layout import StoreHeader
from gunshot.store.read import FeatureStore
from gunshot.store.records import missing_partitions
from gunshot.store.write import commit_store
from tasks.artifacts import stage
from tasks.fanout import fan_out
from tasks.retries import TRANSIENT

__all__ = ["augment_training_rows"]


@task(name="augment-training-rows", **TRANSIENT)
def augment_training_rows(
    store: str, plan: SplitPlan, rule: AugmentRule, scheduler: str | None, labels: str | None = None
) -> list[str]:
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
    labels : str, optional
        A store of further rows.

    Returns
    -------
    list of str
        The stores of copies, each below the generation it was made from.
    """
    rows = open_joined(store, labels)
    train = splits_of(rows, plan) == "train"
    headers = []
    for start, member in rows.members:
        of_member = np.flatnonzero(train[start : start + member.header.n_rows])
        if of_member.size:
            headers.append((member.header.uri, _prepared(member, of_member, rule)))
    missing = [(uri, header, missing_partitions(header)) for uri, header in headers]
    n_clips = sum(partition.n_rows for *_, partitions in missing for partition in partitions)
    with stage("augment", n_clips, "clips") as advance:
        for uri, header, partitions in missing:
            work = partial(augment_partition, absolute(uri), absolute(header.uri))  # a worker may run in another folder
            for outcome in fan_out(scheduler, work, partitions):
                advance(outcome.n_rows)
            commit_store(header)
    return [header.uri for _, header in headers]


def _prepared(source: FeatureStore, rows: NDArray[np.intp], rule: AugmentRule) -> StoreHeader:
    key = hashlib.sha256(rows.tobytes() + rule.model_dump_json().encode()).hexdigest()[:12]
    copies = join(source.header.uri, "copies", f"{rule.kind}-{key}")  # goes when its generation goes
    return prepare_copies(source, rows, copies, rule)
