"""Two stores read as one: the rows of a training, and those that a label table adds.

Conventions
-----------
The rows of the first store come first, those of the second follow; numbers run on. What the second says of a sound
holds: a row of the first whose clip begins at the same moment of the same recording is ``superseded``, and holds no
usable clip any more. A group is never divided, nor is a recording, whatever its groups are called in the two stores:
`FeatureStore.units` names what must stay together. A recording that was moved goes by both addresses: the one that it
is read from (``uri``), and the one that it had (``path``, where that is an address by itself).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gunshot.storage import absolute, is_remote
from gunshot.store.layout import StoreHeader
from gunshot.store.read import FeatureStore, open_store

__all__ = ["SAME_SOUND_S", "SUPERSEDED", "JoinedStore", "join_stores", "open_joined"]

SAME_SOUND_S = 0.05
"""Clips of one recording that begin within this are of one sound: a segment drawn anew moves an onset by less [s]."""

SUPERSEDED = "superseded"
"""State of a row of the first store that a row of the second says something else, or the same, of."""


@dataclass(frozen=True)
class JoinedStore(FeatureStore):
    """Stores of one recipe, open for reading as one.

    Attributes
    ----------
    header : StoreHeader
        Of all rows; its address names both.
    rows : pyarrow.Table
        Those of all members, one after another.
    records : tuple of pyarrow.Table
        Empty: those of the members are theirs.
    joined : tuple of FeatureStore
        The members.
    """

    joined: tuple[FeatureStore, ...] = ()

    @property
    def members(self) -> tuple[tuple[int, FeatureStore], ...]:
        """Each member and the number of its first row."""
        starts = np.cumsum([0, *(member.header.n_rows for member in self.joined)])
        return tuple(zip(starts[:-1].tolist(), self.joined, strict=True))

    @property
    def units(self) -> NDArray[np.str_]:
        """What is never divided, a name a row: groups that share a recording are one unit."""
        group = np.asarray(self.column("group"), dtype=np.str_)
        names = np.asarray(_addresses(self.rows), dtype=np.str_).T
        groups, of_group = np.unique(group, return_inverse=True)
        recordings, of_recording = np.unique(names.ravel(), return_inverse=True)
        n_nodes = groups.size + recordings.size
        ends = (np.tile(of_group, 2), groups.size + of_recording.ravel())
        links = (np.ones(2 * group.size, dtype=np.int8), ends)
        _, component = connected_components(coo_array(links, shape=(n_nodes, n_nodes)), directed=False)
        # a unit is called after the first of its groups, so that a plain group keeps its name
        first = {int(part): name for part, name in zip(component[: groups.size][::-1], groups[::-1], strict=True)}
        return np.asarray([first[int(part)] for part in component[of_group]], dtype=np.str_)

    def _fill(self, result: NDArray[np.float32], name: str, wanted: NDArray[np.intp]) -> None:
        for start, member in self.members:
            inside = np.flatnonzero((wanted >= start) & (wanted < start + member.header.n_rows))
            read = member.waveforms if name == "waveform" else member.log_mels
            if inside.size:
                result[inside] = read(wanted[inside] - start)


def join_stores(first: FeatureStore, second: FeatureStore) -> JoinedStore:
    """Join two stores.

    Parameters
    ----------
    first, second : FeatureStore
        Of one recipe; where both hold a sound, the second's row counts.

    Returns
    -------
    JoinedStore
        The rows of the first, then those of the second.
    """
    tables = [_superseded(first, second), second.rows]
    digests = f"{first.header.manifest_digest} {second.header.manifest_digest}"
    header = StoreHeader(
        uri=f"{first.header.uri} + {second.header.uri}",
        recipe=first.recipe,
        manifest_digest=hashlib.sha256(digests.encode()).hexdigest()[:16],
        n_rows=first.header.n_rows + second.header.n_rows,
        shard_rows=first.header.shard_rows,
    )
    rows = pa.concat_tables(
        [table.replace_schema_metadata() for table in tables], promote_options="default"
    ).combine_chunks()
    return JoinedStore(header, rows, (), (first, second))


def open_joined(store: str, labels: str | None) -> FeatureStore:
    """Open a store, and with it one of labels if there is one.

    Parameters
    ----------
    store : str
        The committed store.
    labels : str or None
        A committed store of the same recipe.

    Returns
    -------
    FeatureStore
        The store itself where there are no labels.

    Raises
    ------
    StoreError
        If one cannot be read, or their recipes differ.
    """
    first = open_store(store)
    return first if labels is None else join_stores(first, open_store(labels, recipe=first.recipe))


def _addresses(rows: pa.Table) -> list[tuple[str, str]]:
    """What each row's recording goes by: where it is read from, and where it was: twice the same if not moved."""
    found = []
    for uri, path in zip(*(rows.column(name).to_pylist() for name in ("uri", "path")), strict=True):
        here, shown = absolute(uri), path.removeprefix("file://")
        found.append((here, shown if is_remote(shown) or shown.startswith("/") else here))
    return found


def _superseded(first: FeatureStore, second: FeatureStore) -> pa.Table:
    """Rows of the first store, those that the second holds too marked."""
    said: defaultdict[str, list[float]] = defaultdict(list)
    usable = second.rows.take(second.usable)
    for names, onset_s in zip(_addresses(usable), usable.column("onset_s").to_pylist(), strict=True):
        for name in set(names) if onset_s is not None else ():
            said[name].append(onset_s)
    pairs = zip(_addresses(first.rows), first.rows.column("onset_s").to_pylist(), strict=True)
    gives_way = pa.array(
        [
            onset_s is not None
            and any(abs(onset_s - other_s) <= SAME_SOUND_S for name in names for other_s in said.get(name, ()))
            for names, onset_s in pairs
        ],
        pa.bool_(),
    )
    state = pc.if_else(gives_way, SUPERSEDED, first.rows.column("state"))
    index = first.rows.column_names.index("state")
    return first.rows.set_column(index, first.rows.schema.field("state"), state)
