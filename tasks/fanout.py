"""The one fan-out: a bounded window of plain functions on Dask workers.

Conventions
-----------
Prefect sees a stage; Dask sees the units of work. At most a few units a worker are under way, results are small
records, and a finished future is dropped at once, so the memory of this process and of the scheduler does not grow
with the archive.
Without a scheduler the same functions run here, one after the other: the reference that the others must equal.
Workers may come later: the window follows them, and a scheduler that was told how many threads it will have is given as
much at once, for by the work that waits it is judged whether to start them.
Dask blames a death on all units that the worker held, those that only waited behind the guilty one as well. So a unit
that is blamed is no more than suspected: no further unit is handed out until those under way have ended, and each
suspect then runs alone. Only one that kills its workers even so ends the run.
Dask cannot stop a function. When this process ends, or loses interest, the scheduler withdraws its units from the
workers, and a unit that is under way sees that and ends (`gunshot.wanted`): a shared scheduler is free for others.
What Dask warns of is in the run's log: in this process, where workers of a local cluster are brought back, and on
workers while units are at work there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from functools import partial
from itertools import islice
from time import monotonic
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from dask.utils import funcname
from distributed import Client, Future, KilledWorker, as_completed, get_worker
from distributed.comm import CommClosedError
from distributed.scheduler import NoWorkerError

from gunshot.errors import RunError
from gunshot.wanted import while_wanted
from tasks.heard import hearing

__all__ = ["PLANNED_THREADS", "fan_out"]

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

PLANNED_THREADS = "gunshot-planned-threads"
"""Where a scheduler's metadata says how many threads all its workers will have."""

_UNITS_A_THREAD = 3  # one at work, one ready, one on its way
_LOOK_EVERY_S = 5.0
_MOST_WARNINGS = 20


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
        Runs instead for an item whose workers died: it must give what the function gives, and may be slow, for items
        that are innocent of the deaths come to it too.

    Yields
    ------
    object
        What the function returned, as units end.

    Raises
    ------
    RunError
        If a unit that ran alone killed several workers, no worker is left, or the scheduler is lost.
    """
    if scheduler is None:
        yield from map(function, items)
        return
    from tasks.logs import note_warnings  # not above: workers import this module, and can do without Prefect

    note = note_warnings()
    with Client(scheduler, set_as_default=False) as client, hearing(note):
        window, looked = _window(client, scheduler), monotonic()
        waiting = iter(items)
        suspects: deque[_Unit] = deque()
        under_way = _UnderWay(client)
        first = [_Unit(item, function) for item in islice(waiting, window)]
        running = as_completed([under_way.submit(unit) for unit in first], loop=client.loop)
        for future in running:
            unit = under_way.ended(future)
            try:
                outcome, warnings = future.result()
            except KilledWorker as error:
                if unit.alone:
                    raise RunError(
                        f"{unit.item} killed its workers again and again ({error}); see the workers' logs"
                    ) from error
                note(f"what workers held that died is tried by itself: {error}")
                if after_deaths is None or unit.function is after_deaths:
                    suspects.append(unit._replace(alone=True))
                else:
                    running.add(under_way.submit(_Unit(unit.item, after_deaths)))
            except NoWorkerError as error:
                raise RunError(
                    f"no worker is left at {scheduler}, and none has come ({error}); see the workers' logs, then run "
                    "again: what is done is not done twice"
                ) from error
            except CancelledError as error:
                raise _lost(scheduler) from error
            except OSError as error:
                if future.status == "error" and not isinstance(error, CommClosedError):
                    raise  # the function's own
                raise _lost(scheduler) from error  # it died between the end of a unit and the fetching of its outcome
            else:
                for line in warnings:
                    note(line)
                yield outcome
            finally:
                del future
            if monotonic() - looked > _LOOK_EVERY_S:
                window, looked = _window(client, scheduler), monotonic()
            if not suspects:
                for further in islice(waiting, max(0, window - running.count())):
                    running.add(under_way.submit(_Unit(further, function)))
            elif running.is_empty():
                running.add(under_way.submit(suspects.popleft()))


class _Unit(NamedTuple):
    """An item, what does it, and whether nothing else is under way meanwhile."""

    item: Any
    function: Callable[[Any], Any]
    alone: bool = False


def _while_wanted(function: Callable[[Item], Outcome], item: Item) -> tuple[Outcome, list[str]]:
    """On a worker: a unit, as long as the scheduler wants it; and what Dask warned of meanwhile."""
    worker = get_worker()
    key, tasks = worker.get_current_task(), worker.state.tasks

    def is_wanted() -> bool:
        held = tasks.get(key)
        return held is not None and held.state != "cancelled"

    warnings: list[str] = []

    def take(line: str) -> None:
        if len(warnings) < _MOST_WARNINGS:
            warnings.append(f"{worker.address}: {line}")

    with while_wanted(is_wanted), hearing(take):
        return function(item), warnings


class _UnderWay:
    """Units that were submitted and have not ended, by the keys of their futures."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._units: dict[str, _Unit] = {}

    def submit(self, unit: _Unit) -> Future:
        # a key of its own: a unit is work to do, not a value to be remembered by its arguments
        key = f"{funcname(unit.function)}-{uuid4().hex}"
        future = self._client.submit(partial(_while_wanted, unit.function), unit.item, key=key)
        self._units[future.key] = unit
        return future

    def ended(self, future: Future) -> _Unit:
        return self._units.pop(future.key)


def _window(client: Client, scheduler: str) -> int:
    try:
        threads, planned = sum(client.nthreads().values()), client.get_metadata(PLANNED_THREADS, 0)
    except (OSError, AttributeError) as error:  # not answered; or Dask knows already, and has None in its place
        raise _lost(scheduler) from error
    return max(1, threads, planned) * _UNITS_A_THREAD


def _lost(scheduler: str) -> RunError:
    return RunError(f"the Dask scheduler at {scheduler} was lost; run again, what is done is not done twice")
