"""What is to be scored: recordings as they are listed, before anything of them is read.

Conventions
-----------
A listing is held in columns, not in objects: a million recordings take about 150 MB. A file that was written to a
moment ago may still be growing; whoever asks for it has such files left for the next run.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gunshot.audio.probe import AUDIO_SUFFIXES
from gunshot.errors import ManifestError, StorageError
from gunshot.storage import FileInfo, absolute, is_remote, list_files

__all__ = ["Target", "Targets", "list_targets"]

_SCHEMA = pa.schema(
    [
        pa.field("path", pa.large_string()),
        pa.field("uri", pa.large_string()),
        pa.field("size", pa.int64()),
        pa.field("etag", pa.large_string()),
    ]
)
_AT_A_TIME = 10_000


@dataclass(frozen=True, slots=True)
class Target:
    """A recording to score.

    Attributes
    ----------
    path, uri : str
        As shown, and where it is.
    size : int
        Its size [bytes].
    etag : str
        Changes when its content does.
    folder : str
        What a relative `uri` is relative to; the folder of whoever opens it if empty. A worker may run in another one
        than the flow that has listed the recording.
    """

    path: str
    uri: str
    size: int
    etag: str
    folder: str = field(default="", compare=False)

    @property
    def place(self) -> str:
        """Where it is opened; in the tables stands its `uri`, as it was given."""
        return absolute(self.uri, self.folder)


class Targets(Sequence[Target]):
    """Recordings in columns; a sequence of `Target`, each made when it is asked for.

    Parameters
    ----------
    table : pyarrow.Table
        Columns ``path``, ``uri``, ``size`` and ``etag``.
    n_left : int
        Files that were listed and are left for the next run.
    folder : str
        Of all of them; see `Target`.
    """

    def __init__(self, table: pa.Table, n_left: int = 0, folder: str = "") -> None:
        self.table = table
        self.n_left = n_left
        self.folder = folder

    @classmethod
    def of(cls, targets: Iterable[Target], n_left: int = 0) -> Targets:
        """Put targets into columns.

        Parameters
        ----------
        targets : iterable of Target
            In the order to keep.
        n_left : int
            Files that are left for the next run.

        Returns
        -------
        Targets
            The same.
        """
        rows = ((target.path, target.uri, target.size, target.etag) for target in targets)
        return cls(_table(rows), n_left)

    def __len__(self) -> int:
        """How many."""
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[Target]:
        """All of them, some thousand at a time."""
        for part in self.table.to_batches(max_chunksize=_AT_A_TIME):
            yield from _targets(part, self.folder)

    @overload
    def __getitem__(self, index: int) -> Target: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Target]: ...
    def __getitem__(self, index: int | slice) -> Target | Sequence[Target]:
        """One of them, or some."""
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        return self.take(np.array([range(len(self))[index]]))[0]

    def take(self, rows: NDArray[np.int64]) -> tuple[Target, ...]:
        """Some of them.

        Parameters
        ----------
        rows : ndarray of shape (n,), int64
            Which.

        Returns
        -------
        tuple of Target
            In that order.
        """
        return tuple(_targets(self.table.take(pa.array(rows)), self.folder))

    def sizes(self) -> NDArray[np.int64]:
        """Sizes of all.

        Returns
        -------
        ndarray of shape (n,), int64
            [bytes].
        """
        return np.asarray(self.table.column("size").to_numpy(), dtype=np.int64)


def _targets(part: pa.Table | pa.RecordBatch, folder: str) -> Iterator[Target]:
    columns = [part.column(name).to_pylist() for name in _SCHEMA.names]
    return (Target(path, uri, size, etag, folder) for path, uri, size, etag in zip(*columns, strict=True))


def _table(rows: Iterable[tuple[str, str, int, str]]) -> pa.Table:
    waiting, parts = iter(rows), []
    while some := list(islice(waiting, _AT_A_TIME)):
        columns = [pa.array(values, field.type) for values, field in zip(zip(*some, strict=True), _SCHEMA, strict=True)]
        parts.append(pa.record_batch(columns, schema=_SCHEMA))
    return pa.Table.from_batches(parts, schema=_SCHEMA).combine_chunks()


def list_targets(inputs: Sequence[str], *, settle_s: float = 0.0) -> Targets:
    """Recordings below folders, globs or prefixes.

    Parameters
    ----------
    inputs : sequence of str
        What the user names.
    settle_s : float
        Local files that were changed within so many seconds before now are left for the next run: somebody may still be
        writing them [s]. An object in a bucket is whole as soon as it is listed.

    Returns
    -------
    Targets
        Each recording once, by URI, however many inputs it is under.

    Raises
    ------
    ManifestError
        If an input does not exist or holds no audio.
    """
    listing = _Listing(inputs, settle_s)
    table = _table(listing.rows())
    order = pc.sort_indices(table.column("uri"))
    return Targets(table.take(order).combine_chunks(), listing.n_left, str(Path.cwd()))


class _Listing:
    """All inputs in turn; what is found under several of them is shown as the first one does."""

    def __init__(self, inputs: Sequence[str], settle_s: float) -> None:
        self.n_left = 0
        self._inputs = inputs
        self._settle_s = settle_s
        self._now_s = time.time()
        self._seen: set[bytes] = set()

    def rows(self) -> Iterator[tuple[str, str, int, str]]:
        for uri in self._inputs:
            is_new = self._is_new if len(self._inputs) > 1 else lambda _uri: True
            yield from self._rows_of(uri, is_new)

    def _rows_of(self, uri: str, is_new: Callable[[str], bool]) -> Iterator[tuple[str, str, int, str]]:
        root, n_found = uri.rstrip("/") + "/", 0
        try:
            for info in list_files(uri, AUDIO_SUFFIXES):
                n_found += 1
                if not is_new(info.uri):
                    continue
                if self._is_fresh(info):
                    self.n_left += 1
                    continue
                name = info.uri.removeprefix(root) if info.uri.startswith(root) else PurePosixPath(info.uri).name
                yield name, info.uri, info.size, info.etag
        except StorageError as error:
            raise ManifestError(str(error)) from error
        if not n_found:
            raise ManifestError(
                f"no audio in {uri}: looked for files that end in {' '.join(AUDIO_SUFFIXES)}; check the address"
            )

    def _is_new(self, uri: str) -> bool:
        place = absolute(uri)  # one input may be relative, another not
        key = hashlib.blake2b(place.encode(), digest_size=16).digest()
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _is_fresh(self, info: FileInfo) -> bool:
        if not self._settle_s or is_remote(info.uri):
            return False
        changed_ns = info.etag.rpartition("-")[2]
        # a time far in the future is a wrong clock, and says nothing
        return changed_ns.isdigit() and abs(self._now_s - int(changed_ns) / 1e9) < self._settle_s
