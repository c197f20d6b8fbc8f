"""One person at a queue: what is shown, what is decided, how far it is, and what others say.

Conventions
-----------
What another person said of a sound is told only after one's own decision: agreement is worth something only between
people who have not copied. A decision is in memory after it is on the disk, never before.
"""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import ParameterError
from gunshot.review.classes import ClassList
from gunshot.review.decision_log import DecisionLog, DecisionReader
from gunshot.review.decisions import LABELS, Decision, Sound, clean_text, latest
from gunshot.review.queue import Item, Order, ReviewQueue

__all__ = ["MOST_ROWS", "ReviewSession"]

MOST_ROWS = 200
"""Rows of the list that are given at once."""

_PAUSE_S = 120.0
_LAST = 40
_LEAST_GAPS = 3

Row = dict[str, Any]


class ReviewSession:
    """A person's review of results.

    Parameters
    ----------
    results : str
        Where the tables are.
    queue : ReviewQueue
        What there is to review.
    who : str
        The person.

    Raises
    ------
    ParameterError
        If the name is none.
    StorageError
        If earlier decisions cannot be read.
    """

    def __init__(self, results: str, queue: ReviewQueue, who: str) -> None:
        self.results = results
        self.queue = queue
        self._log = DecisionLog(results, who)
        self.who = self._log.who
        self.classes = ClassList(results, self.who)
        self._lock = threading.Lock()
        self._numbers: dict[Sound, list[int]] = {}
        for item in queue.items:
            self._numbers.setdefault(item.sound, []).append(item.number)
        self._reader = DecisionReader(results)
        decisions = self._reader.read()
        self._all = latest(decisions)
        self._when = [datetime.fromisoformat(each.when) for each in decisions if each.who == self.who and each.label]
        self._is_open: NDArray[np.bool_] = np.ones(len(queue.items), dtype=bool)
        for sound, people in self._all.items():
            if self.who in people:
                self._is_open[self._numbers.get(sound, [])] = False
        self._made: list[tuple[int, Decision | None]] = []  # what undo goes back to

    def decide(self, number: int, label: str, kind: str = "", note: str = "") -> Decision:
        """Decide on an item; it is durable when this returns.

        Parameters
        ----------
        number : int
            The item.
        label : {"gunshot", "not", "unsure"}
            What it is.
        kind, note : str
            What it was, and whatever else there is to say.

        Returns
        -------
        Decision
            As written.

        Raises
        ------
        ParameterError
            If there is no such item or label.
        StorageError
            If it cannot be written.
        """
        if label not in LABELS or not label:
            raise ParameterError(f"label must be one of gunshot, not, unsure; got {label!r}")
        item = self.item(number)
        with self._lock:
            before = self._all.get(item.sound, {}).get(self.who)
            decision = self._write(item, label, clean_text(kind, 60), clean_text(note))
            self._made.append((number, before))
        return decision

    def undo(self) -> int | None:
        """Take the last decision of this session back: what was said before it holds again.

        Returns
        -------
        int or None
            The item; None where there is nothing to take back.

        Raises
        ------
        StorageError
            If that cannot be written.
        """
        with self._lock:
            if not self._made:
                return None
            number, before = self._made[-1]
            item = self.queue.items[number]
            self._write(item, *((before.label, before.kind, before.note) if before else ("", "", "")))
            self._made.pop()
            if self._when:
                self._when.pop()
        return number

    def _write(self, item: Item, label: Any, kind: str, note: str) -> Decision:
        now = datetime.now(UTC)
        if self._when and now <= self._when[-1]:
            now = self._when[-1] + timedelta(microseconds=1)  # the clock was set back: the last word is still the last
        decision = Decision(
            who=self.who, when=now.isoformat(timespec="microseconds"), path=item.path, uri=item.uri,
            channel=item.channel, start_s=round(item.start_s, 6), end_s=round(item.end_s, 6),
            score=round(item.score, 6), label=label, kind=kind, note=note, drawn=item.drawn, site=item.site,
            night=item.night, model=self.queue.model, model_digest=self.queue.model_digest,
            recipe_digest=self.queue.recipe_digest,
        )  # fmt: skip
        self._log.add(decision)
        people = self._all.setdefault(item.sound, {})
        if label:
            people[self.who] = decision
            self._when.append(now)
        else:
            people.pop(self.who, None)
        self._is_open[self._numbers[item.sound]] = not label
        return decision

    def item(self, number: int) -> Item:
        """An item.

        Parameters
        ----------
        number : int
            Its number.

        Returns
        -------
        Item
            Of the queue.

        Raises
        ------
        ParameterError
            If there is none.
        """
        if not 0 <= number < len(self.queue.items):
            raise ParameterError(f"item must lie in [0, {len(self.queue.items)}); got {number}")
        return self.queue.items[number]

    def refresh(self) -> None:
        """Read what others have decided meanwhile.

        Raises
        ------
        StorageError
            If it cannot be read.
        """
        found = latest(self._reader.read())
        with self._lock:
            for sound, people in self._all.items():  # one's own are here first
                others = {who: each for who, each in found.pop(sound, {}).items() if who != self.who}
                mine = {self.who: people[self.who]} if self.who in people else {}
                self._all[sound] = others | mine
            for sound, people in found.items():
                self._all[sound] = {who: each for who, each in people.items() if who != self.who}

    def rows(self, order: Order, offset: int, limit: int, site: str | None = None, night: str | None = None) -> Row:
        """A part of the list.

        Parameters
        ----------
        order : {"likeliest", "uncertain", "sample"}
            Which come first.
        offset, limit : int
            From which place on, and how many; `MOST_ROWS` at most.
        site, night : str, optional
            Only those.

        Returns
        -------
        dict
            ``total`` and ``rows``.

        Raises
        ------
        ParameterError
            If there is no such order.
        """
        numbers = self.queue.numbers(order, site, night)
        some = numbers[max(0, offset) : max(0, offset) + min(max(0, limit), MOST_ROWS)]
        return {"total": int(numbers.size), "rows": [self._row(int(number)) for number in some]}

    def _row(self, number: int) -> Row:
        item = self.queue.items[number]
        mine = self._all.get(item.sound, {}).get(self.who)
        return {
            "number": number, "path": item.path, "start_s": round(item.start_s, 3), "score": round(item.score, 4),
            "site": item.site, "night": item.night, "label": mine.label if mine else "",
        }  # fmt: skip

    def next_open(
        self, order: Order, after: int, site: str | None = None, night: str | None = None, *, step: int = 1
    ) -> int | None:
        """Where the next item is that this person has not decided on.

        Parameters
        ----------
        order : {"likeliest", "uncertain", "sample"}
            Of the list.
        after : int
            A place in it; -1 for the beginning.
        site, night : str, optional
            As the list is filtered.
        step : {1, -1}
            Forward, or back.

        Returns
        -------
        int or None
            A place in the list: the first open one behind `after`, or else the first of all; None where all are done.

        Raises
        ------
        ParameterError
            If there is no such order.
        """
        places = np.flatnonzero(self._is_open[self.queue.numbers(order, site, night)])
        if not places.size:
            return None
        if step < 0:
            before = places[places < after]
            return int(before[-1] if before.size else places[-1])
        behind = places[places > after]
        return int(behind[0] if behind.size else places[0])

    def details(self, number: int) -> Row:
        """What is shown of an item.

        Parameters
        ----------
        number : int
            The item.

        Returns
        -------
        dict
            With the neighbours in its recording; ``others`` only where this person has decided.

        Raises
        ------
        ParameterError
            If there is none.
        """
        item = self.item(number)
        people = self._all.get(item.sound, {})
        mine = people.get(self.who)
        before, after = self.queue.around(number)
        others = [{"who": who, "label": each.label, "class": each.kind} for who, each in sorted(people.items())]
        return self._row(number) | {
            "end_s": round(item.end_s, 3), "channel": item.channel, "start_utc": item.start_utc,
            "probability": None if item.probability is None else round(item.probability, 4), "n_shots": item.n_shots,
            "drawn": item.drawn, "sr": item.sr, "duration_s": item.duration_s, "before": before, "after": after,
            "class": mine.kind if mine else "", "note": mine.note if mine else "",
            "others": [each for each in others if each["who"] != self.who] if mine else [],
        }  # fmt: skip

    def progress(self, order: Order, site: str | None = None, night: str | None = None) -> Row:
        """How far the list is.

        Parameters
        ----------
        order : {"likeliest", "uncertain", "sample"}
            Of the list.
        site, night : str, optional
            As it is filtered.

        Returns
        -------
        dict
            ``total``, ``done``, ``labels`` (counts of this person's), ``left_s`` (None where the rate is not known),
            ``shared`` and ``agreed`` (sounds that two or more decided on, and those on which all agree), ``people``.

        Raises
        ------
        ParameterError
            If there is no such order.
        """
        numbers = self.queue.numbers(order, site, night)
        n_open = int(np.count_nonzero(self._is_open[numbers]))
        with self._lock:
            said = [people for people in self._all.values() if people]
            when = self._when[-_LAST:]
        mine: Counter[str] = Counter(people[self.who].label for people in said if self.who in people)
        shared = [{each.label for each in people.values()} for people in said if len(people) > 1]
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(when)]
        gaps = [gap for gap in gaps if gap <= _PAUSE_S]
        return {
            "total": int(numbers.size), "done": int(numbers.size) - n_open,
            "labels": {label: mine.get(label, 0) for label in LABELS if label},
            "left_s": round(median(gaps) * n_open) if len(gaps) >= _LEAST_GAPS else None,
            "shared": len(shared), "agreed": sum(len(labels) == 1 for labels in shared),
            "people": sorted({who for people in said for who in people}),
        }  # fmt: skip
