"""Reading a store.

Conventions
-----------
A store is read only when it is committed. Rows are addressed by their number in the manifest; usable rows are those
that hold a clip.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from numpy.typing import NDArray

from gunshot.errors import StoreIncompleteError, StoreMismatchError
from gunshot.recipe import Recipe
from gunshot.storage import exists, explained, join, read_bytes, zarr_store
from gunshot.store.layout import USABLE_STATES, StoreHeader, commit_uri, read_header
from gunshot.store.write import read_record

__all__ = ["FeatureStore", "open_store"]


@dataclass(frozen=True)
class FeatureStore:
    """A committed store, open for reading.

    Attributes
    ----------
    header : StoreHeader
        What it says of itself.
    rows : pyarrow.Table
        The manifest with each row's state, reason and onset, in the order of the arrays.
    """

    header: StoreHeader
    rows: pa.Table

    @property
    def recipe(self) -> Recipe:
        """The recipe that made the features."""
        return self.header.recipe

    @property
    def usable(self) -> NDArray[np.intp]:
        """Numbers of the rows that hold a clip, increasing."""
        states = np.asarray(self.rows.column("state").to_pylist())
        return np.flatnonzero(np.isin(states, USABLE_STATES))

    def column(self, name: str) -> list[object]:
        """Values of a column of `rows`.

        Parameters
        ----------
        name : str
            The column.

        Returns
        -------
        list
            A value a row.
        """
        return list(self.rows.column(name).to_pylist())

    def waveforms(self, rows: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float32]:
        """Waveforms of rows.

        Parameters
        ----------
        rows : sequence of int
            Row numbers.

        Returns
        -------
        ndarray of shape (len(rows), n_samples), float32
            In [-1, 1]; NaN in rows that are not usable.
        """
        return self._read("waveform", rows)

    def log_mels(self, rows: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float32]:
        """Log-mel spectrograms of rows.

        Parameters
        ----------
        rows : sequence of int
            Row numbers.

        Returns
        -------
        ndarray of shape (len(rows), n_mels, n_frames), float32
            Decibels; NaN in rows that are not usable.
        """
        return self._read("log_mel", rows)

    def _read(self, name: str, rows: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float32]:
        with explained("read", self.header.uri):
            return self._read_shards(name, rows)

    def _read_shards(self, name: str, rows: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float32]:
        array = zarr.open_array(zarr_store(self.header.uri, read_only=True), path=name, mode="r")
        wanted = np.asarray(rows, dtype=np.intp)
        result = np.empty((wanted.size, *array.shape[1:]), dtype=np.float32)
        # shard after shard: each object is read once, and only one is held
        shard = wanted // self.header.shard_rows
        for number in np.unique(shard):
            inside = np.flatnonzero(shard == number)
            start = int(number) * self.header.shard_rows
            block = np.asarray(array[start : start + self.header.shard_rows])
            result[inside] = block[wanted[inside] - start]
        return result


def open_store(uri: str, *, recipe: Recipe | None = None) -> FeatureStore:
    """Open a committed store.

    Parameters
    ----------
    uri : str
        Where it is.
    recipe : Recipe, optional
        The recipe it must have.

    Returns
    -------
    FeatureStore
        Open for reading.

    Raises
    ------
    StoreError
        If there is none.
    StoreIncompleteError
        If it is not committed.
    StoreMismatchError
        If it has another recipe.
    """
    header = read_header(uri)
    if recipe is not None and header.recipe.digest != recipe.digest:
        raise StoreMismatchError(
            f"{uri} was made with recipe {header.recipe.digest}, but {recipe.digest} is needed; preprocess with "
            f"that recipe"
        )
    if not exists(commit_uri(uri)):
        raise StoreIncompleteError(
            f"{uri} is not committed: preprocessing has not ended; run 'gunshot preprocess' again, it does only "
            f"what is "
            "missing"
        )
    manifest = pq.read_table(io.BytesIO(read_bytes(join(uri, "manifest.parquet"))))
    records = pa.concat_tables(
        [read_record(header, partition.index).replace_schema_metadata() for partition in header.partitions]
    )
    rows = manifest.drop_columns(["state", "reason"])
    for name in records.column_names[1:]:
        rows = rows.append_column(records.schema.field(name), records.column(name))
    return FeatureStore(header, rows)
