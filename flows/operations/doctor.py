"""Whether everything that a run needs is there: each thing a line, with what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal

import httpx
import psutil

from flows.operations.server import Server, connect
from gunshot.errors import GunshotError

__all__ = ["Finding", "examine"]

_LEAST_FREE_BYTES, _FEW_FREE_BYTES = 10**9, 10**10
_LEAST_MEMORY_BYTES, _FEW_MEMORY_BYTES = 5 * 10**8, 2 * 10**9  # a run takes half a gigabyte, a worker as much
_CLOCK_WARNS_S, _CLOCK_FAILS_S = 5.0, 60.0
_PYTHON = ((3, 11), (3, 14))
_ANSWER_S = 20.0

State = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """How one thing is.

    Attributes
    ----------
    what : str
        The thing.
    state : {"ok", "warning", "fault"}
        A run cannot work with a fault; it may with a warning.
    said : str
        How it is.
    remedy : str
        What to do; empty where it is fine.
    """

    what: str
    state: State
    said: str
    remedy: str = ""

    def line(self) -> str:
        """For a person."""
        return f"{self.state:<8} {self.what:<16} {self.said}" + (f"; {self.remedy}" if self.remedy else "")


def examine(uris: Sequence[str], *, model: str, server: str | None, scheduler: str | None) -> Iterator[Finding]:
    """Look at this machine, and at what a run reaches from it.

    Parameters
    ----------
    uris : sequence of str
        Recordings, stores or results.
    model : str
        The bundle whose golden clips are scored.
    server : str or None
        The Prefect server's API; None: flows start one of their own.
    scheduler : str or None
        A Dask scheduler.

    Yields
    ------
    Finding
        As soon as it is known.
    """
    yield _python()
    yield _memory()
    for folder in dict.fromkeys([Path.cwd(), *(Path(uri) for uri in uris if "://" not in uri)]):
        yield _disk(folder)
    if server is None:
        yield Finding("Prefect server", "ok", "none is set: each run starts one of its own")
    else:
        yield from _server(server)
    if scheduler is not None:
        yield _asked("cluster", lambda: _cluster(scheduler))
    for uri in uris:
        yield _asked(uri, lambda uri=uri: _place(uri))
    yield _asked("model", lambda: _model(model))


def _asked(what: str, ask: Callable[[], str]) -> Finding:
    """What is fine says how it is; what is not raises, and its message says what to do."""
    try:
        return Finding(what, "ok", ask())
    except (GunshotError, OSError) as error:
        said, _, remedy = str(error).partition("; ")
        return Finding(what, "fault", said, remedy)


def _graded(what: str, value: float, fails_below: float, warns_below: float, said: str, remedy: str) -> Finding:
    state: State = "fault" if value < fails_below else "warning" if value < warns_below else "ok"
    return Finding(what, state, said, "" if state == "ok" else remedy)


def _python() -> Finding:
    version = sys.version.partition(" ")[0]
    if _PYTHON[0] <= sys.version_info < _PYTHON[1]:
        return Finding("Python", "ok", version)
    return Finding("Python", "fault", version, "use 3.11, 3.12 or 3.13")


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    said = f"{free / 1e9:,.1f} GB available"
    return _graded("memory", free, _LEAST_MEMORY_BYTES, _FEW_MEMORY_BYTES, said, "end other programs, or --workers 1")


def _disk(folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = psutil.disk_usage(str(there)).free
    said = f"{free / 1e9:,.1f} GB free for {folder}"
    return _graded("disk", free, _LEAST_FREE_BYTES, _FEW_FREE_BYTES, said, "see 'Disk full' in docs/operations.md")


def _server(address: str) -> Iterator[Finding]:
    try:
        answer = httpx.get(f"{address}/health", timeout=_ANSWER_S)
        with connect(address) as server:
            yield _version(server)
            yield _workers(server)
    except httpx.TransportError as error:
        remedy = "start it with 'gunshot up', or set PREFECT_API_URL to where it is"
        yield Finding("Prefect server", "fault", f"{address} does not answer ({error})", remedy)
        return
    except GunshotError as error:  # it answers, and refuses: the message says what it asks for
        said, _, remedy = str(error).partition("; ")
        yield Finding("Prefect server", "fault", said, remedy or "look into its log")
        return
    yield _clock(answer)


def _version(server: Server) -> Finding:
    from prefect import __version__

    there = server.ask("GET", "/admin/version")
    said = f"{server.address} has version {there}"
    if there == __version__:
        return Finding("Prefect server", "ok", said)
    return Finding("Prefect server", "warning", f"{said}, here is {__version__}", "use one version on both sides")


def _workers(server: Server) -> Finding:
    from flows.operations.specification import SHIPPED_FILE, read_deployments

    pools = sorted({spec.work_pool.name for spec in read_deployments(SHIPPED_FILE).deployments})
    for pool in pools:
        workers = server.ask("POST", f"/work_pools/{pool}/workers/filter", {}, missing_ok=True)
        if workers is None:
            return Finding("work pool", "warning", f"{pool} is not there", "run 'gunshot deploy', or 'gunshot up'")
        online = [worker["name"] for worker in workers if worker["status"] == "ONLINE"]
        if not online:
            remedy = f"run 'prefect worker start --pool {pool}', or 'gunshot up'"
            return Finding("work pool", "warning", f"{pool} has no worker that is online", remedy)
    return Finding("work pool", "ok", f"{pool}: {', '.join(online)}")


def _clock(answer: httpx.Response) -> Finding:
    """Leases and schedules compare no clocks, but tables and names of runs tell times."""
    told = answer.headers.get("date")
    if not told:
        return Finding("clock", "ok", "the server tells no time to compare with")
    apart_s = abs((datetime.now(UTC) - parsedate_to_datetime(told)).total_seconds())
    said = f"{apart_s:,.0f} s from that of the server"
    return _graded("clock", -apart_s, -_CLOCK_FAILS_S, -_CLOCK_WARNS_S, said, "set it by NTP")


def _cluster(scheduler: str) -> str:
    from flows.clusters.workers import check_answers, check_workers

    check_answers(scheduler)
    check_workers(scheduler)
    return f"{scheduler} answers, and its workers run what runs here"


def _place(uri: str) -> str:
    from gunshot.errors import StorageError
    from gunshot.storage import list_files

    first = next(iter(list_files(uri)), None)  # credentials, address and policy of a bucket show in a listing
    if first is None and "://" not in uri and not Path(uri).exists():
        raise StorageError(f"there is no {uri}; check the address, or make it")
    return "can be listed" if first else "can be listed, and is empty"


def _model(model: str) -> str:
    from gunshot.models.bundle import load_bundle
    from gunshot.models.registry import resolve_model

    bundle = load_bundle(resolve_model(model))
    return f"{model} {bundle.digest}: its golden clips have the scores that they should"
