"""The flow from recordings to detections: incremental, so a schedule or a rerun does only what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from prefect import flow

from flows.cluster import open_cluster
from flows.clusters.choice import choose_profile
from gunshot.errors import ParameterError, RunError
from gunshot.models.bundle import load_bundle
from gunshot.scoring.keys import Provenance
from gunshot.scoring.plan import ScoringPlan, plan_scoring
from gunshot.scoring.results import count_listed, done_keys, write_csv
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.targets import list_targets
from gunshot.scoring.timestamps import load_deployments
from gunshot.scoring.timestamps.deployments import NO_DEPLOYMENTS
from gunshot.storage import delete_leftovers, lease
from tasks import artifacts
from tasks.score import score_batches

__all__ = ["ScoreSummary", "score"]

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
    """

    results: str
    n_listed: int
    n_scored: int
    states: dict[str, int]
    n_detections: int
    listened_s: float
    failures: list[dict[str, str]]
    n_left: int = 0


@flow(name="score", flow_run_name="score {out}")
def score(
    inputs: list[str],
    model: str,
    out: str,
    workers: int | None = None,
    scheduler: str | None = None,
    cluster: str | None = None,
    max_failed_fraction: float = 0.1,
    operating_point: str | None = None,
    file_limit_s: float = 300.0,
    settle_s: float = 0.0,
    channels: str = "mix",
    exhaustive: bool = False,
    keep_candidates: float | None = None,
    deployments: str | None = None,
) -> ScoreSummary:
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

    Returns
    -------
    ScoreSummary
        Counts that reconcile.
    """
    choose_profile(workers, scheduler, cluster)  # a mistake in it is told before any work, and if there is none
    if not 0 <= max_failed_fraction <= 1:
        raise ParameterError(f"--max-failed-fraction must lie in [0, 1]; got {max_failed_fraction:g}")
    if not file_limit_s > 0:
        raise ParameterError(f"--file-limit-s must be more than 0 s; got {file_limit_s:g}")
    if not settle_s >= 0:
        raise ParameterError(f"--settle-s must be 0 s or more; got {settle_s:g}")
    rule = ScoringRule(channels, exhaustive, keep_candidates)
    places = load_deployments(deployments) if deployments else NO_DEPLOYMENTS
    bundle = load_bundle(model, operating_point)
    provenance = Provenance(bundle.digest, bundle.recipe.digest, rule.canonical)
    targets = list_targets(inputs, settle_s=settle_s)
    with lease(out) as held:
        plan = plan_scoring(targets, done_keys(out, provenance), provenance)
        if plan.n_recordings:
            with open_cluster(workers, scheduler, cluster) as address:
                score_batches(
                    model, bundle.digest, out, plan, address, operating_point, rule, uuid4().hex, file_limit_s, places
                )
        summary = _summary(out, provenance, plan, targets.n_left)
        held.check()
        delete_leftovers(out)  # of workers that were killed
        for kind in ("detections", "recordings"):
            write_csv(out, kind)
    if summary.failures:
        artifacts.table("score-failures", summary.failures, "Recordings that are not ok, with reasons")
    failed = summary.n_listed - sum(summary.states.get(state, 0) for state in _USABLE)
    if failed > max_failed_fraction * summary.n_listed:
        raise RunError(
            f"{failed} of {summary.n_listed} recordings failed, more than --max-failed-fraction "
            f"{max_failed_fraction:g} "
            f"allows; reasons are in {out}/recordings.csv"
        )
    return summary


def _summary(out: str, provenance: Provenance, plan: ScoringPlan, n_left: int) -> ScoreSummary:
    counts = count_listed(out, provenance, plan.keys)
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
        n_left,
    )
