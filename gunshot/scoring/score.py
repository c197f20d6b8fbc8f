"""Scoring: one batch of recordings, and the tables that remember it.

Conventions
-----------
What is written about a recording is true of the content that was listed. After a batch is scored, each of its
recordings is looked up once more: one that is not what it was is ``changed``, one that is not there is ``gone``, and
what was heard of them is thrown away. The next run that lists them scores them. What was tried in vain before is scored
in a process apart from the beginning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from time import perf_counter

import pyarrow as pa
import pyarrow.compute as pc

from gunshot.apart import Apart, ends_after
from gunshot.errors import AudioError
from gunshot.memory import keep_freed_memory
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.scoring.plan import ScoringBatch
from gunshot.scoring.recording import Row, ScoredRecording, score_recordings
from gunshot.scoring.results import find_batch, write_batch
from gunshot.scoring.results.schemas import RETRIED_STATES, table_of
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.targets import Target
from gunshot.scoring.timestamps import Deployments
from gunshot.scoring.timestamps.deployments import NO_DEPLOYMENTS
from gunshot.storage import identity
from gunshot.wanted import check_wanted

__all__ = ["BatchOutcome", "limit_of", "score_batch"]

_LOOK_UPS = 8  # at a time; a look-up is a request
_HOUR_BYTES = 28_800_000  # of sound that is coded as sparely as people do: 64 kbit/s
_WAITS = 3  # recordings whose time may pass before the next one is ready


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
    rule: ScoringRule = ScoringRule(),  # noqa: B008  (frozen)
    run_id: str = "",
    file_limit_s: float | None = None,
    apart: bool = False,
    may_end: bool = True,
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
    rule : ScoringRule
        What of the recordings is scored.
    run_id : str
        Which run does it; written into the ledger.
    file_limit_s : float, optional
        Longest time for one recording, and for each hour of a long one [s]. In a batch done `apart` it is ``timed out``
        then; otherwise this process ends, as if the recording had killed it.
    apart : bool
        Whether recordings are decoded one at a time in a process apart (`gunshot.apart`); those that were tried in vain
        before always are, if there is a limit.
    may_end : bool
        Whether this process may end; there is no limit to what it decodes itself if not.
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
    UnwantedError
        If nobody waits for it any more; nothing is written then.
    """
    began = perf_counter()
    keep_freed_memory()
    done = find_batch(results, batch.name)
    if done is not None:  # Dask runs a unit again whose worker died after its end
        return _outcome(batch.name, done, began)
    bundle = _bundle(bundle_uri, bundle_digest, operating_point)
    if (apart or batch.n_tries) and file_limit_s is not None:
        prepare = partial(_scorer, bundle_uri, bundle_digest, operating_point, rule, deployments)
        scored = list(_scored_apart(batch.targets, bundle, prepare, file_limit_s))
    else:
        limit_s = file_limit_s if may_end else None
        scored = list(_scored_here(batch.targets, bundle, rule, limit_s, deployments))
    scored = _of_listed_content(batch.targets, bundle, scored)
    rows: list[Row] = []
    detections: list[Row] = []
    candidates: list[Row] = []
    for found in scored:
        of_all = {"rule": rule.canonical, "etag": found.row["etag"]}
        rows.append(found.row | of_all | {"n_tries": _tries_after(found.row, batch.n_tries), "run_id": run_id})
        detections += [row | of_all for row in found.detections]
        candidates += [row | of_all for row in found.candidates]
    check_wanted()  # a run that has ended holds no lease
    write_batch(results, batch.name, detections, rows, candidates if rule.keeps_candidates else None)
    return _outcome(batch.name, table_of(rows, "recordings"), began)


def _tries_after(row: Row, n_tries: int) -> int:
    """Runs that have tried a recording in vain; 0 as soon as it is judged."""
    return n_tries + row["n_tries"] if row["n_tries"] or row["state"] in RETRIED_STATES else 0


def _outcome(name: str, rows: pa.Table, began: float) -> BatchOutcome:
    sums = {column: pc.sum(rows.column(column)).as_py() or 0 for column in ("n_candidates", "n_detections", "read_s")}
    states = Counter(rows.column("state").to_pylist())
    return BatchOutcome(name, dict(states), **sums, elapsed_s=perf_counter() - began)


def limit_of(target: Target, file_limit_s: float) -> float:
    """Longest time for a recording.

    Parameters
    ----------
    target : Target
        The recording.
    file_limit_s : float
        For one of at most an hour, and for each hour of a longer one [s].

    Returns
    -------
    float
        The limit [s]. How long a recording lasts is not known before it is opened: as much is taken as its size can
        hold.
    """
    return file_limit_s * max(1.0, target.size / _HOUR_BYTES)


def _scored_here(
    targets: Sequence[Target],
    bundle: Bundle,
    rule: ScoringRule,
    file_limit_s: float | None,
    deployments: Deployments,
) -> Iterator[ScoredRecording]:
    """In this process, which ends if no recording is ready for too long."""
    limit_s = None
    if file_limit_s is not None:  # some recordings may be read before the first is ready: clips are scored together
        limits = [limit_of(target, file_limit_s) for target in targets]
        limit_s = min(sum(limits), _WAITS * max(limits))
    scored = score_recordings(targets, bundle, rule, deployments=deployments)
    for _ in targets:
        with ends_after(limit_s):
            found = next(scored)
        yield found


def _scored_apart(
    targets: Sequence[Target],
    bundle: Bundle,
    prepare: Callable[[], Callable[[Target], ScoredRecording]],
    file_limit_s: float,
) -> Iterator[ScoredRecording]:
    """One after the other in a child process; the guilty one becomes a row."""
    with Apart(prepare) as child:
        for target in targets:
            try:
                yield child.ask(target, limit_of(target, file_limit_s))
            except AudioError as error:
                yield _unheard(target, bundle, error.state, error.reason, int(error.may_pass))


def _scorer(
    bundle_uri: str, digest: str, operating_point: str | None, rule: ScoringRule, deployments: Deployments
) -> Callable[[Target], ScoredRecording]:
    bundle = _bundle(bundle_uri, digest, operating_point)
    return lambda target: next(score_recordings([target], bundle, rule, deployments=deployments))


def _unheard(target: Target, bundle: Bundle, state: str, reason: str, n_tries: int = 0) -> ScoredRecording:
    """A recording of which nothing is known but where it is."""
    row: Row = {
        "path": target.path, "uri": target.uri, "size": target.size, "etag": target.etag, "state": state,
        "reason": reason, "n_tries": n_tries, "read_s": 0.0, "time_source": "not known",
        "n_candidates": 0, "n_detections": 0,
        "threshold": bundle.operating_point.threshold, "model": bundle.name, "model_digest": bundle.digest,
        "recipe_digest": bundle.recipe.digest,
    }  # fmt: skip
    return ScoredRecording(row, [], [])


def _of_listed_content(
    targets: Sequence[Target], bundle: Bundle, scored: Sequence[ScoredRecording]
) -> list[ScoredRecording]:
    """What was scored, but for recordings that are not what was listed."""
    with ThreadPoolExecutor(_LOOK_UPS) as pool:
        etags = list(pool.map(identity, [target.place for target in targets]))
    return [
        found if etag == target.etag else _unheard(target, bundle, *_why(etag))
        for target, etag, found in zip(targets, etags, scored, strict=True)
    ]


def _why(etag: str | None) -> tuple[str, str]:
    if etag is None:
        return "gone", "it was listed, but was not there any more"
    return "changed", "it was written to after it was listed; the next run scores it"
