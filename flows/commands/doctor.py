"""``gunshot doctor``: what a run needs, and what of it is not as it should be."""

from __future__ import annotations

import dataclasses
import json

import click

__all__ = ["doctor"]


@click.command(short_help="Check this machine and what runs reach from it.")
@click.argument("uris", nargs=-1, metavar="[URI]...")
@click.option("--model", default="field", show_default=True, metavar="MODEL", help="Whose golden clips are scored.")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler that runs are given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def doctor(uris: tuple[str, ...], model: str, scheduler: str | None, as_json: bool) -> None:
    """Check this machine and what runs reach from it; exit code 1 if something is at fault.

    \b
    Example:  gunshot doctor s3://bucket/recordings results
    """  # noqa: D301
    from flows.operations.doctor import examine
    from flows.operations.server import server_address
    from gunshot.errors import ParameterError

    try:
        server = server_address()
    except ParameterError:
        server = None
    findings = []
    for finding in examine(uris, model=model, server=server, scheduler=scheduler):
        findings.append(finding)
        if not as_json:
            click.echo(finding.line())
    faults = sum(finding.state == "fault" for finding in findings)
    if as_json:
        click.echo(json.dumps({"faults": faults, "findings": [dataclasses.asdict(finding) for finding in findings]}))
    if faults:
        raise SystemExit(1)
