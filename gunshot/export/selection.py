"""Which detections are exported: one model's, once each, and those that pass the filters.

Conventions
-----------
Times are UTC. A detection without a known time passes no filter of time, one without a probability none of
probability. Whatever is left out is counted under the reason, so that detections in = selected + left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gunshot.errors import ParameterError, StorageError
from gunshot.scoring.results import read_table
from gunshot.storage import exists, join

__all__ = ["Filters", "Key", "Row", "Selection", "by_recording", "parse_period", "parse_time", "rows", "select"]

Row = dict[str, Any]

Key = tuple[str, str]
"""A recording: its path as shown and its URI."""

_SAME = ("path", "uri", "channel", "start_s", "end_s", "score", "threshold", "recipe_digest")
"""What two rows of one detection share: a recording that was copied or touched is scored again."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is wanted.

    Attributes
    ----------
    model : str or None
        A model's name, or the beginning of its digest; needed where the results hold several.
    min_score, min_probability : float or None
        From here on.
    since, until : datetime or None
        Detections that start from `since` on and before `until`; with a time zone.
    """

    model: str | None = None
    min_score: float | None = None
    min_probability: float | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """What is exported.

    Attributes
    ----------
    model, model_digest : str
        Whose detections; empty where nothing has been scored.
    recordings : pyarrow.Table
        The model's rows of the ledger, by path.
    detections : pyarrow.Table
        By recording and time.
    n_detections : int
        How many the results hold.
    filtered : dict
        How many of them were left out, by reason.
    """

    model: str
    model_digest: str
    recordings: pa.Table
    detections: pa.Table
    n_detections: int
    filtered: dict[str, int] = field(default_factory=dict)

    def keys(self) -> list[Key]:
        """All recordings of the model, with or without detections.

        Returns
        -------
        list of tuple of (str, str)
            Each once, by path and URI.
        """
        found: set[Key] = set()
        for table in (self.recordings, self.detections):
            found.update(zip(table.column("path").to_pylist(), table.column("uri").to_pylist(), strict=True))
        return sorted(found)


def select(results: str, filters: Filters) -> Selection:
    """Read what is to be exported.

    Parameters
    ----------
    results : str
        Where the tables are.
    filters : Filters
        What is wanted.

    Returns
    -------
    Selection
        Empty where nothing was found.

    Raises
    ------
    StorageError
        If there are no results, or they cannot be read.
    ParameterError
        If the results hold several models and none is named, or not the named one.
    """
    if not any(exists(join(results, kind)) for kind in ("recordings", "detections")):
        raise StorageError(f"no results at {results}: give the folder or prefix that was --out of gunshot score")
    recordings, detections = read_table(results, "recordings"), read_table(results, "detections")
    n_detections = detections.num_rows
    digest, name = _choose_model(recordings, detections, filters.model, results)
    filtered: Counter[str] = Counter()
    detections = _kept(detections, pc.equal(detections.column("model_digest"), digest), "of other models", filtered)
    recordings = recordings.filter(pc.equal(recordings.column("model_digest"), digest))
    detections = _once(detections, filtered)
    detections = _passing(detections, filters, filtered)
    return Selection(name, digest, recordings.sort_by(_order(recordings)), detections, n_detections, dict(filtered))


def _choose_model(recordings: pa.Table, detections: pa.Table, wanted: str | None, results: str) -> tuple[str, str]:
    """Digest and name; no table tells which model is the newest, so where there are several one must be named."""
    counts = [Counter(_models(table)) for table in (recordings, detections)]
    models = sorted(set().union(*counts))
    if not models and wanted is None:
        return "", ""
    found = [
        (digest, name)
        for digest, name in models
        if wanted is None or name == wanted or (wanted and digest.startswith(wanted))
    ]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(
        f"{name} {digest} ({counts[0][digest, name]} recordings, {counts[1][digest, name]} detections)"
        for digest, name in models
    )
    if wanted is None:
        raise ParameterError(f"{results} holds {len(models)} models: name one with --model: {listed}")
    rule = "fits several" if found else "is"
    raise ParameterError(f"--model {wanted} {rule} {'' if found else 'none '}of those in {results}: {listed or 'none'}")


def _models(table: pa.Table) -> Iterator[tuple[str, str]]:
    return zip(table.column("model_digest").to_pylist(), table.column("model").to_pylist(), strict=True)


def _passing(table: pa.Table, filters: Filters, filtered: Counter[str]) -> pa.Table:
    if filters.min_score is not None:  # as the table holds it: 0.9 passes 0.9
        least = pa.scalar(filters.min_score, table.column("score").type)
        reason = f"score below {filters.min_score:g}"
        table = _kept(table, pc.greater_equal(table.column("score"), least), reason, filtered)
    if filters.min_probability is not None:
        column = table.column("probability")
        table = _kept(table, pc.is_valid(column), "probability not known", filtered)
        least = pa.scalar(filters.min_probability, column.type)
        reason = f"probability below {filters.min_probability:g}"
        table = _kept(table, pc.greater_equal(table.column("probability"), least), reason, filtered)
    if filters.since is not None or filters.until is not None:
        table = _kept(table, pc.is_valid(table.column("start_utc")), "time not known", filtered)
    if filters.since is not None:
        mask = pc.greater_equal(table.column("start_utc"), _instant(filters.since))
        table = _kept(table, mask, f"before {filters.since.isoformat()}", filtered)
    if filters.until is not None:
        mask = pc.less(table.column("start_utc"), _instant(filters.until))
        table = _kept(table, mask, f"from {filters.until.isoformat()} on", filtered)
    return table


def _instant(time: datetime) -> pa.Scalar:
    return pa.scalar(time, pa.timestamp("us", tz="UTC"))


def _kept(table: pa.Table, mask: Any, reason: str, filtered: Counter[str]) -> pa.Table:
    kept = table.filter(mask)
    if kept.num_rows < table.num_rows:
        filtered[reason] += table.num_rows - kept.num_rows
    return kept


def _once(table: pa.Table, filtered: Counter[str]) -> pa.Table:
    """Each detection once, sorted by recording, time and channel; a row is dropped only if all of `_SAME` agrees."""
    table = table.sort_by(_order(table))
    columns = [table.column(name).to_pylist() for name in _SAME if name in table.column_names]
    seen: set[tuple[Any, ...]] = set()
    mask = []
    for values in zip(*columns, strict=True):
        mask.append(values not in seen)
        seen.add(values)
    return _kept(table, pa.array(mask, pa.bool_()), "scored twice", filtered)


def _order(table: pa.Table) -> list[tuple[str, str]]:
    names = [name for name in ("path", "uri", "start_s", "channel", "score") if name in table.column_names]
    return [(name, "ascending") for name in names]


def rows(table: pa.Table) -> Iterator[Row]:
    """Rows of a table, a few thousand of them in memory at a time.

    Parameters
    ----------
    table : pyarrow.Table
        Any.

    Yields
    ------
    dict
        Values by column.
    """
    for batch in table.to_batches(max_chunksize=4096):
        yield from batch.to_pylist()


def by_recording(selection: Selection) -> Iterator[tuple[Key, Row, list[Row]]]:
    """Detections, recording after recording.

    Parameters
    ----------
    selection : Selection
        What is exported.

    Yields
    ------
    tuple of ((str, str), dict, list of dict)
        The recording, its latest row of the ledger (empty where there is none), and its detections by time.
    """
    wanted = set(selection.detections.column("uri").to_pylist())
    mask = pc.is_in(selection.recordings.column("uri"), pa.array(sorted(wanted), pa.string()))
    ledger = {(row["path"], row["uri"]): row for row in rows(selection.recordings.filter(mask))}
    for key, found in groupby(rows(selection.detections), key=itemgetter("path", "uri")):
        yield key, ledger.get(key, {}), list(found)


def parse_time(text: str | None, parameter: str) -> datetime | None:
    """A time as a user writes it.

    Parameters
    ----------
    text : str or None
        ISO 8601: a date, or a date and time; UTC where no offset is given.
    parameter : str
        Whose value it is, for the message.

    Returns
    -------
    datetime or None
        In UTC.

    Raises
    ------
    ParameterError
        If it is no time.

    Examples
    --------
    >>> parse_time("2026-11-22T18:00+01:00", "--since").isoformat()
    '2026-11-22T17:00:00+00:00'
    >>> parse_time("2026-11-22", "--since").isoformat()
    '2026-11-22T00:00:00+00:00'
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ParameterError(
            f"{parameter} takes a time in UTC such as 2026-11-22 or 2026-11-22T18:30:00Z, not {text!r}"
        ) from error


def parse_period(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """A period as a user writes it, with ``--since`` and ``--until``.

    Parameters
    ----------
    since, until : str or None
        As `parse_time` takes them.

    Returns
    -------
    tuple of (datetime or None, datetime or None)
        In UTC.

    Raises
    ------
    ParameterError
        If one is no time, or nothing lies between them.
    """
    first, end = parse_time(since, "--since"), parse_time(until, "--until")
    if first is not None and end is not None and first >= end:
        raise ParameterError(
            f"nothing lies between --since {since} and --until {until}: the first must be before the other"
        )
    return first, end
