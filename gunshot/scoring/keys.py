"""What makes a recording done: its address, its content, and with what it was scored.

Conventions
-----------
A key is the first 128 bits of a hash, so a million of them are 16 MB. Two recordings of an archive of a thousand
million would share one with a chance of about 1e-21.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gunshot.scoring.rule import ScoringRule

__all__ = ["KEY", "USUAL_RULE", "Keys", "Provenance", "batch_name", "contains"]

KEY = np.dtype("S16")
"""A key; arrays of it are compared by all 16 bytes."""

Keys = NDArray[np.bytes_]


USUAL_RULE = ScoringRule().canonical
"""The rule of whoever asks for nothing else, and of results written before there were rules."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """With what recordings are scored.

    Attributes
    ----------
    model_digest, recipe_digest : str
        Of the bundle.
    rule : str
        `gunshot.scoring.rule.ScoringRule.canonical`.
    """

    model_digest: str
    recipe_digest: str
    rule: str = USUAL_RULE

    def keys(self, uris: Iterable[str], etags: Iterable[str]) -> Keys:
        """Keys of recordings.

        Parameters
        ----------
        uris, etags : iterable of str
            Addresses and contents.

        Returns
        -------
        ndarray of shape (n,), bytes
            In the order given.
        """
        # \0 ends each part: no address and no etag can hold it
        first = hashlib.blake2b(f"{self.model_digest}\0{self.recipe_digest}\0{self.rule}\0".encode(), digest_size=16)

        return np.fromiter((_key(first, uri, etag) for uri, etag in zip(uris, etags, strict=True)), dtype=KEY)

    def rows_of(self, table: pa.Table) -> pa.Table:
        """Rows that are of it.

        Parameters
        ----------
        table : pyarrow.Table
            Of the results, with ``model_digest``, ``recipe_digest`` and ``rule``.

        Returns
        -------
        pyarrow.Table
            In the order given.
        """
        is_model = pc.equal(table.column("model_digest"), self.model_digest)
        is_recipe = pc.equal(table.column("recipe_digest"), self.recipe_digest)
        return table.filter(pc.and_(pc.and_(is_model, is_recipe), pc.equal(table.column("rule"), self.rule)))


def _key(first: Any, uri: str, etag: str) -> bytes:
    hashed = first.copy()
    hashed.update(f"{uri}\0{etag}".encode())
    digest: bytes = hashed.digest()
    return digest


def contains(known: Keys, keys: Keys) -> NDArray[np.bool_]:
    """Which keys are among the known ones.

    Parameters
    ----------
    known : ndarray of bytes
        Sorted.
    keys : ndarray of shape (n,), bytes
        What to look for.

    Returns
    -------
    ndarray of shape (n,), bool
        True where it is.
    """
    if not known.size:
        return np.zeros(keys.size, dtype=bool)
    places = np.minimum(np.searchsorted(known, keys), known.size - 1)
    return np.asarray(known[places] == keys)


def batch_name(identities: Iterable[tuple[str, str]], provenance: Provenance, n_tries: int = 0) -> str:
    """Name of a batch, by what is in it.

    Parameters
    ----------
    identities : iterable of (str, str)
        Address and etag of its recordings.
    provenance : Provenance
        With what they are scored.
    n_tries : int
        Runs that have tried them in vain: what these wrote is not written over.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    parts = [*identities, provenance, *([n_tries] if n_tries else [])]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
