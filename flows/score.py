"""The flow from recordings to detections: incremental, so a schedule or a rerun does only what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from os import sched_getaffinity
from uuid import uuid4

from prefect.runtime import flow_run

from flows.cluster import open_cluster
from flows.clusters.choice import choose_profile
from flows.clusters.profiles import LocalProfile
from flows.forms import FlowParameters, checked_flow, field, named
from gunshot.errors import RunError
from gunshot.models.registry import resolve_model
from gunshot.progress import shown_by
from gunshot.scoring.dryrun import ScoringEstimate, estimate_scoring
from gunshot.scoring.job import ScoringJob, prepare_scoring
from gunshot.scoring.morning import Morning, tell_morning
from gunshot.scoring.plan import ScoringPlan
from gunshot.scoring.results import count_listed, write_csv
from gunshot.scoring.results.tries import MOST_TRIES
from gunshot.scoring.rule import ScoringRule
from gunshot.storage import delete_leftovers, lease
from tasks import artifacts
from tasks.logs import event
from tasks.morning import show_estimate, show_morning
from tasks.progress import briefly
from tasks.score import Throughput, score_batches

__all__ = ["ScoreParameters", "ScoreSummary", "plan_run", "score"]

_USABLE = ("ok", "short")


@dataclass(frozen=True)
class ScoreSummary:
    """What a run of scoring did.

    Attributes
    ----------
    results : str
        Where the tables are.
    n_listed, n_scored : int
        Recordings found, and of them scored by this run; the rest was done.
    n_again : int
        Of those scored, recordings that earlier runs had tried in vain.
    states : dict
        Listed recordings by state; they add up to `n_listed`.
    n_detections : int
        Detections in the listed recordings.
    listened_s : float
        Sound in them that could be read [s].
    failures : list of dict
        ``path``, ``state`` and ``reason`` of recordings that are not ``ok``, the first thousand.
    n_left : int
        Files beside the listed ones that are left for the next run: they were written to a moment ago.
    n_outside, n_unknown : int
        Recordings beside the listed ones that start outside of the period that was asked for, and listed ones whose
        start was not known before they were read.
    throughput : Throughput or None
        None where there was nothing to score.
    morning : Morning or None
        What all results of this model and rule tell, of earlier runs too.
    """

    results: str
    n_listed: int
    n_scored: int
    states: dict[str, int]
    n_detections: int
    listened_s: float
    failures: list[dict[str, str]]
    n_left: int = 0
    n_outside: int = 0
    n_unknown: int = 0
    throughput: Throughput | None = None
    morning: Morning | None = None
    n_again: int = 0


class ScoreParameters(FlowParameters):
    """Parameters of `score`."""

    inputs: list[str] = field("Files, folders, globs or s3:// prefixes with recordings.", min_length=1)
    model: str = field("A bundle, NAME, NAME@champion or field.", min_length=1)
    out: str = field("Where the results are, or will be.", min_length=1)
    workers: int | None = field(
        "Local workers, 0 for none; if empty as many as this machine is set to have, or one a core.", default=None, ge=0
    )
    scheduler: str | None = field("Address of a Dask scheduler to use instead.", default=None)
    cluster: str | None = field("A cluster profile to use instead: a shipped one's name, or a YAML file.", default=None)
    max_failed_fraction: float = field(
        "More failed recordings than this fail the run, after the results are written.", default=0.1, ge=0, le=1
    )
    operating_point: str | None = field(
        "Such as 'miss 1%' or '10 a day', or a threshold; the bundle's default if empty. Another is another model to "
        "the ledger.",
        default=None,
    )
    file_limit_s: float = field(
        "Longest time for a recording, and for each hour of a long one [s].", default=300.0, gt=0
    )
    max_tries: int = field(
        "Runs that try a recording which timed out, killed its worker or could not be read.", default=MOST_TRIES, ge=1
    )
    settle_s: float = field(
        "Leave local files that were changed within so many seconds: somebody may still be writing them [s].",
        default=0.0,
        ge=0,
    )
    channels: str = field("mix, each, or a channel's number.", default="mix", pattern=r"^(mix|each|0|[1-9][0-9]*)$")
    exhaustive: bool = field("Sliding clips instead of the gate's onsets: slow.", default=False)
    keep_candidates: float | None = field(
        "Keep all candidates from this score on: detections at another operating point can be made of them.",
        default=None,
        ge=0,
        le=1,
    )
    deployments: str | None = field("A CSV that says where recorders stood and how their clocks ran.", default=None)
    since: datetime | None = field(
        "Only recordings that start from here on (UTC without an offset); those of unknown start too.", default=None
    )
    until: datetime | None = field("Only recordings that start before this.", default=None)
    plan: bool = field("Say what a run would do and take; score nothing.", default=False)
    sample: float = field(
        "Probability with which a candidate below the threshold is kept, for a person to check. Another is another "
        "rule to the ledger.",
        default=0.0,
        ge=0,
        le=1,
    )
    wait_s: float = field("How long to wait for a run that writes the same results to end [s].", default=0.0, ge=0)


def _names() -> str:
    """The period if one was asked for, else the day of the run; and what is scored."""
    since, until = (flow_run.parameters.get(name) for name in ("since", "until"))
    day = f"{since.date() if since else ''}..{until.date() if until else ''}" if since or until else None
    return named("score", "inputs", day=day)


@checked_flow(name="score", flow_run_name=_names)
def score(given: ScoreParameters) -> ScoreSummary | ScoringEstimate:
    """Score recordings that this model has not scored yet.

    Parameters
    ----------
    given : ScoreParameters
        The flow's parameters.

    Returns
    -------
    ScoreSummary or ScoringEstimate
        Counts that reconcile; with `plan`, what there is to do.
    """
    where = (given.workers, given.scheduler, given.cluster)
    choose_profile(*where)  # a mistake in it is told before any work, and if there is none
    rule = ScoringRule(given.channels, given.exhaustive, given.keep_candidates, given.sample)
    asked = {name: getattr(given, name) for name in ("operating_point", "settle_s", "deployments", "since", "until")}
    model = resolve_model(given.model)
    with artifacts.stage("list", None, "recordings") as advance:
        job = prepare_scoring(given.inputs, model, rule, **asked)
        advance(len(job.period.targets))
    if given.plan:
        estimate = plan_run(job, given.out, *where, most_tries=given.max_tries)
        show_estimate(estimate)
        return estimate
    with lease(given.out, wait_s=given.wait_s, say=artifacts.say) as held:
        work, throughput = job.plan(given.out, given.max_tries), None
        if work.n_recordings:
            with open_cluster(*where) as address:
                throughput = score_batches(
                    model, job.bundle.digest, given.out, work, address, given.operating_point, job.rule,
                    uuid4().hex, given.file_limit_s, job.deployments,
                )  # fmt: skip
        held.check()
        delete_leftovers(given.out)  # of workers that were killed
        with shown_by(briefly):
            for kind in ("detections", "recordings"):
                write_csv(given.out, kind)
        summary = _summary(given.out, job, work, throughput)
    _show(summary)
    _fail_on_failures(summary, given.max_failed_fraction)
    return summary


def plan_run(
    job: ScoringJob,
    out: str,
    workers: int | None = None,
    scheduler: str | None = None,
    cluster: str | None = None,
    *,
    most_tries: int = MOST_TRIES,
) -> ScoringEstimate:
    """Say what a run would do; nothing is written.

    Parameters
    ----------
    job : ScoringJob
        What was asked for.
    out : str
        Where the results are, or will be.
    workers : int, optional
        Of this machine.
    scheduler, cluster : str, optional
        How many workers another machine has is not known: the time is then that of one.
    most_tries : int
        Runs that try a recording which fails in a way that may pass.

    Returns
    -------
    ScoringEstimate
        Measured on this machine.
    """
    match choose_profile(workers, scheduler, cluster):
        case LocalProfile(workers=None):
            n_workers = len(sched_getaffinity(0))
        case LocalProfile(workers=int(count)):
            n_workers = max(1, count)
        case _:
            n_workers = 1
    return estimate_scoring(job.plan(out, most_tries), job.period, job.bundle, job.rule, workers=n_workers)


def _show(summary: ScoreSummary) -> None:
    for row in summary.failures:
        event("recording-failed", recording=row["path"], state=row["state"], reason=row["reason"])
    if summary.failures:
        artifacts.table("score-failures", summary.failures, "Recordings that are not ok, with reasons")
    assert summary.morning is not None
    show_morning(summary.morning, summary.throughput)


def _fail_on_failures(summary: ScoreSummary, max_failed_fraction: float) -> None:
    failed = summary.n_listed - sum(summary.states.get(state, 0) for state in _USABLE)
    if failed > max_failed_fraction * summary.n_listed:
        raise RunError(
            f"{failed} of {summary.n_listed} recordings failed, more than --max-failed-fraction "
            f"{max_failed_fraction:g} allows; reasons are in {summary.results}/recordings.csv"
        )


def _summary(out: str, job: ScoringJob, plan: ScoringPlan, throughput: Throughput | None) -> ScoreSummary:
    counts = count_listed(out, job.provenance, plan.keys)
    if counts.states.total() != plan.keys.size:
        raise RunError(
            f"{plan.keys.size} recordings were listed, {counts.states.total()} have a row in {out}: run again"
        )
    return ScoreSummary(
        out,
        int(plan.keys.size),
        plan.n_recordings,
        dict(sorted(counts.states.items())),
        counts.n_detections,
        counts.listened_s,
        counts.failures,
        job.period.targets.n_left,
        job.period.n_outside,
        job.period.n_unknown,
        throughput,
        tell_morning(out, job.bundle, job.rule, job.deployments),
        plan.n_again,
    )
