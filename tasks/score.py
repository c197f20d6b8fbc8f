"""Stages of scoring."""

from __future__ import annotations

from functools import partial

from prefect import task

from gunshot.scoring.plan import ScoringBatch
from gunshot.scoring.score import score_batch
from gunshot.scoring.timestamps import Deployments
from gunshot.scoring.timestamps.deployments import NO_DEPLOYMENTS
from tasks.artifacts import stage
from tasks.fanout import fan_out
from tasks.retries import TRANSIENT

__all__ = ["score_batches"]


@task(name="score-batches", **TRANSIENT)
def score_batches(
    bundle: str,
    digest: str,
    results: str,
    batches: tuple[ScoringBatch, ...],
    scheduler: str | None,
    operating_point: str | None = None,
    deployments: Deployments = NO_DEPLOYMENTS,
) -> float:
    """Score batches and write their tables.

    Parameters
    ----------
    bundle, digest : str
        The model.
    results : str
        Where the tables are.
    batches : tuple of ScoringBatch
        The plan.
    scheduler : str or None
        Address of the Dask scheduler; None runs here.
    operating_point : str or None
        Which of the bundle's operating points; its default if None.
    deployments : Deployments
        Where recorders stood, and how their clocks ran.

    Returns
    -------
    float
        Sound read [s].
    """
    read_s = 0.0
    with stage("score", sum(len(batch.targets) for batch in batches), "recordings") as advance:
        work = partial(score_batch, bundle, digest, results, operating_point=operating_point, deployments=deployments)
        for outcome in fan_out(scheduler, work, batches):
            read_s += outcome.read_s
            advance(sum(outcome.states.values()), note=f"{outcome.n_detections} detections")
    return read_s
