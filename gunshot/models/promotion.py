"""What changes a registry: a version is added, an alias is moved.

Conventions
-----------
Both hold the lease of the model. A version is copied first, its ``model.json`` last, then loaded, and only then named
in the log: whoever is killed between leaves a registry in which nothing has changed, or everything.
"""

from __future__ import annotations

from gunshot.errors import ParameterError, RunError
from gunshot.models.alias_log import LogEntry, aliases_of, append_entry, read_log
from gunshot.models.bundle import load_bundle
from gunshot.models.registry import ALIASES, Version, check_name, find_version, list_versions
from gunshot.storage import delete_tree, join, lease, list_files, read_bytes, write_bytes

__all__ = ["add_version", "set_alias"]


def add_version(registry: str, name: str, bundle_uri: str, why: str = "") -> tuple[Version, bool]:
    """Copy a bundle into a registry and make it the challenger; nothing happens where the registry has it.

    Parameters
    ----------
    registry : str
        Its URI; made if there is none.
    name : str
        The model that the bundle is a version of.
    bundle_uri : str
        The bundle; it is loaded and checked before and after.
    why : str
        For the log.

    Returns
    -------
    version : Version
        The new version, or the one that has the same digest.
    is_new : bool
        Whether it was copied now.

    Raises
    ------
    ParameterError
        If the name cannot be one.
    BundleError
        If the bundle cannot be loaded.
    LeaseError
        If another process changes this model.
    StorageError
        If it cannot be copied.
    """
    check_name(name)
    digest = load_bundle(bundle_uri).digest
    with lease(join(registry, name)) as held:
        for version in list_versions(registry, name):
            if version.digest == digest:
                if all(entry.version != version.version for entry in read_log(registry, name)):
                    append_entry(registry, name, "challenger", version.version, digest, why)  # killed before it
                return find_version(registry, version.reference), False
        folder = _free_folder(registry, name)
        uri = join(registry, name, folder)
        delete_tree(uri)  # what an addition that was killed has left
        for source, target in _copies(bundle_uri):
            held.check()
            write_bytes(join(uri, target), read_bytes(source))
        load_bundle(uri)
        held.check()
        append_entry(registry, name, "challenger", folder, digest, why)
    return find_version(registry, f"{name}@{folder}"), True


def _free_folder(registry: str, name: str) -> str:
    """The number after the last whole version; one that was named in the log is never given again."""
    whole = [version.version for version in list_versions(registry, name)]
    named = [entry.version for entry in read_log(registry, name)]
    return f"v{max((int(folder[1:]) for folder in whole + named), default=0) + 1:04d}"


def _copies(bundle_uri: str) -> list[tuple[str, str]]:
    """Each object of a bundle and its name, ``model.json`` last; what lies in folders below is not the bundle's."""
    uris = [info.uri for info in list_files(bundle_uri)]
    root = min((uri for uri in uris if uri.endswith("model.json")), key=len).rpartition("/")[0]
    own = [(uri, uri.rpartition("/")[2]) for uri in uris if uri.rpartition("/")[0] == root]
    return sorted(own, key=lambda item: (item[1] == "model.json", item[1]))


def set_alias(
    registry: str, version: Version, alias: str, why: str = "", *, seen: str | None, is_forced: bool = False
) -> LogEntry:
    """Point an alias to a version; whether it deserves it is not asked here.

    Parameters
    ----------
    registry : str
        Its URI.
    version : Version
        One of its versions.
    alias : {"champion", "challenger"}
        Which.
    why : str
        For the log.
    seen : str or None
        The version that the alias pointed to when this was decided.
    is_forced : bool
        For the log.

    Returns
    -------
    LogEntry
        As written.

    Raises
    ------
    ParameterError
        If there is no such alias.
    RunError
        If the alias points to another version by now.
    LeaseError
        If another process changes this model.
    StorageError
        If the log cannot be written.
    """
    if alias not in ALIASES:
        raise ParameterError(f"alias must be one of {', '.join(ALIASES)}; got {alias!r}")
    with lease(join(registry, version.name)) as held:
        now = aliases_of(read_log(registry, version.name)).get(alias)
        if now != seen:
            raise RunError(f"{version.name}@{alias} is {now} by now, not {seen}; compare with it and promote again")
        held.check()
        return append_entry(registry, version.name, alias, version.version, version.digest, why, is_forced=is_forced)
