"""What people see while a stage runs, in the terminal and in the Prefect UI.

Conventions
-----------
A terminal gets a bar; anything else gets one line a stage, and one every half minute of a long one. Inside a flow run a
progress artifact follows, at most one update in a few seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.context import FlowRunContext, TaskRunContext
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tasks.logs import say

__all__ = ["Advance", "markdown", "say", "stage", "table"]

Advance = Callable[..., None]

_UPDATE_EVERY_S = 2.0
_LINE_EVERY_S = 30.0
_MOST_ROWS = 500


def _in_run() -> bool:
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


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
    began = monotonic()
    done = 0
    artifact = _artifact(name) if _in_run() and total else None
    updated = said = began
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        line = bar.add_task(name, total=total, note="", visible=total != 0)

        def advance(n: int = 1, note: str = "", total: int | None = total) -> None:
            nonlocal done, updated, said
            done += n
            bar.update(line, advance=n, note=note, total=total)
            if total is None:
                return
            if artifact is not None and monotonic() - updated > _UPDATE_EVERY_S:
                updated = monotonic()
                update_progress_artifact(artifact, 100.0 * min(done / total, 1.0))
            if not console.is_terminal and done < total and monotonic() - said > _LINE_EVERY_S:
                said = monotonic()
                say(f"{name:<12} {done} of {total} {unit} after {said - began:.0f} s  {note}".rstrip())

        yield advance
    if artifact is not None:
        update_progress_artifact(artifact, 100.0)
    if not console.is_terminal and done:
        say(f"{name:<12} {done} {unit} in {monotonic() - began:.1f} s")


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
    if _in_run():
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
    if _in_run():
        create_markdown_artifact(text, key=key, description=description)
