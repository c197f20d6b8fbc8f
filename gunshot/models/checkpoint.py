"""Where an interrupted training goes on.

Conventions
-----------
After each epoch one object holds every number that the next one depends on: weights, moments of the optimiser, states
of the generators behind dropout, and the history. It is an ``.npz`` of plain arrays, written whole or not at all. Its
key says what is trained on what; a checkpoint with another key is not gone on from.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import StorageError, TransientStorageError
from gunshot.storage import delete, exists, read_bytes, write_bytes

__all__ = ["Checkpoint", "Saved"]


@dataclass(frozen=True)
class Saved:
    """State after an epoch.

    Attributes
    ----------
    arrays : sequence of ndarray
        Every variable, in the network's order.
    best : sequence of ndarray
        Weights of the best epoch so far; empty where none is kept.
    history : list of dict
        Figures of each epoch so far.
    """

    arrays: Sequence[NDArray[Any]]
    best: Sequence[NDArray[Any]]
    history: list[dict[str, float]]


@dataclass(frozen=True)
class Checkpoint:
    """A place for the state of one training.

    Attributes
    ----------
    uri : str
        The object.
    key : str
        Digest of what is trained on what.
    """

    uri: str
    key: str

    def save(self, state: Saved) -> None:
        """Write the state.

        Parameters
        ----------
        state : Saved
            After an epoch.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        buffer = io.BytesIO()
        arrays = {f"a{number:04d}": array for number, array in enumerate(state.arrays)}
        best = {f"b{number:04d}": array for number, array in enumerate(state.best)}
        about = json.dumps({"key": self.key, "history": state.history}).encode()
        everything: dict[str, Any] = {"about": np.frombuffer(about, dtype=np.uint8), **arrays, **best}
        np.savez(buffer, **everything)
        write_bytes(self.uri, buffer.getvalue())

    def load(self) -> Saved | None:
        """Read the state back.

        Returns
        -------
        Saved or None
            None if there is none of this training.
        """
        try:
            if not exists(self.uri):
                return None
            with np.load(io.BytesIO(read_bytes(self.uri)), allow_pickle=False) as there:
                about = json.loads(there["about"].tobytes())
                if about["key"] != self.key:
                    return None
                names = sorted(there.files)
                first, best = ([there[name] for name in names if name[0] == kind and name != "about"] for kind in "ab")
                return Saved(first, best, about["history"])
        except TransientStorageError:
            raise
        except (StorageError, BadZipFile, ValueError, KeyError, EOFError):
            return None  # a damaged checkpoint costs time, never a wrong model

    def remove(self) -> None:
        """Remove it, once the bundle is written."""
        delete(self.uri)
