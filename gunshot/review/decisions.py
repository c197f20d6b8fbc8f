"""Decisions of people on sounds: what one is, the line it is written as, and which one holds.

Conventions
-----------
A line stands for itself; a later line of the same person about the same sound supersedes an earlier one, and one with
an empty label takes it back. A line that a kill has cut off is passed over. Times are UTC. Where lines are kept:
`gunshot.review.decision_log`.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["LABELS", "Decision", "Sound", "clean_text", "latest", "parse_lines", "person_name", "sound_key"]

LABELS = ("gunshot", "not", "unsure", "")
"""What a person may say; the empty one takes an earlier decision back."""

Sound = tuple[str, int, int]
"""A sound in the results: URI, channel (-1 is the mix) and start [ms]. It is the same whatever model found it."""

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
