"""Cluster profiles: which cluster a run takes, said in a YAML file and checked before anything starts.

Conventions
-----------
A profile has a ``kind`` and that kind's keys, nothing else. Every worker has one thread. Memory is Dask's wording
(``"4GiB"``), but for Kubernetes its own (``"4Gi"``). File names in a profile are relative to the profile's folder.
Nothing heavy is imported here: the command line checks a profile before it loads a flow.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from dask.utils import parse_bytes
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = [
    "KINDS",
    "Adaptive",
    "AddressProfile",
    "KubernetesProfile",
    "LocalProfile",
    "PodSize",
    "Profile",
    "Section",
    "SlurmProfile",
    "TlsFiles",
]

_LEAST_MEMORY = "1GiB"  # one that reads ten-minute recordings came to 0.7 GB; a limit below restarts it for ever
_WALLTIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)")
_DNS_LABEL = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
_QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|[kMGT]i?)?$"

PositiveInt = Annotated[int, Field(gt=0, strict=True)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
Quantity = Annotated[str, Field(pattern=_QUANTITY)]


class Section(BaseModel):
    """Frozen, and without keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TlsFiles(Section):
    """Certificates of an encrypted connection, as PEM files.

    Attributes
    ----------
    ca_file, cert_file, key_file : Path
        Who is trusted, who we are, and our key.
    """

    ca_file: Path
    cert_file: Path
    key_file: Path


class Adaptive(Section):
    """How many workers (with SLURM: jobs) there may be, as there is work.

    Attributes
    ----------
    minimum, maximum : int
        The least and the most, both included.
    """

    minimum: PositiveInt = 1
    maximum: PositiveInt

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.maximum < self.minimum:
            raise ValueError(f"maximum must be minimum ({self.minimum}) or more; got {self.maximum}")
        return self


class LocalProfile(Section):
    """Worker processes on this machine.

    Attributes
    ----------
    workers : int or None
        How many; one a core if None, 0 for none: then everything runs in the flow's own process.
    memory_limit : str or None
        Of one worker; None shares the machine's memory out among them.
    """

    kind: Literal["local"] = "local"
    workers: Annotated[int, Field(ge=0, strict=True)] | None = None
    memory_limit: str | None = None

    @field_validator("memory_limit")
    @classmethod
    def _enough(cls, value: str | None) -> str | None:
        return value if value is None else _check_memory(value, 1)


class AddressProfile(Section):
    """A scheduler that runs already.

    Attributes
    ----------
    address : str
        Such as ``tcp://host:8786`` or ``tls://host:8786``.
    tls : TlsFiles or None
        Certificates; with None, those of Dask's own configuration.
    """

    kind: Literal["address"] = "address"
    address: str  # any text: what is no address does not answer, and is told so
    tls: TlsFiles | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.tls is not None and not self.address.startswith("tls://"):
            raise ValueError(f"with tls files the address must begin with tls://; got {self.address!r}")
        return self


class _Elastic(Section):
    adaptive: Adaptive | None = None
    wait_s: Seconds = 600.0


