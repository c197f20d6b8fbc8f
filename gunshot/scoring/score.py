"""Scoring: recordings in batches, planned before anything is read.

Conventions
-----------
A batch is the unit of work: plain data, idempotent, with a name that follows from its recordings and the model. A
recording that
cannot be used is a row with its state and reason; one that breaks off is scored as far as it goes and its state is
``short``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import PurePosixPath
from time import perf_counter
from typing import Any

import numpy as np

from gunshot.audio.decode import Recording
from gunshot.audio.probe import AUDIO_SUFFIXES
from gunshot.errors import AudioError, ManifestError, StorageError
from gunshot.memory import keep_freed_memory
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.scoring.detections import Detection, merge_clips
from gunshot.scoring.gate import BLOCK_S, stream_candidates
from gunshot.scoring.results import Key, write_batch
from gunshot.scoring.timestamps import RecordingStart, start_from_name
from gunshot.storage import list_files

__all__ = ["BatchOutcome", "ScoringBatch", "Target", "list_targets", "plan_scoring", "score_batch", "score_recording"]

_BATCH_BYTES = 256 * 2**20
_BATCH_RECORDINGS = 64

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """A recording to score.

    Attributes
    ----------
    path, uri : str
        As shown, and where it is.
    size : int
        Its size [bytes].
    etag : str
        Changes when its content does.
    """

    path: str
    uri: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class ScoringBatch:
    """A unit of work.

    Attributes
    ----------
    name : str
        Of its objects in the results.
    targets : tuple of Target
        Its recordings.
    """

    name: str
    targets: tuple[Target, ...]


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


def list_targets(inputs: Sequence[str]) -> tuple[Target, ...]:
    """Recordings below folders, globs or prefixes.

    Parameters
    ----------
    inputs : sequence of str
        What the user names.

    Returns
    -------
    tuple of Target
        Each recording once, by URI.

    Raises
    ------
    ManifestError
        If an input does not exist or holds no audio.
    """
    found: dict[str, Target] = {}
    for uri in inputs:
        try:
            infos = list(list_files(uri, AUDIO_SUFFIXES))
        except StorageError as error:
            raise ManifestError(str(error)) from error
        if not infos:
            raise ManifestError(
                f"no audio in {uri}: looked for files that end in {' '.join(AUDIO_SUFFIXES)}; check the address"
            )
        root = uri.rstrip("/") + "/"
        for info in infos:
            name = info.uri.removeprefix(root) if info.uri.startswith(root) else PurePosixPath(info.uri).name
            found.setdefault(info.uri, Target(name, info.uri, info.size, info.etag))
    return tuple(found[uri] for uri in sorted(found))


def plan_scoring(
    targets: Iterable[Target], done: set[Key], *, model_digest: str, recipe_digest: str
) -> tuple[ScoringBatch, ...]:
    """Batches of what is not done.

    Parameters
    ----------
    targets : iterable of Target
        All recordings.
    done : set of tuple
        From `gunshot.scoring.results.done_keys`.
    model_digest, recipe_digest : str
        Of the bundle.

    Returns
    -------
    tuple of ScoringBatch
        Of at most 64 recordings or 256 MiB each.
    """
    batches: list[ScoringBatch] = []
    held: list[Target] = []
    for target in targets:
        if (target.uri, target.etag, model_digest, recipe_digest) in done:
            continue
        if held and (len(held) == _BATCH_RECORDINGS or sum(t.size for t in held) + target.size > _BATCH_BYTES):
            batches.append(_batch(held, model_digest, recipe_digest))
            held = []
        held.append(target)
    if held:
        batches.append(_batch(held, model_digest, recipe_digest))
    return tuple(batches)


def _batch(targets: list[Target], model_digest: str, recipe_digest: str) -> ScoringBatch:
    identity = repr([(t.uri, t.etag) for t in targets] + [model_digest, recipe_digest])
    return ScoringBatch(hashlib.sha256(identity.encode()).hexdigest()[:16], tuple(targets))


@lru_cache(maxsize=1)
def _bundle(uri: str, digest: str, operating_point: str | None) -> Bundle:
    """One model a worker; the digest is a key, so that a bundle trained anew is loaded anew."""
    bundle = load_bundle(uri, operating_point)
    assert bundle.digest == digest, f"bundle {uri} changed while it was in use: {digest} is now {bundle.digest}"
    return bundle


def score_batch(
    bundle_uri: str, bundle_digest: str, results: str, batch: ScoringBatch, *, operating_point: str | None = None
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
        row, found = score_recording(target, bundle)
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


def score_recording(target: Target, bundle: Bundle, *, block_s: float = BLOCK_S) -> tuple[Row, list[Row]]:
    """Score one recording.

    Parameters
    ----------
    target : Target
        The recording.
    bundle : Bundle
        The model.
    block_s : float
        Sound decoded at a time [s].

    Returns
    -------
    recording : dict
        Its row of the ledger.
    detections : list of dict
        Its rows of the detections.
    """
    start = start_from_name(PurePosixPath(target.path).stem)
    row = _empty_row(target, bundle, start)
    try:
        with Recording(target.uri) as recording:
            header = recording.header
            row |= {"sr": header.sr, "n_channels": header.n_channels, "duration_s": header.duration_s}
            onsets, scores = [np.empty(0)], [np.empty(0, dtype=np.float32)]
            for candidates in stream_candidates(recording, bundle.recipe, block_s=block_s):
                onsets.append(candidates.onset_s)
                scores.append(bundle.score(candidates.waveforms))
                row["read_s"] = candidates.read_s
            if candidates.is_silent:
                row |= {"state": "silent", "reason": "only digital zeros"}
            elif recording.defect:
                row |= {"state": "short", "reason": recording.defect}
    except AudioError as error:  # what was read of it until then is not used either
        return row | {"state": error.state, "reason": error.reason, "read_s": 0.0}, []
    onset_s, score = np.concatenate(onsets), np.concatenate(scores)
    rule = bundle.recipe.clip
    found = merge_clips(onset_s, score, bundle.operating_point.threshold, rule.length_s - rule.lead_s)
    row |= {"n_candidates": int(onset_s.size), "n_detections": len(found)}
    return row, [_detection_row(target, bundle, start, detection) for detection in found]


def _provenance(bundle: Bundle) -> Row:
    return {
        "threshold": bundle.operating_point.threshold, "model": bundle.name, "model_digest": bundle.digest,
        "recipe_digest": bundle.recipe.digest,
    }  # fmt: skip


def _empty_row(target: Target, bundle: Bundle, start: RecordingStart) -> Row:
    return {
        "path": target.path, "uri": target.uri, "size": target.size, "etag": target.etag, "state": "ok", "reason": "",
        "sr": None, "n_channels": None, "duration_s": None, "read_s": 0.0, "start_utc": start.utc,
        "time_source": start.source, "n_candidates": 0, "n_detections": 0, **_provenance(bundle),
    }  # fmt: skip


def _detection_row(target: Target, bundle: Bundle, start: RecordingStart, detection: Detection) -> Row:
    utc = None if start.utc is None else start.utc + timedelta(seconds=detection.start_s)
    return {
        "path": target.path, "uri": target.uri, "start_s": detection.start_s, "end_s": detection.end_s,
        "start_utc": utc, "time_source": start.source, "n_shots": len(detection.shots_s),
        "shots_s": list(detection.shots_s), "score": detection.score,
        "probability": float(bundle.calibration.probability(detection.score)),
        **_provenance(bundle),
    }  # fmt: skip
