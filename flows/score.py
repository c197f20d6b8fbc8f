"""The flow from recordings to detections: incremental, so a schedule or a rerun does only what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from os import sched_getaffinity
from pathlib import PurePosixPath
from typing import Annotated
from uuid import uuid4

from prefect import flow
from prefect.runtime import flow_run

from flows.cluster import open_cluster
from flows.clusters.choice import choose_profile
from flows.forms import field
from gunshot.errors import ParameterError, RunError
from gunshot.scoring.dryrun import ScoringEstimate, estimate_scoring
from gunshot.scoring.job import ScoringJob, prepare_scoring
from gunshot.scoring.morning import Morning, tell_morning
from gunshot.scoring.plan import ScoringPlan
from gunshot.scoring.results import count_listed, write_csv
from gunshot.scoring.rule import ScoringRule
from gunshot.storage import delete_leftovers, lease
from tasks import artifacts
from tasks.morning import show_estimate, show_morning
from tasks.score import Throughput, score_batches

__all__ = ["ScoreSummary", "check_parameters", "plan_run", "score"]

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


def check_parameters(max_failed_fraction: float, file_limit_s: float, settle_s: float) -> None:
    """Refuse what Prefect's form would refuse, in the words of the command line.

    Parameters
    ----------
    max_failed_fraction, file_limit_s, settle_s : float
        Of `score`.

    Raises
    ------
    ParameterError
        If one is out of its bounds.
    """
    if not 0 <= max_failed_fraction <= 1:
        raise ParameterError(f"--max-failed-fraction must lie in [0, 1]; got {max_failed_fraction:g}")
    if not file_limit_s > 0:
        raise ParameterError(f"--file-limit-s must be more than 0 s; got {file_limit_s:g}")
    if not settle_s >= 0:
        raise ParameterError(f"--settle-s must be 0 s or more; got {settle_s:g}")


def _run_name() -> str:
    """``score 2026-11-22 site-A``: the period if one was asked for, else the day of the run; and what is scored."""
    given = flow_run.parameters
    since, until = (given.get(name) for name in ("since", "until"))
    if since or until:
        when = f"{since.date() if since else ''}..{until.date() if until else ''}"
    else:
        when = str(flow_run.scheduled_start_time.date())
    names = [PurePosixPath(uri).name or uri for uri in given["inputs"]]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"score {when} {' '.join(names[:3])}{more}"


@flow(name="score", flow_run_name=_run_name)
def score(
    inputs: Annotated[list[str], field("Files, folders, globs or s3:// prefixes with recordings.", min_length=1)],
    model: Annotated[str, field("A bundle, NAME, NAME@champion or field.", min_length=1)],
    out: Annotated[str, field("Where the results are, or will be.", min_length=1)],
    workers: Annotated[int | None, field("Local workers; one a core if empty, 0 for none.", ge=0)] = None,
    scheduler: Annotated[str | None, field("Address of a Dask scheduler to use instead.")] = None,
    cluster: Annotated[str | None, field("A cluster profile to use instead.")] = None,
    max_failed_fraction: Annotated[float, field("More failed recordings than this fail the run.", ge=0, le=1)] = 0.1,
    operating_point: Annotated[
        str | None, field("Such as 'miss 1%' or '10 a day', or a threshold; the bundle's default if empty.")
    ] = None,
    file_limit_s: Annotated[
        float, field("Longest time for a recording, and for each hour of a long one [s].", gt=0)
    ] = 300.0,
    settle_s: Annotated[float, field("Leave local files that were changed within so many seconds [s].", ge=0)] = 0.0,
    channels: Annotated[str, field("mix, each, or a channel's number.", pattern=r"^(mix|each|0|[1-9][0-9]*)$")] = "mix",
    exhaustive: Annotated[bool, field("Sliding clips instead of the gate's onsets: slow.")] = False,
    keep_candidates: Annotated[float | None, field("Keep all candidates from this score on.", ge=0, le=1)] = None,
    deployments: Annotated[str | None, field("A CSV that says where recorders stood and how their clocks ran.")] = None,
    since: Annotated[
        datetime | None, field("Only recordings that start from here on; those of unknown start too.")
    ] = None,
    until: Annotated[datetime | None, field("Only recordings that start before this.")] = None,
    plan: Annotated[bool, field("Say what a run would do and take; score nothing.")] = False,
    sample: Annotated[
        float, field("Probability with which a candidate below the threshold is kept.", ge=0, le=1)
    ] = 0.0,
) -> ScoreSummary | ScoringEstimate:
    """Score recordings that this model has not scored yet.

    Parameters
    ----------
    inputs : list of str
        Files, folders, globs or s3:// prefixes.
    model : str
        The bundle.
    out : str
        Where the results are, or will be.
    workers : int, optional
        Local workers; one a core if not given, 0 for none.
    scheduler : str, optional
        Address of a Dask scheduler to use instead.
    cluster : str, optional
        A cluster profile to use instead: the name of a shipped one, or a YAML file.
    max_failed_fraction : float
        More failed recordings than this fail the run, after the results are written.
    operating_point : str, optional
        Which of the bundle's operating points, such as "miss 1%" or "10 a day", or a threshold; the bundle's default if
        not given. Another threshold is another model to the ledger.
    file_limit_s : float
        A recording that a worker is busy with for longer is timed out; for one of several hours, for longer each hour
        [s].
    settle_s : float
        Local files that were changed within so many seconds before the run are left for the next one: somebody may
        still be writing them [s].
    channels : str
        ``mix`` for the mean of all channels, ``each``, or the number of one, counted from 0.
    exhaustive : bool
        Sliding clips instead of the gate's onsets.
    keep_candidates : float, optional
        Candidates from this score on are kept in ``candidates/``: detections at another operating point can be made of
        them without reading a recording again.
    deployments : str, optional
        A CSV that says where recorders stood and how their clocks ran (`gunshot.scoring.timestamps`).
    since, until : datetime, optional
        Only recordings that start in this period, by their names and the table of deployments; UTC where no offset is
        given. Those whose start is not known so are included, and counted.
    plan : bool
        Say what a run would do, measured on a few recordings; nothing is written.
    sample : float
        Probability with which a candidate below the threshold is kept, for a person to check: from it the misses in
        service are estimated. Another rule to the ledger.

    Returns
    -------
    ScoreSummary or ScoringEstimate
        Counts that reconcile; with `plan`, what there is to do.
    """
    choose_profile(workers, scheduler, cluster)  # a mistake in it is told before any work, and if there is none
    check_parameters(max_failed_fraction, file_limit_s, settle_s)
    asked = {
        "operating_point": operating_point, "settle_s": settle_s, "deployments": deployments, "since": since,
        "until": until,
    }  # fmt: skip
    job = prepare_scoring(inputs, model, ScoringRule(channels, exhaustive, keep_candidates, sample), **asked)
    if plan:
        estimate = plan_run(job, out, workers, scheduler, cluster)
        show_estimate(estimate)
        return estimate
    with lease(out) as held:
        work, throughput = job.plan(out), None
        if work.n_recordings:
            with open_cluster(workers, scheduler, cluster) as address:
                throughput = score_batches(
                    model, job.bundle.digest, out, work, address, operating_point, job.rule, uuid4().hex, file_limit_s,
                    job.deployments,
                )  # fmt: skip
        held.check()
        delete_leftovers(out)  # of workers that were killed
        for kind in ("detections", "recordings"):
            write_csv(out, kind)
        summary = _summary(out, job, work, throughput)
    _show(summary)
    _fail_on_failures(summary, max_failed_fraction)
    return summary


def plan_run(
    job: ScoringJob, out: str, workers: int | None = None, scheduler: str | None = None, cluster: str | None = None
) -> ScoringEstimate:
    """Say what a run would do; nothing is written.

    Parameters
    ----------
    job : ScoringJob
        What was asked for.
    out : str
        Where the results are, or will be.
    workers : int, optional
        Of this machine, one a core if not given.
    scheduler, cluster : str, optional
        How many workers these have is not known: the time is then that of one.

    Returns
    -------
    ScoringEstimate
        Measured on this machine.
    """
    elsewhere = scheduler is not None or cluster is not None
    n_workers = 1 if elsewhere else len(sched_getaffinity(0)) if workers is None else max(1, workers)
    return estimate_scoring(job.plan(out), job.period, job.bundle, job.rule, workers=n_workers)


def _show(summary: ScoreSummary) -> None:
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
    )
