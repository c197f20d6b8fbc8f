"""One object: look up, read, write at once, remove."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gunshot.storage.access import (
    FileInfo,
    explained,
    filesystem,
    is_remote,
    local_info,
    local_path,
    remote_info,
    remote_path,
    s3_filesystem,
)

__all__ = [
    "create_bytes",
    "delete",
    "delete_leftovers",
    "delete_tree",
    "exists",
    "read_bytes",
    "stat",
    "sync",
    "write_bytes",
    "zarr_store",
]


def exists(uri: str | Path) -> bool:
    """Whether there is an object, file or folder at a URI.

    Parameters
    ----------
    uri : str or path
        Where.

    Returns
    -------
    bool
        True for a prefix too, if anything is below it.

    Raises
    ------
    StorageError
        If the store cannot be asked.
    """
    with explained("look up", uri):
        if not is_remote(uri):
            return local_path(uri).exists()
        fs, path = remote_path(uri)
        return bool(fs.exists(path))


def stat(uri: str | Path) -> FileInfo:
    """Size and etag of one object.

    Parameters
    ----------
    uri : str or path
        Where.

    Returns
    -------
    FileInfo
        As the store says now.

    Raises
    ------
    StorageError
        If it does not exist or may not be seen.
    """
    with explained("look up", uri):
        if not is_remote(uri):
            return local_info(local_path(uri))
        fs, path = remote_path(uri)
        return remote_info(uri, fs.info(path))


def read_bytes(uri: str | Path) -> bytes:
    """Content of one object, fetched whole.

    Parameters
    ----------
    uri : str or path
        Where.

    Returns
    -------
    bytes
        All of it.

    Raises
    ------
    StorageError
        If it does not exist or cannot be read.
    """
    with explained("read", uri):
        if not is_remote(uri):
            return local_path(uri).read_bytes()
        fs, path = remote_path(uri)
        return bytes(fs.cat_file(path))


def write_bytes(uri: str | Path, content: bytes) -> None:
    """Write one object at once: one PUT, or a temporary file, fsync and rename.

    Parameters
    ----------
    uri : str or path
        Where; local folders are made.
    content : bytes
        What.

    Raises
    ------
    StorageError
        If it cannot be written; nothing is left behind.
    """
    with explained("write", uri):
        if is_remote(uri):
            fs, path = remote_path(uri)
            fs.pipe_file(path, content)
            return
        target = local_path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _written_beside(target, content) as temporary:
            temporary.replace(target)


@contextlib.contextmanager
def _written_beside(target: Path, content: bytes) -> Iterator[Path]:
    """Content on the disk under another name; what is left under that name afterwards is removed."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def create_bytes(uri: str | Path, content: bytes) -> bool:
    """Write one object at once, if there is none.

    Parameters
    ----------
    uri : str or path
        Where; local folders are made.
    content : bytes
        What.

    Returns
    -------
    bool
        Whether it was written; of several that try at once one is told True.

    Raises
    ------
    StorageError
        If it cannot be written for another reason.
    """
    with explained("write", uri):
        try:
            if is_remote(uri):
                fs, path = remote_path(uri)
                fs.pipe_file(path, content, mode="create")
            else:
                target = local_path(uri)
                target.parent.mkdir(parents=True, exist_ok=True)
                with _written_beside(target, content) as temporary:
                    os.link(temporary, target)
        except FileExistsError:
            return False
        return True


def delete(uri: str | Path) -> None:
    """Remove one object; nothing happens where there is none.

    Parameters
    ----------
    uri : str or path
        Which.

    Raises
    ------
    StorageError
        If it cannot be removed.
    """
    with explained("remove", uri):
        if not is_remote(uri):
            local_path(uri).unlink(missing_ok=True)
            return
        fs, path = remote_path(uri)
        with contextlib.suppress(FileNotFoundError):
            fs.rm_file(path)


def delete_tree(uri: str | Path) -> None:
    """Remove a folder or prefix and all below it; nothing happens where there is none.

    Parameters
    ----------
    uri : str or path
        Where.

    Raises
    ------
    StorageError
        If it cannot be removed.
    """
    fs, path = remote_path(uri) if is_remote(uri) else (filesystem("file"), str(local_path(uri)))
    with explained("remove", uri):
        if fs.exists(path):
            fs.rm(path, recursive=True)


def delete_leftovers(uri: str | Path) -> int:
    """Remove what writers that were killed have left below a folder: temporary files, under names that nobody reads.

    Parameters
    ----------
    uri : str or path
        A folder that nobody writes to at the time. In a bucket there is nothing to remove: a PUT is whole or is not.

    Returns
    -------
    int
        How many were removed.
    """
    if is_remote(uri):
        return 0
    # ours, and those of Zarr's LocalStore
    left = [path for pattern in (".*.part", "*.partial") for path in local_path(uri).rglob(pattern)]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def sync(uri: str | Path) -> None:
    """Wait until an object that another library wrote is on the disk; an object in a bucket is there once it is PUT.

    Parameters
    ----------
    uri : str or path
        Which.

    Raises
    ------
    StorageError
        If there is none.
    """
    if is_remote(uri):
        return
    with explained("write", uri), local_path(uri).open("rb") as file:
        os.fsync(file.fileno())


def zarr_store(uri: str | Path, *, read_only: bool) -> Any:
    """A Zarr store at a URI.

    Parameters
    ----------
    uri : str or path
        Where the arrays are.
    read_only : bool
        Whether writing is refused.

    Returns
    -------
    zarr.abc.store.Store
        A LocalStore or an FsspecStore.
    """
    import zarr.storage  # 0.4 s that reading a manifest need not pay

    if not is_remote(uri):
        return zarr.storage.LocalStore(local_path(uri), read_only=read_only)
    protocol, _, path = str(uri).partition("://")
    if protocol in {"s3", "s3a"}:
        fs = s3_filesystem(asynchronous=True)
        return zarr.storage.FsspecStore(fs, path=path.rstrip("/"), read_only=read_only)
    return zarr.storage.FsspecStore.from_url(str(uri), read_only=read_only)
