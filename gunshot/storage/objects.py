"""One object: look up, read, write at once, remove."""

from __future__ import annotations

import os
import tempfile
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
)

__all__ = ["delete_tree", "exists", "read_bytes", "stat", "write_bytes", "zarr_store"]


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
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


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
    options: dict[str, Any] = {"use_listings_cache": False} if str(uri).startswith("s3") else {}
    return zarr.storage.FsspecStore.from_url(str(uri), storage_options=options, read_only=read_only)
