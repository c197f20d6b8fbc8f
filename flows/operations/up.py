"""A server, its worker and all deployments on one machine, as one command that ends them all.

Conventions
-----------
Everything is below one folder, the home: ``prefect/`` has the server's database, ``logs/`` what server and worker say,
and the flows run in it, so ``archive`` in the parameters of a deployment is ``HOME/archive``.
This process holds little and imports little: it starts the others, watches them, and ends them in order, runs first,
so that each run can still say that it was stopped.
"""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from types import FrameType

import httpx
import psutil

from flows.operations.automations import HEARTBEAT_S
from flows.operations.processes import Child, end_all
from flows.operations.recovery import mark_lost_runs
from flows.operations.server import connect
from gunshot.errors import ParameterError, RunError

__all__ = ["Place", "Stopped", "ended_well", "run"]

_HEALTHY_S = 600.0  # the first start makes the database; a busy machine has taken minutes
_POLL_S = 0.5
_RUN_ENDS_S = 25.0
_WORKER_ENDS_S = 15.0
_SERVER_ENDS_S = 15.0
_LOOPBACK = ("localhost",)


class Stopped(Exception):  # noqa: N818  (nothing is wrong)
    """The command was asked to end.

    Parameters
    ----------
    number : int
        The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True)
class Place:
    """Where a server is, and where its things are.

    Attributes
    ----------
    home : Path
        The folder that everything is below; absolute.
    host : str
        Address that the server listens on.
    port : int
        Its port.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 4200

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host in _LOOPBACK:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def address(self) -> str:
        """What this machine reaches the server by."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def api(self) -> str:
        """Address of its API."""
        return f"{self.address}/api"

    @property
    def origins(self) -> str:
        """Pages that may read its answers: its own, by each of its names. A page of another site runs here too."""
        hosts = dict.fromkeys([self.address, *(f"http://{host}:{self.port}" for host in ("127.0.0.1", "localhost"))])
        return ",".join(hosts)

    @property
    def worker(self) -> str:
        """Name of the worker."""
        return f"up-{socket.gethostname()}"

    def environment(self) -> dict[str, str]:
        """Of all processes: nothing of what the user has set up for another server."""
        kept = {name: value for name, value in os.environ.items() if name not in _OF_OTHER_SERVERS}
        return kept | {
            "PREFECT_HOME": str(self.home / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{self.home}/prefect/prefect.db",
            # slots of concurrency limits outlive a restart only so: in memory, they would never be given back
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
            # whoever may start runs runs commands; without these, any page in this machine's browser may
            "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": self.origins,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",  # the command line silences it for its own flows
            "PYTHONUNBUFFERED": "1",
        }


_OF_OTHER_SERVERS = ("PREFECT_API_KEY", "PREFECT_PROFILE", "PREFECT_API_DATABASE_CONNECTION_URL", "VIRTUAL_ENV_PROMPT")


def run(place: Place, deploy: Sequence[str], pools: list[str], say: Callable[[str], None]) -> None:
    """Run server and worker until they are stopped.

    Parameters
    ----------
    place : Place
        Where.
    deploy : sequence of str
        Arguments of ``gunshot deploy``.
    pools : list of str
        Work pools; the first gets a worker.
    say : callable
        Takes a line for the person who watches.

    Raises
    ------
    Stopped
        When a signal asked for the end, and everything has ended.
    ParameterError
        If home or port cannot be used.
    RunError
        If server or worker end by themselves, or the deployments cannot be applied; the others have ended then.
    """
    with _signals(), _alone(place.home):
        mark = str(place.home)
        if left := end_all(mark, _WORKER_ENDS_S):
            say(f"{left} processes of an earlier 'gunshot up' that was killed were ended")
        _check_port(place)
        if not place.is_loopback:
            say(_open_warning(place))
        children: list[Child] = []
        try:
            _start(place, mark, deploy, pools, say, children)
            say("Ctrl+C ends it; started again it goes on where it was")
            while True:
                _watch(children)
                sleep(_POLL_S)
        finally:
            _stop(children, mark, say)


def _start(
    place: Place, mark: str, deploy: Sequence[str], pools: list[str], say: Callable[[str], None], children: list[Child]
) -> None:
    environment, logs = place.environment(), place.home / "logs"
    prefect = [sys.executable, "-m", "prefect"]
    listen = ["server", "start", "--host", place.host, "--port", str(place.port)]
    children.append(Child("Prefect server", [*prefect, *listen], mark, environment, logs / "server.log"))
    say(f"starting the Prefect server; its log is {children[0].log}")
    _wait_healthy(place, children)
    with connect(place.api) as server:
        lost, left = mark_lost_runs(server, pools, place.worker)
    for name in lost:
        say(f"crashed   run {name}: it was at work when the worker was stopped; Retry in the UI does what is missing")
    if left:
        say(left)
    _deploy(deploy, environment)
    work = ["worker", "start", "--pool", pools[0], "--name", place.worker, "--type", "process"]
    children.append(Child("Prefect worker", [*prefect, *work], mark, environment, logs / "worker.log"))
    say(f"UI: {place.address}")
    say(f"for commands in another shell: export PREFECT_API_URL={place.api}")


def _deploy(arguments: Sequence[str], environment: dict[str, str]) -> None:
    """In a process of its own: it needs all flows, and their libraries would stay in this one's memory."""
    command = [sys.executable, "-c", "from flows.cli import main; main()", "deploy", *arguments]
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason was given"]
        message = lines[-1].removeprefix("gunshot: ")
        raise (ParameterError if done.returncode == 2 else RunError)(message)


