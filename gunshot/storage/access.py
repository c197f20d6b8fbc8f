"""How an address is reached: which file system, which path on it, and what its faults mean."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import fsspec

from gunshot.errors import StorageError, TransientStorageError

__all__ = [
    "FileInfo",
    "absolute",
    "explained",
    "filesystem",
    "is_remote",
    "join",
    "local_info",
    "local_path",
    "remote_info",
    "remote_path",
    "s3_filesystem",
]

_S3 = {"s3", "s3a"}

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


def absolute(uri: str, folder: str = "") -> str:
    """An address that holds in any folder.

    Parameters
    ----------
    uri : str
        Any address.
    folder : str
        What a relative path is relative to; the folder that this process is in if empty.

    Returns
    -------
    str
        An absolute path, or the URI as it is.
    """
    return uri if is_remote(uri) else str(Path(folder, local_path(uri)).absolute())


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


def local_path(uri: str | Path) -> Path:
    """Path of a local address.

    Parameters
    ----------
    uri : str or path
        A path, or ``file://``.

    Returns
    -------
    Path
        As the operating system takes it.
    """
    return Path(str(uri).removeprefix("file://"))


def filesystem(protocol: str) -> Any:
    """The fsspec file system of a protocol, one a process.

    Parameters
    ----------
    protocol : str
        What stands before ``://``.

    Returns
    -------
    fsspec.AbstractFileSystem
        With listings that are not cached.
    """
    # by process: the client's thread does not follow a fork
    return _filesystem_of_process(protocol, os.getpid())


def s3_filesystem(*, asynchronous: bool = False) -> Any:
    """The file system of S3 and all that speak its language.

    Parameters
    ----------
    asynchronous : bool
        Whether it is for Zarr, which has an event loop of its own.

    Returns
    -------
    gunshot.storage.s3.Bucket
        One a process and loop.
    """
    from gunshot.storage.s3 import Bucket, bucket_options  # 0.4 s that runs on local disks need not pay

    return Bucket(asynchronous=asynchronous, **bucket_options())


@lru_cache(maxsize=8)
def _filesystem_of_process(protocol: str, _pid: int) -> Any:
    try:
        return s3_filesystem() if protocol in _S3 else fsspec.filesystem(protocol)
    except (ImportError, ValueError) as error:
        raise StorageError(f"cannot open {protocol}:// addresses: {error}") from error


def remote_path(uri: str | Path) -> tuple[Any, str]:
    """File system of a remote address, and the path on it.

    Parameters
    ----------
    uri : str or path
        An address with a protocol.

    Returns
    -------
    tuple of (fsspec.AbstractFileSystem, str)
        What to ask, and for what.
    """
    protocol, _, path = str(uri).partition("://")
    return filesystem(protocol), path


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
    except IsADirectoryError as error:
        raise StorageError(f"cannot {action} {uri}: it is a folder; give the address of a file") from error
    except (NotADirectoryError, FileExistsError) as error:
        raise StorageError(
            f"cannot {action} {uri}: a file stands where a folder is needed; give another address"
        ) from error
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


def local_info(path: Path) -> FileInfo:
    """Size and etag of a local file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    FileInfo
        Its etag is size and modification time.
    """
    status = path.stat()
    return FileInfo(str(path), status.st_size, f"{status.st_size}-{status.st_mtime_ns}")


def remote_info(uri: str | Path, info: dict[str, Any]) -> FileInfo:
    """Size and etag as a remote listing gives them.

    Parameters
    ----------
    uri : str or path
        Any address.
    info : dict
        What fsspec says of it.

    Returns
    -------
    FileInfo
        With the store's own etag where it has one.
    """
    size = int(info.get("size") or 0)
    etag = str(info.get("ETag") or info.get("etag") or f"{size}-{info.get('mtime', '')}").strip('"')
    return FileInfo(str(uri), size, etag)
