"""The verb: one partition, from recordings to rows of the store.

Conventions
-----------
A plain function of the store's address and a partition: the same in this process, on a Dask worker or by hand. Each
row ends as a
clip or as a state with a reason; only what is wrong with the store itself, or with our own code, raises.
"""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from gunshot.audio.decode import Recording
from gunshot.clips import Clip, Segment, clip_of_segment, features
from gunshot.errors import AudioError
from gunshot.partition import Partition
from gunshot.recipe import Recipe
from gunshot.storage import join, read_bytes
from gunshot.store.layout import USABLE_STATES, StoreHeader, read_header
from gunshot.store.write import write_partition

__all__ = ["PartitionOutcome", "manifest_rows", "preprocess_partition"]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PartitionOutcome:
    """What became of a partition; which rows failed is in its commit record.

    Attributes
    ----------
    index, n_rows : int
        The partition and its size.
    states : dict
        Rows by state; they add up to `n_rows`.
    elapsed_s : float
        Time it took [s].
    """

    index: int
    n_rows: int
    states: dict[str, int]
    elapsed_s: float


def preprocess_partition(store: str, partition: Partition) -> PartitionOutcome:
    """Decode, cut and write one partition.

    Parameters
    ----------
    store : str
        The prepared store.
    partition : Partition
        One of its plan.

    Returns
    -------
    PartitionOutcome
        Small: no arrays.

    Raises
    ------
    StoreError, StorageError
        If the store cannot be read or written.
    """
    began = perf_counter()
    header = read_header(store)
    recipe = header.recipe
    rows = manifest_rows(header, partition)
    waveforms = np.full((partition.n_rows, recipe.n_samples), np.nan, dtype=np.float32)
    records: list[Row] = []
    for _, same_file in groupby(enumerate(rows), key=lambda item: item[1]["uri"]):
        for index, record, clip in _clips_of_file(list(same_file), recipe):
            records.append(record | {"row": partition.start + index})
            if clip is not None:
                waveforms[index] = clip.y
    records.sort(key=lambda record: record["row"])
    log_mels = np.full((partition.n_rows, *recipe.mel_shape), np.nan, dtype=np.float32)
    usable = [record["row"] - partition.start for record in records if record["state"] in USABLE_STATES]
    log_mels[usable] = features(waveforms[usable], recipe)
    write_partition(header, partition, {"waveform": waveforms, "log_mel": log_mels}, records)
    states = dict(Counter(record["state"] for record in records))
    return PartitionOutcome(partition.index, partition.n_rows, states, perf_counter() - began)


@lru_cache(maxsize=1)
def _manifest_file(store: str, _digest: str) -> pq.ParquetFile:
    # by digest: a worker may outlive a store that is removed and made again in its place
    return pq.ParquetFile(io.BytesIO(read_bytes(join(store, "manifest.parquet"))))


def manifest_rows(header: StoreHeader, partition: Partition) -> list[Row]:
    """Rows of a partition: its row group of the store's manifest.

    Parameters
    ----------
    header : StoreHeader
        The prepared store.
    partition : Partition
        One of its plan.

    Returns
    -------
    list of dict
        Values by column.
    """
    file = _manifest_file(header.uri, header.manifest_digest)
    rows: list[Row] = file.read_row_group(partition.index).to_pylist()
    assert len(rows) == partition.n_rows, f"row group {partition.index} holds {len(rows)} rows, not {partition.n_rows}"
    return rows


def _clips_of_file(items: list[tuple[int, Row]], recipe: Recipe) -> list[tuple[int, Row, Clip | None]]:
    """Clips of all rows of one file, which is opened once."""
    first = items[0][1]
    if first["state"] != "ok":  # the manifest found it unusable; it is not opened again
        return [(index, _record(first["state"], first["reason"]), None) for index, _ in items]
    try:
        with Recording(first["uri"]) as recording:
            return [(index, *_clip_of_row(recording, row, recipe)) for index, row in items]
    except AudioError as error:
        return [(index, _failed(error), None) for index, _ in items]


def _clip_of_row(recording: Recording, row: Row, recipe: Recipe) -> tuple[Row, Clip | None]:
    segment = Segment(row["start_s"], row["end_s"], row["limit_s"])
    try:
        clip = clip_of_segment(recording, segment, recipe)
    except AudioError as error:
        return _failed(error), None
    state = "short" if recording.defect else "ok"
    return _record(state, recording.defect or "", clip), clip


def _failed(error: AudioError) -> Row:
    # a row that is `short` holds a clip; where a segment has no sample at all there is none
    return _record("empty" if error.state in USABLE_STATES else error.state, error.reason)


def _record(state: str, reason: str, clip: Clip | None = None) -> Row:
    found: Row = {"onset_s": None, "strength_db": None, "is_onset": None, "padded_s": None}
    if clip is not None:
        found = {
            "onset_s": clip.onset_s, "strength_db": clip.strength_db, "is_onset": clip.is_onset, "padded_s":
            clip.padded_s,
        }  # fmt: skip
    return {"state": state, "reason": reason, **found}
