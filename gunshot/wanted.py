"""Work that ends soon after nobody wants it any more.

Conventions
-----------
Whoever has work done says how it is known whether that is still wanted (`while_wanted`). What takes long asks at its
steps (`check_wanted`): before a recording is opened, with each block that is decoded, while a process apart is waited
for, and before anything is written. Where nobody has said so, all is wanted. Threads know nothing of each other's work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gunshot.errors import UnwantedError

__all__ = ["check_wanted", "while_wanted"]


class _Work(threading.local):
    is_wanted: Callable[[], bool] | None = None


_WORK = _Work()


@contextmanager
def while_wanted(is_wanted: Callable[[], bool]) -> Iterator[None]:
    """Let what this thread does inside end when it is not wanted any more.

    Parameters
    ----------
    is_wanted : callable
        Whether it is; asked often, so it must be quick.

    Yields
    ------
    None
        Once.
    """
    before, _WORK.is_wanted = _WORK.is_wanted, is_wanted
    try:
        yield
    finally:
        _WORK.is_wanted = before


def check_wanted() -> None:
    """End the work of this thread if it is not wanted any more.

    Raises
    ------
    UnwantedError
        If it is not.
    """
    if _WORK.is_wanted is not None and not _WORK.is_wanted():
        raise UnwantedError("the run that this was done for has ended, or was cancelled")
