"""Generations: the stores that a store's address has led to, one after another.

Conventions
-----------
::

    STORE/
      current.json              which generation readers open; written when one is committed
      generations/<digest>/     a store as `gunshot.store.layout` describes it; its name is of its recipe and manifest
      lease/                    while a run writes

A manifest that has grown, or a file or label that has changed, makes another generation. What an earlier one holds of
unchanged rows is copied from there: the new one is, value for value, what it would be had it been made alone. The
earlier one is removed after the later has been committed. A folder without generations is a store itself.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gunshot.errors import StorageError, StoreError, StoreIncompleteError, TransientStorageError
from gunshot.manifest.table import manifest_digest
from gunshot.recipe import Recipe
from gunshot.storage import delete_tree, exists, join, list_folders, read_bytes, write_bytes
from gunshot.store.layout import ARRAYS, HELD_ROW, StoreHeader, check_recipe, prepare_store, read_header
from gunshot.store.records import Record, committed_partitions, read_partition, read_record, read_records

__all__ = ["Survey", "copy_held", "current", "generations", "prepare_generation", "publish", "survey_generation"]

_CLIP = ("uri", "start_s", "end_s", "limit_s", "size", "etag")
"""What a row's clip depends on, beside the recipe; its label is not of it."""

_RETRIED = ("timed out",)
"""States that another try may better: such rows are not copied."""


