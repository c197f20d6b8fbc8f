"""``gunshot deploy``: the deployments, schedules and automations of this project, on a Prefect server."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import click

__all__ = ["deploy", "deployed_options", "scoring_parameters"]


def deployed_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of what is deployed.

    Parameters
    ----------
    function : callable
        The command.

    Returns
    -------
    callable
        The command, with the options.
    """
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS = (
    click.option("--prefect-file", metavar="YAML", help="What is deployed; the project's own file if not given."),
    click.option(
        "--archive", multiple=True, metavar="INPUT", help="What the score deployments score; may be given again."
    ),
    click.option("--results", metavar="URI", help="Where they write."),
    click.option("--model", metavar="NAME|URI", help="What they score with."),
    click.option(
        "--notify",
        metavar="TYPE/NAME",
        help="Block that is told of failed, crashed and late runs, such as slack-webhook/ops; '' for none.",
    ),
)


def scoring_parameters(archive: tuple[str, ...], results: str | None, model: str | None) -> dict[str, Any]:
    """Turn options into parameters of the flow.

    Parameters
    ----------
    archive : tuple of str
        Inputs; none leaves those of the file.
    results, model : str or None
        None leaves what the file says.

    Returns
    -------
    dict
        What is given.
    """
    given = {"inputs": [_absolute(uri) for uri in archive], "out": results and _absolute(results)}
    given["model"] = model and (_absolute(model) if "/" in model else model)
    return {name: value for name, value in given.items() if value}


def _absolute(uri: str) -> str:
    """What the user's shell means by a path is not what a worker in another folder means by it."""
    from pathlib import Path

    return uri if "://" in uri else str(Path(uri).expanduser().absolute())


@click.command(short_help="Bring this project's deployments to a Prefect server.")
@deployed_options
@click.option(
    "--workers",
    type=click.IntRange(0),
    metavar="N",
    help="Local Dask workers of runs that name no other cluster; one a core by default.",
)
@click.option(
    "--folder",
    default=".",
    show_default=True,
    metavar="DIR",
    help="Where workers on this machine run the flows: relative addresses are below it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def deploy(
    prefect_file: str | None,
    archive: tuple[str, ...],
    results: str | None,
    model: str | None,
    notify: str | None,
    workers: int | None,
    folder: str,
    as_json: bool,
) -> None:
    """Make the Prefect server at PREFECT_API_URL hold this project's deployments; again changes nothing.

    \b
    Example:  export PREFECT_API_URL=http://127.0.0.1:4200/api
              gunshot deploy --archive /data/recordings --notify slack-webhook/ops
    """  # noqa: D301
    from pathlib import Path

    from flows.operations.deploy import deploy as apply
    from flows.operations.server import connect
    from flows.operations.specification import SHIPPED_FILE, read_deployments

    file = read_deployments(prefect_file or SHIPPED_FILE)
    parameters = scoring_parameters(archive, results, model)
    with connect() as server:
        where = Path(folder).absolute()
        changes = []
        for change in apply(server, file, folder=where, notify=notify, parameters=parameters, workers=workers):
            changes.append(change)
            if not as_json:
                click.echo(change.line())
        if as_json:
            click.echo(
                json.dumps({"server": server.address, "changes": [dataclasses.asdict(each) for each in changes]})
            )
        elif not any(change.kind == "automation" and change.name.endswith(" runs") for change in changes):
            click.echo("nobody is told of failed, crashed and late runs: name a block with --notify")
