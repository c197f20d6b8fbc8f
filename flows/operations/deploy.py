"""Making a server hold what the file of deployments says: no more of this project, and no less.

Conventions
-----------
The file is the truth but for one thing: a schedule that somebody has paused stays paused, unless the file says
``active``. What is alike on both sides is left alone, so its scheduled runs stay too. What carries the project's tag
and is not in the file is removed; nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flows.clusters.choice import LOCAL_WORKERS
from flows.operations.automations import PREFIX, automations, find_block
from flows.operations.server import Server
from flows.operations.specification import TAG, DeploymentFile, DeploymentSpec, ScheduleSpec, load_flow
from gunshot.errors import GunshotError, ParameterError

__all__ = ["Change", "deploy"]

Json = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """What became of one thing on the server.

    Attributes
    ----------
    kind, name : str
        ``work pool``, ``deployment`` or ``automation``, and what it is called.
    done : {"created", "changed", "unchanged", "removed"}
        What was done.
    fields : tuple of str
        What of it was changed.
    """

    kind: str
    name: str
    done: Literal["created", "changed", "unchanged", "removed"]
    fields: tuple[str, ...] = ()

    def line(self) -> str:
        """For a person."""
        return f"{self.done:<9} {self.kind} {self.name}" + (f" ({', '.join(self.fields)})" if self.fields else "")


def deploy(
    server: Server,
    file: DeploymentFile,
    *,
    folder: Path,
    notify: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    workers: int | None = None,
) -> Iterator[Change]:
    """Make a server hold what a file says.

    Parameters
    ----------
    server : Server
        Where to.
    file : DeploymentFile
        What is to be there.
    folder : Path
        Where process workers run the flows: relative addresses in parameters are below it.
    notify : str, optional
        The block that is told of failed, crashed and late runs. If not given, automations that tell somebody are left
        as they are, and none are made; an empty one removes them.
    parameters : mapping, optional
        Instead of those in the file, for every deployment whose flow scores.
    workers : int, optional
        Local Dask workers of a run that does not say where its work is done. It is in the environment of the runs and
        not among their parameters, so whoever gives a run a scheduler or a profile has nothing to take back.

    Yields
    ------
    Change
        One for everything that is, or was, of this project.

    Raises
    ------
    ParameterError
        If the file names a flow or a parameter that is not there, or a block; nothing is changed then.
    RunError
        If the server does not answer, or refuses.
    """
    wanted = [_payload(spec, parameters or {}, workers) for spec in file.deployments]
    block = find_block(server, notify) if notify else None
    pools = {}
    for name in sorted({spec.work_pool.name for spec in file.deployments}):
        pools[name], change = _apply_pool(server, name)
        yield change
    there = _deployments(server)
    for spec, content in zip(file.deployments, wanted, strict=True):
        if pools[spec.work_pool.name]["type"] == "process":  # others have no folder of this machine
            content["job_variables"] = {"working_dir": str(folder), **content["job_variables"]}
        yield _apply_deployment(server, content, there.pop((content["flow"], spec.name), None))
    for (_, name), old in there.items():
        server.ask("DELETE", f"/deployments/{old['id']}")
        yield Change("deployment", name, "removed")
    yield from _apply_automations(server, block, keep=notify is None)


def _payload(spec: DeploymentSpec, parameters: Mapping[str, Any], workers: int | None) -> Json:
    """What the server is to hold, and the flow's name; the form is made from the flow."""
    from prefect.utilities.callables import parameter_schema

    flow = load_flow(spec)
    form = parameter_schema(flow).model_dump_for_openapi()
    given = {**spec.parameters, **(parameters if flow.name == "score" else {})}
    job = dict(spec.work_pool.job_variables)
    if workers is not None and "workers" in form["properties"]:
        given.pop("workers", None)
        job["env"] = {**job.get("env", {}), LOCAL_WORKERS: str(workers)}
    for schedule in (None, *spec.schedules):
        _check_parameters(flow, spec.name, {**given, **(schedule.parameters if schedule else {})})
    limit = spec.concurrency_limit
    return {
        "flow": flow.name,
        "name": spec.name,
        "entrypoint": spec.module_path,
        "description": spec.description.strip(),
        "tags": sorted({TAG, *spec.tags}),
        "parameters": given,
        "parameter_openapi_schema": form,
        "enforce_parameter_schema": True,
        "work_pool_name": spec.work_pool.name,
        "work_queue_name": spec.work_pool.work_queue_name or "default",
        "job_variables": job,
        "concurrency_limit": limit and limit.limit,
        "concurrency_options": limit and limit.model_dump(exclude={"limit"}, exclude_none=True),
        "schedules": list(spec.schedules),
    }


def _check_parameters(flow: Any, name: str, given: Json) -> None:
    from prefect.exceptions import ParameterBindError, ParameterTypeError, SignatureMismatchError

    try:
        flow.validate_parameters(given)
    except (GunshotError, ParameterBindError, ParameterTypeError, SignatureMismatchError, TypeError) as error:
        raise ParameterError(f"deployment {name}: its parameters do not fit: {' '.join(str(error).split())}") from None


