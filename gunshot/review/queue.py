"""What there is to review: detections of one model, and the random sample from below its threshold.

Conventions
-----------
An item is a sound: a detection, or a row of ``review/sample.csv``. It has a number, its place in the tables by
recording and time, which holds as long as the queue does. Columns are arrays, so that 100,000 items are filtered and
ordered in milliseconds. A recording is found at its URI, or at its path below another root where the archive has moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gunshot.errors import ParameterError, StorageError
from gunshot.export.selection import Filters, Selection, select
from gunshot.review.decisions import Decision, Sound, sound_key
from gunshot.scoring.nights import night_of
from gunshot.scoring.sample_table import read_sample, sample_uri
from gunshot.storage import absolute, exists, is_remote, join

__all__ = ["ORDERS", "Item", "Order", "ReviewQueue", "check_archive", "load_queue", "recording_uri"]

Order = Literal["likeliest", "uncertain", "sample"]

ORDERS: tuple[Order, ...] = ("likeliest", "uncertain", "sample")
"""Highest scores first, scores nearest to the threshold first, or the random sample in the order it was drawn."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One sound to review.

    Attributes
    ----------
    number : int
        In the queue.
    path, uri : str
        The recording as shown, and where it was when it was scored.
    channel : int or None
        Counted from 0; None is the mean of all.
    start_s, end_s : float
        In the recording [s].
    score : float
        The model's.
    probability : float or None
        Calibrated; None where not known.
    start_utc : str
        ISO 8601; empty where not known.
    site, night : str
        Empty where not known.
    n_shots : int
        Shots of the detection.
    drawn : {"detection", "sample"}
        Whether the model called it, or it was drawn at random from below the threshold.
    sr : int or None
        Of the recording [Hz]; None where not known.
    duration_s : float or None
        Of the recording [s]; None where not known.
    """

    number: int
    path: str
    uri: str
    channel: int | None
    start_s: float
    end_s: float
    score: float
    probability: float | None = None
    start_utc: str = ""
    site: str = ""
    night: str = ""
    n_shots: int = 1
    drawn: Literal["detection", "sample"] = "detection"
    sr: int | None = None
    duration_s: float | None = None

    @property
    def sound(self) -> Sound:
        """What decisions about it have in common."""
        return sound_key(self.uri, self.channel, self.start_s)


class ReviewQueue:
    """Items, in orders and behind filters.

    Parameters
    ----------
    items : list of Item
        Detections first, by recording and time, then the sample as it was drawn.
    model, model_digest, recipe_digest : str
        With what they were scored.
    threshold : float
        From which score on a clip is called.

    Attributes
    ----------
    version : str
        Digest of the items: where it is the same, so are their numbers.
    sites, nights : list of str
        That there are, sorted; "" is not known.
    """

    def __init__(
        self, items: list[Item], *, model: str = "", model_digest: str = "", recipe_digest: str = "",
        threshold: float = 0.5,
    ) -> None:  # fmt: skip
        self.items = items
        self.model, self.model_digest, self.recipe_digest = model, model_digest, recipe_digest
        self.threshold = threshold
        digest = hashlib.sha256()
        for item in items:
            digest.update(repr(item.sound).encode())
        self.version = digest.hexdigest()[:16]
        self.sites = sorted({item.site for item in items})
        self.nights = sorted({item.night for item in items})
        self._site = _places([item.site for item in items], self.sites)
        self._night = _places([item.night for item in items], self.nights)
        self._is_sample = np.array([item.drawn == "sample" for item in items], dtype=bool)
        score = np.array([item.score for item in items], dtype=np.float64)
        rows = np.arange(len(items))
        detections = rows[~self._is_sample]
        self._orders: dict[Order, NDArray[np.int64]] = {
            "likeliest": detections[np.argsort(-score[detections], kind="stable")],
            "uncertain": detections[np.argsort(np.abs(score[detections] - threshold), kind="stable")],
            "sample": rows[self._is_sample],
        }
        self._around: dict[str, list[int]] = {}
        for item in items:
            self._around.setdefault(item.uri, []).append(item.number)
        for numbers in self._around.values():
            numbers.sort(key=lambda number: (items[number].start_s, number))

    def numbers(self, order: Order, site: str | None = None, night: str | None = None) -> NDArray[np.int64]:
        """Items of an order.

        Parameters
        ----------
        order : {"likeliest", "uncertain", "sample"}
            Which come first; the sample is an order of its own, of other items.
        site, night : str, optional
            Only those.

        Returns
        -------
        ndarray of shape (n,), int64
            Their numbers.

        Raises
        ------
        ParameterError
            If there is no such order.
        """
        if order not in self._orders:
            raise ParameterError(f"order must be one of {', '.join(ORDERS)}; got {order!r}")
        found = self._orders[order]
        if site is not None:
            found = found[self._site[found] == self._index(self.sites, site)]
        if night is not None:
            found = found[self._night[found] == self._index(self.nights, night)]
        return found

    @staticmethod
    def _index(values: list[str], value: str) -> int:
        return values.index(value) if value in values else -1

    def around(self, number: int) -> tuple[int | None, int | None]:
        """Neighbours in the same recording.

        Parameters
        ----------
        number : int
            The item.

        Returns
        -------
        tuple of (int or None, int or None)
            The item before it and the one after it, by time.
        """
        numbers = self._around[self.items[number].uri]
        place = numbers.index(number)
        before = numbers[place - 1] if place else None
        return before, numbers[place + 1] if place + 1 < len(numbers) else None


def _places(values: list[str], among: list[str]) -> NDArray[np.int64]:
    place = {value: index for index, value in enumerate(among)}
    return np.array([place[value] for value in values], dtype=np.int64)


def load_queue(results: str, model: str | None = None) -> ReviewQueue:
    """Read what there is to review.

    Parameters
    ----------
    results : str
        Where the tables are.
    model : str, optional
        A model's name or the beginning of its digest; needed where the results hold several.

    Returns
    -------
    ReviewQueue
        Detections and, where there is one, the sample.

    Raises
    ------
    StorageError
        If there are no results, or they cannot be read.
    ParameterError
        If the model must be named, or is none of those there.
    """
    selection = select(results, Filters(model=model))
    ledger = selection.recordings
    threshold = float(ledger.column("threshold")[0].as_py()) if ledger.num_rows else 0.5
    recipe = str(ledger.column("recipe_digest")[0].as_py()) if ledger.num_rows else ""
    items = list(_detections(selection.detections, _headers(ledger)))
    if exists(sample_uri(results)):
        items += _sampled(read_sample(results), selection, len(items))
    return ReviewQueue(
        items, model=selection.model, model_digest=selection.model_digest, recipe_digest=recipe, threshold=threshold
    )


_COLUMNS = (
    "path", "uri", "channel", "start_s", "end_s", "score", "probability", "start_utc", "site", "longitude", "n_shots",
)  # fmt: skip


def _headers(ledger: pa.Table) -> dict[str, tuple[int | None, float | None]]:
    """Rate and duration of each recording by URI."""
    columns = [ledger.column(name).to_pylist() for name in ("uri", "sr", "duration_s")]
    return {uri: (sr, duration_s) for uri, sr, duration_s in zip(*columns, strict=True)}


def _detections(table: pa.Table, headers: dict[str, tuple[int | None, float | None]]) -> Iterator[Item]:
    columns = [table.column(name).to_pylist() for name in _COLUMNS]
    for number, row in enumerate(zip(*columns, strict=True)):
        path, uri, channel, start_s, end_s, score, probability, start_utc, site, longitude, n_shots = row
        sr, duration_s = headers.get(uri, (None, None))
        yield Item(
            number=number, path=path, uri=uri, channel=channel, start_s=start_s, end_s=end_s, score=score,
            probability=probability, start_utc=start_utc.isoformat(timespec="milliseconds") if start_utc else "",
            site=site or "", night=night_of(start_utc, longitude), n_shots=n_shots, sr=sr,
            duration_s=duration_s,
        )  # fmt: skip


def _sampled(sample: list[Row], selection: Selection, first: int) -> list[Item]:
    """Rows of the sample whose recordings are in the ledger: no other file is ever opened."""
    ledger = {}
    names = ("path", "uri", "start_utc", "site", "longitude", "sr", "duration_s")
    columns = [selection.recordings.column(name).to_pylist() for name in names]
    for path, uri, start_utc, site, longitude, sr, duration_s in zip(*columns, strict=True):
        ledger[absolute(uri)] = (path, uri, site or "", night_of(start_utc, longitude), sr, duration_s)
    items: list[Item] = []
    for row in sample:
        if row["path"] in ledger:
            path, uri, site, night, sr, duration_s = ledger[row["path"]]
            found = Item(
                number=first + len(items), path=path, uri=uri, channel=None, start_s=row["start_s"],
                end_s=row["end_s"], score=row["score"], site=site, night=night, drawn="sample", sr=sr,
                duration_s=duration_s,
            )  # fmt: skip
            items.append(found)
    return items


def recording_uri(item: Item | Decision, archive: str | None) -> str:
    """Where the recording of an item, or of a decision, is now.

    Parameters
    ----------
    item : Item or Decision
        Of the queue, or made on one of its items.
    archive : str or None
        Root below which its path lies, where the archive has moved.

    Returns
    -------
    str
        Its address.

    Raises
    ------
    StorageError
        If the path leads out of the root.

    Examples
    --------
    >>> item = Item(number=0, path="n1/a.wav", uri="/old/n1/a.wav", channel=None, start_s=1, end_s=2, score=0.9)
    >>> recording_uri(item, None), recording_uri(item, "/new")
    ('/old/n1/a.wav', '/new/n1/a.wav')
    """
    if archive is None:
        return item.uri
    path = PurePosixPath(item.path.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or is_remote(item.path):
        raise StorageError(f"{item.path} does not lie below --archive {archive}; leave --archive out for it")
    return join(archive, str(path))


def check_archive(archive: str | None) -> None:
    """Make sure that there is anything where the recordings are said to be now.

    Parameters
    ----------
    archive : str or None
        Root below which they lie, where they have moved.

    Raises
    ------
    StorageError
        If there is nothing, or it cannot be looked up.
    """
    if archive is not None and not exists(archive):
        raise StorageError(
            f"--archive {archive} does not exist: give the folder or prefix that the paths of the recordings are below"
        )
