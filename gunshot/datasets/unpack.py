"""Unpacking of downloaded archives as if they were hostile.

Conventions
-----------
Only regular files and folders are unpacked. A member that would leave the target (``..``, absolute, with a
drive or a backslash), a link, a device or an encrypted member refuses the whole archive: a set of sounds has
no use for them. Owners, modes and times of the archive are not taken over. The bytes really written are
counted against a limit, whatever the archive declares. The target appears at once, by renaming a folder that
lies beside it.
"""

from __future__ import annotations

import contextlib
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Literal, Self

from gunshot.errors import DatasetError, ParameterError
from gunshot.progress import steps

__all__ = ["ArchiveKind", "require_space", "unpack"]

ArchiveKind = Literal["zip", "tar"]

_MAX_MEMBERS = 200_000
_BLOCK_BYTES = 1 << 20
# under other names, because `fromtarfile` has a parameter called tarfile
_READ_ERROR = tarfile.ReadError
_HEADER_ERROR = tarfile.HeaderError
# RuntimeError is how zipfile says that it cannot read a member (unknown compression, a password)
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    RuntimeError,
)


@dataclass(frozen=True, slots=True)
class _Member:
    """A folder (``source`` is None) or a regular file of an archive."""

    name: str
    source: IO[bytes] | None


def require_space(folder: Path, needed_bytes: int, what: str) -> None:
    """Refuse to begin what the disk has no room for.

    Parameters
    ----------
    folder : Path
        An existing folder on the disk in question.
    needed_bytes : int
        Room that is needed [bytes].
    what : str
        What needs it, for the message.

    Raises
    ------
    DatasetError
        If less is free.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise DatasetError(
            f"{what} needs {needed_bytes / 1e9:.2f} GB free at {folder}; got {free_bytes / 1e9:.2f} GB; "
            "free some space or choose another --out"
        )


def _refuse(archive: Path, name: str, why: str) -> DatasetError:
    return DatasetError(
        f"a member of an archive must stay inside its folder as a plain file; got {name!r} ({why}) in "
        f"{archive}; nothing was unpacked: do not trust this file"
    )


def _relative(archive: Path, name: str) -> PurePosixPath:
    """Check the name of a member and return it as a path below the target."""
    windows = PureWindowsPath(name)
    path = PurePosixPath(name)
    if windows.drive or windows.root or path.is_absolute() or "\\" in name or "\0" in name:
        raise _refuse(archive, name, "an absolute or foreign path")
    if ".." in path.parts:
        raise _refuse(archive, name, "a path with ..")
    return path


def _zip_members(archive: Path, limit_bytes: int) -> Generator[_Member, None, None]:
    with zipfile.ZipFile(archive) as file:
        declared_bytes = sum(info.file_size for info in file.infolist())
        if declared_bytes > limit_bytes:
            raise _bomb(archive, declared_bytes, limit_bytes)
        require_space(archive.parent, declared_bytes, f"unpacking {archive.name}")
        for info in file.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise _refuse(archive, info.filename, "a link or device")
            if info.flag_bits & 1:
                raise _refuse(archive, info.filename, "encrypted")
            if not info.filename:  # of which zipfile cannot even say whether it is a folder
                raise _refuse(archive, info.filename, "no name")
            if info.is_dir():
                yield _Member(info.filename, None)
                continue
            with file.open(info) as source:
                yield _Member(info.filename, source)


class _StrictInfo(tarfile.TarInfo):
    """A header that is no header is damage; `tarfile` alone takes it for the end and keeps silent."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:  # the name is the base class's
        """Read the next header."""
        try:
            return super().fromtarfile(tarfile)
        except _HEADER_ERROR as error:
            if type(error).__name__ == "EOFHeaderError":  # a block of zeros: the end as it should be
                raise
            raise _READ_ERROR(str(error)) from error


def _tar_members(archive: Path, limit_bytes: int) -> Generator[_Member, None, None]:
    with tarfile.open(archive, mode="r:*", tarinfo=_StrictInfo) as file:
        for info in file:
            if info.isdir():
                yield _Member(info.name, None)
                continue
            source = file.extractfile(info) if info.isreg() else None
            if source is None:
                raise _refuse(archive, info.name, "a link or device")
            with source:
                yield _Member(info.name, source)
        # to the very end: the checksum of a compressed stream is there, and a bomb may be
        rest_bytes = 0
        while file.fileobj is not None and (block := file.fileobj.read(_BLOCK_BYTES)):
            rest_bytes += len(block)
            if rest_bytes > limit_bytes:
                raise _bomb(archive, rest_bytes, limit_bytes)


def _bomb(archive: Path, got_bytes: int, limit_bytes: int) -> DatasetError:
    return DatasetError(
        f"{archive} must unpack to at most {limit_bytes} bytes; got {got_bytes} or more; "
        "nothing was unpacked: do not trust this file"
    )


def _write_members(archive: Path, members: Generator[_Member, None, None], folder: Path, limit_bytes: int) -> int:
    written_bytes = 0
    for n_members, member in enumerate(steps(members, "unpack", "files"), start=1):
        if n_members > _MAX_MEMBERS:
            raise DatasetError(f"{archive} must hold at most {_MAX_MEMBERS} members; got more; do not trust this file")
        path = folder / _relative(archive, member.name)
        if member.source is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as target:
            while block := member.source.read(_BLOCK_BYTES):
                written_bytes += len(block)
                if written_bytes > limit_bytes:
                    raise _bomb(archive, written_bytes, limit_bytes)
                target.write(block)
    return written_bytes


def unpack(archive: Path, target: Path, *, kind: ArchiveKind, limit_bytes: int) -> int:
    """Unpack an archive into a new folder, wholly or not at all.

    Parameters
    ----------
    archive : Path
        The file.
    target : Path
        The folder to make; it must not exist. What an interrupted call left beside it is removed.
    kind : {"zip", "tar"}
        ``tar`` means also compressed with gzip, bzip2 or xz.
    limit_bytes : int
        Most that may be written [bytes].

    Returns
    -------
    int
        What was written [bytes].

    Raises
    ------
    ParameterError
        If `target` exists.
    DatasetError
        If the archive is damaged or holds a member that is refused, would write more than the limit, or the
        disk is full.
    """
    if target.exists():
        raise ParameterError(f"target must not exist; got {target}; move it away first")
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with contextlib.closing(
            _zip_members(archive, limit_bytes) if kind == "zip" else _tar_members(archive, limit_bytes)
        ) as members:
            written_bytes = _write_members(archive, members, partial, limit_bytes)
        partial.replace(target)
    except DatasetError:
        raise
    except _DAMAGED as error:
        raise DatasetError(
            f"{archive} must be a whole {kind} archive; got: {error}; delete it and fetch again"
        ) from error
    except OSError as error:
        raise DatasetError(f"cannot unpack {archive} into {target}: {error}; free some space or check it") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return written_bytes
