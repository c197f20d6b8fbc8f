"""``gunshot datasets``: public sets, fetched and checked."""

from __future__ import annotations

import click

from flows.commands.options import shown

__all__ = ["datasets"]


@click.group()
def datasets() -> None:
    """Fetch public data sets.

    \b
    Example:  gunshot datasets list
    """  # noqa: D301


@datasets.command("list")
def list_datasets() -> None:
    """Show what can be fetched, its size and its licence.

    \b
    Example:  gunshot datasets list
    """  # noqa: D301
    from gunshot.datasets import available, describe

    click.echo("\n\n".join(describe(dataset) for dataset in available()))


@datasets.command(short_help="Download a set, check it, unpack it and label it.")
@click.argument("name")
@click.option("--out", default="datasets", show_default=True, metavar="DIR", help="The set goes into DIR/NAME.")
def fetch(name: str, out: str) -> None:
    """Download a set, check it, unpack it and label it; goes on where an earlier fetch ended.

    \b
    Example:  gunshot datasets fetch esc50 --out datasets
    """  # noqa: D301
    from pathlib import Path

    from gunshot.datasets import describe, fetch_dataset, find_dataset, is_fetched
    from gunshot.manifest.sources import build_manifest
    from gunshot.manifest.table import counts_table, dataset_table, write_manifest
    from gunshot.progress import shown_by
    from tasks.progress import briefly, to_place

    click.echo(describe(find_dataset(name)), err=True)
    if is_fetched(name, Path(out)):
        click.echo(f"{name} is already in {out}; nothing to fetch", err=True)
    with shown_by(briefly):
        labels = fetch_dataset(name, Path(out))
    with briefly("manifest", None, "files") as advance:
        table = build_manifest([str(labels.parent)], progress=to_place(advance))
    write_manifest(table, labels.parent / "manifest.parquet")
    click.echo(f"{dataset_table(table)}\n\n{counts_table(table)}\nlabel table: {labels}")


@datasets.command(short_help="Label the sounds of unpacked distribution packages.")
@click.argument("folder")
@click.option("--most", type=click.IntRange(1), default=3, show_default=True, metavar="N", help="Rows a file.")
@shown
def packages(folder: str, most: int) -> None:
    """Label the sounds of unpacked distribution packages, a row an onset; writes FOLDER/labels.csv.

    \b
    Example:  gunshot datasets packages datasets/packages
    """  # noqa: D301
    from pathlib import Path

    from gunshot.datasets.labels import write_labels
    from gunshot.datasets.onsets import onset_rows
    from gunshot.datasets.packages import package_rows, unpack_inside

    for why in unpack_inside(Path(folder)):
        click.echo(f"left out: {why}", err=True)
    table = Path(folder, "labels.csv")
    click.echo(f"label table: {table}, {write_labels(onset_rows(package_rows(Path(folder)), most=most), table)} rows")


@datasets.command(short_help="Make a table with a row an onset of one with a row a file.")
@click.argument("labels")
@click.option("--out", required=True, metavar="DIR", help="DIR/labels.csv is written.")
@click.option("--most", type=click.IntRange(1), default=8, show_default=True, metavar="N", help="Rows a file.")
@click.option("--leave-out", multiple=True, metavar="SOURCE", help="Sources whose rows stay out.")
@shown
def onsets(labels: str, out: str, most: int, leave_out: tuple[str, ...]) -> None:
    """From a label table with a row a file make one with a row an onset: every shot, several sounds.

    \b
    Example:  gunshot datasets onsets datasets/esc50/labels.csv --out datasets/esc50-onsets
    """  # noqa: D301
    from pathlib import Path

    from gunshot.datasets.labels import read_labels, write_labels
    from gunshot.datasets.onsets import onset_rows

    rows = (row for row in read_labels(Path(labels)) if row.source not in leave_out)
    Path(out).mkdir(parents=True, exist_ok=True)
    table = Path(out, "labels.csv")
    click.echo(f"label table: {table}, {write_labels(onset_rows(rows, most=most), table)} rows")
