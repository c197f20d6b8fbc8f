"""Automations: who is told of a run that fails, crashes or is late, and what ends a run whose process is gone.

Conventions
-----------
All names begin with ``gunshot: ``; what begins so and is none of these was made by an earlier version, and goes.
A run whose process is gone sends no heartbeats. Nothing on a server of one's own acts on that by itself, so an
automation does: it calls the run crashed, which gives its place in the queue back and tells whoever is told of crashes.
"""

from __future__ import annotations

from typing import Any

from flows.operations.specification import TAG
from gunshot.errors import ParameterError

__all__ = ["HEARTBEAT_S", "PREFIX", "automations", "find_block"]

PREFIX = "gunshot: "

HEARTBEAT_S = 60
"""Seconds between signs of life of a run that a deployment began, as `gunshot up` and the stack set it [s]."""

_DEFAULT_HEARTBEAT_S = 180  # of Prefect, which a worker that somebody else started keeps to
_SILENT_S = 3 * _DEFAULT_HEARTBEAT_S

_OF_THIS_PROJECT = {"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"}
_ENDED = [f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")]

_TOLD = {
    "failed": (["prefect.flow-run.Failed", "prefect.flow-run.TimedOut"], "A run of this project failed."),
    "crashed": (["prefect.flow-run.Crashed"], "The process of a run died, or its machine did."),
    "late": (["prefect.flow-run.Late"], "A run was to begin and nothing has begun it: is a worker running?"),
}

_BODY = """{{ flow.name }} / {{ flow_run.name }} is {{ flow_run.state.name }}: {{ flow_run.state.message }}
{{ flow_run|ui_url }}
Retry does only what is missing."""


def automations(block_id: str | None) -> list[dict[str, Any]]:
    """All automations of this project.

    Parameters
    ----------
    block_id : str or None
        The notification block; None: nobody is told.

    Returns
    -------
    list of dict
        As Prefect's interface takes them.
    """
    told = [] if block_id is None else [_telling(kind, *about, block_id) for kind, about in _TOLD.items()]
    return [*told, _without_heartbeat()]


def _telling(kind: str, events: list[str], description: str, block_id: str) -> dict[str, Any]:
    action = {
        "type": "send-notification",
        "block_document_id": block_id,
        "subject": f"gunshot: {{{{ flow_run.name }}}} {kind}",
        "body": _BODY,
    }
    trigger = _trigger(expect=events, posture="Reactive", threshold=1, within=0)
    return _automation(f"{kind} runs", description, trigger, action)


def _without_heartbeat() -> dict[str, Any]:
    action = {
        "type": "change-flow-run-state",
        "state": "CRASHED",
        "message": f"no sign of life for {_SILENT_S} s: process or machine are gone; Retry does only what is missing",
    }
    trigger = _trigger(
        after=["prefect.flow-run.heartbeat"],
        expect=["prefect.flow-run.heartbeat", *_ENDED],
        for_each=["prefect.resource.id"],
        posture="Proactive",
        threshold=1,
        within=_SILENT_S,
    )
    return _automation("runs without a sign of life", "Calls runs crashed whose process is gone.", trigger, action)


def _trigger(**about: Any) -> dict[str, Any]:
    match = {"prefect.resource.id": "prefect.flow-run.*"}
    return {"type": "event", "match": match, "match_related": _OF_THIS_PROJECT, **about}


def _automation(name: str, description: str, trigger: dict[str, Any], action: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": PREFIX + name,
        "description": description,
        "enabled": True,
        "tags": [TAG],
        "trigger": trigger,
        "actions": [action],
    }


def find_block(server: Any, name: str) -> str:
    """Find the block that notifications go to.

    Parameters
    ----------
    server : Server
        Where it is.
    name : str
        ``TYPE/NAME``, such as ``slack-webhook/ops``.

    Returns
    -------
    str
        Its id.

    Raises
    ------
    ParameterError
        If there is none of that name, or it cannot send a notification.
    """
    kind, _, own = name.partition("/")
    if not kind or not own or "/" in own:
        raise ParameterError(f"--notify takes TYPE/NAME of a block, such as slack-webhook/ops; got {name!r}")
    path = f"/block_types/slug/{kind}/block_documents/name/{own}"
    found = server.ask("GET", path, missing_ok=True)
    if found is None:
        raise ParameterError(
            f"--notify {name}: no such block on {server.address}; make it in the UI under Blocks, then deploy again"
        )
    if "notify" not in found["block_schema"]["capabilities"]:
        raise ParameterError(f"--notify {name}: a block of type {kind} sends no notifications; slack-webhook does")
    return str(found["id"])
