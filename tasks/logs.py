"""What runs say: to who watches, to the log of the run in the Prefect UI, and to machines.

Conventions
-----------
What is said inside a run is in its log. A terminal or a file has it too; of a run that a deployment began Prefect
prints its log there, so it is not printed again. What Dask warns of is passed on, from workers as well.
With ``GUNSHOT_LOG_FORMAT=json`` what is said is one JSON object a line.
Every line has ``time`` (UTC), ``event`` and, inside a run, ``run`` and ``run_id``. ``partition`` names a unit of work:
a batch of recordings, or a partition of a store. Without the variable, lines are for a person, and events that only a
machine would count are left out.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run

__all__ = ["event", "in_run", "is_structured", "note_warnings", "say", "warn"]


def is_structured() -> bool:
    """Whether lines are JSON."""
    return os.environ.get("GUNSHOT_LOG_FORMAT", "") == "json"


def in_run() -> bool:
    """Whether this is inside a run of Prefect's."""
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def say(line: str) -> None:
    """Say one line of progress: in the run's log, and on the stream that results do not use.

    Parameters
    ----------
    line : str
        For a person.
    """
    _tell("said", line, logging.INFO)


def warn(line: str) -> None:
    """Say one line that somebody should look into, as `say` does.

    Parameters
    ----------
    line : str
        For a person.
    """
    _tell("warned", line, logging.WARNING)


def _tell(name: str, line: str, level: int) -> None:
    if is_structured():
        event(name, message=line)
    elif deployment.id is None or not in_run():
        print(line, file=sys.stderr, flush=True)
    _log(line, level)


def _log(line: str, level: int) -> None:
    if in_run():
        get_run_logger().log(level, line)


def note_warnings() -> Callable[[str], None]:
    """Make what writes warnings of Dask's into the run's log, and for machines; in any thread.

    Returns
    -------
    callable
        Takes a line.
    """
    logger = get_run_logger() if in_run() else None

    def note(line: str) -> None:
        event("dask-warned", message=line)
        if logger is not None:
            logger.warning(line)

    return note


def event(name: str, **about: Any) -> None:
    """Write an event, where logs are for machines.

    Parameters
    ----------
    name : str
        What has happened: lower case, hyphens.
    **about
        ``partition``, ``recording``, ``state``, ``reason``, and figures.
    """
    if not is_structured():
        return
    head = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": name}
    run = {"run": flow_run.name, "run_id": flow_run.id} if flow_run.id else {}
    print(json.dumps(head | run | about, default=str), file=sys.stderr, flush=True)
