"""The flow from recordings to detections: incremental, so a schedule or a rerun does only what is missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from prefect import flow

from flows.cluster import open_cluster
from flows.clusters.choice import choose_profile
from gunshot.errors import ParameterError, RunError
from gunshot.models.bundle import load_bundle
from gunshot.scoring.plan import ScoringBatch, plan_scoring
from gunshot.scoring.results import done_keys, read_table, write_csv
from gunshot.scoring.targets import list_targets
from gunshot.scoring.timestamps import load_deployments
from gunshot.scoring.timestamps.deployments import NO_DEPLOYMENTS
from gunshot.storage import lease
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
        ``path``, ``state`` and ``reason`` of recordings that are not ``ok``.
    """

    results: str
    n_listed: int
    n_scored: int
    states: dict[str, int]
    n_detections: int
    listened_s: float
    failures: list[dict[str, str]]


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
    places = load_deployments(deployments) if deployments else NO_DEPLOYMENTS
    bundle = load_bundle(model, operating_point)
    targets = list_targets(inputs)
    digests = {"model_digest": bundle.digest, "recipe_digest": bundle.recipe.digest}
    with lease(out):
        batches = plan_scoring(targets, done_keys(out), **digests)
        if batches:
            with open_cluster(workers, scheduler, cluster) as address:
                score_batches(model, bundle.digest, out, batches, address, operating_point, places)
        summary = _summary(out, {target.uri: target.etag for target in targets}, bundle.digest, batches)
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


def _summary(out: str, listed: dict[str, str], digest: str, batches: tuple[ScoringBatch, ...]) -> ScoreSummary:
    rows = [
        row
        for row in read_table(out, "recordings").to_pylist()
        if row["model_digest"] == digest and listed.get(row["uri"]) == row["etag"]
    ]
    states = Counter(row["state"] for row in rows)
    if states.total() != len(listed):
        raise RunError(f"{len(listed)} recordings were listed, {states.total()} have a row in {out}: run again")
    return ScoreSummary(
        out,
        len(listed),
        sum(len(batch.targets) for batch in batches),
        dict(sorted(states.items())),
        sum(row["n_detections"] for row in rows),
        sum(row["read_s"] for row in rows),
        [{name: row[name] for name in ("path", "state", "reason")} for row in rows if row["state"] != "ok"],
    )
