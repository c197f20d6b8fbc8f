"""What people see while a stage runs, in the terminal and in the Prefect UI.

Conventions
-----------
A terminal gets a bar; anything else gets one line a stage, and one every half minute of a long one. Inside a flow run a
progress artifact follows, at most one update in a few seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from gunshot.storage import absolute, is_remote
from tasks.logs import in_run, say
from tasks.progress import Advance, progress

__all__ = ["Advance", "link", "markdown", "say", "stage", "table"]

_UPDATE_EVERY_S = 2.0
_MOST_ROWS = 500


@contextmanager
def stage(name: str, total: int | None, unit: str) -> Iterator[Advance]:
    """Show how far a stage is.

    Parameters
    ----------
    name : str
        Of the stage: lower case, hyphens.
    total : int or None
        Units in all; None where it is not known yet. A stage of 0 units is not shown.
    unit : str
        What a unit is, in the plural.

    Yields
    ------
    callable
        ``advance(n=1, note="", total=None)``: `n` more units are done, of `total` if that is known by now.
    """
    done = 0
    artifact = _artifact(name) if in_run() and total else None
    updated = monotonic()
    with progress(name, total, unit, say=say) as shown:

        def advance(n: int = 1, note: str = "", total: int | None = total) -> None:
            nonlocal done, updated
            done += n
            shown(n, note, total)
            if artifact is not None and total and monotonic() - updated > _UPDATE_EVERY_S:
                updated = monotonic()
                update_progress_artifact(artifact, 100.0 * min(done / total, 1.0))

        yield advance
    if artifact is not None:
        update_progress_artifact(artifact, 100.0)


def _artifact(name: str) -> Any:
    return create_progress_artifact(0.0, key=f"{name}-progress", description=f"How far {name} is")


def table(key: str, rows: Sequence[dict[str, Any]], description: str) -> None:
    """Show a table in the Prefect UI; the first 500 rows, and how many there are.

    Parameters
    ----------
    key : str
        Of the artifact: lower case, hyphens.
    rows : sequence of dict
        The table.
    description : str
        What it is.
    """
    if in_run():
        shown = [{name: str(value) for name, value in row.items()} for row in rows[:_MOST_ROWS]]
        create_table_artifact(shown, key=key, description=f"{description} ({len(rows)} rows)")


def markdown(key: str, text: str, description: str) -> None:
    """Show a text in the Prefect UI.

    Parameters
    ----------
    key : str
        Of the artifact: lower case, hyphens.
    text : str
        Markdown.
    description : str
        What it is.
    """
    if in_run():
        create_markdown_artifact(text, key=key, description=description)


def link(key: str, uri: str, description: str) -> None:
    """Lead from the Prefect UI to a page that a run has written.

    Parameters
    ----------
    key : str
        Of the artifact: lower case, hyphens.
    uri : str
        Where the page is. Browsers open no page of the disk from one of the network: its address is there to be copied.
    description : str
        What it is.
    """
    if in_run():
        where = uri if is_remote(uri) else Path(absolute(uri)).as_uri()
        create_link_artifact(where, link_text=where, key=key, description=description)
