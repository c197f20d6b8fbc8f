"""Which cluster a run was asked to take: arguments and profile files, checked before anything starts.

Conventions
-----------
What a run is given says where its work is done. `LOCAL_WORKERS` in the environment is what a machine has for runs that
say nothing: it is no argument, so a run that names a scheduler or a profile need not take anything back.
"""

from __future__ import annotations

import difflib
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from flows.clusters.profiles import KINDS, Adaptive, AddressProfile, LocalProfile, PodSize, Profile, Section, TlsFiles
from gunshot.errors import ParameterError

__all__ = ["LOCAL_WORKERS", "SHIPPED", "choose_profile", "read_profile"]

LOCAL_WORKERS = "GUNSHOT_LOCAL_WORKERS"
"""Environment variable: workers of a local cluster where a run says nothing; one a core if it is not set either."""

SHIPPED = Path(__file__).resolve().parents[2] / "deployments" / "clusters"
"""Where the profiles are that a name finds."""

_EXTRAS = {"slurm": "dask_jobqueue", "kubernetes": "dask_kubernetes"}
_ADAPTER: TypeAdapter[Profile] = TypeAdapter(Annotated[Profile, Field(discriminator="kind")])


def choose_profile(workers: int | None = None, scheduler: str | None = None, cluster: str | None = None) -> Profile:
    """The cluster that a run was asked to take; nothing is started.

    Parameters
    ----------
    workers : int, optional
        Workers of a local cluster, 0 for none.
    scheduler : str, optional
        Address of a scheduler that is running.
    cluster : str, optional
        A profile: the name of a shipped one, or a YAML file.

    Returns
    -------
    Profile
        Checked; without arguments, as many local workers as `LOCAL_WORKERS` says, or one a core.

    Raises
    ------
    ParameterError
        If more than one is given, the profile is not a valid one, or what it needs is not installed.
    """
    asked = {"--workers": workers, "--scheduler": scheduler, "--cluster": cluster}
    given = [f"{name} {value}" for name, value in asked.items() if value is not None]
    if len(given) > 1:
        raise ParameterError(
            "--workers (a local cluster), --scheduler (one that runs) and --cluster (a profile) each say where the "
            f"work is done; give one of them; got {' and '.join(given)}"
        )
    if cluster is not None:
        return read_profile(cluster)
    if scheduler is not None:
        return AddressProfile(address=scheduler)
    if workers is not None and workers < 0:
        raise ParameterError(f"--workers must be 0 or more; got {workers}")
    return LocalProfile(workers=_of_this_machine() if workers is None else workers)


def _of_this_machine() -> int | None:
    given = os.environ.get(LOCAL_WORKERS, "")
    if given and not given.isdecimal():
        raise ParameterError(f"{LOCAL_WORKERS} in the environment must be 0 or more, or not set; got {given!r}")
    return int(given) if given else None


def read_profile(name: str) -> Profile:
    """Read a profile and check it.

    Parameters
    ----------
    name : str
        The name of a shipped one, or a YAML file: what ends in .yaml or .yml, or has a slash.

    Returns
    -------
    Profile
        Checked and frozen, with absolute file names.

    Raises
    ------
    ParameterError
        One line with the file, every key that is wrong, its rule and what to do.
    """
    path = _find(name)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(
            f"cannot read the cluster profile {path}: {error.strerror}; see docs/clusters.md"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"the cluster profile {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or content.get("kind") not in KINDS:
        got = content.get("kind") if isinstance(content, dict) else content
        raise ParameterError(f"cluster profile {path}: kind must be one of {', '.join(KINDS)}; got {got!r}")
    try:
        profile = _ADAPTER.validate_python(content)
    except ValidationError as error:
        raise ParameterError(f"cluster profile {path}: {_describe(error, content['kind'])}") from error
    _check_installed(profile.kind, path)
    return _with_files(profile, path)


def _find(name: str) -> Path:
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return Path(name).expanduser().absolute()
    path = SHIPPED / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in SHIPPED.glob("*.yaml")))
        raise ParameterError(f"--cluster must be a YAML file or the name of a shipped profile ({known}); got {name!r}")
    return path


def _check_installed(kind: str, path: Path) -> None:
    package = _EXTRAS.get(kind)
    if package is not None and find_spec(package) is None:
        raise ParameterError(
            f"cluster profile {path}: kind {kind} needs {package.replace('_', '-')}; install it with "
            f"pip install 'gunshot[{kind}]'"
        )


def _with_files(profile: Profile, path: Path) -> Profile:
    """With absolute file names; certificates must be there."""
    changed: dict[str, object] = {}
    logs: Path | None = getattr(profile, "log_directory", None)
    if logs is not None:
        changed["log_directory"] = path.parent / logs.expanduser()
    tls: TlsFiles | None = getattr(profile, "tls", None)
    if tls is not None:
        files = {key: path.parent / Path(file).expanduser() for key, file in tls}
        for key, file in files.items():
            if not file.is_file():
                raise ParameterError(f"cluster profile {path}: tls.{key} must be a file that can be read; got {file}")
        changed["tls"] = TlsFiles(**files)
    return profile.model_copy(update=changed)


def _describe(error: ValidationError, kind: str) -> str:
    """All problems of a profile in one line, with a guess at misspelt keys."""
    problems = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"][1:])  # the first is the kind
        if item["type"] == "extra_forbidden":
            section, _, key = place.rpartition(".")
            known = _keys(kind, section)
            guess = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {guess[0]!r}?" if guess else f"known keys: {', '.join(known)}"
            problems.append(f"unknown key {place!r}: {hint}")
        elif item["type"] == "missing":
            problems.append(f"{place} is missing: add it")
        else:
            message = item["msg"].removeprefix("Value error, ")
            got = "" if "; got" in message or isinstance(item["input"], dict) else f"; got {item['input']!r}"
            problems.append(f"{place}: {message}{got}" if place else message)
    return "; ".join(problems)


def _keys(kind: str, section: str) -> list[str]:
    sections: dict[str, type[Section]] = {
        "": KINDS[kind], "tls": TlsFiles, "adaptive": Adaptive, "worker": PodSize, "scheduler": PodSize,
    }  # fmt: skip
    return list(sections[section].model_fields) if section in sections else []