def current(uri: str) -> str:
    """The generation that readers of a store open.

    Parameters
    ----------
    uri : str
        The store.

    Returns
    -------
    str
        Its address; `uri` itself where there are no generations.

    Raises
    ------
    StoreIncompleteError
        If none has been committed yet.
    StoreError
        If what names it is damaged.
    """
    pointer = join(uri, "current.json")
    if not exists(pointer):
        if list_folders(join(uri, "generations")):
            raise StoreIncompleteError(
                f"{uri} is not committed: preprocessing has not ended; run 'gunshot preprocess' again, it does only "
                "what is missing"
            )
        return uri
    try:
        return join(uri, "generations", json.loads(read_bytes(pointer))["generation"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{pointer} is damaged; run 'gunshot preprocess' again, it does only what is missing"
        ) from error


def prepare_generation(uri: str, manifest: pa.Table, recipe: Recipe) -> StoreHeader:
    """Prepare the generation of a manifest, or take it up again.

    Parameters
    ----------
    uri : str
        The store; its lease is held.
    manifest : pyarrow.Table
        The rows.
    recipe : Recipe
        The recipe.

    Returns
    -------
    StoreHeader
        Of the generation.

    Raises
    ------
    StoreMismatchError
        If the store has another recipe, or is of another format.
    """
    survey = survey_generation(uri, manifest, recipe)
    if survey.header is not None or survey.source is None:
        return prepare_store(survey.place, manifest, recipe)
    with_held = manifest.append_column(HELD_ROW, survey.held)
    return prepare_store(survey.place, with_held, recipe, held_in=_name(survey.source.uri))


@dataclass(frozen=True)
class Survey:
    """What a store holds of a manifest before anything is written.

    Attributes
    ----------
    place : str
        Where its generation is, or will be.
    header : StoreHeader or None
        Of that generation, if a run has begun it.
    source : StoreHeader or None
        Another generation that holds some of its rows.
    held : pyarrow.Int64Array
        For each row the one of `source` that holds its clip, or null.
    """

    place: str
    header: StoreHeader | None
    source: StoreHeader | None
    held: pa.Int64Array


def survey_generation(uri: str, manifest: pa.Table, recipe: Recipe) -> Survey:
    """Look what a store holds of a manifest; nothing is written.

    Parameters
    ----------
    uri : str
        The store; there may be none yet.
    manifest : pyarrow.Table
        The rows.
    recipe : Recipe
        The recipe.

    Returns
    -------
    Survey
        What is there.

    Raises
    ------
    StoreMismatchError
        If the store has another recipe, or is of another format.
    StoreError
        If something else is there.
    """
    name = hashlib.sha256(f"{recipe.digest} {manifest_digest(manifest)}".encode()).hexdigest()[:16]
    place = join(uri, "generations", name)
    nothing = pa.nulls(manifest.num_rows, pa.int64())
    there = generations(uri)
    if not there and any(exists(join(uri, name)) for name in ("zarr.json", "model.json", "recordings")):
        raise StoreError(f"{uri} holds something else than a feature store; give another --store")
    for header in there:
        check_recipe(header, recipe)
        if _name(header.uri) == name:
            return Survey(place, header, None, nothing)
    found = [(other, _held_rows(manifest, other)) for other in there]
    source, held = max(found, key=lambda item: len(item[1]) - item[1].null_count, default=(None, nothing))
    return Survey(place, None, source if held.null_count < len(held) else None, held)


def _name(place: str) -> str:
    return place.rpartition("/")[2]


def generations(uri: str) -> list[StoreHeader]:
    """All generations of a store whose template is whole.

    Parameters
    ----------
    uri : str
        The store.

    Returns
    -------
    list of StoreHeader
        The current one, and those that a run has begun.

    Raises
    ------
    StoreMismatchError
        If one is of another format.
    """
    places = [join(uri, "generations", name) for name in list_folders(join(uri, "generations"))]
    return [read_header(place) for place in places if exists(join(place, "zarr.json"))]


def _held_rows(manifest: pa.Table, other: StoreHeader) -> pa.Int64Array:
    """For each row of a manifest the row of another generation that holds its clip, or null."""
    there = pq.read_table(io.BytesIO(read_bytes(join(other.uri, "manifest.parquet"))), columns=list(_CLIP))
    holds = np.zeros(other.n_rows, dtype=bool)
    for partition, record in read_records(other, committed_partitions(other)):
        kept = pc.invert(pc.is_in(record.column("state"), value_set=pa.array(_RETRIED)))
        holds[partition.start : partition.stop] = kept.to_numpy()
    numbers = pa.array(np.flatnonzero(holds))
    found = pc.index_in(_clip_keys(manifest), value_set=_clip_keys(there.take(numbers)))
    return pc.take(numbers, found).combine_chunks()


def _clip_keys(manifest: pa.Table) -> pa.ChunkedArray:
    columns = [pc.fill_null(pc.cast(manifest.column(name), pa.string()), "") for name in _CLIP]
    return pc.binary_join_element_wise(*columns, "\n")


def copy_held(
    header: StoreHeader, held: Sequence[int | None]
) -> Iterator[tuple[list[int], list[Record], dict[str, NDArray[np.float32]]]]:
    """What an earlier generation holds of a partition's rows.

    Parameters
    ----------
    header : StoreHeader
        The generation that is being written.
    held : sequence of int or None
        Values of `HELD_ROW` of the partition's rows.

    Yields
    ------
    tuple of (list of int, list of dict, dict of ndarray)
        Places in `held`, their records and their rows of each array. What cannot be read there is left out.

    Raises
    ------
    TransientStorageError
        If the store does not answer.
    """
    if header.held_in is None:
        return
    place = join(header.uri.rpartition("/")[0], header.held_in)
    try:
        source = read_header(place)
    except StoreError:  # removed since: all is computed
        return
    by_partition: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for index, row in enumerate(held):
        if row is not None:
            by_partition[row // source.shard_rows].append((index, row % source.shard_rows))
    for number, places in by_partition.items():
        indices, rows = ([place[side] for place in places] for side in (0, 1))
        try:
            record = read_record(source, number)
            arrays = {name: read_partition(source, number, name, record)[rows] for name in ARRAYS}
        except TransientStorageError:
            raise
        except (StorageError, StoreError):
            continue
        yield indices, record.take(rows).to_pylist(), arrays


def publish(uri: str, header: StoreHeader) -> None:
    """Let readers open a committed generation, and remove those before it.

    Parameters
    ----------
    uri : str
        The store; its lease is held.
    header : StoreHeader
        The committed generation.
    """
    write_bytes(join(uri, "current.json"), json.dumps({"generation": _name(header.uri)}).encode())
    for name in list_folders(join(uri, "generations")):
        if name != _name(header.uri):
            delete_tree(join(uri, "generations", name))
