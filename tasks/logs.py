"""Logs for machines: with ``GUNSHOT_LOG_FORMAT=json`` what is said is one JSON object a line.

Conventions
-----------
Every line has ``time`` (UTC), ``event`` and, inside a run, ``run`` and ``run_id``. ``partition`` names a unit of work:
a batch of recordings, or a partition of a store. Without the variable, lines are for a person, and events that only a
machine would count are left out.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

from prefect.runtime import flow_run

__all__ = ["event", "is_structured", "say"]


def is_structured() -> bool:
    """Whether lines are JSON."""
    return os.environ.get("GUNSHOT_LOG_FORMAT", "") == "json"


def say(line: str) -> None:
    """Print one line of progress, to the stream that results do not use.

    Parameters
    ----------
    line : str
        For a person.
    """
    if is_structured():
        event("said", message=line)
    else:
        print(line, file=sys.stderr, flush=True)


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
