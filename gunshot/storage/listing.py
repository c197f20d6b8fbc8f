"""What is below an address.

Conventions
-----------
Nothing that a user would call a recording is left out without a word. Where endings are asked for, a name that ends so
is listed even if it is no regular file (a pipe, a link to nothing, a folder without such files), and so is a folder
that may not be read: whoever opens it learns why it cannot be used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from gunshot.errors import StorageError
from gunshot.storage.access import FileInfo, explained, is_remote, local_info, local_path, remote_info, remote_path
from gunshot.storage.tree import Found, expand, walk

__all__ = ["identity", "list_files", "list_folders"]

_GLOB = frozenset("*?[")


def list_files(uri: str | Path, suffixes: Sequence[str] = ()) -> Iterator[FileInfo]:
    """Files below a folder or prefix, or matching a glob, or the one file itself; sorted by URI.

    Parameters
    ----------
    uri : str or path
        Folder, prefix, glob (``*``, ``**``, ``?``) or file.
    suffixes : sequence of str
        Lower-case endings to keep (``.wav``), whatever has them; empty keeps all regular files. A file named itself is
        kept whatever its ending.

    Yields
    ------
    FileInfo
        Hidden files (``.x``, ``._x``) and what lies in hidden folders are left out; folders behind links are not. Bytes
        of a name that are not UTF-8 are shown as hexadecimal digits: no table can hold them, and no such file is found.

    Raises
    ------
    StorageError
        If there is nothing at `uri`, or it cannot be listed.
    """
    if _as_text(str(uri)) != str(uri):
        raise StorageError(f"cannot list {_as_text(str(uri))}: the name is not UTF-8; rename it")
    with explained("list", uri):
        if is_remote(uri):
            yield from _list_remote(str(uri), suffixes)
        else:
            yield from _list_local(local_path(uri), suffixes)


def _wanted(name: PurePosixPath, suffixes: Sequence[str]) -> bool:
    hidden = any(part.startswith(".") and part not in {".", ".."} for part in name.parts)
    return not hidden and (not suffixes or name.suffix.lower() in suffixes)


def _as_text(name: str) -> str:
    """A name as tables can hold it."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _list_local(root: Path, suffixes: Sequence[str]) -> Iterator[FileInfo]:
    if root.is_dir():
        found = list(walk(_below(root)))
        if (_below(root), "closed") in found:
            raise PermissionError(root)
    elif os.path.lexists(root):
        yield _local_info(str(root))
        return
    else:
        base = next(parent for parent in root.parents if parent.is_dir())
        pattern = root.relative_to(base).parts
        # a last ** names folders to a shell, but whatever is below to a bucket
        found = list(set(expand(_below(base), (*pattern, "*") if pattern[-1] == "**" else pattern)))
        if not found:
            raise FileNotFoundError(root)
    for path in sorted(_kept(found, suffixes)):
        try:
            info = _local_info(path)
        except FileNotFoundError:  # removed since
            continue
        yield info


def _below(root: Path) -> str:
    return "" if root == Path() else str(root)


def _kept(found: Sequence[Found], suffixes: Sequence[str]) -> set[str]:
    if not suffixes:
        return {path for path, kind in found if kind == "file"}
    named = {(path, kind) for path, kind in found if PurePosixPath(path).suffix.lower() in suffixes}
    kept = {path for path, kind in named if kind != "folder"} | {path for path, kind in found if kind == "closed"}
    folders = {path for path, kind in named if kind == "folder"}
    if folders:  # one that ends like a recording is taken for one only if it holds none
        folders -= {str(parent) for path in kept for parent in PurePosixPath(path).parents}
    return kept | folders


def _local_info(path: str) -> FileInfo:
    """Size and etag; those of the link itself where it leads to nothing that can be seen."""
    try:
        info = local_info(Path(path))
    except OSError:
        try:
            status = os.lstat(path)
        except PermissionError:  # its folder shows names only
            return FileInfo(_as_text(path), 0, "not seen")
        return FileInfo(_as_text(path), 0, f"{status.st_size}-{status.st_mtime_ns}")
    return FileInfo(_as_text(path), info.size, info.etag)


def _list_remote(uri: str, suffixes: Sequence[str]) -> Iterator[FileInfo]:
    fs, path = remote_path(uri)
    protocol = uri.partition("://")[0]
    is_glob = bool(set(path) & _GLOB) and not fs.exists(path)  # a name may hold such characters too
    if not is_glob and hasattr(fs, "pages"):
        found = sorted(_kept_of_pages(fs, path.rstrip("/"), suffixes))
        if found:
            yield from (FileInfo(f"{protocol}://{key}", size, etag) for key, size, etag in found)
            return
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


def _kept_of_pages(fs: Any, base: str, suffixes: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """Key, size and etag of what is wanted; the rest of what a store says of an object takes ten times the memory."""
    for page in fs.pages(base):
        for key, size, etag in page:
            if not key.endswith("/") and _wanted(PurePosixPath(key.removeprefix(base).lstrip("/")), suffixes):
                yield key, size, etag


def identity(uri: str | Path) -> str | None:
    """Etag of one object or file as a listing would show it now.

    Parameters
    ----------
    uri : str or path
        As it was listed.

    Returns
    -------
    str or None
        None where there is nothing any more.

    Raises
    ------
    StorageError
        If the store cannot be asked.
    """
    with explained("look up", uri):
        try:
            if is_remote(uri):
                fs, path = remote_path(uri)
                return remote_info(uri, fs.info(path)).etag
            return _local_info(_as_listed(str(local_path(uri)))).etag
        except FileNotFoundError:
            return None


def _as_listed(shown: str) -> str:
    """The path of a name whose bytes that are not UTF-8 were shown as hexadecimal digits."""
    if "\\x" not in shown or os.path.lexists(shown):
        return shown
    return os.fsdecode(re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), os.fsencode(shown)))


def list_folders(uri: str | Path) -> list[str]:
    """Names of the folders directly below a folder or prefix, sorted.

    Parameters
    ----------
    uri : str or path
        Folder or prefix.

    Returns
    -------
    list of str
        None where there is nothing at `uri`.

    Raises
    ------
    StorageError
        If it cannot be listed.
    """
    with explained("list", uri):
        try:
            if not is_remote(uri):
                return sorted(path.name for path in local_path(uri).iterdir() if path.is_dir())
            fs, path = remote_path(uri)
            entries = fs.ls(path, detail=True)
        except FileNotFoundError:
            return []
        return sorted(PurePosixPath(entry["name"]).name for entry in entries if entry["type"] == "directory")
