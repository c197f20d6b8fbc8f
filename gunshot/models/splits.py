"""What a bundle says of the groups that trained it, chose its threshold and tested it.

Conventions: those of `gunshot.models.bundle`: ``splits.parquet`` has a row a clip, its group and its split.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from gunshot.errors import BundleError, StorageError, TransientStorageError
from gunshot.split import SPLITS
from gunshot.storage import join, read_bytes

__all__ = ["first_split", "read_splits", "splits_by_group"]


def read_splits(bundle_uri: str) -> pa.Table:
    """Read which groups trained a model.

    Parameters
    ----------
    bundle_uri : str
        The bundle.

    Returns
    -------
    pyarrow.Table
        Columns ``group`` and ``split``; the metadata of its schema name the manifest, where there is one.

    Raises
    ------
    BundleError
        If that cannot be read.
    """
    uri = join(bundle_uri, "splits.parquet")
    try:
        return pq.read_table(io.BytesIO(read_bytes(uri)), columns=["group", "split"])
    except TransientStorageError:
        raise
    except (StorageError, pa.ArrowException) as error:
        raise BundleError(f"{uri}: which rows trained the model cannot be read ({error}); train it again") from error


def splits_by_group(bundle_uri: str) -> dict[str, frozenset[str]]:
    """The splits of each group that a model has met.

    Parameters
    ----------
    bundle_uri : str
        The bundle.

    Returns
    -------
    dict of str to frozenset of str
        By group: one, or several where rows were divided at random.

    Raises
    ------
    BundleError
        If that cannot be read.
    """
    met: dict[str, set[str]] = {}
    table = read_splits(bundle_uri)
    for group, split in zip(*(table.column(name).to_pylist() for name in ("group", "split")), strict=True):
        if split:
            met.setdefault(group, set()).add(split)
    return {group: frozenset(splits) for group, splits in met.items()}


def first_split(splits: Iterable[str]) -> str:
    """The split nearest to training: what has trained a model tests none.

    Parameters
    ----------
    splits : iterable of str
        Names of splits, or empty ones.

    Returns
    -------
    str
        Empty where none is named.

    Examples
    --------
    >>> first_split(["test", "", "train"]), first_split([""])
    ('train', '')
    """
    named = set(splits)
    return next((split for split in SPLITS if split in named), "")
