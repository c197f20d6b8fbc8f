"""URIs: open, list, write at once. The only module that knows fsspec and s3fs.

Conventions
-----------
A URI is a local path or anything that fsspec opens (``s3://bucket/key``). Local paths are handed round as
they are, without ``file://``. Writing is atomic: readers see the old object, or the whole new one. Credentials
and endpoints come from the environment's standard chain (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, profiles, roles).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from gunshot.errors import StorageError, TransientStorageError

__all__ = [
    "FileInfo",
    "delete_tree",
    "exists",
    "explained",
    "is_remote",
    "join",
    "list_files",
    "read_bytes",
    "stat",
    "write_bytes",
    "zarr_store",
]


_GLOB = frozenset("*?[")
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}  # another try finds none either


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One object as a listing shows it.

    Attributes
    ----------
    uri : str
        Where it is.
    size : int
        Its size [bytes].
    etag : str
        What changes when its content does: the store's ETag, or size and modification time.
    """

    uri: str
    size: int
    etag: str


def is_remote(uri: str | Path) -> bool:
    """Whether a URI names something other than a local path.

    Parameters
    ----------
    uri : str or path
        Any address.

    Returns
    -------
    bool
        False for local paths and ``file://``.

    Examples
    --------
    >>> is_remote("s3://bucket/key"), is_remote("/tmp/x.wav")
    (True, False)
    """
    text = str(uri)
    return "://" in text and not text.startswith("file://")


def _local(uri: str | Path) -> Path:
    return Path(str(uri).removeprefix("file://"))


def _filesystem(protocol: str) -> Any:
    # by process: the client's thread does not follow a fork
    return _filesystem_of_process(protocol, os.getpid())


@lru_cache(maxsize=8)
def _filesystem_of_process(protocol: str, _pid: int) -> Any:
    # listings are not cached: s3fs would keep them without limit and show a growing archive as it was
    options: dict[str, Any] = {"use_listings_cache": False} if protocol in {"s3", "s3a"} else {}
    try:
        return fsspec.filesystem(protocol, **options)
    except (ImportError, ValueError) as error:
        raise StorageError(f"cannot open {protocol}:// addresses: {error}") from error


def _remote(uri: str | Path) -> tuple[Any, str]:
    protocol, _, path = str(uri).partition("://")
    return _filesystem(protocol), path


@contextlib.contextmanager
def explained(action: str, uri: str | Path) -> Iterator[None]:
    """Turn what file systems and object stores raise into one line that says what to do.

    Parameters
    ----------
    action : str
        What is tried, as a verb.
    uri : str or path
        With what.

    Raises
    ------
    StorageError
        Instead of what was raised inside; a `TransientStorageError` where another try may help.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise StorageError(f"cannot {action} {uri}: it does not exist; check the address") from error
    except PermissionError as error:
        remedy = "check the bucket's policy and your credentials" if is_remote(uri) else "check its permissions"
        raise StorageError(f"cannot {action} {uri}: access denied; {remedy}") from error
    except StorageError:
        raise
    except OSError as error:
        kind = TransientStorageError if is_remote(uri) else StorageError
        raise kind(f"cannot {action} {uri}: {error}") from error
    except Exception as error:
        # botocore's errors about credentials and endpoints share no base with OSError
        if type(error).__module__.partition(".")[0] not in {"botocore", "aiobotocore", "aiohttp"}:
            raise
        kind = StorageError if type(error).__name__ in _NO_CREDENTIALS else TransientStorageError
        raise kind(f"cannot {action} {uri}: {error}; check AWS_ENDPOINT_URL, credentials and region") from error


def join(uri: str | Path, *parts: str) -> str:
    """A URI below another.

    Parameters
    ----------
    uri : str or path
        Folder or prefix.
    *parts : str
        What follows; slashes at either end do not matter.

    Returns
    -------
    str
        The address.

    Examples
    --------
    >>> join("s3://bucket/a/", "b", "c.wav")
    's3://bucket/a/b/c.wav'
    """
    return "/".join([str(uri).rstrip("/") or "/", *(part.strip("/") for part in parts)])


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
            return _local(uri).exists()
        fs, path = _remote(uri)
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
            return _local_info(_local(uri))
        fs, path = _remote(uri)
        return _remote_info(uri, fs.info(path))


def _local_info(path: Path) -> FileInfo:
    status = path.stat()
    return FileInfo(str(path), status.st_size, f"{status.st_size}-{status.st_mtime_ns}")


def _remote_info(uri: str | Path, info: dict[str, Any]) -> FileInfo:
    size = int(info.get("size") or 0)
    etag = str(info.get("ETag") or info.get("etag") or f"{size}-{info.get('mtime', '')}").strip('"')
    return FileInfo(str(uri), size, etag)


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
            return _local(uri).read_bytes()
        fs, path = _remote(uri)
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
            fs, path = _remote(uri)
            fs.pipe_file(path, content)
            return
        target = _local(uri)
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
            yield from _list_local(_local(uri), suffixes)


def _wanted(name: PurePosixPath, suffixes: Sequence[str]) -> bool:
    hidden = any(part.startswith(".") and part not in {".", ".."} for part in name.parts)
    return not hidden and (not suffixes or name.suffix.lower() in suffixes)


def _list_local(root: Path, suffixes: Sequence[str]) -> Iterator[FileInfo]:
    if root.is_file():
        yield _local_info(root)
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
            yield _local_info(path)


def _list_remote(uri: str, suffixes: Sequence[str]) -> Iterator[FileInfo]:
    fs, path = _remote(uri)
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
        if info.get("type") == "file" and (key == base or _wanted(name, suffixes)):
            yield _remote_info(f"{protocol}://{key}", info)


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
    fs, path = _remote(uri) if is_remote(uri) else (_filesystem("file"), str(_local(uri)))
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
        return zarr.storage.LocalStore(_local(uri), read_only=read_only)
    options: dict[str, Any] = {"use_listings_cache": False} if str(uri).startswith("s3") else {}
    return zarr.storage.FsspecStore.from_url(str(uri), storage_options=options, read_only=read_only)
