"""What Dask warns of in a process, as lines. Imported on workers, so it imports nothing of Prefect's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["hearing"]

_LONGEST = 500


@contextmanager
def hearing(take: Callable[[str], None]) -> Iterator[None]:
    """Pass on what Dask warns of in this process: workers that are short of memory, that die and come back.

    Parameters
    ----------
    take : callable
        Gets each as one line, in whatever thread it is said; Dask prints it besides.
    """
    heard, logger = _Heard(take), logging.getLogger("distributed")
    logger.addHandler(heard)
    try:
        yield
    finally:
        logger.removeHandler(heard)


class _Heard(logging.Handler):
    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        self._take(" ".join(record.getMessage().split())[:_LONGEST])
