"""What is decoded: a local file, or an object's content in memory."""

from __future__ import annotations

import io
import stat as stat_flags
from collections.abc import Callable
from pathlib import Path

from gunshot.errors import AudioError, StorageError, TransientStorageError
from gunshot.storage import is_remote

__all__ = ["Content", "LocalFile", "open_content"]


class Content(io.BytesIO):
    """An object in memory for libsndfile, which a damaged header may send to before its beginning: no error of ours."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a position; where there is none, stay.

        Parameters
        ----------
        offset, whence : int
            As `io.BytesIO`.

        Returns
        -------
        int
            The position.
        """
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError):
            return self.tell()


class LocalFile(io.FileIO):
    """A local file, opened to be read; a disk that fails is one recording's fault, and may pass."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as `io.FileIO` does.

        Parameters
        ----------
        size : int, optional
            At most so many bytes; all if not given.

        Returns
        -------
        bytes
            Empty at the end.

        Raises
        ------
        AudioError
            ``unreadable`` if the disk fails.
        """
        try:
            return super().read(-1 if size is None else size)
        except OSError as error:
            raise _not_read(error) from error


def _not_read(error: OSError) -> AudioError:
    return AudioError("unreadable", error.strerror or str(error), may_pass=True)


def open_content(uri: str, fetch: Callable[[str], bytes]) -> tuple[Content | LocalFile, int]:
    """Open a recording: a local file as it is, an object fetched whole.

    Parameters
    ----------
    uri : str
        Local path or remote object.
    fetch : callable
        Gets the content of a remote object.

    Returns
    -------
    file : Content or LocalFile
        To be decoded, and closed.
    size : int
        Of it [bytes].

    Raises
    ------
    AudioError
        ``unreadable`` if it is no regular file, or may not be read; the latter may pass.
    TransientStorageError
        If the store failed for the moment.
    """
    try:
        if is_remote(uri):
            content = fetch(uri)
            return Content(content), len(content)
        path = Path(uri.removeprefix("file://"))
        status = path.stat()
        if not stat_flags.S_ISREG(status.st_mode):  # opening a FIFO would wait for ever
            raise AudioError("unreadable", "not a regular file")
        return LocalFile(path), status.st_size
    except (AudioError, TransientStorageError):  # the store's fault, not the file's: tried again, never recorded
        raise
    except StorageError as error:
        raise AudioError("unreadable", str(error), may_pass=True) from error
    except OSError as error:
        raise _not_read(error) from error
