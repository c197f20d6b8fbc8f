"""The best one-to-one pairing of two sorted columns of numbers under one largest distance.

Conventions: both columns rise; a pair may be at most `reach` apart; "best" is as many pairs as possible, and
of those pairings the one of least total distance.

With one reach for all, two crossing pairs can be uncrossed without making the longer one longer or the sum
greater, so some best pairing keeps both columns in order. That makes it an alignment, found by dynamic
programming (Needleman and Wunsch, 1970, J. Mol. Biol. 48) in time and memory (n_events x n_detections), in
each stretch that no pair can bridge: a day of recording falls into many short stretches.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["aligned_pairs"]


def aligned_pairs(reference: NDArray[np.float64], estimate: NDArray[np.float64], reach: float) -> NDArray[np.int64]:
    """Return the best pairing of two sorted columns.

    Parameters
    ----------
    reference : ndarray of shape (n_events,), float64
        Finite numbers in rising order.
    estimate : ndarray of shape (n_detections,), float64
        Finite numbers in rising order, in the same unit.
    reach : float
        Largest distance of a pair, >= 0, in the same unit.

    Returns
    -------
    ndarray of shape (n_pairs, 2), int64
        Index into `reference` and into `estimate`; both columns rise.

    Examples
    --------
    >>> import numpy as np
    >>> aligned_pairs(np.array([0.0, 1.0]), np.array([0.9, 1.7]), reach=1.0).tolist()
    [[0, 0], [1, 1]]
    """
    pairs = [
        (rows.start + i, columns.start + j)
        for rows, columns in _stretches(reference, estimate, reach)
        for i, j in _aligned(reference[rows], estimate[columns], reach)
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _stretches(
    reference: NDArray[np.float64], estimate: NDArray[np.float64], reach: float
) -> Iterator[tuple[slice, slice]]:
    """Yield the index ranges of sorted times between gaps that no pair can bridge."""
    times = np.concatenate([reference, estimate])
    order = np.argsort(times, kind="stable")
    starts = np.flatnonzero(np.diff(times[order]) > reach) + 1
    is_reference = order < reference.size
    n_references = np.concatenate([[0], np.cumsum(is_reference)])
    n_estimates = np.arange(times.size + 1) - n_references
    bounds = [0, *starts.tolist(), times.size]
    for start, stop in pairwise(bounds):
        rows = slice(int(n_references[start]), int(n_references[stop]))
        columns = slice(int(n_estimates[start]), int(n_estimates[stop]))
        if rows.start < rows.stop and columns.start < columns.stop:
            yield rows, columns


def _aligned(events: NDArray[np.float64], detections: NDArray[np.float64], reach: float) -> list[tuple[int, int]]:
    """Return the pairs of the best alignment of one stretch, in order.

    ``best[j]`` is the value of aligning the events so far with the first j detections, where a pair is worth
    `pair_worth` minus its distance: one pair more always outweighs every distance together.
    """
    pair_worth = 1.0 + reach * min(events.size, detections.size)
    best = np.zeros(detections.size + 1)
    is_pair = np.zeros((events.size, detections.size + 1), dtype=bool)
    is_event_skipped = np.zeros_like(is_pair)
    for i, event in enumerate(events):
        distance = np.abs(detections - event)
        paired = best[:-1] + np.where(distance <= reach, pair_worth - distance, -np.inf)
        reached = np.maximum.accumulate(np.concatenate([[0.0], np.maximum(best[1:], paired)]))
        is_event_skipped[i] = best >= reached
        is_pair[i, 1:] = (paired >= reached[1:]) & ~is_event_skipped[i, 1:]
        best = reached
    pairs = []
    i, j = events.size - 1, detections.size
    while i >= 0 and j > 0:
        if is_pair[i, j]:
            pairs.append((i, j - 1))
            i, j = i - 1, j - 1
        elif is_event_skipped[i, j]:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]
