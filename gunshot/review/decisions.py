"""Decisions of people: lines that are on the disk before the page is told so.

Conventions
-----------
::

    RESULTS/review/decisions/<person>.jsonl             local: a line is appended and synced
    RESULTS/review/decisions/<person>/<session>.jsonl   in a bucket, which cannot append: an object of at most
                                                        `SEGMENT_ROWS` lines is written anew with each of them

Each person writes files of their own, so two never write one. A line stands for itself; a later line of the same person
about the same sound supersedes an earlier one, and one with an empty label takes it back. A line that a kill has cut
off is passed over. Times are UTC.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from gunshot.errors import ParameterError
from gunshot.storage import exists, explained, is_remote, join, list_files, read_bytes, write_bytes
from gunshot.storage.access import local_path

__all__ = [
    "LABELS", "SEGMENT_ROWS", "Decision", "DecisionLog", "Sound", "clean_text", "latest", "parse_lines", "person_name",
    "read_decisions", "sound_key",
]  # fmt: skip

LABELS = ("gunshot", "not", "unsure", "")
"""What a person may say; the empty one takes an earlier decision back."""

SEGMENT_ROWS = 100
"""Lines of one object in a bucket: it is written anew with each line, and must stay small."""

Sound = tuple[str, int, int]
"""A sound in the results: URI, channel (-1 is the mix) and start [ms]. It is the same whatever model found it."""

_MOST_NAME = 60
_MOST_NOTE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one person said of one sound, once.

    Attributes
    ----------
    who : str
        The person.
    when : str
        UTC, ISO 8601 with microseconds.
    path, uri : str
        The recording as shown, and where it is.
    channel : int or None
        Counted from 0; None is the mean of all.
    start_s, end_s : float
        Of the sound in the recording [s].
    score : float
        The model's.
    label : {"gunshot", "not", "unsure", ""}
        What it is; empty takes an earlier decision back.
    kind : str
        What it was, such as a weapon or a vehicle; may be empty. In the file it is called ``class``.
    note : str
        Whatever else there is to say.
    drawn : {"detection", "sample"}
        Whether the model called it, or it was drawn at random from below the threshold.
    site, night : str
        Where and when it was recorded; empty where not known.
    model, model_digest, recipe_digest : str
        With what it was scored.
    """

    who: str
    when: str
    path: str
    uri: str
    channel: int | None
    start_s: float
    end_s: float
    score: float
    label: Literal["gunshot", "not", "unsure", ""]
    kind: str = ""
    note: str = ""
    drawn: Literal["detection", "sample"] = "detection"
    site: str = ""
    night: str = ""
    model: str = ""
    model_digest: str = ""
    recipe_digest: str = ""

    @property
    def sound(self) -> Sound:
        """What it is about."""
        return sound_key(self.uri, self.channel, self.start_s)

    def line(self) -> bytes:
        """As it is written.

        Returns
        -------
        bytes
            One line of JSON, with its end.
        """
        content = dataclasses.asdict(self)
        content["class"] = content.pop("kind")
        return (json.dumps(content, ensure_ascii=False) + "\n").encode()


def sound_key(uri: str, channel: int | None, start_s: float) -> Sound:
    """What a decision is about.

    Parameters
    ----------
    uri : str
        The recording.
    channel : int or None
        The channel; None is the mean of all.
    start_s : float
        Start in the recording [s].

    Returns
    -------
    tuple of (str, int, int)
        The same for rows of any model, and for what a CSV has rounded to a millisecond.
    """
    return (uri, -1 if channel is None else channel, round(start_s * 1000))


def person_name(who: str) -> str:
    """A person's name as part of an address.

    Parameters
    ----------
    who : str
        The name.

    Returns
    -------
    str
        Letters, digits, spaces, ``_`` and ``-`` as they are, everything else by its bytes.

    Examples
    --------
    >>> person_name("Anna-Marie"), person_name("../x")
    ('Anna-Marie', '%2E%2E%2Fx')
    """
    return re.sub(r"[^\w -]", lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), who)


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
        self._n_segments = 0
        self._segment: list[bytes] = []

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
        if len(self._segment) == SEGMENT_ROWS:
            self._segment, self._n_segments = [], self._n_segments + 1
        lines = [*self._segment, line]
        write_bytes(f"{self._base}/{self._session}-{self._n_segments:04d}.jsonl", b"".join(lines))
        self._segment = lines


def read_decisions(results: str) -> list[Decision]:
    """Read all that people have decided.

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
    folder = join(results, "review/decisions")
    if not exists(folder):
        return []
    found = [
        decision
        for info in list_files(folder, (".jsonl",))
        for decision in parse_lines(read_bytes(info.uri).splitlines())
    ]
    return sorted(found, key=lambda decision: (decision.when, decision.who))


def parse_lines(lines: Iterable[bytes]) -> Iterator[Decision]:
    """Read lines as they were written.

    Parameters
    ----------
    lines : iterable of bytes
        Of a person's file.

    Yields
    ------
    Decision
        One a line; what a kill has cut off, and what is none of ours, is passed over.
    """
    for line in lines:
        try:
            content: dict[str, Any] = json.loads(line)
            content["kind"] = content.pop("class", "")
            decision = Decision(**{name: content[name] for name in _FIELDS if name in content})
        except (ValueError, TypeError, AttributeError):  # cut off by a kill, or not ours
            continue
        if decision.label in LABELS:
            yield decision


_FIELDS = [field.name for field in dataclasses.fields(Decision)]


def latest(decisions: Iterable[Decision]) -> dict[Sound, dict[str, Decision]]:
    """What holds: each person's last word on each sound.

    Parameters
    ----------
    decisions : iterable of Decision
        By time.

    Returns
    -------
    dict
        By sound and person; what was taken back is not there.
    """
    found: dict[Sound, dict[str, Decision]] = {}
    for decision in decisions:
        of_sound = found.setdefault(decision.sound, {})
        if decision.label:
            of_sound[decision.who] = decision
        else:
            of_sound.pop(decision.who, None)
    return {sound: people for sound, people in found.items() if people}


def clean_text(text: object, most: int = _MOST_NOTE) -> str:
    """What a person typed, on one line and not too long.

    Parameters
    ----------
    text : object
        From the page.
    most : int
        Characters that are kept.

    Returns
    -------
    str
        Without control characters.
    """
    return re.sub(r"[\x00-\x1f\x7f\s]+", " ", str(text or "")).strip()[:most]
