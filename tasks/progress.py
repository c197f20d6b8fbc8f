"""A bar on a terminal, lines elsewhere: how much is done, how fast, and how long it takes still.

Conventions
-----------
Nothing of Prefect is imported: commands that need no flow begin at once. Whoever shows something silences what would be
shown inside it (`gunshot.progress`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from gunshot.progress import shown_by

__all__ = ["Advance", "briefly", "how_far", "progress", "rate_words", "to_place"]

Advance = Callable[..., None]

LINE_EVERY_S = 30.0
"""Between two lines of a long stage."""

_BRIEF_S = 10.0


class _Rate(ProgressColumn):
    """Units a second, of the last half minute."""

    def render(self, task: Task) -> Text:
        return Text(rate_words(task.finished_speed or task.speed or 0.0), style="progress.data.speed")


def rate_words(per_s: float) -> str:
    """Say a rate.

    Parameters
    ----------
    per_s : float
        Units a second.

    Returns
    -------
    str
        Slow ones by the time of a unit; empty where there is none yet.

    Examples
    --------
    >>> rate_words(1234.5), rate_words(2.5), rate_words(0.05)
    ('1,234/s', '2.5/s', '20 s each')
    """
    if per_s <= 0:
        return ""
    if per_s < 0.5:
        return f"{_duration(1 / per_s)} each"
    return f"{per_s:,.0f}/s" if per_s >= 10 else f"{per_s:.1f}/s"


def how_far(done: int, total: int | None, elapsed_s: float, unit: str) -> str:
    """Say how far something is, how fast, and how long it takes still.

    Parameters
    ----------
    done : int
        Units that are done.
    total : int or None
        Of so many; None where it is not known.
    elapsed_s : float
        Since it began [s].
    unit : str
        In the plural.

    Returns
    -------
    str
        In a line.

    Examples
    --------
    >>> how_far(30, 90, 60.0, "clips")
    '30 of 90 clips after 60 s, 0.5/s, about 2 min left'
    """
    parts = [f"{done} {f'of {total} ' if total is not None else ''}{unit} after {elapsed_s:.0f} s"]
    if done and elapsed_s > 0:
        parts.append(rate_words(done / elapsed_s))
        if total is not None and done < total:
            parts.append(f"about {_duration(elapsed_s * (total - done) / done)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def progress(
    name: str, total: int | None, unit: str, *, say: Callable[[str], None] = _print, least_s: float = 0.0
) -> Iterator[Advance]:
    """Show how far something is.

    Parameters
    ----------
    name : str
        Of what is done: lower case, hyphens.
    total : int or None
        Units in all; None where it is not known yet. What has 0 units is not shown.
    unit : str
        What a unit is, in the plural.
    say : callable
        Prints a line, where there is no terminal.
    least_s : float
        What took less is not told at its end [s]; 0 tells all.

    Yields
    ------
    callable
        ``advance(n=1, note="", total=None)``: `n` more units are done, of `total` if that is known by now.
    """
    began = said = monotonic()
    done = 0
    columns = (
        TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit), _Rate(),
        TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=least_s > 0) as bar:
        line = bar.add_task(name, total=total, note="", visible=total != 0)

        def advance(n: int = 1, note: str = "", total: int | None = total) -> None:
            nonlocal done, said
            done += n
            bar.update(line, advance=n, note=note, total=total)
            if console.is_terminal or done == total or monotonic() - said <= LINE_EVERY_S:
                return
            said = monotonic()
            say(f"{name:<12} {how_far(done, total, said - began, unit)}  {note}".rstrip())

        with shown_by(None):
            yield advance
    took_s = monotonic() - began
    if not console.is_terminal and done and took_s >= least_s:
        say(f"{name:<12} {done} {unit} in {took_s:.1f} s")


def briefly(name: str, total: int | None, unit: str) -> AbstractContextManager[Advance]:
    """Show what may be over at once: a bar that goes when it is done, and no line of what took less than ten seconds.

    Parameters
    ----------
    name : str
        Of what is done.
    total : int or None
        Units in all.
    unit : str
        What a unit is, in the plural.

    Returns
    -------
    context manager
        As `progress`; to be given to `gunshot.progress.shown_by`.
    """
    return progress(name, total, unit, least_s=_BRIEF_S)


def to_place(advance: Advance) -> Callable[[int, int | None], None]:
    """Make of `advance` what is told where it is now, as in ``progress(done, total)``.

    Parameters
    ----------
    advance : callable
        Of `progress`.

    Returns
    -------
    callable
        Takes units that are done in all, and of how many.
    """
    before = 0

    def moved(done: int, total: int | None) -> None:
        nonlocal before
        advance(done - before, total=total)
        before = done

    return moved
