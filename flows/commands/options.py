"""What commands share: options, and how a result is printed."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from typing import Any

import click

__all__ = [
    "AUDIO_HELP",
    "cluster_options",
    "failed_option",
    "finish",
    "inputs_argument",
    "json_option",
    "labels_option",
    "said_failures",
    "said_states",
    "shown",
]


def finish(summary: Any, lines: list[str], as_json: bool) -> None:
    """Print a command's result for a person, or for a machine."""
    if as_json:
        content = dataclasses.asdict(summary) if dataclasses.is_dataclass(summary) else summary
        click.echo(json.dumps(content, default=str))
    else:
        click.echo("\n".join(lines))


def shown(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command without a flow whose long loops are shown: a bar on a terminal, lines elsewhere."""

    @functools.wraps(function)
    def showing(*given: Any, **parameters: Any) -> Any:
        from gunshot.progress import shown_by
        from tasks.progress import briefly

        with shown_by(briefly):
            return function(*given, **parameters)

    return showing


def said_states(states: dict[str, int]) -> str:
    """Say how many are in which state."""
    return " + ".join(f"{count} {state}" for state, count in states.items()) or "none"


def said_failures(failures: list[dict[str, str]], most: int = 10) -> list[str]:
    """Lines for the first failures, and how many more there are."""
    lines = [f"  {row['state']}: {row['path']}: {row['reason']}" for row in failures[:most]]
    return lines + ([f"  ... and {len(failures) - most} more"] if len(failures) > most else [])


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
inputs_argument = click.argument("inputs", nargs=-1, metavar="INPUT...")
labels_option = click.option(
    "--labels",
    metavar="CSV",
    help="Label table: path, label and optional segments; without one, folders named by class tell the labels.",
)


def cluster_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where the work is done; a mistake in it is told before a flow is loaded."""

    @functools.wraps(function)
    def checked(**parameters: Any) -> Any:
        from flows.clusters.choice import choose_profile

        choose_profile(*(parameters[name] for name in ("workers", "scheduler", "cluster")))
        return function(**parameters)

    return _cluster_options(checked)


_cluster_options = _options(
    click.option("--workers", type=int, metavar="N", help="Local workers; one a core by default, 0 for none."),
    click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler that is running, such as tcp://host:8786."),
    click.option("--cluster", metavar="PROFILE", help="A cluster profile: a YAML file or a shipped one's name."),
)
failed_option = click.option(
    "--max-failed-fraction",
    type=float,
    default=0.1,
    show_default=True,
    metavar="SHARE",
    help="A larger share of failures fails the run.",
)
AUDIO_HELP = "INPUT is a file, a folder, a glob or an s3:// prefix."
