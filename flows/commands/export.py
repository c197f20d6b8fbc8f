"""``gunshot export``: results in the formats of Raven, Audacity, Kaleidoscope, maps and spreadsheets, or as clips."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import click

__all__ = ["export"]


@click.command()
@click.option("--results", required=True, metavar="URI", help="What was --out of gunshot score.")
@click.option(
    "--format",
    "format_",
    required=True,
    type=click.Choice(["csv", "raven", "audacity", "kaleidoscope", "geojson", "clips"]),
    help="What is written.",
)
@click.option("--out", required=True, metavar="DIR", help="Where it goes; also s3://.")
@click.option("--model", metavar="NAME|DIGEST", help="Whose detections, where the results hold several models'.")
@click.option("--min-score", type=click.FloatRange(0, 1), metavar="X", help="Detections with at least this score.")
@click.option(
    "--min-probability", type=click.FloatRange(0, 1), metavar="X", help="Detections with at least this probability."
)
@click.option("--since", metavar="TIME", help="Detections from here on, UTC: 2026-11-22 or 2026-11-22T18:30:00Z.")
@click.option("--until", metavar="TIME", help="Detections before this time, UTC.")
@click.option("--time-zone", metavar="ZONE", help="Of Kaleidoscope's dates, such as Africa/Douala; UTC if not given.")
@click.option(
    "--context-s", type=float, default=2.0, show_default=True, metavar="S", help="Sound before and after, in a clip."
)
@click.option(
    "--clip-format", type=click.Choice(["wav", "flac"]), default="wav", show_default=True, help="Of cut clips."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def export(format_: Any, since: str | None, until: str | None, as_json: bool, **parameters: Any) -> None:
    """Write detections for the program they are looked at with.

    \b
    Example:  gunshot export --results results --format raven --out tables
              gunshot export --results results --format clips --min-score 0.9 --out clips
    """  # noqa: D301
    from gunshot.export.run import export_results
    from gunshot.export.selection import Filters, parse_period
    from tasks.progress import briefly, to_place

    first, end = parse_period(since, until)
    chosen = {name: parameters.pop(name) for name in ("model", "min_score", "min_probability")}
    filters = Filters(**chosen, since=first, until=end)
    with briefly(format_, None, "detections") as advance:
        summary = export_results(format=format_, filters=filters, **parameters, progress=to_place(advance))
    for reason, count in summary.left_out.items():
        click.echo(f"left out: {count} detections, {reason}", err=True)
    click.echo(json.dumps(dataclasses.asdict(summary)) if as_json else "\n".join(summary.lines()))
