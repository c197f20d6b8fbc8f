"""What is below an address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from gunshot.storage.access import FileInfo, explained, is_remote, local_info, local_path, remote_info, remote_path

__all__ = ["list_files"]

_GLOB = frozenset("*?[")


def list_files(uri: str | Path, suffixes: Sequence[str] = ()) -> Iterator[FileInfo]:
    """Files below a folder or prefix, or matching a glob, or the one file itself; sorted by URI.

    Parameters
    ----------
    uri : str or path
        Folder, prefix, glob (``*``, ``**``, ``?``) or file.
    suffixes : sequence of str
        Lower-case endings to keep (``.wav``); empty keeps all. A file named itself is kept whatever its ending.

    Yields
    ------
    FileInfo
        Hidden files (``.x``, ``._x``) and what lies in hidden folders are left out.

    Raises
    ------
    StorageError
        If there is nothing at `uri`, or it cannot be listed.
    """
    with explained("list", uri):
        if is_remote(uri):
            yield from _list_remote(str(uri), suffixes)
        else:
            yield from _list_local(local_path(uri), suffixes)


def _wanted(name: PurePosixPath, suffixes: Sequence[str]) -> bool:
    hidden = any(part.startswith(".") and part not in {".", ".."} for part in name.parts)
    return not hidden and (not suffixes or name.suffix.lower() in suffixes)


def _list_local(root: Path, suffixes: Sequence[str]) -> Iterator[FileInfo]:
    if root.is_file():
        yield local_info(root)
        return
    if root.is_dir():
        base, found = root, list(root.rglob("*"))
    else:
        base = next(parent for parent in root.parents if parent.is_dir())
        pattern = root.relative_to(base)
        # a last ** names folders to pathlib, but whatever is below to a bucket
        found = list(base.glob(str(pattern / "*" if pattern.name == "**" else pattern)))
        if not found:
            raise FileNotFoundError(root)
    for path in sorted(found, key=lambda path: path.as_posix()):
        if _wanted(PurePosixPath(path.relative_to(base).as_posix()), suffixes) and path.is_file():
            yield local_info(path)


def _list_remote(uri: str, suffixes: Sequence[str]) -> Iterator[FileInfo]:
    fs, path = remote_path(uri)
    protocol = uri.partition("://")[0]
    is_glob = bool(set(path) & _GLOB) and not fs.exists(path)  # a name may hold such characters too
    if is_glob:
        entries = fs.glob(path, detail=True)
        base = path[: min(path.index(c) for c in _GLOB if c in path)].rpartition("/")[0]
    else:
        entries = fs.find(path, detail=True)
        base = path.rstrip("/")
    if not entries and (is_glob or not fs.exists(path)):  # some stores keep folders that are empty
        raise FileNotFoundError(uri)
    for key, info in sorted(entries.items()):
        name = PurePosixPath(key.removeprefix(base).lstrip("/") or PurePosixPath(key).name)
        is_file = info.get("type") == "file" and not key.endswith("/")  # consoles mark a folder by an empty object
        if is_file and (key == base or _wanted(name, suffixes)):
            yield remote_info(f"{protocol}://{key}", info)
