"""Where decisions are kept: lines that are durable before the page is told so, and read by all who review.

Conventions
-----------
::

    RESULTS/review/decisions/<person>.jsonl                   local: a line is appended and synced
    RESULTS/review/decisions/<person>/<session>-<turn>.jsonl  in a bucket, which cannot append: an object holds what the
                                                              one before it did and a line more, up to `SEGMENT_ROWS`

Each person writes files of their own, so two never write one. An object in a bucket is written once and never again
under the same name: a network may deliver a request long after its repetition was answered, and over an object that is
rewritten it would take back what was said since. The object before it is removed when the next one is there; where that
fails its lines are there twice, and count once. Where they have become many they are put together when a review is
opened (`gunshot.review.compaction`).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import UTC, datetime

from gunshot.errors import ParameterError, StorageError
from gunshot.review.compaction import covered_names, uncovered
from gunshot.review.decisions import Decision, parse_lines, person_name
from gunshot.storage import FileInfo, delete, exists, explained, is_remote, join, read_all, write_bytes
from gunshot.storage.access import local_path

__all__ = ["SEGMENT_ROWS", "DecisionLog", "DecisionReader", "read_decisions"]

SEGMENT_ROWS = 100
"""Lines of one object in a bucket: they are written anew with each of them, and must stay few."""

_MOST_NAME = 60


class DecisionLog:
    """One person's decisions, to add to.

    Parameters
    ----------
    results : str
        The results that are reviewed.
    who : str
        The person; any name of 1 to 60 characters.

    Raises
    ------
    ParameterError
        If the name is empty, too long or holds control characters.
    """

    def __init__(self, results: str, who: str) -> None:
        if not who.strip() or len(who) > _MOST_NAME or not who.isprintable():
            raise ParameterError(f"--who takes a name of 1 to {_MOST_NAME} characters; got {who!r}: say who decides")
        self.who = who.strip()
        self._is_remote = is_remote(results)
        self._base = join(results, "review/decisions", person_name(self.who))
        self._session = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self._turn = 0
        self._lines: list[bytes] = []
        self._superseded: list[str] = []  # objects whose lines the next one will hold, or that were told to be missing

    def add(self, decision: Decision) -> None:
        """Write a decision; it is durable when this returns.

        Parameters
        ----------
        decision : Decision
            Of this person.

        Raises
        ------
        StorageError
            If it cannot be written: then it was not made.
        """
        assert decision.who == self.who, f"{decision.who!r} in the log of {self.who!r}"
        if self._is_remote:
            self._put(decision.line())
        else:
            self._append(decision.line())

    def _append(self, line: bytes) -> None:
        target = local_path(f"{self._base}.jsonl")
        with explained("write", target):
            target.parent.mkdir(parents=True, exist_ok=True)
            is_new = not target.exists()
            with target.open("ab+") as file:
                size = file.seek(0, os.SEEK_END)
                if size:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # a kill has cut the last line off: this one begins anew
                        line = b"\n" + line
                file.write(line)  # one write: two servers of one person do not mix their lines
                file.flush()
                os.fsync(file.fileno())
            if is_new:
                folder = os.open(target.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)  # the file's name too
                finally:
                    os.close(folder)

    def _put(self, line: bytes) -> None:
        if len(self._lines) == SEGMENT_ROWS:  # a full object stays
            self._lines, self._superseded = [], []
        lines = [*self._lines, line]
        uri = f"{self._base}/{self._session}-{self._turn:06d}.jsonl"
        self._turn += 1
        superseded, self._superseded = self._superseded, [*self._superseded, uri]
        write_bytes(uri, b"".join(lines))
        self._lines, self._superseded = lines, [uri]
        for old in superseded:
            with contextlib.suppress(StorageError):  # what is left counts once all the same
                delete(old)


class DecisionReader:
    """All that people have decided, to read again and again: only what is new is fetched.

    Parameters
    ----------
    results : str
        The results that are reviewed.
    """

    def __init__(self, results: str) -> None:
        self._folder = join(results, "review/decisions")
        self._known: dict[FileInfo, tuple[frozenset[str], list[Decision]]] = {}

    def read(self) -> list[Decision]:
        """Read what there is now.

        Returns
        -------
        list of Decision
            By time, then person; superseded ones are there too. Empty where nobody has decided.

        Raises
        ------
        StorageError
            If it cannot be read.
        """
        if not exists(self._folder):
            return []
        self._known = read_all(self._folder, (".jsonl",), parse=_parsed, known=self._known, choose=uncovered)
        found = dict.fromkeys(decision for _, decisions in self._known.values() for decision in decisions)
        return sorted(found, key=lambda decision: (decision.when, decision.who))


def _parsed(content: bytes) -> tuple[frozenset[str], list[Decision]]:
    return covered_names(content), list(parse_lines(content.splitlines()))


def read_decisions(results: str) -> list[Decision]:
    """Read all that people have decided, once.

    Parameters
    ----------
    results : str
        The results that were reviewed.

    Returns
    -------
    list of Decision
        By time, then person; superseded ones are there too. Empty where nobody has decided.

    Raises
    ------
    StorageError
        If they cannot be read.
    """
    return DecisionReader(results).read()
