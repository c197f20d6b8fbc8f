"""Reading a store.

Conventions
-----------
A store is read only when it is committed. Rows are addressed by their number in the manifest; usable rows are those
that hold a clip. What is read is held against the checksums of the commit records.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gunshot.errors import StoreIncompleteError, StoreMismatchError
from gunshot.recipe import Recipe
from gunshot.storage import exists, join, read_bytes
from gunshot.store.generations import current
from gunshot.store.layout import HELD_ROW, USABLE_STATES, StoreHeader, commit_uri, read_header
from gunshot.store.records import open_rows, read_partition, read_records

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
    records : tuple of pyarrow.Table
        The partitions' commit records.
    """

    header: StoreHeader
    rows: pa.Table
    records: tuple[pa.Table, ...]

    @property
    def recipe(self) -> Recipe:
        """The recipe that made the features."""
        return self.header.recipe

    @property
    def usable(self) -> NDArray[np.intp]:
        """Numbers of the rows that hold a clip, increasing."""
        states = np.asarray(self.rows.column("state").to_pylist())
        return np.flatnonzero(np.isin(states, USABLE_STATES))

    @property
    def members(self) -> tuple[tuple[int, FeatureStore], ...]:
        """Stores that its rows lie in, each with the number of its first row."""
        return ((0, self),)

    @property
    def units(self) -> NDArray[np.str_]:
        """What is never divided between training and test, a name a row: its group."""
        return np.asarray(self.column("group"), dtype=np.str_)

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
        wanted = np.asarray(rows, dtype=np.intp)
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < self.header.n_rows:
            raise IndexError(f"rows must lie in [0, {self.header.n_rows})")
        shapes = {"waveform": (self.recipe.n_samples,), "log_mel": self.recipe.mel_shape}
        result = np.empty((wanted.size, *shapes[name]), dtype=np.float32)
        self._fill(result, name, wanted)
        return result

    def _fill(self, result: NDArray[np.float32], name: str, wanted: NDArray[np.intp]) -> None:
        # partition after partition: each object is read once, and only one is held
        partition = wanted // self.header.shard_rows
        array = open_rows(self.header, name) if wanted.size else None
        for index in np.unique(partition):
            inside = np.flatnonzero(partition == index)
            block = read_partition(self.header, int(index), name, self.records[index], array)
            result[inside] = block[wanted[inside] - int(index) * self.header.shard_rows]


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
    header = read_header(current(uri))
    if recipe is not None and header.recipe.digest != recipe.digest:
        raise StoreMismatchError(
            f"{uri} was made with recipe {header.recipe.digest}, but {recipe.digest} is needed; preprocess with "
            "that recipe"
        )
    if not exists(commit_uri(header.uri)):
        raise StoreIncompleteError(
            f"{uri} is not committed: preprocessing has not ended; run 'gunshot preprocess' again, it does only "
            "what is missing"
        )
    manifest = pq.read_table(io.BytesIO(read_bytes(join(header.uri, "manifest.parquet"))))
    records = tuple(record for _, record in read_records(header, header.partitions))
    found = pa.concat_tables([record.replace_schema_metadata() for record in records])
    told = {HELD_ROW, *found.column_names}  # a record knows better than a manifest whose files were not opened
    rows = manifest.drop_columns([name for name in manifest.column_names if name in told])
    for name in found.column_names[1:]:
        rows = rows.append_column(found.schema.field(name), found.column(name))
    return FeatureStore(header, rows, records)
