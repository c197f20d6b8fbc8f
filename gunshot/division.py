"""How the rows of a store are divided into training, validation, test and unseen.

Conventions
-----------
By group, those of `gunshot.split`. Where a model of before is named, groups that it has met keep the split they had:
what it was held against stays held out, so that both can be compared on it; only new groups are divided.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gunshot.errors import TrainingError
from gunshot.models.splits import first_split, splits_by_group
from gunshot.split import Assignment, assign_splits
from gunshot.store.read import FeatureStore

__all__ = ["SplitPlan", "splits_of"]


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """How rows are divided.

    Attributes
    ----------
    by : {"group", "random"}
        What is never divided.
    assignments : tuple of (glob, split)
        Rows placed by their path.
    seed : int
        Of the shuffling.
    keep : str or None
        A bundle; the groups that it has met keep the split they had. Only where groups are not divided.
    """

    by: Literal["group", "random"] = "group"
    assignments: tuple[Assignment, ...] = field(default=())
    seed: int = 0
    keep: str | None = None


def splits_of(store: FeatureStore, plan: SplitPlan) -> NDArray[np.str_]:
    """Split of every row of a store.

    Parameters
    ----------
    store : FeatureStore
        The rows.
    plan : SplitPlan
        How they are divided.

    Returns
    -------
    ndarray of shape (n_rows,), str
        Empty for rows without a clip.

    Raises
    ------
    TrainingError
        If rows carry no label, or cannot be divided so.
    BundleError
        If the bundle to keep to does not say which groups it has met.
    """
    usable = store.usable
    table = store.rows.take(usable)
    labels = table.column("label").to_pylist()
    if not labels or any(label is None for label in labels):
        raise TrainingError(
            f"{store.header.uri}: {sum(label is None for label in labels)} of {len(labels)} usable rows carry no "
            f"label; "
            "preprocess folders named by class (one of them 'gunshot'), or give --labels CSV"
        )
    units = store.units[usable]
    splits = np.full(store.header.n_rows, "", dtype="<U10")
    if plan.keep is None or plan.by == "random":
        splits[usable] = _assigned(table, units, plan, None)
        return splits
    kept = _kept(table.column("group").to_pylist(), units, splits_by_group(plan.keep))
    try:
        splits[usable] = _assigned(table, units, plan, kept)
    except TrainingError:  # too few new groups to hold some out: all of them train, and the old ones judge
        splits[usable] = _assigned(table, units, plan, np.where(kept == "", "train", kept))
    return splits


def _assigned(
    table: pa.Table, units: NDArray[np.str_], plan: SplitPlan, kept: NDArray[np.str_] | None
) -> NDArray[np.str_]:
    path, source, label = (table.column(name).to_pylist() for name in ("path", "source", "label"))
    return assign_splits(
        path, units.tolist(), np.asarray(label, dtype=np.int8), source, by=plan.by, assignments=plan.assignments,
        kept=None if kept is None else kept.tolist(), seed=plan.seed,
    )  # fmt: skip


def _kept(group: list[str], units: NDArray[np.str_], known: dict[str, frozenset[str]]) -> NDArray[np.str_]:
    """Split that each row's unit had; of several the one nearest to training."""
    of_unit: defaultdict[str, set[str]] = defaultdict(set)
    for unit, name in zip(units.tolist(), group, strict=True):
        of_unit[unit] |= known.get(name, frozenset())
    return np.asarray([first_split(of_unit[unit]) for unit in units.tolist()], dtype="<U10")
