"""What lies below a local folder.

Conventions
-----------
Paths are strings. Hidden names (``.x``, ``._x``) are left out, with all that is in hidden folders. Folders behind
symbolic links are entered, after those without and each folder once: so a folder is found under its own path where it
lies below the one that was asked for, and a link that leads back is the end of no run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

__all__ = ["Found", "Kind", "expand", "walk"]

Kind = Literal["file", "folder", "closed", "other"]
"""What is at a path: a regular file or a link to one, a folder, a folder that may not be read, or anything else."""

Found = tuple[str, Kind]


def walk(folder: str) -> Iterator[Found]:
    """All that is below a folder, at any depth.

    Parameters
    ----------
    folder : str
        Where; empty for the working folder.

    Yields
    ------
    tuple of (str, Kind)
        Each path that is not hidden, in no order.

    Raises
    ------
    OSError
        If a folder cannot be read for another reason than its permissions, which would make the rest a half truth.
    """
    real = os.path.realpath(folder)
    entered = {str(parent) for parent in Path(real).parents}  # a link above the folder would lead back into it
    proper, links = [(folder, real)], list[tuple[str, str]]()
    while proper or links:
        path, real = proper.pop() if proper else links.pop(0)
        if real in entered:
            continue
        entered.add(real)
        for child, kind in _children(path):
            yield child, kind
            if kind == "folder" and os.path.islink(child):  # noqa: PTH114
                links.append((child, os.path.realpath(child)))
            elif kind == "folder":
                proper.append((child, os.path.join(real, os.path.basename(child))))  # noqa: PTH118, PTH119


def expand(folder: str, pattern: Sequence[str]) -> Iterator[Found]:
    """What below a folder matches a pattern.

    Parameters
    ----------
    folder : str
        Where; empty for the working folder.
    pattern : sequence of str
        A name or glob for each level; ``**`` stands for any number of levels.

    Yields
    ------
    tuple of (str, Kind)
        What matches, and folders that might hold such and may not be read; none is hidden.

    Raises
    ------
    OSError
        As :func:`walk`.
    """
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        skipped = len(Path(folder).parts)
        for path, kind in walk(folder):
            if kind == "closed" or _matches(Path(path).parts[skipped:], pattern):
                yield path, kind
        return
    for path, kind in _children(folder):
        if kind == "closed":
            yield path, kind
        elif fnmatchcase(os.path.basename(path), first):  # noqa: PTH119
            if not rest:
                yield path, kind
            elif kind == "folder":
                yield from expand(path, rest)


def _matches(names: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern or not names:
        return not pattern and not names
    if pattern[0] == "**":
        return any(_matches(names[skipped:], pattern[1:]) for skipped in range(len(names)))
    return fnmatchcase(names[0], pattern[0]) and _matches(names[1:], pattern[1:])


def _children(folder: str) -> list[Found]:
    """What is in a folder, sorted; the folder itself where it may not be read."""
    try:
        with os.scandir(folder or ".") as entries:
            found = sorted((entry.name, _kind(entry)) for entry in entries if not entry.name.startswith("."))
    except PermissionError:
        return [(folder, "closed")]
    except FileNotFoundError:  # removed meanwhile
        return []
    return [(os.path.join(folder, name), kind) for name, kind in found]  # noqa: PTH118


def _kind(entry: os.DirEntry[str]) -> Kind:
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else "other"
    except OSError:  # a link into itself, or to where one may not look
        return "other"
