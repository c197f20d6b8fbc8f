"""What a run of scoring shows in the Prefect UI at its end: what a team looks at each morning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gunshot.report.nights_plot import nights_image
from gunshot.scoring.dryrun import ScoringEstimate
from gunshot.scoring.morning import Morning
from tasks import artifacts
from tasks.score import Throughput

__all__ = ["show_estimate", "show_morning"]

Row = dict[str, Any]


def show_estimate(estimate: ScoringEstimate) -> None:
    """Show what a run would do.

    Parameters
    ----------
    estimate : ScoringEstimate
        From a dry run.
    """
    text = "\n".join(["```", *estimate.lines(), "```"])
    artifacts.markdown("score-plan", text, "What this run would do; nothing was scored")


def show_morning(morning: Morning, throughput: Throughput | None) -> None:
    """Show what the results tell: tables with the newest nights first, and a page of text.

    Parameters
    ----------
    morning : Morning
        Of the results.
    throughput : Throughput or None
        Of the run; None where it had nothing to score.
    """
    nights = sorted(morning.nights, key=lambda row: (row["night"], row["site"]), reverse=True)
    artifacts.table("score-nights", nights, "Detections by site and night")
    if morning.failures:
        artifacts.table("score-reasons", morning.failures, "Recordings that are not ok, by reason")
    listening = sorted(morning.listening, key=lambda row: row["day"] or "", reverse=True)
    artifacts.table(
        "score-listening", [_hours(row) for row in listening], "Hours listened and gaps by recorder and day"
    )
    if morning.drift:
        drift = sorted(morning.drift, key=lambda row: (row["night"], row["site"]), reverse=True)
        artifacts.table("score-drift", drift, "Candidates of each night against earlier ones and the training data")
    artifacts.markdown("score-morning", "\n".join(_page(morning, throughput)), "What was heard, and what to do")


def _hours(row: Row) -> Row:
    hours = {
        f"{name} [h]": round(row[f"{name}_s"] / 3600, 2)
        for name in ("recorded", "listened", "silent", "missing", "gap")
    }
    where = {name: row[name] for name in ("day", "site", "recorder", "folder")}
    return where | {"recordings": row["n_recordings"], "failed": row["n_failed"], "gaps": row["n_gaps"]} | hours


def _page(morning: Morning, throughput: Throughput | None) -> list[str]:
    totals = morning.totals
    states = " + ".join(f"{count} {state}" for state, count in totals["states"].items())
    return [
        f"# {morning.results}",
        f"{totals['recordings']} recordings = {states}; {totals['detections']} detections ({totals['shots']} shots) in "
        f"{totals['hours_listened']:,.2f} h listened ({morning.model} {morning.model_digest}, {morning.rule}).",
        "",
        *_picture(morning.nights),
        "## This run",
        _speed(throughput),
        "",
        "## Drift",
        *(_list(morning.sentences) or ["No site's latest night is unlike those before it, as far as there are any."]),
        "",
        "## To check",
        _to_check(morning.sample),
        "",
        f"One page to mail, with pictures and sound: `gunshot report {morning.results} --out FILE.html`.",
    ]


def _picture(nights: Sequence[Row]) -> list[str]:
    image = nights_image(nights)
    return [f"![Shots and hours listened by night]({image})", ""] if image else []


def _list(sentences: Sequence[str]) -> list[str]:
    return [f"- {sentence}." for sentence in sentences]


def _speed(throughput: Throughput | None) -> str:
    if throughput is None:
        return "There was nothing new to score."
    times, n_workers = throughput.times_real_time, throughput.n_workers
    return (
        f"{throughput.n_recordings} recordings, {throughput.read_s / 3600:,.2f} h of sound in "
        f"{throughput.elapsed_s:,.1f} s: {times:,.0f} times real time on {n_workers} workers, "
        f"{times / n_workers:,.0f} each."
    )


def _to_check(sample: Row) -> str:
    if not sample["path"]:
        return "No sample from below the threshold was asked for (`sample`)."
    if sample["labelled"]:
        return (
            f"{sample['labelled']} of {sample['rows']} rows of `{sample['path']}` have a label, so it is left. "
            "Move it away, and the next run draws a new one."
        )
    return (
        f"`{sample['path']}`: {sample['rows']} sounds from below the threshold. Listen to them and write 1 (gunshot) "
        "or 0 into the column `label`; `gunshot results misses` then tells how many shots are missed in service."
    )
