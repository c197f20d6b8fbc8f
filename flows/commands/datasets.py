"""``gunshot datasets``: public sets, fetched and checked."""

from __future__ import annotations

import click

__all__ = ["datasets"]


@click.group()
def datasets() -> None:
    """Fetch public data sets."""


@datasets.command("list")
def list_datasets() -> None:
    """Show what can be fetched, its size and its licence."""
    from gunshot.datasets import available, describe

    click.echo("\n\n".join(describe(dataset) for dataset in available()))


@datasets.command()
@click.argument("name")
@click.option("--out", default="datasets", show_default=True, metavar="DIR", help="The set goes into DIR/NAME.")
def fetch(name: str, out: str) -> None:
    """Download a set, check it, unpack it and label it; goes on where an earlier fetch ended."""
    from pathlib import Path

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from gunshot.datasets import describe, fetch_dataset, find_dataset, is_fetched
    from gunshot.manifest.sources import build_manifest
    from gunshot.manifest.table import counts_table, dataset_table, write_manifest

    click.echo(describe(find_dataset(name)), err=True)
    if is_fetched(name, Path(out)):
        click.echo(f"{name} is already in {out}; nothing to fetch", err=True)
    console = Console(stderr=True)
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        line = bar.add_task(name, total=None)
        labels = fetch_dataset(
            name, Path(out), progress=lambda done, total: bar.update(line, completed=done, total=total)
        )
    table = build_manifest([str(labels.parent)])
    write_manifest(table, labels.parent / "manifest.parquet")
    click.echo(f"{dataset_table(table)}\n\n{counts_table(table)}\nlabel table: {labels}")
