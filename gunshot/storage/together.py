"""Many small objects below one address, read as they are at one time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from gunshot.errors import StorageError
from gunshot.progress import steps
from gunshot.storage.access import FileInfo
from gunshot.storage.listing import list_files
from gunshot.storage.objects import read_bytes

__all__ = ["read_all"]

_READ_AT_ONCE = 16
_TURNS = 20

Parsed = TypeVar("Parsed")

Choice = Callable[[Sequence[FileInfo], Mapping[FileInfo, Parsed]], Sequence[FileInfo]]
"""Which of the objects that are listed to read, given those that have been."""


def _each(listed: Sequence[FileInfo], found: Mapping[FileInfo, Parsed]) -> Sequence[FileInfo]:
    return listed


def read_all(
    uri: str,
    suffixes: Sequence[str],
    *,
    parse: Callable[[bytes], Parsed],
    known: Mapping[FileInfo, Parsed] | None = None,
    listed: Sequence[FileInfo] | None = None,
    choose: Choice[Parsed] = _each,
) -> dict[FileInfo, Parsed]:
    """Read all objects below a folder or prefix, several at a time.

    An object that is gone when it is read was replaced by its writer since the listing: then it is listed anew.

    Parameters
    ----------
    uri : str
        Folder or prefix.
    suffixes : sequence of str
        Lower-case endings of what is read.
    parse : callable
        Makes of an object's content what is wanted.
    known : mapping of FileInfo to object, optional
        What an earlier call has given: an object that is listed as it was then is not read again.
    listed : sequence of FileInfo, optional
        What is there, for who has just listed it.
    choose : callable, optional
        Takes what is listed and what has been read, and gives what should be; it is asked again until all of that has
        been read, so that one object can tell which others need not be. All objects if not given.

    Returns
    -------
    dict of FileInfo to object
        In the order of the listing, or of `choose`.

    Raises
    ------
    StorageError
        If there is nothing at `uri`, or something cannot be listed or read.
    """
    found = dict(known or {})
    with ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="read") as pool:
        for turn in range(_TURNS):
            if turn or listed is None:
                listed = list(list_files(uri, suffixes))
            while new := [info for info in choose(listed, found) if info not in found]:
                fetched = pool.map(partial(_content, is_last=turn == _TURNS - 1), new)
                contents = list(steps(fetched, "read", "objects", len(new)))
                present = [(info, content) for info, content in zip(new, contents, strict=True) if content is not None]
                found |= {info: parse(content) for info, content in present}
                if len(present) < len(new):
                    break
            else:
                break
    return {info: found[info] for info in choose(listed or (), found)}


def _content(info: FileInfo, *, is_last: bool) -> bytes | None:
    """None for an object that is gone, unless this was the last try."""
    try:
        return read_bytes(info.uri)
    except StorageError as error:
        if is_last or not isinstance(error.__cause__, FileNotFoundError):
            raise
        return None
