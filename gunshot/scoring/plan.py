"""The plan: batches of what is not done.

Conventions
-----------
A batch is the unit of work: plain data, idempotent, with a name that follows from its recordings, the model and the
rule. The whole listing is cut into batches, done or not, so that a run that was killed is cut as it was before, and
what it left half written is overwritten. What is not done of a batch that is partly done (the few new recordings of a
night) is put together into batches of its own. So is what was tried in vain, by how often it was: it hangs or kills
whatever it is scored beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

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
    n_tries : int
        Runs that have tried each of them in vain.
    """

    name: str
    targets: tuple[Target, ...]
    n_tries: int = 0


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
    n_tries : ndarray of shape (n_recordings,), int64
        Runs that have tried each of `rows` in vain; equal within a batch, and 0 before all others.

    Attributes
    ----------
    n_recordings, n_again : int
        Recordings to be scored, and of them those that are tried again.
    """

    def __init__(
        self,
        targets: Targets,
        keys: Keys,
        rows: NDArray[np.int64],
        bounds: NDArray[np.int64],
        provenance: Provenance,
        n_tries: NDArray[np.int64],
    ) -> None:
        self.keys = keys
        self.n_recordings = int(rows.size)
        self.n_again = int(np.count_nonzero(n_tries))
        self._targets = targets
        self._rows = rows
        self._bounds = bounds
        self._provenance = provenance
        self._n_tries = n_tries

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
            n_tries = int(self._n_tries[begin])
            name = batch_name([(target.uri, target.etag) for target in targets], self._provenance, n_tries)
            yield ScoringBatch(name, targets, n_tries)


def plan_scoring(
    targets: Targets, done: Keys, provenance: Provenance, tried: Mapping[bytes, int] = MappingProxyType({})
) -> ScoringPlan:
    """Batches of what is not done.

    Parameters
    ----------
    targets : Targets
        All recordings.
    done : ndarray of bytes
        From `gunshot.scoring.results.done_keys`.
    provenance : Provenance
        With what they are scored.
    tried : mapping of bytes to int
        By key the runs that have tried a recording in vain, from `gunshot.scoring.results.known_keys`.

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
    n_tries = _tries(keys, tried)
    is_first = is_open & (n_tries == 0)
    sizes = targets.sizes()
    # a batch that is done in part is no batch any more: what is left of those is cut anew
    first_cut = _cut(sizes)
    n_open = np.add.reduceat(is_first, first_cut[:-1], dtype=np.int64) if len(targets) else np.empty(0, dtype=np.int64)
    is_whole = np.repeat(n_open == np.diff(first_cut), np.diff(first_cut))
    rows = [np.flatnonzero(is_whole), np.flatnonzero(is_first & ~is_whole)]
    rows += [np.flatnonzero(is_open & (n_tries == count)) for count in np.unique(n_tries[is_open & ~is_first])]
    lengths = [np.diff(first_cut)[n_open == np.diff(first_cut)], *(np.diff(_cut(sizes[some])) for some in rows[1:])]
    bounds = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    planned = np.concatenate(rows)
    return ScoringPlan(targets, keys, planned, bounds, provenance, n_tries[planned])


def _tries(keys: Keys, tried: Mapping[bytes, int]) -> NDArray[np.int64]:
    """How often each recording was tried in vain."""
    n_tries = np.zeros(keys.size, dtype=np.int64)
    if tried:
        known = np.array(sorted(tried), dtype=KEY)
        rows = np.flatnonzero(contains(known, keys))
        n_tries[rows] = [tried[bytes(key)] for key in keys[rows]]
    return n_tries


def _cut(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where batches begin and end."""
    bounds, n_bytes = [0], 0
    for row, size in enumerate(sizes.tolist()):
        if row > bounds[-1] and (row - bounds[-1] == _BATCH_RECORDINGS or n_bytes + size > _BATCH_BYTES):
            bounds.append(row)
            n_bytes = 0
        n_bytes += size
    return np.asarray([*bounds, sizes.size] if sizes.size else [0], dtype=np.int64)
