"""Rows of the manifest become clips, each with its state and reason.

Conventions
-----------
A row ends as a clip or as a state with a reason; only what is wrong with a store that does not answer, or with our own
code, raises. Rows of one recording that follow each other are cut from one opening.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

from gunshot.audio.decode import Recording
from gunshot.audio.prefetch import Prefetch
from gunshot.audio.probe import AudioHeader
from gunshot.clips import Clip, Segment, clip_of_segment, margins_s
from gunshot.errors import AudioError
from gunshot.recipe import Recipe
from gunshot.storage import is_remote
from gunshot.store.layout import USABLE_STATES

__all__ = ["Row", "clips_of_rows", "failed_row"]

Row = dict[str, Any]


def clips_of_rows(
    items: Iterable[tuple[int, Row]],
    recipe: Recipe,
    *,
    begin: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, Row, Clip | None]]:
    """Decode and cut rows of the manifest; of remote recordings the next ones are fetched meanwhile.

    Parameters
    ----------
    items : iterable of (int, dict)
        Rows with their numbers. Rows of one recording that follow each other are cut from one opening.
    recipe : Recipe
        The recipe.
    begin : callable
        Called before each recording is opened.

    Yields
    ------
    index : int
        Number of the row.
    record : dict
        Its state, reason and onset.
    clip : Clip or None
        None where the state is not usable.

    Raises
    ------
    TransientStorageError
        If a store does not answer.
    """
    files = [list(same_file) for _, same_file in groupby(items, key=lambda item: item[1]["uri"])]
    heads = [file[0][1] for file in files]
    remote = [(row["uri"], row["size"]) for row in heads if row["state"] == "ok" and is_remote(row["uri"])]
    with Prefetch(remote) as ahead:
        for file in files:
            begin()
            yield from _clips_of_file(file, recipe, ahead.fetch)


def _clips_of_file(
    items: list[tuple[int, Row]], recipe: Recipe, fetch: Callable[[str], bytes]
) -> list[tuple[int, Row, Clip | None]]:
    """Clips of all rows of one file, which is opened once."""
    first = items[0][1]
    if first["state"] != "ok":  # the manifest found it unusable; it is not opened again
        return [(index, _record(first["state"], first["reason"]), None) for index, _ in items]
    header: AudioHeader | None = None
    try:
        with Recording(first["uri"], fetch=fetch) as recording:
            header = recording.header
            if len(items) > 1 and _asked_s(items, recording, recipe) > recording.header.duration_s / 2:
                recording.hold()
            return [(index, *_clip_of_row(recording, row, recipe)) for index, row in items]
    except AudioError as error:
        return [(index, failed_row(error, header), None) for index, _ in items]


def _asked_s(items: list[tuple[int, Row]], recording: Recording, recipe: Recipe) -> float:
    """How much of a recording its rows read in all [s]."""
    duration_s, margin_s = recording.header.duration_s, sum(margins_s(recipe))
    return sum((row["end_s"] or duration_s) - (row["start_s"] or 0.0) + margin_s for _, row in items)


def _clip_of_row(recording: Recording, row: Row, recipe: Recipe) -> tuple[Row, Clip | None]:
    segment = Segment(row["start_s"], row["end_s"], row["limit_s"])
    try:
        clip = clip_of_segment(recording, segment, recipe)
    except AudioError as error:
        return failed_row(error, recording.header), None
    state = "short" if recording.defect else "ok"
    return _record(state, recording.defect or "", recording.header, clip), clip


def failed_row(error: AudioError, header: AudioHeader | None = None) -> Row:
    """Record of a row that gave no clip.

    Parameters
    ----------
    error : AudioError
        Why.
    header : AudioHeader, optional
        What is known of its recording.

    Returns
    -------
    dict
        Columns of `gunshot.store.layout.RECORD_SCHEMA`, but for the row's number.
    """
    # a row that is `short` holds a clip; where a segment has no sample at all there is none
    return _record("empty" if error.state in USABLE_STATES else error.state, error.reason, header)


def _record(state: str, reason: str, header: AudioHeader | None = None, clip: Clip | None = None) -> Row:
    return {
        "state": state,
        "reason": reason,
        "onset_s": clip and clip.onset_s,
        "strength_db": clip and clip.strength_db,
        "is_onset": clip and clip.is_onset,
        "padded_s": clip and clip.padded_s,
        "duration_s": header and header.duration_s,
        "sr": header and header.sr,
        "n_channels": header and header.n_channels,
    }
