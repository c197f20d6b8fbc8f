"""Work done in a process apart, where a file that kills or hangs its decoder harms nothing else.

Conventions
-----------
One child process works on files in turn. A file that has killed the child twice is ``unreadable``, one that takes
longer than its limit ``timed out``. The child costs a second to start and a copy of each answer.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from multiprocessing.connection import Connection, Pipe
from time import monotonic
from types import TracebackType
from typing import Any, Generic, TypeVar

from gunshot.errors import AudioError
from gunshot.wanted import check_wanted

__all__ = ["Apart", "ends_after"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_DEATHS = 2
_START_S = 600.0  # a second where nothing else runs; more than 100 s were seen on a machine with far too much to do
_SPARE = 0.05  # of a limit: how much later than it a process may end
_LOOK_S = 0.5  # how often it is asked whether the work is still wanted
_MEMORY = 0.5
"""Share of the machine's memory that the child may ask for; beyond it a file counts as one that kills."""


@contextmanager
def ends_after(limit_s: float | None) -> Iterator[Callable[[], None]]:
    """Set a limit that holds whatever the decoder does, even without giving back the interpreter: the process ends.

    Parameters
    ----------
    limit_s : float or None
        How long the work inside may take [s]; None for ever.

    Yields
    ------
    callable
        Gives the work its limit anew, or up to a twentieth more: a timer is a thread, and one for each of many short
        recordings took longer than some of them.
    """
    if limit_s is None:
        yield lambda: None
        return
    spare_s = _SPARE * limit_s
    set_at_s = -inf

    def _again() -> None:
        nonlocal set_at_s
        now_s = monotonic()
        if now_s - set_at_s > spare_s:
            faulthandler.dump_traceback_later(limit_s + spare_s, exit=True)
            set_at_s = now_s

    _again()
    try:
        yield _again
    finally:
        faulthandler.cancel_dump_traceback_later()


class Apart(Generic[Item, Answer]):
    """The process apart, a context manager; started when it is first needed, and again when it has died.

    Parameters
    ----------
    prepare : callable
        Makes, in the child, the function that does the work. It is pickled: a function of a module, or a partial of
        one.
    """

    def __init__(self, prepare: Callable[[], Callable[[Item], Answer]]) -> None:
        self._prepare = prepare
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any]

    def __enter__(self) -> Apart[Item, Answer]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def ask(self, item: Item, limit_s: float) -> Answer:
        """Have the child do its work on a file.

        Parameters
        ----------
        item : object
            What the work is done on; it is pickled.
        limit_s : float
            Longest time for it [s].

        Returns
        -------
        object
            What the work gave; what it raised is raised here.

        Raises
        ------
        AudioError
            ``unreadable`` if the child has died of it twice, ``timed out`` if it took too long; both may pass.
        UnwantedError
            If nobody waits for it any more.
        """
        for _ in range(_DEATHS):
            try:
                return self._ask(item, limit_s)
            except EOFError as error:
                how = str(error)
        # may pass: a machine that is short of memory kills as well
        raise AudioError("unreadable", f"the process that decoded it died {_DEATHS} times ({how}): set aside", True)

    def _ask(self, item: Item, limit_s: float) -> Answer:
        """As `ask`; EOFError if the child dies of it."""
        if self._process is None:
            self._start()
        try:
            self._connection.send(item)
            if not self._answers(limit_s):
                self._stop()
                raise AudioError("timed out", f"not decoded within {limit_s:g} s", may_pass=True)
            answer = self._connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise EOFError(self._stop()) from None
        if isinstance(answer, BaseException):
            raise answer
        done: Answer = answer
        return done

    def _start(self) -> None:
        self._connection, theirs = Pipe()
        # not multiprocessing's own processes: those of a Dask worker may have no children
        self._process = subprocess.Popen(  # noqa: S603  (ourselves)
            [sys.executable, "-m", __name__, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
        theirs.close()
        self._connection.send(self._prepare)
        if not self._answers(_START_S):
            raise RuntimeError(f"the process that decodes apart did not start: {self._stop()}")
        answer = self._connection.recv()
        if isinstance(answer, BaseException):
            self._stop()
            raise answer

    def _answers(self, limit_s: float) -> bool:
        """Whether the child says something in time."""
        ends_s = monotonic() + limit_s
        while not self._connection.poll(max(0.0, min(_LOOK_S, ends_s - monotonic()))):
            check_wanted()
            if monotonic() >= ends_s:
                return False
        return True

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
    """What the child does: a file in, an answer out, until nobody asks."""
    total_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    resource.setrlimit(resource.RLIMIT_DATA, (int(_MEMORY * total_bytes), resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    work: Callable[[Any], Any] | None = None
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        try:
            if work is None:
                work = item()
                connection.send("ready")
            else:
                connection.send(work(item))
        except MemoryError:
            os._exit(os.EX_OSERR)
        except Exception as error:  # noqa: BLE001  (ours and the store's errors are raised where the caller is)
            connection.send(error)


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
