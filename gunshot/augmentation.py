"""The verb: a store of distorted copies of training rows.

Conventions
-----------
The copies are a feature store of their own, with the same recipe and the layout of `gunshot.store.layout`; the
manifest's column
``source_row`` says which row each was made from. Only training rows are ever copied: splitting comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from time import perf_counter

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gunshot.augment.chain import AugmentRule, distorted_copy
from gunshot.clips import features
from gunshot.manifest.table import SCHEMA
from gunshot.partition import Partition
from gunshot.preprocess.partition import PartitionOutcome, manifest_rows
from gunshot.recipe import Recipe
from gunshot.store.layout import StoreHeader, prepare_store, read_header
from gunshot.store.read import FeatureStore, open_store
from gunshot.store.write import write_partition

__all__ = ["augment_partition", "prepare_copies"]


def prepare_copies(
    source: FeatureStore, rows: Sequence[int] | NDArray[np.intp], uri: str, rule: AugmentRule
) -> StoreHeader:
    """Write the template of the copies.

    Parameters
    ----------
    source : FeatureStore
        The originals.
    rows : sequence of int
        The training rows.
    uri : str
        Where the copies go.
    rule : AugmentRule
        How they are distorted.

    Returns
    -------
    StoreHeader
        Of the store of copies.

    Raises
    ------
    StoreMismatchError
        If other copies are there.
    """
    numbers = np.asarray(rows, dtype=np.int64)
    manifest = source.rows.select([name for name in SCHEMA.names if name in source.rows.column_names])
    manifest = manifest.take(numbers).append_column("source_row", pa.array(numbers))
    derived = {"augment": rule.model_dump(mode="json"), "source_manifest": source.header.manifest_digest}
    return prepare_store(uri, manifest, source.recipe, derived=derived)


@lru_cache(maxsize=1)
def _originals(source: str, recipe: Recipe, _manifest_digest: str) -> FeatureStore:
    # its manifest and records are read once a worker, not once a partition
    return open_store(source, recipe=recipe)


def augment_partition(source: str, copies: str, partition: Partition) -> PartitionOutcome:
    """Distort and write one partition of copies.

    Parameters
    ----------
    source, copies : str
        The store of the originals and the prepared store of the copies.
    partition : Partition
        One of the copies' plan.

    Returns
    -------
    PartitionOutcome
        Small: no arrays.

    Raises
    ------
    StoreError, StorageError
        If a store cannot be read or written.
    """
    began = perf_counter()
    header = read_header(copies)
    rule = AugmentRule.model_validate(header.derived["augment"])
    manifest = manifest_rows(header, partition)
    rows = [row["source_row"] for row in manifest]
    originals = _originals(source, header.recipe, header.derived["source_manifest"]).waveforms(rows)
    waveforms = np.stack([distorted_copy(y, row, rule) for y, row in zip(originals, rows, strict=True)])
    records = [
        {
            "row": partition.start + index, "state": "ok", "reason": "", "onset_s": None, "strength_db": None,
            "is_onset": None, "padded_s": None, **{name: row[name] for name in ("duration_s", "sr", "n_channels")},
        }
        for index, row in enumerate(manifest)
    ]  # fmt: skip
    arrays = {"waveform": waveforms, "log_mel": features(waveforms, header.recipe)}
    write_partition(header, partition, arrays, records)
    return PartitionOutcome(partition.index, partition.n_rows, {"ok": partition.n_rows}, perf_counter() - began)
