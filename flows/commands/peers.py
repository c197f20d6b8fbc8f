"""``gunshot peers``: our model beside BirdNET, on the same rows."""

from __future__ import annotations

import json

import click

from flows.commands.models import model_option

__all__ = ["peers"]


@click.command(short_help="Score held-out rows with BirdNET and with our model.")
@click.argument("inputs", nargs=-1, metavar="[INPUT]")
@click.option("--labels", required=True, metavar="CSV", help="Label table: path, label and optional segments.")
@model_option
@click.option("--out", required=True, metavar="DIR", help="Where peers.json and peers.md go.")
@click.option(
    "--cache", metavar="FILE.parquet", help="Where BirdNET's scores are kept; OUT/birdnet.parquet by default."
)
@click.option(
    "--by",
    type=click.Choice(["source", "folder"]),
    default="source",
    show_default=True,
    help="What makes a set: a column of the table, or a path's first folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def peers(
    inputs: tuple[str, ...], labels: str, model: str, out: str, cache: str | None, by: str, as_json: bool,
) -> None:  # fmt: skip
    """Score held-out rows with BirdNET's class Gun and with our model, and print both.

    BirdNET's weights are for non-commercial use (CC BY-NC-SA 4.0) and are not part of this package:
    pip install 'gunshot[peers]'. INPUT is the folder that the table's paths are relative to.

    \b
    Example:  gunshot peers --labels audio/labels.csv --model field --out peers
    """  # noqa: D301
    from gunshot.peers.benchmark import benchmark, write_benchmark
    from gunshot.storage import join
    from tasks.progress import progress, to_place

    with progress("birdnet", None, "recordings") as advance:
        content = benchmark(
            labels, model, cache or join(out, "birdnet.parquet"), inputs=inputs,
            by="folder" if by == "folder" else "source",
            progress=to_place(advance),
        )  # fmt: skip
    text = write_benchmark(content, out)
    click.echo(json.dumps(content) if as_json else f"{text}\npeers: {out}/peers.md, {out}/peers.json")
