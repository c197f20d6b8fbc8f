"""``gunshot store``: what a feature store holds, and whether it is sound."""

from __future__ import annotations

import dataclasses
import json

import click

__all__ = ["store"]


@click.group()
def store() -> None:
    """Look into a feature store, or check every value of it.

    \b
    Example:  gunshot store info features.zarr
    """  # noqa: D301


@store.command()
@click.argument("uri", metavar="STORE")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of text.")
def info(uri: str, as_json: bool) -> None:
    """Print what a store holds: rows by state, partitions, size, recipe.

    \b
    Example:  gunshot store info features.zarr
    """  # noqa: D301
    from gunshot.store.verify import store_info

    infos = store_info(uri)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(found) for found in infos]))
        return
    for found in infos:
        kind = "current" if found.is_current else "begun, not committed"
        states = " + ".join(f"{count} {state}" for state, count in found.states.items()) or "none yet"
        click.echo(f"{found.place} ({kind})")
        click.echo(f"  rows        {found.n_rows}: {states}")
        click.echo(f"  partitions  {found.n_written} of {found.n_partitions} written, {found.size_bytes / 1e6:,.1f} MB")
        click.echo(f"  recipe      {found.recipe_digest}   manifest {found.manifest_digest}")


@store.command(short_help="Recompute the checksums of a store.")
@click.argument("uri", metavar="STORE")
@click.option("--repair", is_flag=True, help="Forget what is damaged, so that the next run computes it again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def verify(uri: str, repair: bool, as_json: bool) -> None:
    """Recompute the checksums of a store; exit code 1 if anything is not what was committed.

    \b
    Example:  gunshot store verify features.zarr
              gunshot store verify features.zarr --repair && gunshot preprocess FOLDER --store features.zarr
    """  # noqa: D301
    from gunshot.storage import lease
    from gunshot.store.generations import generations
    from gunshot.store.layout import read_header
    from gunshot.store.records import missing_partitions
    from gunshot.store.verify import forget, verify_generation
    from tasks.progress import progress

    headers = generations(uri) or [read_header(uri)]
    faults = []
    with progress("verify", sum(header.n_rows for header in headers), "rows") as advance:
        for header in headers:
            faults += list(verify_generation(header, advance))
    missing = sum(len(missing_partitions(header)) for header in headers)
    if repair and faults:
        with lease(uri):
            for fault in faults:
                forget(fault)
    if as_json:
        content = {"store": uri, "faults": [dataclasses.asdict(fault) for fault in faults], "missing": missing}
        click.echo(json.dumps(content))
    else:
        for fault in faults:
            what = "store" if fault.partition is None else f"partition {fault.partition}"
            click.echo(f"{fault.place}: {what}: {fault.reason}")
        click.echo(
            f"{len(faults)} faults, {missing} partitions not written yet" + _advice(bool(faults), missing, repair)
        )
    if faults:
        raise SystemExit(1)


def _advice(is_damaged: bool, missing: int, repair: bool) -> str:
    if is_damaged and not repair:
        return "; 'gunshot store verify STORE --repair' forgets what is damaged, 'gunshot preprocess' computes it again"
    return "; run 'gunshot preprocess' again, it does only what is missing" if is_damaged or missing else ""
