"""What is decoded: a local file, or an object's content in memory."""

from __future__ import annotations

import io
import stat as stat_flags
from collections.abc import Callable
from pathlib import Path

from gunshot.errors import AudioError, StorageError, TransientStorageError
from gunshot.storage import is_remote

__all__ = ["Content", "open_content"]


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


def open_content(uri: str, fetch: Callable[[str], bytes]) -> tuple[Content | io.FileIO, int]:
    """Open a recording: a local file as it is, an object fetched whole.

    Parameters
    ----------
    uri : str
        Local path or remote object.
    fetch : callable
        Gets the content of a remote object.

    Returns
    -------
    file : Content or FileIO
        To be decoded, and closed.
    size : int
        Of it [bytes].

    Raises
    ------
    AudioError
        ``unreadable`` if it is no regular file, or may not be read.
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
        return io.FileIO(path), status.st_size
    except (AudioError, TransientStorageError):  # the store's fault, not the file's: tried again, never recorded
        raise
    except StorageError as error:
        raise AudioError("unreadable", str(error)) from error
    except OSError as error:
        raise AudioError("unreadable", error.strerror or str(error)) from error
