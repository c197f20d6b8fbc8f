"""Rows become clips in a process apart, where a file that kills or hangs its decoder harms nothing else.

Conventions
-----------
A partition whose workers died is done this way: one child process decodes its files in turn. A file that has killed
the child twice is ``unreadable``, one that takes longer than the limit ``timed out``; the rows beside them are what
they would have been. The child costs a second to start and a copy of each clip.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import Any

from gunshot.clips import Clip
from gunshot.errors import AudioError
from gunshot.preprocess.rows import Row, clips_of_rows, failed_row
from gunshot.recipe import Recipe

__all__ = ["clips_apart"]

_DEATHS = 2
_START_S = 120.0
_MEMORY = 0.5
"""Share of the machine's memory that the child may ask for; beyond it a file counts as one that kills."""

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
    with _Child(recipe, limit_s) as child:
        for _, same_file in groupby(items, key=lambda item: item[1]["uri"]):
            file = list(same_file)
            try:
                yield from _ask_twice(child, file)
            except AudioError as error:
                yield from ((index, failed_row(error), None) for index, _ in file)


def _ask_twice(child: _Child, file: Items) -> Found:
    for _ in range(_DEATHS):
        try:
            return child.ask(file)
        except EOFError as error:
            how = str(error)
    raise AudioError("unreadable", f"the process that decoded it died {_DEATHS} times ({how}): set aside")


class _Child:
    """The process apart; started when it is first needed, and again when it has died."""

    def __init__(self, recipe: Recipe, limit_s: float) -> None:
        self._recipe = recipe
        self._limit_s = limit_s
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any]

    def __enter__(self) -> _Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def ask(self, file: Items) -> Found:
        """Clips of one file; EOFError if the child dies of it, AudioError if it takes too long."""
        if self._process is None:
            self._start()
        try:
            self._connection.send(file)
            if not self._connection.poll(self._limit_s):
                self._stop()
                raise AudioError("timed out", f"not decoded within {self._limit_s:g} s")
            answer = self._connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise EOFError(self._stop()) from None
        if isinstance(answer, BaseException):
            raise answer
        found: Found = answer
        return found

    def _start(self) -> None:
        self._connection, theirs = Pipe()
        # not multiprocessing's own processes: those of a Dask worker may have no children
        self._process = subprocess.Popen(  # noqa: S603  (ourselves)
            [sys.executable, "-m", __name__, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
        theirs.close()
        self._connection.send(self._recipe)
        if not self._connection.poll(_START_S):
            raise RuntimeError(f"the process that decodes apart did not start: {self._stop()}")
        self._connection.recv()

    def _stop(self) -> str:
        """End the child, and say how it died if it did."""
        if self._process is None:
            return ""
        self._connection.close()
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._process = None
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _serve(connection: Connection[Any, Any]) -> None:
    """What the child does: a list of rows in, their clips out, until nobody asks."""
    total_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    resource.setrlimit(resource.RLIMIT_DATA, (int(_MEMORY * total_bytes), resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    recipe: Recipe = connection.recv()
    connection.send("ready")
    while True:
        try:
            items: Items = connection.recv()
        except EOFError:
            return
        try:
            connection.send(list(clips_of_rows(items, recipe)))
        except MemoryError:
            os._exit(os.EX_OSERR)
        except Exception as error:  # noqa: BLE001  (ours and the store's errors are raised where the caller is)
            connection.send(error)


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
