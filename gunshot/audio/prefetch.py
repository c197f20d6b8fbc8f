"""Objects fetched ahead: while one recording is worked on, the next ones are on their way.

Conventions
-----------
Objects are asked for in the order in which they were announced. What is fetched ahead is bounded in number and in
bytes; an object beyond the bound is fetched when its turn comes. An error of a fetch is raised where its object is
asked for, as if it had been fetched then; those of objects that nobody asks for are never seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from gunshot.storage import read_bytes

__all__ = ["Prefetch"]

_AHEAD = 2
_MOST_BYTES = 256 * 2**20


class Prefetch:
    """Fetches objects ahead of their use; a context manager.

    Parameters
    ----------
    objects : iterable of (str, int)
        URI and size [bytes] of each object, in the order of use.
    ahead : int
        At most so many are fetched, or held unused, at a time.
    most_bytes : int
        And at most so much of them [bytes].
    """

    def __init__(
        self, objects: Iterable[tuple[str, int]], *, ahead: int = _AHEAD, most_bytes: int = _MOST_BYTES
    ) -> None:
        self._waiting = deque(objects)
        self._started: deque[tuple[str, int, Future[bytes]]] = deque()
        self._ahead = ahead
        self._most_bytes = most_bytes
        self._pool = ThreadPoolExecutor(ahead, thread_name_prefix="prefetch")

    def __enter__(self) -> Prefetch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def fetch(self, uri: str) -> bytes:
        """Content of the next object; those after it are fetched from now on.

        Parameters
        ----------
        uri : str
            The object.

        Returns
        -------
        bytes
            All of it.

        Raises
        ------
        StorageError
            As `gunshot.storage.read_bytes`.
        """
        if self._started and self._started[0][0] == uri:
            content = self._started.popleft()[2]
            self._start()
            return content.result()
        if self._waiting and self._waiting[0][0] == uri:
            self._waiting.popleft()
            self._start()
        return read_bytes(uri)

    def _start(self) -> None:
        held_bytes = sum(size for _, size, _ in self._started)
        while self._waiting and len(self._started) < self._ahead:
            uri, size = self._waiting[0]
            held_bytes += size
            if held_bytes > self._most_bytes:
                return
            self._waiting.popleft()
            self._started.append((uri, size, self._pool.submit(read_bytes, uri)))
