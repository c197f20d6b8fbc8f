"""Batches that a network is trained on, and making them ahead of need.

Conventions
-----------
`Batches` is what training asks of its rows: an epoch by its number, the same each time. Arrays in memory are one
kind (`ArrayBatches`); rows of stores are another (`gunshot.feed`).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["ArrayBatches", "Batch", "Batches", "ahead"]


class Batch(NamedTuple):
    """One step of training.

    Attributes
    ----------
    x : ndarray of shape (n, ...), float32
        Inputs.
    y : ndarray of shape (n,), float32
        Labels, 0 or 1.
    weight : ndarray of shape (n,), float32
        What each row counts in the loss.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    weight: NDArray[np.float32]


class Batches(Protocol):
    """Rows in batches, epoch after epoch."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""

    @property
    def n_batches(self) -> int:
        """Steps an epoch has, on average."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """Give the batches of an epoch.

        Parameters
        ----------
        number : int
            Of the epoch, from 0.

        Yields
        ------
        Batch
            The same for the same number.
        """


@dataclass(frozen=True)
class ArrayBatches:
    """Rows in memory.

    Attributes
    ----------
    x : ndarray of shape (n, ...), float32
        Inputs.
    y : ndarray of shape (n,), int8
        Labels.
    batch_size : int
        Rows a step; the last has the rest.
    seed : int or None
        Of the order; None keeps that of the rows.
    weight : ndarray of shape (n,), float32, optional
        What each row counts; all the same if not given.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int8]
    batch_size: int
    seed: int | None = None
    weight: NDArray[np.float32] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(int(size) for size in self.x.shape[1:])

    @property
    def n_batches(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.x) // self.batch_size)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Give the batches of an epoch.

        Parameters
        ----------
        number : int
            Of the epoch, from 0.

        Yields
        ------
        Batch
            In an order of the epoch's own.
        """
        order = np.arange(len(self.x))
        if self.seed is not None:
            order = np.random.default_rng([self.seed, number]).permutation(order)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            weight = np.ones(len(rows), dtype=np.float32) if self.weight is None else self.weight[rows]
            yield Batch(self.x[rows], self.y[rows].astype(np.float32), weight)


def ahead(batches: Iterator[Batch], n_ahead: int = 8) -> Iterator[Batch]:
    """Make batches in a thread of their own while others are trained on.

    Parameters
    ----------
    batches : iterator of Batch
        Where they come from.
    n_ahead : int
        How many may wait.

    Yields
    ------
    Batch
        In the same order; an exception of the source is raised here.
    """
    made: queue.Queue[Batch | BaseException | None] = queue.Queue(n_ahead)
    stopped = threading.Event()

    def _make() -> None:
        try:
            for batch in batches:
                made.put(batch)
                if stopped.is_set():
                    return
            made.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again by the reader
            made.put(error)

    thread = threading.Thread(target=_make, name="batches", daemon=True)
    thread.start()
    try:
        while (batch := made.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        stopped.set()
        while thread.is_alive():  # a maker that waits to put is let go
            with suppress(queue.Empty):
                made.get(timeout=0.05)
