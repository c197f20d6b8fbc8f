"""``gunshot reproduce``: the paper's table beside ours."""

from __future__ import annotations

import json
from typing import Any

import click

__all__ = ["reproduce"]


class _Numbers(click.ParamType):
    """Whole numbers with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        if isinstance(value, list):
            return value
        try:
            return [int(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers; write them as 0,1,2", param, ctx)


@click.command(short_help="Do the paper's experiment: its table beside ours.")
@click.option("--store", required=True, metavar="URI", help="The feature store.")
@click.option("--out", required=True, metavar="DIR", help="Where table.json, table.md and table.html go.")
@click.option(
    "--seeds", type=_Numbers(), default="0,1,2", show_default=True, metavar="N,N,...", help="One run for each."
)
@click.option(
    "--epochs", type=_Numbers(), default="14,30", show_default=True, metavar="N,N,...", help="Passes of the network."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def reproduce(store: str, out: str, seeds: list[int], epochs: list[int], as_json: bool) -> None:
    """Do the paper's experiment on a set like its own: its table beside ours; a rerun does only what is missing.

    \b
    Example:  gunshot reproduce --store features.zarr --out reproduction
    """  # noqa: D301
    from flows.reproduce import reproduce as run
    from gunshot.reproduction.page import table_lines

    table = run(store=store, out=out, seeds=seeds, epochs=epochs)
    click.echo(json.dumps(table) if as_json else "\n".join([*table_lines(table), f"table: {out}/table.html"]))
