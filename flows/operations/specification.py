"""The file of deployments, ``deployments/prefect.yaml``, as this project reads it.

Conventions
-----------
The file is Prefect's own, so ``prefect deploy`` takes it as well. ``{{ $NAME }}`` is what the environment has under
that name. Entry points are looked up as modules (``flows/score.py:score`` is ``flows.score.score``): they run wherever
the package is installed, from any folder.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gunshot.errors import ParameterError

__all__ = ["SHIPPED_FILE", "TAG", "DeploymentFile", "DeploymentSpec", "ScheduleSpec", "load_flow", "read_deployments"]

SHIPPED_FILE = Path(__file__).resolve().parents[2] / "deployments" / "prefect.yaml"

TAG = "gunshot"
"""Every deployment of this project has it: only what carries it is ever removed from a server."""

_VARIABLE = re.compile(r"\{\{\s*\$(\w+)\s*\}\}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScheduleSpec(_Strict):
    """When runs are begun.

    Attributes
    ----------
    cron, interval : str or float or None
        Five fields, or seconds between runs [s]; one of them.
    timezone : str
        Of the cron fields.
    slug : str
        Names it within its deployment.
    active : bool or None
        None leaves a schedule that somebody has paused as it is; a new one is active.
    parameters : dict
        Instead of the deployment's.
    """

    cron: str | None = None
    interval: float | None = Field(None, gt=0)
    timezone: str = "UTC"
    slug: str
    active: bool | None = None
    parameters: dict[str, Any] = {}

    @model_validator(mode="after")
    def _one_of_both(self) -> ScheduleSpec:
        if (self.cron is None) == (self.interval is None):
            raise ValueError("give cron or interval")
        return self

    def as_prefect(self) -> dict[str, Any]:
        """What Prefect calls a schedule."""
        if self.cron is not None:
            return {"cron": self.cron, "timezone": self.timezone, "day_or": True}
        return {"interval": self.interval, "timezone": self.timezone}


class _Limit(_Strict):
    limit: int = Field(ge=1)
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"
    grace_period_seconds: int | None = Field(None, ge=60, le=86_400)


class _Pool(_Strict):
    name: str
    work_queue_name: str | None = None
    job_variables: dict[str, Any] = {}


class DeploymentSpec(_Strict):
    """A deployment, as the file has it.

    Attributes
    ----------
    name, entrypoint, description : str
        What it is called, what it runs (``PATH.py:FLOW``), and what the UI says of it.
    tags : list of str
        `TAG` is added where it is missing.
    work_pool : object
        ``name`` of the pool that runs it, and ``job_variables``.
    concurrency_limit : object or None
        ``limit`` runs at a time; a further one waits (``ENQUEUE``) or is cancelled (``CANCEL_NEW``).
    parameters : dict
        Of the flow.
    schedules : list of ScheduleSpec
        None: it is started by a person.
    """

    name: str
    entrypoint: str = Field(pattern=r"^[\w/]+\.py:\w+$")
    description: str = ""
    tags: list[str] = []
    work_pool: _Pool
    concurrency_limit: _Limit | None = None
    parameters: dict[str, Any] = {}
    schedules: list[ScheduleSpec] = []

    @property
    def module_path(self) -> str:
        """Where the flow is imported from."""
        path, _, function = self.entrypoint.partition(":")
        return f"{path.removesuffix('.py').replace('/', '.')}.{function}"


class DeploymentFile(BaseModel):
    """A file of deployments.

    Attributes
    ----------
    name : str
        Of the project.
    deployments : list of DeploymentSpec
        Their names differ.
    """

    model_config = ConfigDict(frozen=True)  # Prefect's file has more keys at its top: YAML anchors, steps of images

    name: str
    deployments: list[DeploymentSpec] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> DeploymentFile:
        names = [deployment.name for deployment in self.deployments]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two deployments are called {twice[0]}")
        return self


def read_deployments(path: str | Path) -> DeploymentFile:
    """Read a file of deployments.

    Parameters
    ----------
    path : str or Path
        YAML.

    Returns
    -------
    DeploymentFile
        What it says.

    Raises
    ------
    ParameterError
        If it cannot be read, says what Prefect or this project does not know, or names a variable that the environment
        does not have; the place is named.
    """
    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParameterError(f"--prefect-file {path} cannot be read: {' '.join(str(error).split())}") from None
    if isinstance(content, dict) and "deployments" in content:
        for loc, name in _unset(content["deployments"], ("deployments",)):
            raise ParameterError(f"{path}: {_place(content, loc)}{name} is not set in the environment; export it")
        content = content | {"deployments": _filled(content["deployments"])}
    try:
        return DeploymentFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ParameterError(f"{path}: {_place(content, first['loc'])}{first['msg'].lower()}") from None


def _unset(held: Any, loc: tuple[int | str, ...]) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Variables without a value, and where they are named."""
    if isinstance(held, str):
        yield from ((loc, name) for name in _VARIABLE.findall(held) if name not in os.environ)
    elif isinstance(held, dict | list):
        for key, value in held.items() if isinstance(held, dict) else enumerate(held):
            yield from _unset(value, (*loc, key))


def _filled(held: Any) -> Any:
    if isinstance(held, str):
        return _VARIABLE.sub(lambda found: os.environ[found[1]], held)
    if isinstance(held, dict):
        return {key: _filled(value) for key, value in held.items()}
    return [_filled(value) for value in held] if isinstance(held, list) else held


def _place(content: Any, loc: tuple[int | str, ...]) -> str:
    """Say where in the file, with the deployment's name instead of its number."""
    words = [str(part) for part in loc]
    if len(loc) > 1 and loc[0] == "deployments" and isinstance(loc[1], int):
        entry = content["deployments"][loc[1]]
        named = isinstance(entry, dict) and entry.get("name")
        words = [f"deployment {named or loc[1] + 1}", *words[2:]]
    return ": ".join([*words, ""])


def load_flow(spec: DeploymentSpec) -> Any:
    """Import the flow of a deployment.

    Parameters
    ----------
    spec : DeploymentSpec
        The deployment.

    Returns
    -------
    prefect.Flow
        The flow.

    Raises
    ------
    ParameterError
        If there is none.
    """
    module, _, name = spec.module_path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ParameterError(f"deployment {spec.name}: no flow at {spec.entrypoint}: {error}") from None
