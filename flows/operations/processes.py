"""Processes that one command starts and ends: marked, so that none is left behind, even by one that was killed.

Conventions
-----------
A mark is a variable of the environment, which every process that a marked one starts has as well: runs, their Dask
workers, and whatever these start. What carries the mark belongs to the command, and may be ended by it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import psutil

__all__ = ["Child", "end_all", "marked"]

_MARK = "GUNSHOT_UP"
_MOST_LOG_BYTES = 20_000_000
_POLL_S = 0.2


class Child:
    """A process that runs as long as the command does, with a log of its own.

    Parameters
    ----------
    name : str
        What it is, for messages.
    command : sequence of str
        Program and arguments.
    mark : str
        Whose it is.
    environment : dict
        Of the process.
    log : Path
        Its output is added here; one earlier log is kept.
    """

    def __init__(self, name: str, command: Sequence[str], mark: str, environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > _MOST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as file:
            # a session of its own: a terminal's Ctrl+C is for the command, which then ends things in order
            self.process = subprocess.Popen(  # noqa: S603  (our own command)
                command, env=environment | {_MARK: mark}, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                start_new_session=True,
            )  # fmt: skip

    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self.process.poll() is not None

    def last_words(self) -> str:
        """Its exit code, and the last line that it wrote."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return f"exit code {self.process.returncode}: {lines[-1][:200] if lines else 'it wrote nothing'}"

    def stop(self, signal_number: int, wait_s: float) -> None:
        """Ask it to end, and end it if it does not.

        Parameters
        ----------
        signal_number : int
            How it is asked.
        wait_s : float
            Time it gets [s].
        """
        if self.has_ended():
            return
        self.process.send_signal(signal_number)
        try:
            self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def marked(mark: str) -> list[psutil.Process]:
    """Find the processes that carry a mark, but for this one.

    Parameters
    ----------
    mark : str
        Whose they are.

    Returns
    -------
    list of psutil.Process
        Those that this user may look into.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(_MARK) == mark:
                found.append(process)
    return found


def end_all(mark: str, wait_s: float) -> int:
    """End whatever carries a mark.

    Parameters
    ----------
    mark : str
        Whose they are.
    wait_s : float
        Time they get before they are killed [s].

    Returns
    -------
    int
        How many there were.
    """
    processes = marked(mark)
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    ends = monotonic() + wait_s
    while (left := marked(mark)) and monotonic() < ends:
        sleep(_POLL_S)
    while left:  # a process that is being killed may have started another
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        sleep(_POLL_S)
        left = marked(mark)
    return len(processes)
