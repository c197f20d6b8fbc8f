"""``gunshot up``: a Prefect server, a worker and all deployments on this machine."""

from __future__ import annotations

import sys
from typing import Any

import click

from flows.commands.deploy import deployed_options

__all__ = ["up"]


@click.command(short_help="Start a Prefect server here, and run what is scheduled.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Where to listen; others reach what is not loopback.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=4200,
    show_default=True,
    metavar="N",
    help="Of the server and its page.",
)
@click.option(
    "--home",
    default="~/gunshot",
    show_default=True,
    envvar="GUNSHOT_HOME",
    metavar="DIR",
    help="Database, logs, archive and results.",
)
@click.option(
    "--workers",
    type=click.IntRange(0),
    metavar="N",
    help="Local Dask workers of runs that name no other cluster; one a core by default.",
)
@deployed_options
def up(host: str, port: int, home: str, workers: int | None, archive: tuple[str, ...], **given: str | None) -> None:
    """Start a Prefect server, apply all deployments, and run what is scheduled, until Ctrl+C.

    \b
    Example:  gunshot up --archive /data/recordings
    """  # noqa: D301
    from pathlib import Path

    from flows.operations.specification import SHIPPED_FILE, read_deployments
    from flows.operations.up import Place, Stopped, ended_well, run

    place = Place(Path(home).expanduser().absolute(), host, port)
    file = read_deployments(given["prefect_file"] or SHIPPED_FILE)
    pools = list(dict.fromkeys(spec.work_pool.name for spec in file.deployments))
    try:
        run(place, _deploy_words(place, workers, archive, given), pools, click.echo)
    except Stopped as stopped:
        sys.exit(ended_well(stopped))


def _deploy_words(place: Any, workers: int | None, archive: tuple[str, ...], given: dict[str, str | None]) -> list[str]:
    """The same options for ``gunshot deploy``."""
    words = ["--folder", str(place.home)]
    for uri in archive:
        words += ["--archive", uri]
    for name, value in {**given, "workers": None if workers is None else str(workers)}.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", value]
    return words
