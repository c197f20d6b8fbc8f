"""Runs that were at work when their machine or their worker was lost: they say so, and can be retried."""

from __future__ import annotations

from flows.operations.server import Server

__all__ = ["mark_lost_runs"]

_AT_WORK = ["RUNNING", "PENDING", "CANCELLING"]
_LOST = "the worker was stopped while it ran; Retry does only what is missing"


def mark_lost_runs(server: Server, pools: list[str], worker: str) -> tuple[list[str], str]:
    """Call runs crashed that a worker which is gone has left behind.

    Parameters
    ----------
    server : Server
        Where they are.
    pools : list of str
        Work pools of the worker.
    worker : str
        Its name. Where other workers are online in a pool, a run may be theirs and is left alone: if it is not, the
        automation on heartbeats finds it.

    Returns
    -------
    tuple of list of str and str
        Names of the runs, and why some were left alone; empty if none were.
    """
    lost, left = [], ""
    for pool in pools:
        at_work = {
            "work_pools": {"name": {"any_": [pool]}},
            "flow_runs": {"state": {"type": {"any_": _AT_WORK}}},
        }
        runs = list(server.all_of("flow_runs", at_work))
        workers = server.ask("POST", f"/work_pools/{pool}/workers/filter", {}, missing_ok=True) or []
        others = [held["name"] for held in workers if held["name"] != worker and held["status"] == "ONLINE"]
        if runs and others:
            left = f"{len(runs)} runs are at work, by other workers ({', '.join(others)}) as far as can be told"
            continue
        for run in runs:
            is_cancelled = run["state_type"] == "CANCELLING"
            state = {"type": "CANCELLED" if is_cancelled else "CRASHED", "message": _LOST}
            server.ask("POST", f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
            lost.append(run["name"])
    return lost, left
