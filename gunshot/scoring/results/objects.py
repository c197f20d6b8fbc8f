"""Which objects of the results count, and their content.

Conventions
-----------
The ledger says what counts: an object of another table counts if that of the same name in ``recordings/`` does. One
that is named as replaced in the metadata of an object ``merged-*`` does not; so all rows are seen once at every moment,
before a merged object is written, after it, and while those that it replaces are removed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from gunshot.errors import StorageError
from gunshot.scoring.results.schemas import SCHEMAS, Kind, as_today
from gunshot.storage import exists, identity, join, list_files, read_bytes

__all__ = [
    "MERGED",
    "PART_ROWS",
    "REPLACES",
    "Snapshot",
    "address",
    "encoded",
    "listed",
    "read_object",
    "read_parts",
    "replaces",
    "snapshot",
    "tables",
]

MERGED = "merged-"
"""How names of merged objects begin."""

REPLACES = b"gunshot.replaces"
"""Where a merged object's schema says what it stands for: a JSON list of names."""

PART_ROWS = 20_000
"""Rows that are decoded at a time."""

_TURNS = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Objects at one moment.

    Attributes
    ----------
    live : tuple of str
        Names that count, sorted.
    replaced : frozenset of str
        Names that a merged object stands for.
    sizes : dict
        Of all objects in ``recordings/`` by name [bytes].
    """

    live: tuple[str, ...]
    replaced: frozenset[str]
    sizes: dict[str, int]


def address(results: str, kind: Kind, name: str) -> str:
    """Where an object is.

    Parameters
    ----------
    results : str
        Where the tables are.
    kind : {"detections", "candidates", "recordings"}
        Which table.
    name : str
        The batch's.

    Returns
    -------
    str
        Its address.
    """
    return join(results, kind, f"{name}.parquet")


def listed(results: str, kind: Kind) -> dict[str, int]:
    """List a table's objects, whether they count or not.

    Parameters
    ----------
    results : str
        Where the tables are.
    kind : {"detections", "candidates", "recordings"}
        Which table.

    Returns
    -------
    dict
        Sizes by name [bytes].
    """
    folder = join(results, kind)
    if not exists(folder):
        return {}
    try:
        found = list(list_files(folder, (".parquet",)))
    except StorageError:
        if exists(folder):
            raise
        return {}
    return {info.uri.rpartition("/")[2].removesuffix(".parquet"): info.size for info in found}


def snapshot(results: str) -> Snapshot:
    """See which objects count.

    Parameters
    ----------
    results : str
        Where the tables are.

    Returns
    -------
    Snapshot
        Now.

    Raises
    ------
    StorageError
        If they cannot be listed.
    """
    for turn in range(_TURNS):
        sizes = listed(results, "recordings")
        replaced: set[str] = set()
        try:
            for name in sizes:
                if name.startswith(MERGED):
                    replaced |= set(replaces(results, name))
        except StorageError:  # merged again, and removed, since it was listed
            if turn == _TURNS - 1:
                raise
            continue
        break
    return Snapshot(tuple(sorted(set(sizes) - replaced)), frozenset(replaced), sizes)


def replaces(results: str, name: str) -> list[str]:
    """What a merged object stands for.

    Parameters
    ----------
    results : str
        Where the tables are.
    name : str
        The object's.

    Returns
    -------
    list of str
        Names of objects.
    """
    # the whole object: it is some MB, and a store is asked once instead of three times
    content = read_bytes(address(results, "recordings", name))
    metadata = pq.read_schema(io.BytesIO(content)).metadata or {}
    names: list[str] = json.loads(metadata.get(REPLACES, b"[]"))
    return names


def encoded(table: pa.Table) -> bytes:
    """A table as the content of an object.

    Parameters
    ----------
    table : pyarrow.Table
        Its rows.

    Returns
    -------
    bytes
        Parquet; the same for the same rows.
    """
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def read_object(results: str, kind: Kind, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one object whole, with the columns of today.

    Parameters
    ----------
    results : str
        Where the tables are.
    kind : {"detections", "candidates", "recordings"}
        Which table.
    name : str
        The batch's.
    columns : sequence of str, optional
        Only these are decoded; all if not given.

    Returns
    -------
    pyarrow.Table
        Its rows.

    Raises
    ------
    StorageError
        If it is not there, or no such table.
    """
    return pa.concat_tables(read_parts(results, kind, name, columns)).combine_chunks()


def read_parts(
    results: str, kind: Kind, name: str, columns: Sequence[str] | None = None, *, rows: int | None = None
) -> Iterator[pa.Table]:
    """Read one object in parts, so that of a merged one no more is decoded at a time than of others.

    Parameters
    ----------
    results : str
        Where the tables are.
    kind : {"detections", "candidates", "recordings"}
        Which table.
    name : str
        The batch's.
    columns : sequence of str, optional
        Only these are decoded; all if not given.
    rows : int
        Most rows of a part; `PART_ROWS` if not given.

    Yields
    ------
    pyarrow.Table
        Some rows, with the columns of today; a part without rows where the object has none.

    Raises
    ------
    StorageError
        If it is not there, or no such table.
    """
    uri = address(results, kind, name)
    content = read_bytes(uri)
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        there = set(file.schema_arrow.names)
        wanted = SCHEMAS[kind].names if columns is None else columns
        read = [column for column in wanted if column in there]
        if file.metadata.num_rows == 0:
            yield as_today(file.read(read).replace_schema_metadata(), kind, columns)
            return
        # without threads: most objects are small, and workers share their cores
        for batch in file.iter_batches(rows or PART_ROWS, columns=read, use_threads=False):
            yield as_today(pa.Table.from_batches([batch]).replace_schema_metadata(), kind, columns)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"cannot read {uri}: {error}; gunshot results verify --repair forgets it") from error


def tables(results: str, kind: Kind, columns: Sequence[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Read the objects of a table that count, one after the other; large ones in parts.

    Parameters
    ----------
    results : str
        Where the tables are.
    kind : {"detections", "candidates", "recordings"}
        Which table.
    columns : sequence of str, optional
        Only these; all if not given.

    Yields
    ------
    name : str
        The batch's.
    table : pyarrow.Table
        Its rows, or some of them: further parts follow.

    Raises
    ------
    StorageError
        If one cannot be read, or if objects were merged meanwhile: read again.
    """
    now = snapshot(results)
    there = None if kind == "recordings" else listed(results, kind)
    for name in now.live:
        if there is None or name in there:
            for part in read_parts(results, kind, name, columns):
                yield name, part
        elif identity(address(results, "recordings", name)) is None:
            raise StorageError(f"cannot read {results}: its objects were merged meanwhile; read it again")
