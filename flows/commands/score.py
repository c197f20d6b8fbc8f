"""``gunshot score``: find gunshots in recordings."""

from __future__ import annotations

from typing import Any

import click

from flows.commands.models import model_option
from flows.commands.options import (
    AUDIO_HELP,
    cluster_options,
    failed_option,
    finish,
    inputs_argument,
    json_option,
    said_failures,
    said_states,
)
from gunshot.errors import ManifestError

__all__ = ["score"]


@click.command(epilog=AUDIO_HELP)
@inputs_argument
@model_option
@click.option(
    "--operating-point",
    metavar="NAME|NUMBER",
    help="Which of its operating points, such as 'miss 1%' or '10 a day', or a threshold; its default if not given.",
)
@click.option("--out", required=True, metavar="URI", help="Where the results are, or will be.")
@click.option("--deployments", metavar="CSV", help="Where recorders stood, in which time zone and with which clock.")
@cluster_options
@failed_option
@click.option(
    "--file-limit-s",
    type=float,
    default=300.0,
    show_default=True,
    metavar="S",
    help="Longest time for one recording, and for each hour of a long one.",
)
@click.option(
    "--max-tries",
    type=int,
    default=3,
    show_default=True,
    metavar="N",
    help="Runs that try a recording which timed out, killed its worker or could not be read.",
)
@click.option(
    "--settle-s",
    type=float,
    default=0.0,
    show_default=True,
    metavar="S",
    help="Leave local files that were changed within S seconds for the next run.",
)
@click.option(
    "--channels",
    default="mix",
    show_default=True,
    metavar="mix|each|N",
    help="Their mean, each by itself, or one, counted from 0.",
)
@click.option("--exhaustive", is_flag=True, help="Sliding clips instead of onsets: slow, and blind to nothing.")
@click.option(
    "--keep-candidates", type=float, metavar="SCORE", help="Keep all candidates from this score on (candidates/)."
)
@click.option(
    "--sample",
    type=float,
    default=0.0,
    show_default=True,
    metavar="P",
    help="Keep each candidate below the threshold with this probability, for a person to check.",
)
@click.option(
    "--since",
    metavar="TIME",
    help="Only recordings that start from here on, UTC, or whose start the name does not tell.",
)
@click.option("--until", metavar="TIME", help="Only recordings that start before this time, UTC.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what a run would do and take, and do nothing.")
@json_option
def score(
    inputs: tuple[str, ...], since: str | None, until: str | None, only_plan: bool, as_json: bool, **parameters: Any
) -> None:
    """Find gunshots in recordings; a rerun scores only what is new.

    \b
    Example:  gunshot score archive/ --model field --out results
              gunshot score s3://bucket/recordings --model models/mine --out s3://bucket/results --plan
    """  # noqa: D301
    if not inputs:
        raise ManifestError("nothing to score: give a file, a folder, a glob or an s3:// prefix as INPUT")
    from flows.score import ScoreParameters
    from flows.score import score as run
    from gunshot.export.selection import parse_time
    from gunshot.scoring.rule import ScoringRule

    rule = ScoringRule(*(parameters[name] for name in ("channels", "exhaustive", "keep_candidates", "sample")))
    period = {"since": parse_time(since, "--since"), "until": parse_time(until, "--until")}
    ScoreParameters.checked({"inputs": list(inputs), **parameters, **period})
    if only_plan:
        _plan_score(list(inputs), rule, as_json, parameters | period)
        return
    summary = run(inputs=list(inputs), **parameters, **period)
    lines = [
        f"{summary.n_listed} recordings = {said_states(summary.states)}; {summary.n_scored} scored now",
        *([f"{summary.n_again} of them tried again: earlier runs did not get through them"] if summary.n_again else []),
        *said_failures(summary.failures),
        *([f"{summary.n_left} left for the next run: changed a moment ago"] if summary.n_left else []),
        *([f"{summary.n_outside} outside of the period"] if summary.n_outside else []),
        *([f"{summary.n_unknown} included whose names tell no start"] if summary.n_unknown else []),
        f"{summary.n_detections} detections in {summary.listened_s / 3600:.2f} h",
        *summary.morning.sentences,
        *([f"to check: {summary.morning.sample['path']}"] if summary.morning.sample["path"] else []),
        f"results: {summary.results} (detections.csv, recordings.csv, nights.csv, summary.json)",
    ]
    finish(summary, lines, as_json)


def _plan_score(inputs: list[str], rule: Any, as_json: bool, parameters: dict[str, Any]) -> None:
    """Say what a run would do; no server is needed for it."""
    from flows.score import plan_run
    from gunshot.scoring.job import prepare_scoring

    asked = ("operating_point", "settle_s", "deployments", "since", "until")
    job = prepare_scoring(inputs, parameters["model"], rule, **{name: parameters[name] for name in asked})
    where = (parameters[name] for name in ("workers", "scheduler", "cluster"))
    estimate = plan_run(job, parameters["out"], *where, most_tries=parameters["max_tries"])
    finish(estimate, estimate.lines(), as_json)
