"""Many small objects of decisions become one: a review that is opened after a season need not fetch thousands.

Conventions
-----------
::

    RESULTS/review/decisions/<person>/compacted-<time>-<token>.jsonl

holds the lines of other objects of the same folder, byte for byte, after a first line that names them. It is written
before they are removed, and read before they are: those it names are passed over where they are still there. So a kill
at any moment, a store that lets nothing be removed, and several who compact at once lose nothing; a line that is there
twice counts once. No object is ever written again under the same name, and one can only name those that were there
before it: of all that ever held a line the last stays. A person who is deciding meanwhile writes objects with all lines
of the one before, so what is removed under their hands is in the next.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from gunshot.errors import StorageError
from gunshot.storage import FileInfo, delete, exists, join, list_files, read_all, write_bytes

__all__ = ["LARGE", "MOST_OBJECTS", "Held", "compact_decisions", "covered_names", "uncovered"]

MOST_OBJECTS = 32
"""Small objects of one person that are left as they are; a sitting of 200 decisions leaves two or three."""

LARGE = 1_000_000
"""Size of an object that stays [bytes]: some 2,300 decisions, which no compaction writes anew."""

_PREFIX = "compacted-"
_REMOVED_AT_ONCE = 16

Content = TypeVar("Content")


class Held(NamedTuple):
    """What an object holds.

    Attributes
    ----------
    covers : frozenset of str
        Names of those in its folder whose lines it holds too.
    lines : list of bytes
        Its own, without their ends.
    """

    covers: frozenset[str]
    lines: list[bytes]


def covered_names(content: bytes) -> frozenset[str]:
    """Names of the objects whose lines an object holds.

    Parameters
    ----------
    content : bytes
        Of an object.

    Returns
    -------
    frozenset of str
        Empty for one that is not compacted.
    """
    with contextlib.suppress(ValueError):
        first = json.loads(content.partition(b"\n")[0])
        if isinstance(first, dict) and isinstance(first.get("covers"), list):
            return frozenset(map(str, first["covers"]))
    return frozenset()


def uncovered(
    listed: Sequence[FileInfo], found: Mapping[FileInfo, tuple[frozenset[str], Content]]
) -> Sequence[FileInfo]:
    """Choose what to read: what no compacted object holds, for `gunshot.storage.read_all`.

    Parameters
    ----------
    listed : sequence of FileInfo
        All objects.
    found : mapping of FileInfo to tuple
        Those that have been read: which names each covers, and what else it holds.

    Returns
    -------
    sequence of FileInfo
        Ends with the first compacted one that has not been read: only then is it known what it covers.
    """
    chosen, covered = [], set[str]()
    # the latest first: it may cover earlier ones
    for info in sorted(listed, key=lambda info: (_is_compacted(info), _name(info)), reverse=True):
        if info.uri in covered:
            continue
        chosen.append(info)
        if _is_compacted(info):
            if info not in found:
                break
            covered |= {join(_folder(info), name) for name in found[info][0]}
    return chosen


def compact_decisions(results: str, most: int = MOST_OBJECTS) -> int:
    """Write the small objects of each person who has many of them as one, and remove them.

    Parameters
    ----------
    results : str
        The results that are reviewed; decisions on a local disk are files that grow, and stay as they are.
    most : int
        Small objects of a person that are left as they are.

    Returns
    -------
    int
        Objects that are in another one now.

    Raises
    ------
    StorageError
        If they cannot be listed or read. Where nothing can be written all stays as it is.
    """
    folder = join(results, "review/decisions")
    if not exists(folder):
        return 0
    people: dict[str, list[FileInfo]] = {}
    for info in list_files(folder, (".jsonl",)):
        people.setdefault(_folder(info), []).append(info)
    return sum(_compact(place, infos, most) for place, infos in people.items() if place != folder and len(infos) > most)


def _compact(folder: str, listed: Sequence[FileInfo], most: int) -> int:
    held = read_all(folder, (".jsonl",), parse=_held, listed=listed, choose=uncovered)
    small = sorted((info for info in held if info.size < LARGE), key=_name)
    there = {_name(info) for info in listed}
    # of a compaction that was cut off; by what was read to hold their lines, not by what a listing lacks
    leftover = there.intersection(name for of in held.values() for name in of.covers)
    n_compacted = 0
    if len(small) > most:
        # and what these cover, where it could not be removed: they are passed over themselves from now on
        covers = {_name(info) for info in small}.union(*(held[info].covers & there for info in small))
        lines = dict.fromkeys(line for info in small for line in held[info].lines)
        with contextlib.suppress(StorageError):  # who may not write reads them one by one, as before
            write_bytes(join(folder, _new_name()), _content(covers, lines))
            leftover |= covers
            n_compacted = len(small)
    _remove([join(folder, name) for name in sorted(leftover)])
    return n_compacted


def _remove(uris: Sequence[str]) -> None:
    with contextlib.suppress(StorageError):  # what is left is passed over
        for first in uris[:1]:
            delete(first)  # where this may not be done the others are not asked for
        with ThreadPoolExecutor(_REMOVED_AT_ONCE, thread_name_prefix="remove") as pool:
            list(pool.map(delete, uris[1:]))


def _new_name() -> str:
    return f"{_PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}.jsonl"


def _content(covers: Iterable[str], lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in (json.dumps({"covers": sorted(covers)}).encode(), *lines))


def _held(content: bytes) -> Held:
    covers = covered_names(content)
    lines = [line for line in content.split(b"\n") if line]
    return Held(covers, lines[1:] if covers else lines)


def _is_compacted(info: FileInfo) -> bool:
    return _name(info).startswith(_PREFIX)


def _name(info: FileInfo) -> str:
    return info.uri.rpartition("/")[2]


def _folder(info: FileInfo) -> str:
    return info.uri.rpartition("/")[0]