def _wait_healthy(place: Place, children: list[Child]) -> None:
    ends = monotonic() + _HEALTHY_S
    while monotonic() < ends:
        _watch(children)
        with suppress(httpx.TransportError):
            if httpx.get(f"{place.api}/health", timeout=5).is_success:
                return
        sleep(_POLL_S)
    raise RunError(f"the Prefect server did not answer within {_HEALTHY_S:g} s; see {children[0].log}")


def _watch(children: list[Child]) -> None:
    for child in children:
        if child.has_ended():
            raise RunError(f"the {child.name} has ended ({child.last_words()}); the rest was stopped; see {child.log}")


def _stop(children: list[Child], mark: str, say: Callable[[str], None]) -> None:
    """Runs first, while worker and server can still write down what became of them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if children:
        say("stopping")
    for worker in children[1:]:
        runs = _runs_of(worker.process.pid)
        for process in runs:
            with suppress(psutil.Error):
                process.terminate()
        psutil.wait_procs(runs, timeout=_RUN_ENDS_S)
        worker.stop(signal.SIGINT, _WORKER_ENDS_S)
    for server in children[:1]:
        server.stop(signal.SIGTERM, _SERVER_ENDS_S)
    end_all(mark, 0.0)


def _runs_of(pid: int) -> list[psutil.Process]:
    """Processes of runs below the worker: what a run has started itself it ends itself."""
    with suppress(psutil.Error):
        below = psutil.Process(pid).children(recursive=True)
        return [process for process in below if _is_run(process)]
    return []


def _is_run(process: psutil.Process) -> bool:
    try:
        return any("prefect" in word for word in process.cmdline()) and "PREFECT__FLOW_RUN_ID" in process.environ()
    except psutil.Error:
        return False


@contextmanager
def _signals() -> Iterator[None]:
    """Turn the first signal into an exception."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Make the home, and keep another command out of it."""
    lock = home / "up.lock"
    try:
        (home / "prefect").mkdir(parents=True, exist_ok=True)
        (home / "archive").mkdir(exist_ok=True)
        file = lock.open("a+")
    except OSError as error:
        raise ParameterError(
            f"--home {home} cannot be written: {error.strerror}; give a folder that belongs to you"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip()
            raise ParameterError(
                f"--home {home} is in use by process {holder}; stop that 'gunshot up', or give another --home"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def _check_port(place: Place) -> None:
    try:
        family, kind, _, _, address = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
    except socket.gaierror:
        raise ParameterError(f"--host {place.host} is no address of this machine; 127.0.0.1 is") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = f"--port {place.port} is taken on {place.host}; stop what listens there, or give another --port"
        else:
            why = f"--host {place.host} --port {place.port} cannot be listened on: {error.strerror}; give others"
        raise ParameterError(why) from None


def _open_warning(place: Place) -> str:
    warning = f"warning: the server listens on {place.host}: whoever reaches port {place.port} can run commands as you"
    if os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        return warning + ", with the password of PREFECT_SERVER_API_AUTH_STRING"
    return warning + "; set PREFECT_SERVER_API_AUTH_STRING and PREFECT_API_AUTH_STRING, and keep it off the internet"


def ended_well(stopped: Stopped) -> int:
    """Exit code after a signal: as is usual, 130 for Ctrl+C; a service that is asked to end has done what it should.

    Parameters
    ----------
    stopped : Stopped
        What ended it.

    Returns
    -------
    int
        The exit code.
    """
    return 130 if stopped.number == signal.SIGINT else 0
