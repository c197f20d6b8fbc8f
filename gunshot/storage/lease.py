"""A lease: what keeps two runs from writing one output at once.

Conventions
-----------
The lease of a place is the object with the highest number below ``PLACE/lease/``. Who wants it makes the next number,
which only one can: objects are made exclusively (a hard link, or a conditional PUT). The holder writes its object anew
every few seconds; one that has not changed for the length of a lease, by the clock of who waits, is dead. On one
machine a process that is gone is dead at once. Clocks of machines are never compared.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep

from gunshot.errors import LeaseError, StorageError, TransientStorageError
from gunshot.storage.access import is_remote, join, local_path
from gunshot.storage.listing import list_files
from gunshot.storage.objects import create_bytes, delete, delete_leftovers, exists, read_bytes, write_bytes

__all__ = ["Lease", "lease"]

_LENGTH_S = 45.0
_POLL_S = 1.0


@dataclass(frozen=True)
class _Holder:
    """Who holds a lease; `beat` counts its signs of life."""

    host: str
    pid: int
    process: str
    beat: int = 0

    def encoded(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    def is_gone(self) -> bool:
        """Whether it was a process of this machine that no longer runs."""
        return self.host == _host() and self.process != _process(self.pid)


def _host() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")  # a container or machine that came back is another one
    return f"{socket.gethostname()} {boot.read_text().strip() if boot.exists() else ''}".strip()


def _process(pid: int) -> str:
    """What tells a process from a later one of the same number; empty where there is none."""
    try:
        # the 20th field after the command's closing bracket: when it was started, in ticks since boot
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
    except IndexError:
        return "?"


class Lease:
    """A lease that is held; see :func:`lease`.

    Parameters
    ----------
    uri : str
        Its object.
    holder : object
        Who holds it.
    length_s : float
        How long it is good for without a sign of life [s].
    """

    def __init__(self, uri: str, holder: _Holder, length_s: float) -> None:
        self.uri = uri
        self._holder = holder
        self._length_s = length_s
        self._lost: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        beat = 0
        renewed = monotonic()
        while not self._ended.wait(self._length_s / 4):
            beat += 1
            try:
                if self._lost is None and _newest(self.uri.rpartition("/")[0]) != self.uri:
                    self._lost = "another run has taken it over"
                    return
                write_bytes(self.uri, _Holder(**{**asdict(self._holder), "beat": beat}).encoded())
                renewed = monotonic()
            except StorageError as error:  # a store may be away for a while, though not for longer than the lease
                if monotonic() - renewed > self._length_s:
                    self._lost = f"it could not be renewed ({error})"
                    return

    def check(self) -> None:
        """Make sure that the lease is still held, before anything is written that must be written once.

        Raises
        ------
        LeaseError
            If it was lost.
        """
        if self._lost is None and _newest(self.uri.rpartition("/")[0]) != self.uri:
            self._lost = "another run has taken it over"
        if self._lost is not None:
            raise LeaseError(f"the lease {self.uri} was lost: {self._lost}; run again, what is done is not done twice")

    def release(self) -> None:
        """Give the lease back; nothing happens where it was lost."""
        self._ended.set()
        self._thread.join()
        if self._lost is None:
            with suppress(StorageError):
                delete(self.uri)
            if not is_remote(self.uri):
                with suppress(OSError):  # who waits for it has put something there
                    local_path(self.uri).parent.rmdir()


def _newest(folder: str) -> str | None:
    """The object with the highest number."""
    if not is_remote(folder) and not Path(folder).is_dir():
        return None
    if is_remote(folder) and not exists(folder):
        return None
    names = [info.uri for info in list_files(folder, [".json"])]
    return join(folder, names[-1].rpartition("/")[2]) if names else None


@contextmanager
def lease(
    place: str, *, length_s: float = _LENGTH_S, wait_s: float = 0.0, say: Callable[[str], None] | None = None
) -> Iterator[Lease]:
    """Hold the lease of a place.

    Parameters
    ----------
    place : str
        The output: a store, or results.
    length_s : float
        Without a sign of life for so long a holder counts as dead [s].
    wait_s : float
        How long to wait for a holder that is alive [s].
    say : callable, optional
        Told once who is waited for.

    Yields
    ------
    Lease
        Held until the end, or until it is lost.

    Raises
    ------
    LeaseError
        If another run holds it, and is alive when the time is over.
    StorageError
        If the place cannot be written.
    """
    held = _wait(place, length_s, wait_s, say)
    try:
        yield held
    finally:
        held.release()


def _wait(place: str, length_s: float, wait_s: float, say: Callable[[str], None] | None) -> Lease:
    ends = monotonic() + wait_s
    while True:
        try:
            return _acquire(join(place, "lease"), place, length_s)
        except LeaseError as error:
            left_s = ends - monotonic()
            if left_s <= 0:
                raise
            if say is not None:
                say(f"waiting for at most {wait_s:,.0f} s: {str(error).partition(';')[0]}")
                say = None
            sleep(min(left_s, length_s / 10))


def _acquire(folder: str, place: str, length_s: float) -> Lease:
    me = _Holder(_host(), os.getpid(), _process(os.getpid()))
    while True:
        newest = _newest(folder)
        if newest is not None and not _is_dead(newest, place, length_s):
            continue  # it ended while we watched: look again
        number = int(newest.rpartition("/")[2].partition(".")[0]) + 1 if newest else 1
        uri = join(folder, f"{number:08d}.json")
        try:
            is_ours = create_bytes(uri, me.encoded())
        except StorageError:
            if is_remote(uri) or Path(folder).is_dir():
                raise
            continue  # its last holder has just removed the empty folder
        if is_ours:
            if newest is not None:
                delete_leftovers(place)
            for info in list_files(folder, [".json"]):
                if info.uri.rpartition("/")[2] < uri.rpartition("/")[2]:
                    delete(info.uri)
            return Lease(uri, me, length_s)


def _is_dead(uri: str, place: str, length_s: float) -> bool:
    """Watch a holder until it is known to be dead; False if it gave its lease back meanwhile."""
    first: bytes | None = None
    began = monotonic()
    while True:
        try:
            content = read_bytes(uri)
        except TransientStorageError:
            raise
        except StorageError:
            return False
        holder = _read_holder(content)
        if holder is not None and holder.is_gone():
            return True
        if first is not None and content != first:
            who = f"process {holder.pid} on {holder.host.partition(' ')[0]}" if holder else "another run"
            raise LeaseError(f"{place} is being written by {who}; wait for it to end, or stop it")
        first = content
        if monotonic() - began > length_s:
            return True
        sleep(min(_POLL_S, length_s / 10))


def _read_holder(content: bytes) -> _Holder | None:
    try:
        return _Holder(**json.loads(content))
    except (ValueError, TypeError):  # of another version, or not ours: it lives as long as it changes
        return None
