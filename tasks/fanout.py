"""The one fan-out: a bounded window of plain functions on Dask workers.

Conventions
-----------
Prefect sees a stage; Dask sees the units of work. At most a few units a worker are under way, results are small
records, and a
finished future is dropped at once, so the memory of this process and of the scheduler does not grow with the archive.
Without a scheduler the same functions run here, one after the other: the reference that the others must equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from itertools import islice
from typing import TypeVar

from distributed import Client, KilledWorker, as_completed

from gunshot.errors import RunError

__all__ = ["fan_out"]

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

_UNITS_A_THREAD = 3  # one at work, one ready, one on its way


def fan_out(scheduler: str | None, function: Callable[[Item], Outcome], items: Iterable[Item]) -> Iterator[Outcome]:
    """Run a function over items, in any order.

    Parameters
    ----------
    scheduler : str or None
        Address of the Dask scheduler; None runs here.
    function : callable
        A plain function of one item, importable on the workers.
    items : iterable
        Units of work; read only as far as the window needs.

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
        threads = sum(worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values())
        window = max(1, threads) * _UNITS_A_THREAD
        waiting = iter(items)
        # pure=False: a unit is work to do, not a value to be remembered by its arguments
        running = as_completed(
            [client.submit(function, item, pure=False) for item in islice(waiting, window)], loop=client.loop
        )
        for future in running:
            try:
                outcome = future.result()
            except KilledWorker as error:
                raise RunError(
                    f"a unit of work killed its workers again and again: {error}; see the workers' logs"
                ) from error
            except CancelledError as error:
                raise RunError(
                    f"the Dask scheduler at {scheduler} was lost; run again, what is done is not done twice"
                ) from error
            del future
            yield outcome
            for item in islice(waiting, 1):
                running.add(client.submit(function, item, pure=False))
