"""Scores of the peer, kept: BirdNET hears each row once, whatever models of ours it is held against.

Conventions
-----------
The cache is one Parquet table. Its key is what was heard: the SHA-256 of the file, and the segment. It is written every
few hundred files, so a run that is stopped goes on where it ended. Rows whose file cannot be read have no score.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gunshot.errors import AudioError, ParameterError
from gunshot.peers.birdnet import Birdnet, find_birdnet, hear_rows
from gunshot.storage import exists, read_bytes, write_bytes

__all__ = ["SCHEMA", "birdnet_scores", "read_cache"]

SCHEMA = pa.schema(
    [
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("in_place", pa.float64(), nullable=False),
        pa.field("alone", pa.float64(), nullable=False),
    ]
)
"""The columns of the cache; scores as `gunshot.peers.birdnet` says."""

Key = tuple[str, float | None, float | None]
Progress = Callable[[int, int], None]

_SAVE_FILES = 200


def read_cache(uri: str) -> dict[Key, tuple[float, float]]:
    """Read kept scores.

    Parameters
    ----------
    uri : str
        The Parquet table; may not exist yet.

    Returns
    -------
    dict
        ``in_place`` and ``alone`` by SHA-256, start and end [s].

    Raises
    ------
    ParameterError
        If it is another kind of file.
    StorageError
        If it cannot be read.
    """
    if not exists(uri):
        return {}
    try:
        table = pq.read_table(io.BytesIO(read_bytes(uri)))
        columns = [table.column(name).to_pylist() for name in SCHEMA.names]
    except (pa.ArrowException, KeyError) as error:
        raise ParameterError(f"--cache {uri}: not a table of BirdNET's scores ({error}); remove it") from error
    return {row[:3]: row[3:] for row in zip(*columns, strict=True)}


def _write_cache(uri: str, scores: Mapping[Key, tuple[float, float]]) -> None:
    rows = [dict(zip(SCHEMA.names, (*key, *values), strict=True)) for key, values in scores.items()]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), buffer, compression="zstd")
    write_bytes(uri, buffer.getvalue())


def birdnet_scores(
    rows: Sequence[Mapping[str, Any]], cache: str, *, progress: Progress | None = None
) -> NDArray[np.float64]:
    """Scores of BirdNET for rows of a manifest, from the cache where they are in it.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the manifest; those of one file need not follow each other.
    cache : str
        URI of the kept scores.
    progress : callable, optional
        Called with the number of files done and their total.

    Returns
    -------
    ndarray of shape (len(rows), 2), float64
        ``in_place`` and ``alone``; NaN where the file cannot be read.

    Raises
    ------
    ParameterError
        If scores are missing and BirdNET is not installed.
    StorageError
        If the cache cannot be read or written.
    """
    kept = read_cache(cache)
    peer: Birdnet | None = None
    result = np.full((len(rows), 2), np.nan)
    files: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        if row["state"] == "ok":
            files.setdefault(row["uri"], []).append(index)
    n_unsaved = 0
    for done, (uri, indices) in enumerate(files.items(), start=1):
        digest = hashlib.sha256(read_bytes(uri)).hexdigest()
        keys: list[Key] = [(digest, rows[index]["start_s"], rows[index]["end_s"]) for index in indices]
        new = [key for key in dict.fromkeys(keys) if key not in kept]
        if new:
            peer = peer or Birdnet(find_birdnet())
            try:
                heard = list(hear_rows(uri, [key[1:] for key in new], peer))
            except AudioError:
                continue
            kept |= {key: (found.in_place, found.alone) for key, found in zip(new, heard, strict=True)}
            n_unsaved += 1
        if n_unsaved == _SAVE_FILES or (n_unsaved and done == len(files)):
            _write_cache(cache, kept)
            n_unsaved = 0
        result[indices] = [kept[key] for key in keys]
        if progress:
            progress(done, len(files))
    if n_unsaved:
        _write_cache(cache, kept)
    return result
