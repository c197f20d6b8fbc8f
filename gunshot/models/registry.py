"""The registry: versions of named models below one URI, and which of them is in use.

Conventions
-----------
::

    REGISTRY/
      NAME/
        v0001/           a bundle as it was trained, model.json last
        log/
          00000001.json  one entry a change: which alias, which version, who, when, why
        lease/           held while something is added or promoted

Aliases live in the log alone (`gunshot.models.alias_log`). A version without ``model.json`` was not copied to its end:
it is not listed, and its number is used again. What writes is in `gunshot.models.promotion`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gunshot.errors import BundleError, ParameterError
from gunshot.models.alias_log import aliases_of, read_log
from gunshot.storage import exists, is_remote, join, list_folders, read_bytes

__all__ = [
    "ALIASES",
    "SHIPPED",
    "Version",
    "check_name",
    "find_version",
    "list_models",
    "list_versions",
    "resolve_model",
]

ALIASES = ("champion", "challenger")
"""The version in use, and the one that is to replace it."""

SHIPPED = ("field",)
"""Models that come with the package."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(r"v\d{4,}")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a model.

    Attributes
    ----------
    name, version : str
        ``NAME`` and ``v0001``.
    uri : str
        Its bundle.
    aliases : tuple of str
        Those that point to it.
    digest : str
        Of the bundle; empty where ``model.json`` is damaged.
    details : mapping
        The content of ``model.json``; empty where it is damaged.
    """

    name: str
    version: str
    uri: str
    aliases: tuple[str, ...]
    digest: str
    details: Mapping[str, Any]

    @property
    def reference(self) -> str:
        """``NAME@v0001``."""
        return f"{self.name}@{self.version}"


def check_name(name: str) -> None:
    """Refuse what cannot be a model's name.

    Parameters
    ----------
    name : str
        In the registry.

    Raises
    ------
    ParameterError
        If it cannot.
    """
    if not _NAME.fullmatch(name) or name in SHIPPED:
        raise ParameterError(
            f"a model's name must be 1 to 64 of a-z 0-9 . _ - that begin with a letter or digit, and not "
            f"{' or '.join(SHIPPED)}, which the package ships; got {name!r}"
        )


def list_models(registry: str) -> list[str]:
    """Names of the models in a registry.

    Parameters
    ----------
    registry : str
        Its URI.

    Returns
    -------
    list of str
        Sorted; none where there is no registry yet.

    Raises
    ------
    StorageError
        If it cannot be listed.
    """
    return [name for name in list_folders(registry) if _NAME.fullmatch(name) and list_versions(registry, name)]


def list_versions(registry: str, name: str) -> list[Version]:
    """Versions of a model that are whole.

    Parameters
    ----------
    registry : str
        Its URI.
    name : str
        The model.

    Returns
    -------
    list of Version
        Oldest first.

    Raises
    ------
    ParameterError
        If the name cannot be one.
    StorageError
        If they cannot be listed.
    """
    check_name(name)
    aliases = aliases_of(read_log(registry, name))
    versions = []
    for folder in _version_folders(registry, name):
        uri = join(registry, name, folder)
        if exists(join(uri, "model.json")):
            details = _details(uri)
            pointing = tuple(alias for alias in ALIASES if aliases.get(alias) == folder)
            versions.append(Version(name, folder, uri, pointing, str(details.get("digest", "")), details))
    return versions


def _version_folders(registry: str, name: str) -> list[str]:
    found = [folder for folder in list_folders(join(registry, name)) if _VERSION.fullmatch(folder)]
    return sorted(found, key=lambda folder: int(folder[1:]))


def _details(uri: str) -> dict[str, Any]:
    """What ``model.json`` says, without loading the model; nothing where it is damaged, as loading it will tell."""
    try:
        details = json.loads(read_bytes(join(uri, "model.json")))
    except ValueError:
        return {}
    return details if isinstance(details, dict) else {}


def find_version(registry: str, reference: str) -> Version:
    """Look a version up.

    Parameters
    ----------
    registry : str
        Its URI.
    reference : str
        ``NAME``, which is its champion, ``NAME@champion``, ``NAME@challenger`` or ``NAME@v0001``.

    Returns
    -------
    Version
        The one meant.

    Raises
    ------
    ParameterError
        If there is no such model, version or alias; names those there are.
    """
    name, _, which = reference.partition("@")
    which = which or "champion"
    versions = list_versions(registry, name)
    if not versions:
        there = ", ".join(list_models(registry)) or "none"
        raise ParameterError(
            f"no model {name!r} in the registry {registry} (there: {there}); see 'gunshot models list'"
        )
    for version in versions:
        if which == version.version or which in version.aliases:
            return version
    if which in ALIASES:
        remedy = (
            f"promote one: gunshot models promote {name}@{versions[-1].version}" if which == "champion" else "add one"
        )
        raise ParameterError(f"{name} has no {which} in the registry {registry}; {remedy}")
    there = ", ".join(version.version for version in versions)
    raise ParameterError(
        f"{name} has no version or alias {which!r} in the registry {registry} (there: {there}, {', '.join(ALIASES)})"
    )


def resolve_model(text: str, registry: str | None = None) -> str:
    """Where the bundle is that ``--model`` names.

    Parameters
    ----------
    text : str
        A bundle's URI; ``NAME``, ``NAME@champion``, ``NAME@challenger`` or ``NAME@v0001`` of the registry; or
        ``field``, the model that comes with the package. A plain ``NAME`` that is a folder with a bundle is that
        folder; ``./field`` is always a folder.
    registry : str, optional
        URI of the registry; that of the environment variable ``GUNSHOT_REGISTRY`` if not given.

    Returns
    -------
    str
        The bundle's URI; it is not loaded.

    Raises
    ------
    ParameterError
        If there is no such model, version or registry.
    BundleError
        If the package was built without the model that is asked for.
    """
    if text in SHIPPED:
        return _shipped(text)
    name, at, _ = text.partition("@")
    if is_remote(text) or "/" in text or "\\" in text or not _NAME.fullmatch(name):
        return text
    if not at and exists(join(text, "model.json")):
        return text
    registry = registry or os.environ.get("GUNSHOT_REGISTRY")
    if registry is None and not at:
        return text  # without a registry it can only be a folder; loading it says that there is none
    if registry is None:
        raise ParameterError(
            f"--model {text} is in a registry, and none was given: give --registry URI, or set GUNSHOT_REGISTRY"
        )
    return find_version(registry, text).uri


def _shipped(name: str) -> str:
    folder = Path(__file__).parent / "shipped" / name
    if not (folder / "model.json").is_file():
        raise BundleError(
            f"the model {name!r} is not part of this installation ({folder} holds no bundle); install a release that "
            "has it, or give --model a bundle of your own"
        )
    return str(folder)
