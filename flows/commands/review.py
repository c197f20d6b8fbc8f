"""``gunshot review``: look at detections, listen, decide."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["review"]


@click.command(short_help="Look at detections in the browser, listen, decide by keys.")
@click.argument("uri", metavar="RESULTS", required=False)
@click.option("--results", metavar="URI", help="The same as RESULTS.")
@click.option("--model", metavar="NAME|DIGEST", help="Whose detections, where the results hold several models'.")
@click.option("--archive", metavar="ROOT", help="Where the recordings are now, if they have moved.")
@click.option("--who", metavar="NAME", help="Who decides; the name of the account if not given.")
@click.option(
    "--order",
    type=click.Choice(["likeliest", "uncertain", "sample"]),
    default="likeliest",
    show_default=True,
    help="Highest scores first, those nearest to the threshold, or the random sample below it.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, metavar="N", help="0 takes a free one."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Another lets others in: see docs/review.md.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def review(uri: str | None, results: str | None, **parameters: Any) -> None:
    """Review detections in the browser: look, listen, decide by keys.

    \b
    Example:  gunshot review results --who Anna
              gunshot review s3://bucket/results --order uncertain --no-browser
              gunshot review results --archive /media/disk/archive --order sample
    """  # noqa: D301
    if (uri is None) == (results is None):
        raise click.UsageError("give the results once: gunshot review RESULTS")
    from gunshot.review.serve import serve_review
    from tasks.progress import briefly

    serve_review(uri or results or "", say=lambda line: click.echo(line), show=briefly, **parameters)
