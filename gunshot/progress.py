"""How far work is: told by the loops that do it, shown by whoever asked to be told.

Conventions
-----------
What takes long goes through its items by `steps`. Who runs it says how that is shown (`shown_by`); where nobody has,
nothing is. A loop inside one that is shown is not: one bar at a time. Threads know nothing of each other's work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

__all__ = ["Show", "shown_by", "steps"]

Item = TypeVar("Item")

Show = Callable[[str, int | None, str], AbstractContextManager[Callable[[int], None]]]
"""Begins to show: given a name, how many units there are or None, and what a unit is, in the plural; while it is open
it is told how many more are done."""


class _Shower:
    """Who shows what one thread does, one thing at a time."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._open: AbstractContextManager[Callable[[int], None]] | None = None
        self._is_left = False

    @property
    def is_busy(self) -> bool:
        return self._open is not None and not self._is_left

    def begin(self, name: str, total: int | None, unit: str) -> Callable[[int], None]:
        self.end()
        self._open = self._show(name, total, unit)
        return self._open.__enter__()

    def leave(self) -> None:
        """The loop was left: whether by ``break`` or by an error is known when all ends, or the next one begins."""
        self._is_left = True

    def end(self, error: BaseException | None = None) -> None:
        """End what is open, if anything is."""
        opened, self._open, self._is_left = self._open, None, False
        if opened is not None:
            opened.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)


class _Work(threading.local):
    shower: _Shower | None = None


_WORK = _Work()


@contextmanager
def shown_by(show: Show | None) -> Iterator[None]:
    """Let what this thread does inside be shown.

    Parameters
    ----------
    show : callable or None
        How; None shows nothing.

    Yields
    ------
    None
        Once.
    """
    before, shower = _WORK.shower, None if show is None else _Shower(show)
    _WORK.shower = shower
    try:
        yield
    except BaseException as error:
        if shower is not None:
            shower.end(error)
        raise
    finally:
        _WORK.shower = before
        if shower is not None:
            shower.end()


def steps(
    items: Iterable[Item], name: str, unit: str, total: int | None = None, size: Callable[[Item], int] = lambda _: 1
) -> Iterator[Item]:
    """Items as they are; each is told to be done when the next one is asked for.

    Parameters
    ----------
    items : iterable
        What is worked on.
    name : str
        Of the work: one word, lower case.
    unit : str
        What is counted, in the plural.
    total : int, optional
        How many units there are, where it is known.
    size : callable, optional
        Units of an item; 1 if not given.

    Yields
    ------
    object
        The items.

    Examples
    --------
    >>> list(steps([1, 2], "add", "numbers"))
    [1, 2]
    """
    shower = _WORK.shower
    if shower is None or shower.is_busy:
        yield from items
        return
    advance = shower.begin(name, total, unit)
    try:
        for item in items:
            yield item
            advance(size(item))
    except GeneratorExit:
        shower.leave()
        raise
    except BaseException as error:
        shower.end(error)
        raise
    shower.end()
