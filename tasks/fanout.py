"""The one fan-out: a bounded window of plain functions on Dask workers.

Conventions
-----------
Prefect sees a stage; Dask sees the units of work. At most a few units a worker are under way, results are small
records, and a
finished future is dropped at once, so the memory of this process and of the scheduler does not grow with the archive.
Without a scheduler the same functions run here, one after the other: the reference that the others must equal.
Workers may come later: the window follows them, and a scheduler that was told how many threads it will have is given as
much at once, for by the work that waits it is judged whether to start them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from itertools import islice
from time import monotonic
from typing import Any, TypeVar

from distributed import Client, Future, KilledWorker, as_completed

from gunshot.errors import RunError

__all__ = ["PLANNED_THREADS", "fan_out"]

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

PLANNED_THREADS = "gunshot-planned-threads"
"""Where a scheduler's metadata says how many threads all its workers will have."""

_UNITS_A_THREAD = 3  # one at work, one ready, one on its way
_LOOK_EVERY_S = 5.0


def fan_out(
    scheduler: str | None,
    function: Callable[[Item], Outcome],
    items: Iterable[Item],
    *,
    after_deaths: Callable[[Item], Outcome] | None = None,
) -> Iterator[Outcome]:
    """Run a function over items, in any order.

    Parameters
    ----------
    scheduler : str or None
        Address of the Dask scheduler; None runs here.
    function : callable
        A plain function of one item, importable on the workers.
    items : iterable
        Units of work; read only as far as the window needs.
    after_deaths : callable, optional
        Runs instead, once, for an item that killed its workers; such an item ends the run if not given.

    Yields
    ------
    object
        What the function returned, as units end.

    Raises
    ------
    RunError
        If a unit killed several workers, or the scheduler is lost.
    """
    if scheduler is None:
        yield from map(function, items)
        return
    with Client(scheduler, set_as_default=False) as client:
        window, looked = _window(client), monotonic()
        waiting = iter(items)
        under_way = _UnderWay(client)
        running = as_completed([under_way.submit(function, item) for item in islice(waiting, window)], loop=client.loop)
        for future in running:
            item, done_by = under_way.ended(future)
            try:
                outcome = future.result()
            except KilledWorker as error:
                if after_deaths is None or done_by is after_deaths:
                    raise RunError(
                        f"{item} killed its workers again and again ({error}); see the workers' logs"
                    ) from error
                running.add(under_way.submit(after_deaths, item))
                continue
            except CancelledError as error:
                raise RunError(
                    f"the Dask scheduler at {scheduler} was lost; run again, what is done is not done twice"
                ) from error
            finally:
                del future
            yield outcome
            if monotonic() - looked > _LOOK_EVERY_S:
                window, looked = _window(client), monotonic()
            for further in islice(waiting, max(0, window - running.count())):
                running.add(under_way.submit(function, further))


class _UnderWay:
    """Units that were submitted and have not ended: which item each is, and what does it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._units: dict[str, tuple[Any, Callable[[Any], Any]]] = {}

    def submit(self, function: Callable[[Any], Any], item: Any) -> Future:
        # pure=False: a unit is work to do, not a value to be remembered by its arguments
        future = self._client.submit(function, item, pure=False)
        self._units[future.key] = item, function
        return future

    def ended(self, future: Future) -> tuple[Any, Callable[[Any], Any]]:
        return self._units.pop(future.key)


def _window(client: Client) -> int:
    threads = sum(client.nthreads().values())
    return max(1, threads, client.get_metadata(PLANNED_THREADS, 0)) * _UNITS_A_THREAD