def _apply_pool(server: Server, name: str) -> tuple[Json, Change]:
    """Create a pool of processes, unless there is a pool of that name, of whatever type."""
    found = server.ask("GET", f"/work_pools/{name}", missing_ok=True)
    if found is not None:
        return found, Change("work pool", name, "unchanged")
    from prefect.workers.process import ProcessWorker

    made = server.ask(
        "POST",
        "/work_pools/",
        {"name": name, "type": "process", "base_job_template": ProcessWorker.get_default_base_job_template()},
    )
    return made, Change("work pool", name, "created")


def _deployments(server: Server) -> dict[tuple[str, str], Json]:
    """Those of this project, by flow and name."""
    names: dict[str, str] = {flow["id"]: flow["name"] for flow in server.all_of("flows")}
    found = server.all_of("deployments", {"deployments": {"tags": {"all_": [TAG]}}})
    return {(names[held["flow_id"]], held["name"]): held for held in found}


def _apply_deployment(server: Server, content: Json, old: Json | None) -> Change:
    if old is None:  # one of this name without the project's tag is somebody else's only as long as nobody deploys it
        old = server.ask("GET", f"/deployments/name/{content['flow']}/{content['name']}", missing_ok=True)
    differing = () if old is None else tuple(_differences(content, old))
    if old is not None and not differing:
        return Change("deployment", content["name"], "unchanged")
    flow = server.ask("POST", "/flows/", {"name": content["flow"]})
    held = {schedule["slug"]: schedule["active"] for schedule in old["schedules"]} if old else {}
    schedules = [_schedule(spec, held.get(spec.slug, True)) for spec in content["schedules"]]
    body = {name: value for name, value in content.items() if name != "flow"}
    server.ask("POST", "/deployments/", body | {"flow_id": flow["id"], "schedules": schedules, "pull_steps": []})
    return Change("deployment", content["name"], "changed" if old else "created", differing)


def _differences(content: Json, old: Json) -> Iterator[str]:
    limit = old["global_concurrency_limit"]
    held = old | {
        "tags": sorted(old["tags"]),
        "concurrency_limit": limit and limit["limit"],
        "concurrency_options": old["concurrency_options"]
        and {name: value for name, value in old["concurrency_options"].items() if value is not None},
    }
    for name, value in content.items():
        if name not in ("flow", "schedules") and held[name] != value:
            yield name
    active = {schedule["slug"]: schedule["active"] for schedule in old["schedules"]}
    there = [_comparable(schedule) for schedule in old["schedules"]]
    wanted = [_comparable(_schedule(spec, active.get(spec.slug, True))) for spec in content["schedules"]]
    if sorted(there, key=str) != sorted(wanted, key=str):
        yield "schedules"
    if held["pull_steps"]:  # `prefect deploy` has been here: it writes the folder it ran in
        yield "pull_steps"


def _schedule(spec: ScheduleSpec, held: bool) -> Json:
    active = held if spec.active is None else spec.active
    return {"schedule": spec.as_prefect(), "slug": spec.slug, "active": active, "parameters": spec.parameters}


def _comparable(schedule: Json) -> Json:
    """A schedule without what the server adds: ids, times, and the day an interval is counted from."""
    kept = {name: schedule[name] for name in ("slug", "active", "parameters")}
    return kept | {"schedule": {k: v for k, v in schedule["schedule"].items() if k != "anchor_date"}}


def _apply_automations(server: Server, block: str | None, *, keep: bool) -> Iterator[Change]:
    there = {held["name"]: held for held in server.all_of("automations") if held["name"].startswith(PREFIX)}
    for content in automations(block):
        old = there.pop(content["name"], None)
        name = content["name"].removeprefix(PREFIX)
        if old is None:
            server.ask("POST", "/automations/", content)
            yield Change("automation", name, "created")
        elif _holds(old, content | {"enabled": old["enabled"]}):
            yield Change("automation", name, "unchanged")
        else:
            server.ask("PUT", f"/automations/{old['id']}", content | {"enabled": old["enabled"]})
            yield Change("automation", name, "changed")
    for full, old in there.items():
        name = full.removeprefix(PREFIX)
        if keep and old["actions"] and old["actions"][0]["type"] == "send-notification":
            yield Change("automation", name, "unchanged")
            continue
        server.ask("DELETE", f"/automations/{old['id']}")
        yield Change("automation", name, "removed")


def _holds(held: Any, wanted: Any) -> bool:
    """Whether what the server holds is what is wanted, beside what it adds."""
    if isinstance(wanted, dict):
        return isinstance(held, dict) and all(name in held and _holds(held[name], wanted[name]) for name in wanted)
    if isinstance(wanted, list):
        if not isinstance(held, list) or len(held) != len(wanted):
            return False
        if all(isinstance(item, str) for item in wanted):  # sets, in Prefect
            return sorted(held) == sorted(wanted)
        return all(_holds(*pair) for pair in zip(held, wanted, strict=True))
    return bool(held == wanted)
