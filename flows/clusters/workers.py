"""What holds of the workers of every kind of cluster: one thread, the same versions, certificates.

Conventions
-----------
A worker is one process with one thread, so every library in it is held to one thread as well: a worker a core is all
the parallelism there is. A scheduler is asked by a bare connection, for a client would wait for ever on a server of
another kind, and warn in many lines.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Security, rpc
from distributed.protocol.pickle import dumps
from distributed.versions import get_versions

from flows.clusters.profiles import TlsFiles
from gunshot.errors import ParameterError, RunError
from tasks.fanout import PLANNED_THREADS
from tasks.logs import warn

__all__ = [
    "ONE_THREAD",
    "WORK_FOR_ONE",
    "ask_scheduler",
    "certificates",
    "check_answers",
    "check_workers",
    "plan_threads",
    "wait_for_one",
]

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}
"""Environment of a worker: no library starts threads of its own."""

WORK_FOR_ONE = "500ms"
"""Waiting work that is worth a worker, where their number follows the work: less than a unit, for only a few units a
worker wait at any time, however much is to be done."""

_ANSWER_WITHIN_S = 10
_LOOK_EVERY_S = 5.0
_ROLES = ("client", "scheduler", "worker")


@contextmanager
def certificates(tls: TlsFiles | None) -> Iterator[None]:
    """Use certificates for every connection of this process, as long as the block lasts.

    Parameters
    ----------
    tls : TlsFiles or None
        The files; None leaves Dask's own configuration as it is.
    """
    if tls is None:
        yield
        return
    files = {f"distributed.comm.tls.{role}.cert": str(tls.cert_file) for role in _ROLES}
    files |= {f"distributed.comm.tls.{role}.key": str(tls.key_file) for role in _ROLES}
    # Dask's configuration reaches every Client that opens from an address: nobody need hand certificates on
    with dask.config.set({**files, "distributed.comm.tls.ca-file": str(tls.ca_file)}):
        yield


def ask_scheduler(address: str, question: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """Ask a scheduler something; the caller may be in an event loop of its own.

    Parameters
    ----------
    address : str
        Of the scheduler.
    question : callable
        Gets the connection, gives a coroutine with the answer.

    Returns
    -------
    object
        The answer.

    Raises
    ------
    OSError, ValueError, TypeError, KeyError
        If nothing answers in time, or what answers is no scheduler.
    """

    async def ask() -> Any:
        async with (
            asyncio.timeout(_ANSWER_WITHIN_S),
            rpc(address, connection_args=Security().get_connection_args("client")) as scheduler,
        ):
            return await question(scheduler)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, ask()).result()


async def _identity(scheduler: Any) -> dict[str, Any]:
    return dict((await scheduler.identity(n_workers=-1))["workers"])


def check_answers(address: str) -> None:
    """A scheduler must answer, and have workers.

    Parameters
    ----------
    address : str
        Of the scheduler.

    Raises
    ------
    ParameterError
        If none answers within ten seconds, or it has no workers.
    """
    if address.startswith("tls://") and not Security().tls_client_cert:
        raise ParameterError(
            f"the scheduler at {address!r} asks for certificates and there are none; name them in a profile (tls: "
            "ca_file, cert_file, key_file), or in Dask's configuration under distributed.comm.tls"
        )
    try:
        workers = ask_scheduler(address, _identity)
    except (OSError, ValueError, TypeError, KeyError) as error:
        why = str(error) or type(error).__name__
        trust = "use certificates that both sides trust, " if address.startswith("tls://") else ""
        raise ParameterError(
            f"no Dask scheduler answers at {address!r} within {_ANSWER_WITHIN_S} s ({' '.join(why.split())}); start "
            f"one with 'dask scheduler', {trust}or leave --scheduler out"
        ) from error
    if not workers:
        raise ParameterError(f"the Dask scheduler at {address} has no workers; start some with 'dask worker {address}'")


def wait_for_one(address: str, wait_s: float, remedy: str, is_hopeless: Callable[[], bool] = lambda: False) -> None:
    """Wait until a scheduler has a worker.

    Parameters
    ----------
    address : str
        Of a scheduler that answers.
    wait_s : float
        How long [s].
    remedy : str
        What to do when none comes.
    is_hopeless : callable
        Asked now and then: whether none can come any more.

    Raises
    ------
    RunError
        If none has come by then, or none can come.
    """
    began = looked = time.monotonic()
    while not ask_scheduler(address, _identity):
        now = time.monotonic()
        if now - began > wait_s:
            raise RunError(f"no worker has joined within {wait_s:g} s; {remedy}")
        if now - looked > _LOOK_EVERY_S:
            looked = now
            if is_hopeless() and not ask_scheduler(address, _identity):
                raise RunError(f"all workers ended before they had joined; {remedy}")
        time.sleep(min(1.0, wait_s / 10))


def plan_threads(address: str, threads: int) -> None:
    """Tell all who fan out over a scheduler how many threads it may come to have, so that they ask for them.

    Parameters
    ----------
    address : str
        Of the scheduler.
    threads : int
        Of all workers that may come.
    """
    ask_scheduler(address, lambda scheduler: scheduler.set_metadata(keys=[PLANNED_THREADS], value=threads))


def check_workers(address: str) -> None:
    """Workers must run what runs here, and are told of if their libraries are not held to one thread.

    Parameters
    ----------
    address : str
        Of a scheduler that answers and has workers.

    Raises
    ------
    RunError
        If a version differs; one line.
    """
    _check_versions(address)
    names = tuple(ONE_THREAD)

    def environment() -> dict[str, str | None]:  # inside: it travels by value, whatever is installed there
        return {name: os.environ.get(name) for name in names}

    async def ask(scheduler: Any) -> dict[str, Any]:
        message = {"op": "run", "function": dumps(environment), "args": dumps(()), "kwargs": dumps({}), "wait": True}
        return dict(await scheduler.broadcast(msg=message, on_error="ignore"))

    replies = ask_scheduler(address, ask)
    answers = {worker: reply["result"] for worker, reply in replies.items() if reply["status"] == "OK"}
    loose = {worker: [name for name in names if found[name] != "1"] for worker, found in answers.items()}
    loose = {worker: missing for worker, missing in loose.items() if missing}
    if loose:
        worker, missing = next(iter(loose.items()))
        warn(
            f"warning: {len(loose)} of {len(answers)} workers of {address} are not held to one thread ({worker} lacks "
            f"{' '.join(f'{name}=1' for name in missing)}): set these where workers start, or they get in each "
            "other's way"
        )


def _check_versions(address: str) -> None:
    async def ask(scheduler: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        message = {"op": "versions", "packages": ["gunshot"]}
        return await scheduler.versions(packages=[]), await scheduler.broadcast(msg=message, on_error="ignore")

    here = _versions(get_versions(["gunshot"]))
    scheduler, workers = ask_scheduler(address, ask)
    found = {"the scheduler": _versions(scheduler) | {"gunshot": here["gunshot"]}}  # which needs no gunshot
    found |= {f"worker {name}": _versions(versions) for name, versions in workers.items()}
    different = {
        place: [
            f"{name} {version or 'none'} (here {here[name]})"
            for name, version in versions.items()
            if version != here[name]
        ]
        for place, versions in found.items()
    }
    wrong = [place for place, names in different.items() if names]
    if wrong:
        raise RunError(
            f"{address}: {wrong[0]} has {', '.join(different[wrong[0]])}"
            + (f", and {len(wrong) - 1} more differ" if len(wrong) > 1 else "")
            + "; use one environment or image for the flow, the scheduler and the workers"
        )


def _versions(found: dict[str, Any]) -> dict[str, str | None]:
    python = ".".join(found["host"]["python"].split(".")[:2])
    return {"python": python} | {name: found["packages"].get(name) for name in ("dask", "distributed", "gunshot")}
