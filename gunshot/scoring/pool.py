"""Clips of many recordings, scored together.

Conventions
-----------
The runtime scores full batches of one size and pads what is left (`gunshot.models.runtime`): a block of 30 s has a
dozen candidates, and padding it would cost five times what its clips do. So clips wait here until they fill a batch,
whatever recordings they are of. A clip's score does not depend on those beside it.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from gunshot.models.bundle import Bundle
from gunshot.models.runtime import BATCH

__all__ = ["ClipPool", "PooledScores"]


class PooledScores:
    """Scores of one recording, as they come in.

    Attributes
    ----------
    n_waiting : int
        Clips without a score yet.
    """

    def __init__(self) -> None:
        self.n_waiting = 0
        self._parts: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)]

    def place(self, n_clips: int) -> NDArray[np.float32]:
        """Make room for the scores of further clips.

        Parameters
        ----------
        n_clips : int
            How many.

        Returns
        -------
        ndarray of shape (n_clips,), float32
            To be filled.
        """
        self._parts.append(np.empty(n_clips, dtype=np.float32))
        self.n_waiting += n_clips
        return self._parts[-1]

    def joined(self) -> NDArray[np.float32]:
        """All scores, in the order in which their clips were given.

        Returns
        -------
        ndarray of shape (n,), float32
            Of use when none is waiting.
        """
        return np.concatenate(self._parts)


class ClipPool:
    """Scores clips in full batches.

    Parameters
    ----------
    bundle : Bundle
        The model.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._waiting: deque[tuple[PooledScores, NDArray[np.float32], NDArray[np.float32]]] = deque()
        self._n_waiting = 0

    def add(self, scores: PooledScores, clips: NDArray[np.float32]) -> None:
        """Take clips; score what fills a batch.

        Parameters
        ----------
        scores : PooledScores
            Where their scores go.
        clips : ndarray of shape (n, n_samples), float32
            Clips at the recipe's rate; not changed afterwards.
        """
        if len(clips):
            self._waiting.append((scores, clips, scores.place(len(clips))))
            self._n_waiting += len(clips)
        while self._n_waiting >= BATCH:
            self._score(BATCH)

    def drop(self, scores: PooledScores) -> None:
        """Forget the clips of a recording that cannot be used.

        Parameters
        ----------
        scores : PooledScores
            Whose.
        """
        self._waiting = deque(part for part in self._waiting if part[0] is not scores)
        self._n_waiting = sum(len(clips) for _, clips, _ in self._waiting)
        scores.n_waiting = 0

    def finish(self) -> None:
        """Score what is left."""
        if self._n_waiting:
            self._score(self._n_waiting)

    def _score(self, n_clips: int) -> None:
        taken: list[tuple[PooledScores, NDArray[np.float32], NDArray[np.float32]]] = []
        left = n_clips
        while left:
            scores, clips, places = self._waiting.popleft()
            if len(clips) > left:
                self._waiting.appendleft((scores, clips[left:], places[left:]))
            taken.append((scores, clips[:left], places[:left]))
            left -= len(taken[-1][1])
        values = self._bundle.score(np.concatenate([clips for _, clips, _ in taken]))
        first = 0
        for scores, _, places in taken:
            places[:] = values[first : first + len(places)]
            first += len(places)
            scores.n_waiting -= len(places)
        self._n_waiting -= n_clips
