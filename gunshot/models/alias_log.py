"""The log of a registry: every change of an alias, with who, when and why.

Conventions
-----------
The log is the only memory of the aliases: ``champion`` is what its last entry says. Entries are numbered objects, made
exclusively and at once, so a change is there with its reason or not at all, and of two at once one is refused.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

from gunshot.errors import BundleError, StorageError
from gunshot.storage import create_bytes, exists, join, list_files, read_bytes

__all__ = ["LogEntry", "aliases_of", "append_entry", "read_log"]

_NUMBER = re.compile(r"\d{8}\.json")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One change of an alias.

    Attributes
    ----------
    alias : str
        ``champion`` or ``challenger``.
    version : str
        What it points to from then on.
    digest : str
        Of that version.
    previous, previous_digest : str or None
        What it pointed to before.
    when : str
        UTC, ISO 8601.
    who : str
        User and host.
    why : str
        In the words of who did it.
    is_forced : bool
        Whether shots were lost and it was done nevertheless.
    """

    alias: str
    version: str
    digest: str
    previous: str | None
    previous_digest: str | None
    when: str
    who: str
    why: str
    is_forced: bool


def read_log(registry: str, name: str) -> list[LogEntry]:
    """Every change of a model's aliases.

    Parameters
    ----------
    registry : str
        Its URI.
    name : str
        The model.

    Returns
    -------
    list of LogEntry
        Oldest first.

    Raises
    ------
    BundleError
        If an entry is damaged.
    StorageError
        If the log cannot be read.
    """
    return [_entry(uri) for uri in _log_uris(registry, name)]


def _log_uris(registry: str, name: str) -> list[str]:
    folder = join(registry, name, "log")
    if not exists(folder):
        return []
    return [info.uri for info in list_files(folder, [".json"]) if _NUMBER.fullmatch(info.uri.rpartition("/")[2])]


def _entry(uri: str) -> LogEntry:
    try:
        values = json.loads(read_bytes(uri))
        return LogEntry(**{field.name: values[field.name] for field in fields(LogEntry)})
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{uri}: not an entry of a registry's log ({error}); restore it or remove it") from error


def aliases_of(log: Sequence[LogEntry]) -> dict[str, str]:
    """What each alias points to after a log.

    Parameters
    ----------
    log : sequence of LogEntry
        Oldest first.

    Returns
    -------
    dict of str to str
        Version by alias. A challenger that becomes champion is a challenger no more.
    """
    aliases: dict[str, str] = {}
    for entry in log:
        aliases[entry.alias] = entry.version
        if entry.alias == "champion" and aliases.get("challenger") == entry.version:
            del aliases["challenger"]
    return aliases


def append_entry(
    registry: str, name: str, alias: str, version: str, digest: str, why: str, *, is_forced: bool = False
) -> LogEntry:
    """Point an alias to a version, by an entry of the log.

    Parameters
    ----------
    registry : str
        Its URI.
    name : str
        The model.
    alias : str
        Which.
    version, digest : str
        What it points to from now on.
    why : str
        In the words of who does it.
    is_forced : bool
        Whether shots were lost and it is done nevertheless.

    Returns
    -------
    LogEntry
        As written.

    Raises
    ------
    StorageError
        If it cannot be written, or another process wrote an entry of its number.
    """
    log = read_log(registry, name)
    previous = aliases_of(log).get(alias)
    entry = LogEntry(
        alias=alias,
        version=version,
        digest=digest,
        previous=previous,
        previous_digest={entry.version: entry.digest for entry in log}.get(previous or ""),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        who=_who(),
        why=why,
        is_forced=is_forced,
    )
    last = max((int(uri.rpartition("/")[2].partition(".")[0]) for uri in _log_uris(registry, name)), default=0)
    uri = join(registry, name, "log", f"{last + 1:08d}.json")
    if not create_bytes(uri, json.dumps(asdict(entry), indent=1).encode()):
        raise StorageError(f"{uri} was written by another process meanwhile; run again")
    return entry


def _who() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"