class SlurmProfile(_Elastic):
    """Jobs of a SLURM cluster, each with as many workers as it has cores.

    Attributes
    ----------
    cores : int
        Of a job.
    memory : str
        Of a job, shared by its workers.
    walltime : str
        After which SLURM ends a job; its workers leave well before.
    jobs : int or None
        Fixed number of jobs; a lost one is submitted again. Either this or `adaptive`.
    queue, account : str or None
        Partition, and whom it is charged to; None leaves it to SLURM.
    interface : str or None
        Network interface of the scheduler and the workers, such as ``ib0``.
    job_extra_directives : tuple of str
        Further ``#SBATCH`` lines, without that word.
    prologue : tuple of str
        Shell lines before a worker starts, such as ``module load``.
    python : str or None
        Interpreter on the nodes; the flow's own if None.
    local_directory : str or None
        For the workers' scratch files, as the node's shell reads it, such as ``$TMPDIR``.
    log_directory : Path or None
        For the jobs' output; SLURM's own choice if None.
    tls : TlsFiles or None
        Certificates that scheduler, workers and flow all use, on a shared file system; None sends in clear.
    adaptive : Adaptive or None
        Bounds of the number of jobs.
    wait_s : float
        How long the first worker may take to come [s].
    """

    kind: Literal["slurm"]
    cores: PositiveInt
    memory: str
    walltime: str
    jobs: PositiveInt | None = None
    queue: Text | None = None
    account: Text | None = None
    interface: Text | None = None
    job_extra_directives: tuple[Text, ...] = ()
    prologue: tuple[Text, ...] = ()
    python: Text | None = None
    local_directory: Text | None = None
    log_directory: Path | None = None
    tls: TlsFiles | None = None

    @field_validator("walltime", mode="before")
    @classmethod
    def _quoted(cls, value: object) -> object:
        if isinstance(value, int):  # 12:00:00 without quotes is a number to base 60
            raise ValueError('must be text in quotes, such as "04:00:00"')
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_memory(self.memory, self.cores)
        if (self.jobs is None) == (self.adaptive is None):
            raise ValueError("give either jobs or adaptive")
        if self.walltime_s < 300:
            raise ValueError(
                f'walltime must be 5 minutes or more, for a worker leaves before it ends; got "{self.walltime}"'
            )
        return self

    @property
    def walltime_s(self) -> float:
        """The walltime [s]."""
        found = _WALLTIME.fullmatch(self.walltime)
        if found is None:
            raise ValueError(f'walltime must be "[days-]hours:minutes:seconds"; got "{self.walltime}"')
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return ((days * 24.0 + hours) * 60 + minutes) * 60 + seconds

    @property
    def most_jobs(self) -> int:
        """How many jobs there may be at once."""
        return self.jobs if self.adaptive is None else self.adaptive.maximum


class PodSize(Section):
    """What a pod asks for and is held to, in Kubernetes' own wording.

    Attributes
    ----------
    cpu, memory : str
        Such as ``"1"`` or ``"500m"``, and ``"2Gi"``.
    """

    cpu: Quantity = "1"
    memory: Quantity = "2Gi"


class KubernetesProfile(_Elastic):
    """Pods that the Dask operator for Kubernetes starts.

    Attributes
    ----------
    image : str
        Of scheduler and workers: this project's own.
    namespace : str
        Where the pods are.
    name : str
        What the cluster's name begins with.
    workers : int or None
        Fixed number of worker pods. Either this or `adaptive`.
    worker, scheduler : PodSize
        Their sizes.
    idle_timeout_s : int
        The operator deletes a cluster that has had no work for so long: what is left of a killed run [s].
    env : dict
        Environment of the workers; no secrets here.
    secrets : tuple of str
        Names of Kubernetes secrets whose entries become environment variables of the workers.
    service_account : str or None
        Of the worker pods.
    adaptive : Adaptive or None
        Bounds of the number of worker pods.
    wait_s : float
        How long scheduler and first worker may take to come [s].
    """

    kind: Literal["kubernetes"]
    image: Text
    namespace: Annotated[str, Field(pattern=_DNS_LABEL)] = "default"
    name: Annotated[str, Field(pattern=_DNS_LABEL, max_length=30)] = "gunshot"
    workers: PositiveInt | None = None
    worker: PodSize = PodSize()
    scheduler: PodSize = PodSize()
    idle_timeout_s: PositiveInt = 600
    env: dict[Text, str] = {}
    secrets: tuple[Text, ...] = ()
    service_account: Text | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.workers is None) == (self.adaptive is None):
            raise ValueError("give either workers or adaptive")
        return self

    @property
    def most_workers(self) -> int:
        """How many workers there may be at once."""
        return self.workers if self.adaptive is None else self.adaptive.maximum


def _check_memory(value: str, workers: int) -> str:
    try:
        memory_bytes = parse_bytes(value)
    except (ValueError, AttributeError):
        raise ValueError(f'memory must be a size such as "4GiB"; got {value!r}') from None
    if memory_bytes < workers * parse_bytes(_LEAST_MEMORY):
        raise ValueError(f"memory must be {_LEAST_MEMORY} or more for each of {workers} workers; got {value!r}")
    return value


Profile = LocalProfile | AddressProfile | SlurmProfile | KubernetesProfile

KINDS: dict[str, type[Section]] = {
    "local": LocalProfile, "address": AddressProfile, "slurm": SlurmProfile, "kubernetes": KubernetesProfile,
}  # fmt: skip
"""The model of each kind."""
