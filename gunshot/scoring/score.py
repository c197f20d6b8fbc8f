"""Scoring: one batch of recordings, and the tables that remember it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter

from gunshot.memory import keep_freed_memory
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.scoring.plan import ScoringBatch
from gunshot.scoring.recording import Row, score_recording
from gunshot.scoring.results import write_batch
from gunshot.scoring.timestamps import Deployments
from gunshot.scoring.timestamps.deployments import NO_DEPLOYMENTS

__all__ = ["BatchOutcome", "score_batch"]


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What became of a batch.

    Attributes
    ----------
    name : str
        The batch.
    states : dict
        Recordings by state; they add up to the batch's size.
    n_candidates, n_detections : int
        In all.
    read_s, elapsed_s : float
        Sound read, and time it took [s].
    """

    name: str
    states: dict[str, int]
    n_candidates: int
    n_detections: int
    read_s: float
    elapsed_s: float


@lru_cache(maxsize=1)
def _bundle(uri: str, digest: str, operating_point: str | None) -> Bundle:
    """One model a worker; the digest is a key, so that a bundle trained anew is loaded anew."""
    bundle = load_bundle(uri, operating_point)
    assert bundle.digest == digest, f"bundle {uri} changed while it was in use: {digest} is now {bundle.digest}"
    return bundle


def score_batch(
    bundle_uri: str,
    bundle_digest: str,
    results: str,
    batch: ScoringBatch,
    *,
    operating_point: str | None = None,
    deployments: Deployments = NO_DEPLOYMENTS,
) -> BatchOutcome:
    """Score a batch and write its tables.

    Parameters
    ----------
    bundle_uri, bundle_digest : str
        The model.
    results : str
        Where the tables are.
    batch : ScoringBatch
        What to score.
    operating_point : str, optional
        Which of the bundle's operating points; its default if not given.
    deployments : Deployments
        Where recorders stood, and how their clocks ran.

    Returns
    -------
    BatchOutcome
        Small: no arrays.

    Raises
    ------
    BundleError
        If the model cannot be loaded.
    StorageError
        If the tables cannot be written.
    """
    began = perf_counter()
    keep_freed_memory()
    bundle = _bundle(bundle_uri, bundle_digest, operating_point)
    recordings: list[Row] = []
    detections: list[Row] = []
    for target in batch.targets:
        row, found = score_recording(target, bundle, deployments=deployments)
        recordings.append(row)
        detections += found
    write_batch(results, batch.name, detections, recordings)
    return BatchOutcome(
        batch.name,
        dict(Counter(row["state"] for row in recordings)),
        sum(row["n_candidates"] for row in recordings),
        len(detections),
        sum(row["read_s"] for row in recordings),
        perf_counter() - began,
    )
