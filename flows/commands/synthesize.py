"""``gunshot synthesize``: sounds from physics, marked synthetic wherever they show."""

from __future__ import annotations

from typing import Any

import click

from flows.commands.options import shown

__all__ = ["synthesize"]


@click.group()
def synthesize() -> None:
    """Make synthetic recordings from physics and a seed.

    \b
    Example:  gunshot synthesize corpus --out corpus
    """  # noqa: D301


@synthesize.command()
@click.option("--out", required=True, metavar="DIR", help="Where the clips and labels.csv go.")
@click.option("--gunshots", type=int, default=300, show_default=True, metavar="N", help="Clips of gunshots.")
@click.option("--others", type=int, default=300, show_default=True, metavar="N", help="Clips of other sounds.")
@click.option(
    "--groups", type=int, default=20, show_default=True, metavar="N", help="Scenes; a group holds both classes."
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="The same seed gives the same.")
@shown
def corpus(out: str, gunshots: int, others: int, groups: int, seed: int) -> None:
    """Write labelled clips: gunshots, and sounds that resemble them.

    \b
    Example:  gunshot synthesize corpus --out corpus --gunshots 100 --others 100 --seed 7
    """  # noqa: D301
    from pathlib import Path

    from gunshot.synthetic import write_corpus

    table = write_corpus(Path(out), n_gunshots=gunshots, n_others=others, n_groups=groups, seed=seed)
    click.echo(f"label table: {table}")


@synthesize.command(short_help="Write long recordings with planted shots, and their times.")
@click.option("--out", required=True, metavar="DIR", help="Where the recordings and truth.csv go.")
@click.option("--recordings", type=int, default=4, show_default=True, metavar="N", help="How many.")
@click.option("--duration-s", type=float, default=300.0, show_default=True, metavar="S", help="Length of each.")
@click.option("--shots", type=int, default=40, show_default=True, metavar="N", help="Gunshots in all of them.")
@click.option(
    "--confusers", type=int, default=40, show_default=True, metavar="N", help="Sounds that resemble them, in all."
)
@click.option("--sr", type=int, default=48_000, show_default=True, metavar="HZ", help="Sample rate.")
@click.option(
    "--start", default="2026-01-01T18:00:00+00:00", show_default=True, metavar="TIME", help="Of the first recording."
)
@click.option(
    "--format", "container", type=click.Choice(["WAV", "FLAC"]), default="WAV", show_default=True, help="Of the files."
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="The same seed gives the same.")
@shown
def archive(
    out: str, recordings: int, shots: int, confusers: int, start: str, container: Any, **parameters: Any
) -> None:
    """Write long recordings with planted shots, and truth.csv with their times.

    \b
    Example:  gunshot synthesize archive --out archive --recordings 2 --duration-s 600
    """  # noqa: D301
    from datetime import datetime
    from pathlib import Path

    from gunshot.errors import ParameterError
    from gunshot.synthetic import write_archive

    try:
        begins = datetime.fromisoformat(start)
    except ValueError:
        raise ParameterError(
            f"--start must be an ISO 8601 time such as 2026-01-01T18:00:00+00:00; got {start!r}"
        ) from None
    table = write_archive(
        Path(out),
        n_recordings=recordings,
        n_shots=shots,
        n_confusers=confusers,
        start=begins,
        container=container,
        **parameters,
    )
    click.echo(f"truth: {table}")
