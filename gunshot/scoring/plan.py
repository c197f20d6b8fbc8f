"""The plan: batches of what is not done.

Conventions
-----------
A batch is the unit of work: plain data, idempotent, with a name that follows from its recordings, the model and the
rule. The whole listing is cut into batches, done or not, so that a run that was killed is cut as it was before, and
what it left half written is overwritten. What is not done of a batch that is partly done (the few new recordings of a
night) is put together into batches of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gunshot.scoring.keys import KEY, Keys, Provenance, batch_name, contains
from gunshot.scoring.targets import Target, Targets

__all__ = ["ScoringBatch", "ScoringPlan", "plan_scoring"]

_BATCH_BYTES = 256 * 2**20
_BATCH_RECORDINGS = 64
_AT_A_TIME = 10_000


@dataclass(frozen=True, slots=True)
class ScoringBatch:
    """A unit of work.

    Attributes
    ----------
    name : str
        Of its objects in the results.
    targets : tuple of Target
        Its recordings.
    """

    name: str
    targets: tuple[Target, ...]


class ScoringPlan:
    """Batches that are made when they are asked for, again whenever one iterates; not held.

    Parameters
    ----------
    targets : Targets
        The listing.
    keys : ndarray of shape (n_targets,), bytes
        Keys of all of it.
    rows : ndarray of shape (n_recordings,), int64
        What of it is to be scored, batch after batch.
    bounds : ndarray of shape (n_batches + 1,), int64
        Where in `rows` batches begin and end.
    provenance : Provenance
        With what they are scored.

    Attributes
    ----------
    n_recordings : int
        Recordings to be scored.
    """

    def __init__(
        self,
        targets: Targets,
        keys: Keys,
        rows: NDArray[np.int64],
        bounds: NDArray[np.int64],
        provenance: Provenance,
    ) -> None:
        self.keys = keys
        self.n_recordings = int(rows.size)
        self._targets = targets
        self._rows = rows
        self._bounds = bounds
        self._provenance = provenance

    def __len__(self) -> int:
        """How many batches there are."""
        return int(self._bounds.size) - 1

    def sizes(self) -> NDArray[np.int64]:
        """Sizes of what is to be scored.

        Returns
        -------
        ndarray of shape (n_recordings,), int64
            [bytes], batch after batch.
        """
        return self._targets.sizes()[self._rows]

    def take(self, places: NDArray[np.int64]) -> tuple[Target, ...]:
        """Some of what is to be scored.

        Parameters
        ----------
        places : ndarray of shape (n,), int64
            Which, counted as in `sizes`.

        Returns
        -------
        tuple of Target
            In that order.
        """
        return self._targets.take(self._rows[places])

    def __iter__(self) -> Iterator[ScoringBatch]:
        """Each in turn, of at most 64 recordings or 256 MiB."""
        for begin, end in zip(self._bounds[:-1], self._bounds[1:], strict=True):
            targets = self._targets.take(self._rows[begin:end])
            name = batch_name([(target.uri, target.etag) for target in targets], self._provenance)
            yield ScoringBatch(name, targets)


def plan_scoring(targets: Targets, done: Keys, provenance: Provenance) -> ScoringPlan:
    """Batches of what is not done.

    Parameters
    ----------
    targets : Targets
        All recordings.
    done : ndarray of bytes
        From `gunshot.scoring.results.done_keys`.
    provenance : Provenance
        With what they are scored.

    Returns
    -------
    ScoringPlan
        The batches.
    """
    keys = np.empty(len(targets), dtype=KEY)
    first = 0
    for part in targets.table.select(["uri", "etag"]).to_batches(max_chunksize=_AT_A_TIME):
        keys[first : first + part.num_rows] = provenance.keys(*(column.to_pylist() for column in part.columns))
        first += part.num_rows
    is_open = ~contains(done, keys)
    sizes = targets.sizes()
    # a batch that is done in part is no batch any more: what is left of those is cut anew
    first_cut = _cut(sizes)
    n_open = np.add.reduceat(is_open, first_cut[:-1], dtype=np.int64) if len(targets) else np.empty(0, dtype=np.int64)
    is_whole = np.repeat(n_open == np.diff(first_cut), np.diff(first_cut))
    whole, rest = np.flatnonzero(is_whole), np.flatnonzero(is_open & ~is_whole)
    whole_lengths = np.diff(first_cut)[n_open == np.diff(first_cut)]
    lengths = np.concatenate([whole_lengths, np.diff(_cut(sizes[rest]))])
    bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return ScoringPlan(targets, keys, np.concatenate([whole, rest]), bounds, provenance)


def _cut(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where batches begin and end."""
    bounds, n_bytes = [0], 0
    for row, size in enumerate(sizes.tolist()):
        if row > bounds[-1] and (row - bounds[-1] == _BATCH_RECORDINGS or n_bytes + size > _BATCH_BYTES):
            bounds.append(row)
            n_bytes = 0
        n_bytes += size
    return np.asarray([*bounds, sizes.size] if sizes.size else [0], dtype=np.int64)
