"""``gunshot report``: a night or a season as one page."""

from __future__ import annotations

from typing import Any

import click

from flows.commands.options import finish, json_option, shown

__all__ = ["report"]


@click.command(short_help="Write what was heard as one page to mail.")
@click.argument("uri", metavar="RESULTS")
@click.option("--out", required=True, metavar="FILE.html", help="Where the page goes.")
@click.option("--model", metavar="NAME|DIGEST", help="Whose detections, where the results hold several models'.")
@click.option("--since", metavar="TIME", help="From here on, UTC: 2026-11-22 or 2026-11-22T18:30:00Z.")
@click.option("--until", metavar="TIME", help="Before this time, UTC.")
@click.option("--archive", metavar="ROOT", help="Where the recordings are now, if they have moved.")
@click.option(
    "--examples", "n_examples", type=click.IntRange(0), default=60, show_default=True, metavar="N",
    help="Incidents with picture and sound.",
)  # fmt: skip
@click.option("--title", default="Gunshots heard", show_default=True, metavar="TEXT", help="Of the page.")
@json_option
@shown
def report(
    uri: str, out: str, model: str | None, since: str | None, until: str | None, as_json: bool, **parameters: Any
) -> None:
    """Write what was heard as one page to mail: calendar, hours, map, incidents with sound, listening hours.

    \b
    Example:  gunshot report results --out november.html --since 2026-11-01 --until 2026-12-01
    """  # noqa: D301
    from gunshot.export.selection import Filters, parse_period
    from gunshot.report.season import write_season

    first, end = parse_period(since, until)
    filters = Filters(model=model, since=first, until=end)
    summary = write_season(uri, out, filters=filters, **parameters)
    finish(summary, summary.lines(), as_json)
