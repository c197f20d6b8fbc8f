"""Rows become clips in a process apart, where a file that kills or hangs its decoder harms nothing else.

Conventions
-----------
A partition whose workers died is done this way: one child process decodes its files in turn (`gunshot.apart`). The
rows beside the guilty file are what they would have been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby

from gunshot.apart import Apart
from gunshot.clips import Clip
from gunshot.errors import AudioError
from gunshot.preprocess.rows import Row, clips_of_rows, failed_row
from gunshot.recipe import Recipe

__all__ = ["clips_apart"]

Items = list[tuple[int, Row]]
Found = list[tuple[int, Row, Clip | None]]


def clips_apart(
    items: Iterable[tuple[int, Row]], recipe: Recipe, limit_s: float
) -> Iterator[tuple[int, Row, Clip | None]]:
    """As `gunshot.preprocess.rows.clips_of_rows`, in a process apart.

    Parameters
    ----------
    items : iterable of (int, dict)
        Rows with their numbers.
    recipe : Recipe
        The recipe.
    limit_s : float
        Longest time for one recording [s].

    Yields
    ------
    index : int
        Number of the row.
    record : dict
        Its state, reason and onset.
    clip : Clip or None
        None where the state is not usable.

    Raises
    ------
    TransientStorageError
        If a store does not answer.
    """
    with Apart[Items, Found](partial(_cutter, recipe)) as child:
        for _, same_file in groupby(items, key=lambda item: item[1]["uri"]):
            file = list(same_file)
            try:
                yield from child.ask(file, limit_s)
            except AudioError as error:
                yield from ((index, failed_row(error), None) for index, _ in file)


def _cutter(recipe: Recipe) -> Callable[[Items], Found]:
    return lambda items: list(clips_of_rows(items, recipe))
