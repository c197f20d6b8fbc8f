"""Stages of scoring."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from time import perf_counter

from distributed import Client
from prefect import task

from gunshot.scoring.plan import ScoringPlan
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.score import score_batch
from gunshot.scoring.timestamps import Deployments
from gunshot.scoring.timestamps.deployments import NO_DEPLOYMENTS
from gunshot.storage import absolute
from tasks.artifacts import stage
from tasks.fanout import fan_out
from tasks.logs import event
from tasks.retries import TRANSIENT

__all__ = ["Throughput", "score_batches"]


@dataclass(frozen=True)
class Throughput:
    """How fast a run scored.

    Attributes
    ----------
    n_recordings : int
        Recordings scored.
    read_s, elapsed_s : float
        Sound read, and the time it took, without the start of workers [s].
    n_workers : int
        Workers that were there at the end; 1 where everything is done in one process.
    """

    n_recordings: int
    read_s: float
    elapsed_s: float
    n_workers: int

    @property
    def times_real_time(self) -> float:
        """Sound read over the time it took."""
        return self.read_s / self.elapsed_s if self.elapsed_s > 0 else 0.0


@task(name="score-batches", **TRANSIENT)
def score_batches(
    bundle: str,
    digest: str,
    results: str,
    plan: ScoringPlan,
    scheduler: str | None,
    operating_point: str | None = None,
    rule: ScoringRule = ScoringRule(),  # noqa: B008  (frozen)
    run_id: str = "",
    file_limit_s: float = 300.0,
    deployments: Deployments = NO_DEPLOYMENTS,
) -> Throughput:
    """Score batches and write their tables.

    Parameters
    ----------
    bundle, digest : str
        The model.
    results : str
        Where the tables are.
    plan : ScoringPlan
        The batches; made one by one, as workers are ready for them. A second try passes over those that are done.
    scheduler : str or None
        Address of the Dask scheduler; None runs here.
    operating_point : str or None
        Which of the bundle's operating points; its default if None.
    rule : ScoringRule
        What of the recordings is scored.
    run_id : str
        Which run does it.
    file_limit_s : float
        Longest time for one recording, and for each hour of a long one [s]. Without workers it holds only for what was
        tried in vain before: nothing would be left to end the process that hangs on another.
    deployments : Deployments
        Where recorders stood, and how their clocks ran.

    Returns
    -------
    Throughput
        How fast it went.
    """
    began, read_s, n_recordings = perf_counter(), 0.0, 0
    with stage("score", plan.n_recordings, "recordings") as advance:
        # a worker may run in another folder
        work = partial(
            score_batch, absolute(bundle), digest, absolute(results), operating_point=operating_point, rule=rule,
            run_id=run_id, file_limit_s=file_limit_s, may_end=scheduler is not None, deployments=deployments,
        )  # fmt: skip
        # a recording that kills its worker, or is killed for taking too long, is found in a process apart
        for outcome in fan_out(scheduler, work, plan, after_deaths=partial(work, apart=True)):
            read_s += outcome.read_s
            n_recordings += sum(outcome.states.values())
            event(
                "batch-scored", partition=outcome.name, states=outcome.states, n_detections=outcome.n_detections,
                read_s=outcome.read_s, elapsed_s=outcome.elapsed_s,
            )  # fmt: skip
            advance(sum(outcome.states.values()), note=f"{outcome.n_detections} detections")
    return Throughput(n_recordings, read_s, perf_counter() - began, _count_workers(scheduler))


def _count_workers(scheduler: str | None) -> int:
    if scheduler is None:
        return 1
    with Client(scheduler, set_as_default=False) as client:
        return max(1, len(client.nthreads()))
