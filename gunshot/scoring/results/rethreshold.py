"""Detections at another operating point, from candidates that were kept: no recording is read.

Conventions
-----------
Candidates from the rule's floor on are all that any threshold above it can need. What is written is what scoring anew
would write: rows of another model to the ledger, beside those that are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gunshot.errors import ParameterError
from gunshot.models.bundle import Bundle
from gunshot.progress import steps
from gunshot.scoring.keys import Provenance, batch_name, contains
from gunshot.scoring.recording import merged
from gunshot.scoring.results.ledger import done_keys
from gunshot.scoring.results.objects import read_object
from gunshot.scoring.results.schemas import RETRIED_STATES
from gunshot.scoring.results.tables import write_batch
from gunshot.scoring.results.tries import endings
from gunshot.scoring.rule import ScoringRule

__all__ = ["Rethresholded", "rethreshold"]

Row = dict[str, Any]

_OF_RECORDING = (
    "path", "uri", "etag", "time_source", "time_uncertainty_s", "site", "recorder", "latitude", "longitude", "rule",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rethresholded:
    """What was made of candidates.

    Attributes
    ----------
    n_recordings, n_detections : int
        Rows written.
    n_there : int
        Recordings that were scored at that operating point already.
    """

    n_recordings: int
    n_detections: int
    n_there: int


def rethreshold(
    results: str, scored_with: Bundle, bundle: Bundle, rule: ScoringRule, *, run_id: str = ""
) -> Rethresholded:
    """Make detections of another operating point; whoever calls holds the lease.

    Parameters
    ----------
    results : str
        Where the tables are.
    scored_with : Bundle
        With the operating point at which the recordings were scored.
    bundle : Bundle
        The same, with the operating point that is wanted.
    rule : ScoringRule
        By which they were scored; it has a floor.
    run_id : str
        Written into the ledger.

    Returns
    -------
    Rethresholded
        Counts. Recordings that have rows at that operating point are left as they are.

    Raises
    ------
    ParameterError
        If no candidates were kept, or not down to the threshold.
    StorageError
        If the tables cannot be read or written.
    """
    threshold = bundle.operating_point.threshold
    if rule.floor is None or threshold < rule.floor:
        kept = "none were kept" if rule.floor is None else f"they were kept from {rule.floor:g} on"
        raise ParameterError(f"candidates must be kept down to the threshold {threshold:g}; {kept}: score anew")
    earlier = Provenance(scored_with.digest, scored_with.recipe.digest, rule.canonical)
    wanted = Provenance(bundle.digest, bundle.recipe.digest, rule.canonical)
    done = done_keys(results, wanted)
    counts = np.zeros(3, dtype=np.int64)
    for name, table in steps(endings(results), "rethreshold", "objects"):
        ledger = earlier.rows_of(table)
        ledger = ledger.filter(pc.invert(pc.is_in(ledger.column("state"), pa.array(RETRIED_STATES))))
        if not ledger.num_rows:
            continue
        is_there = contains(done, wanted.keys(ledger.column("uri").to_pylist(), ledger.column("etag").to_pylist()))
        counts[2] += is_there.sum()
        rows = ledger.filter(pa.array(~is_there)).to_pylist()
        if rows:
            candidates = earlier.rows_of(read_object(results, "candidates", name)).to_pylist()
            counts[:2] += _write(results, rows, candidates, bundle, rule, run_id)
    return Rethresholded(*counts.tolist())


def _write(
    results: str, rows: list[Row], candidates: list[Row], bundle: Bundle, rule: ScoringRule, run_id: str
) -> tuple[int, int]:
    """Write a batch anew; how many recordings and detections it has."""
    provenance = {"threshold": bundle.operating_point.threshold, "model_digest": bundle.digest}
    by_content: dict[tuple[str, str], list[Row]] = {(row["uri"], row["etag"]): [] for row in rows}
    for candidate in candidates:
        if (candidate["uri"], candidate["etag"]) in by_content:
            by_content[candidate["uri"], candidate["etag"]].append(candidate)
    detections: list[Row] = []
    for row in rows:
        found = list(_detections(row, by_content[row["uri"], row["etag"]], bundle, rule))
        detections += [detection | provenance for detection in found]
        row |= provenance | {"n_detections": len(found), "run_id": run_id}
    kept = [candidate | {"model_digest": bundle.digest} for some in by_content.values() for candidate in some]
    name = batch_name(
        [(row["uri"], row["etag"]) for row in rows], Provenance(bundle.digest, bundle.recipe.digest, rule.canonical)
    )
    write_batch(results, name, detections, rows, kept)
    return len(rows), len(detections)


def _detections(row: Row, candidates: list[Row], bundle: Bundle, rule: ScoringRule) -> Iterator[Row]:
    """Detections of one recording, channel after channel."""
    for channel in sorted({candidate["channel"] for candidate in candidates}, key=lambda number: number or 0):
        some = sorted((one for one in candidates if one["channel"] == channel), key=lambda one: float(one["onset_s"]))
        onset_s = np.array([one["onset_s"] for one in some])
        score, level = (np.array([one[name] for one in some], dtype=np.float32) for name in ("score", "level_db"))
        for found in merged(onset_s, score, level, bundle, rule):
            begun = row["start_utc"]
            yield {name: row[name] for name in _OF_RECORDING} | {
                "channel": channel, "start_s": found.start_s, "end_s": found.end_s,
                "start_utc": None if begun is None else begun + timedelta(seconds=found.start_s),
                "n_shots": len(found.shots_s), "shots_s": list(found.shots_s), "score": found.score,
                "probability": float(bundle.calibration.probability(found.score)), "model": row["model"],
                "recipe_digest": row["recipe_digest"],
            }  # fmt: skip
