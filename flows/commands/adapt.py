"""``gunshot adapt``: a network for one site."""

from __future__ import annotations

import json
from typing import Any

import click

from flows.commands.models import model_option
from flows.commands.options import AUDIO_HELP

__all__ = ["adapt"]


@click.command(epilog=AUDIO_HELP, short_help="Adapt a network to a site with a few labelled shots.")
@click.argument("more", nargs=-1, metavar="")
@model_option
@click.option("--labels", required=True, metavar="CSV", help="Label table of the site: 5 shots or more.")
@click.option("--out", required=True, metavar="DIR", help="The new bundle's folder.")
@click.option("--background", multiple=True, metavar="INPUT...", help="Unlabelled sound of the site, some hours.")
@click.option("--store", metavar="URI", help="The feature store that the model was trained on.")
@click.option(
    "--operating-point",
    metavar="NAME|NUMBER",
    help="What the new threshold keeps to; with --background '10 a day', else what the model's own does.",
)
@click.option(
    "--may-lose",
    type=float,
    default=0.01,
    show_default=True,
    metavar="SHARE",
    help="Largest fall of the recall of any source.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="The same seed gives the same.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def adapt(more: tuple[str, ...], background: tuple[str, ...], as_json: bool, **parameters: Any) -> None:
    """Adapt a network to a site with a few labelled shots, and check that it forgets nothing.

    \b
    Example:  gunshot adapt --model field --labels site.csv --out site-model --background night/*.wav
    """  # noqa: D301
    if more and not background:  # a glob that the shell took apart: its first name follows the option, the others here
        raise click.UsageError(f"Got unexpected argument {more[0]!r}; sound of the site follows --background")
    from flows.adapt import adapt as run

    done = run(background=[*background, *more], **parameters)
    click.echo(json.dumps(done.as_dict()) if as_json else "\n".join(done.lines()))
