"""Recordings: their rows of the ledger, their detections and their candidates.

Conventions
-----------
A recording that cannot be used is a row with its state and reason; one that breaks off is scored as far as it goes and
its state is ``short``. Recordings are read one after the other, and their clips scored together
(`gunshot.scoring.pool`); results come in the order of the targets, each when its last clip has its score.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gunshot.audio.decode import Recording
from gunshot.errors import AudioError
from gunshot.models.bundle import Bundle
from gunshot.scoring.detections import Detection, level_db, merge_clips, merge_sliding
from gunshot.scoring.gate import BLOCK_S, Candidates, slide_samples, stream_candidates
from gunshot.scoring.listening import Listening
from gunshot.scoring.nights import count_scores
from gunshot.scoring.pool import ClipPool, PooledScores
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.sampling import inclusions
from gunshot.scoring.targets import Target
from gunshot.scoring.timestamps import Deployments, RecordingStart, read_metadata, recording_start
from gunshot.scoring.timestamps.deployments import NO_DEPLOYMENTS
from gunshot.storage import read_bytes

__all__ = ["Row", "ScoredRecording", "merged", "score_recording", "score_recordings"]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScoredRecording:
    """What became of a recording.

    Attributes
    ----------
    row : dict
        Its row of the ledger, ``recordings/``.
    detections : list of dict
        Its rows of ``detections/``, by channel and time.
    candidates : list of dict
        Its rows of ``candidates/``, by channel and time; empty without a floor and a sample.
    """

    row: Row
    detections: list[Row]
    candidates: list[Row]


def score_recording(
    target: Target, bundle: Bundle, *, block_s: float = BLOCK_S, deployments: Deployments = NO_DEPLOYMENTS
) -> tuple[Row, list[Row]]:
    """Score one recording.

    Parameters
    ----------
    target : Target
        The recording.
    bundle : Bundle
        The model.
    block_s : float
        Sound decoded at a time [s].
    deployments : Deployments
        Where recorders stood, and how their clocks ran.

    Returns
    -------
    recording : dict
        Its row of the ledger.
    detections : list of dict
        Its rows of the detections.
    """
    (scored,) = score_recordings([target], bundle, block_s=block_s, deployments=deployments)
    return scored.row, scored.detections


def score_recordings(
    targets: Iterable[Target],
    bundle: Bundle,
    rule: ScoringRule | None = None,
    *,
    block_s: float = BLOCK_S,
    fetch: Callable[[str], bytes] = read_bytes,
    deployments: Deployments = NO_DEPLOYMENTS,
) -> Iterator[ScoredRecording]:
    """Score recordings.

    Parameters
    ----------
    targets : iterable of Target
        The recordings; taken one after the other.
    bundle : Bundle
        The model.
    rule : ScoringRule, optional
        What of them is scored; the mean of all channels by the gate if not given.
    block_s : float
        Sound decoded at a time [s].
    fetch : callable, optional
        Gets the content of a remote object.
    deployments : Deployments
        Where recorders stood, and how their clocks ran.

    Yields
    ------
    ScoredRecording
        One a target, in their order.
    """
    rule = rule or ScoringRule()
    pool = ClipPool(bundle)
    open_ones: deque[_Heard] = deque()
    for target in targets:
        open_ones.append(_hear(target, bundle, rule, pool, block_s, fetch, deployments))
        while open_ones and not open_ones[0].scores.n_waiting:
            yield open_ones.popleft().result(bundle, rule)
    pool.finish()
    for heard in open_ones:
        yield heard.result(bundle, rule)


@dataclass(slots=True)
class _Heard:
    """A recording that was read, with scores still to come."""

    target: Target
    start: RecordingStart
    row: Row
    scores: PooledScores = field(default_factory=PooledScores)
    channel: list[int] = field(default_factory=list)
    onset_s: list[NDArray[np.float64]] = field(default_factory=list)
    level_db: list[NDArray[np.float32]] = field(default_factory=list)

    def take(self, found: Candidates, bundle: Bundle, pool: ClipPool) -> None:
        """Note candidates; their clips go to the pool."""
        self.row["read_s"] = found.read_s
        if not found.onset_s.size:
            return
        self.channel += [-1 if found.channel is None else found.channel] * found.onset_s.size
        self.onset_s.append(found.onset_s)
        self.level_db.append(level_db(found.waveforms, bundle.recipe))
        pool.add(self.scores, found.waveforms)

    def forget(self, pool: ClipPool) -> None:
        """Nothing of it is used."""
        pool.drop(self.scores)
        self.scores, self.channel, self.onset_s, self.level_db = PooledScores(), [], [], []

    def result(self, bundle: Bundle, rule: ScoringRule) -> ScoredRecording:
        """Make the rows, when all scores are there."""
        channels = np.asarray(self.channel, dtype=np.int16)
        onset_s = np.concatenate([np.empty(0), *self.onset_s])
        level = np.concatenate([np.empty(0, dtype=np.float32), *self.level_db])
        score = self.scores.joined()
        detections: list[Row] = []
        candidates: list[Row] = []
        for number in np.unique(channels).tolist():
            mine = channels == number
            channel = None if number < 0 else number
            for found in merged(onset_s[mine], score[mine], level[mine], bundle, rule):
                detections.append(_detection_row(self.target, bundle, self.start, channel, found))
            if rule.keeps_candidates:
                candidates += _candidate_rows(
                    self.target, bundle, rule, channel, onset_s[mine], score[mine], level[mine]
                )
        self.row |= {
            "n_candidates": int(onset_s.size), "n_detections": len(detections),
            "score_counts": count_scores(score).tolist(),
        }  # fmt: skip
        return ScoredRecording(self.row, detections, candidates)


def _hear(
    target: Target,
    bundle: Bundle,
    rule: ScoringRule,
    pool: ClipPool,
    block_s: float,
    fetch: Callable[[str], bytes],
    deployments: Deployments,
) -> _Heard:
    """Read a recording and give its clips to the pool."""
    start = recording_start(target.path, deployments=deployments)
    heard = _Heard(target, start, _empty_row(target, bundle, rule, start))
    row = heard.row
    try:
        with Recording(target.place, fetch=fetch) as recording:
            header = recording.header
            heard.start = recording_start(target.path, read_metadata(*recording.content), deployments)
            row |= _time_and_place(heard.start)
            row |= {"sr": header.sr, "n_channels": header.n_channels, "duration_s": header.duration_s}
            listening = Listening(header.sr)
            for found in stream_candidates(recording, bundle.recipe, block_s=block_s, rule=rule, listen=listening.push):
                heard.take(found, bundle, pool)
            row |= {"silent_s": listening.silent_s, "clipped_s": listening.clipped_s}
            if found.is_silent:
                row |= {"state": "silent", "reason": "only digital zeros"}
            elif recording.defect:
                row |= {"state": "short", "reason": recording.defect}
    except AudioError as error:  # what was read of it until then is not used either
        heard.forget(pool)
        row |= {"state": error.state, "reason": error.reason, "n_tries": int(error.may_pass), "read_s": 0.0}
    return heard


def merged(
    onset_s: NDArray[np.float64],
    score: NDArray[np.float32],
    level: NDArray[np.float32],
    bundle: Bundle,
    rule: ScoringRule,
) -> tuple[Detection, ...]:
    """Merge the candidates of one channel into detections, as a rule says.

    Parameters
    ----------
    onset_s : ndarray of shape (n,), float64
        Onsets [s], increasing.
    score, level : ndarray of shape (n,), float32
        Scores, and levels [dB].
    bundle : Bundle
        Says from which score on a clip counts, and how long it lasts.
    rule : ScoringRule
        How they were found.

    Returns
    -------
    tuple of Detection
        By time.
    """
    recipe, threshold = bundle.recipe, bundle.operating_point.threshold
    tail_s = recipe.clip.length_s - recipe.clip.lead_s
    if rule.exhaustive:
        return merge_sliding(onset_s, score, threshold, tail_s, step_s=slide_samples(recipe) / recipe.sr_hz)
    return merge_clips(onset_s, score, threshold, tail_s, level_db=level)


def _provenance(bundle: Bundle) -> Row:
    return {
        "threshold": bundle.operating_point.threshold, "model": bundle.name, "model_digest": bundle.digest,
        "recipe_digest": bundle.recipe.digest,
    }  # fmt: skip


def _time_and_place(start: RecordingStart) -> Row:
    return {
        "start_utc": start.utc, "time_source": start.source, "time_uncertainty_s": start.uncertainty_s,
        "site": start.site, "recorder": start.recorder, "latitude": start.latitude, "longitude": start.longitude,
    }  # fmt: skip


def _empty_row(target: Target, bundle: Bundle, rule: ScoringRule, start: RecordingStart) -> Row:
    return {
        "path": target.path, "uri": target.uri, "size": target.size, "etag": target.etag, "state": "ok", "reason": "",
        "n_tries": 0, "sr": None, "n_channels": None, "duration_s": None,
        "read_s": 0.0, "silent_s": 0.0, "clipped_s": 0.0,
        **_time_and_place(start), "n_candidates": 0, "n_detections": 0, "rule": rule.canonical, **_provenance(bundle),
    }  # fmt: skip


def _detection_row(
    target: Target, bundle: Bundle, start: RecordingStart, channel: int | None, detection: Detection
) -> Row:
    return {
        "path": target.path, "uri": target.uri, "channel": channel, "start_s": detection.start_s,
        "end_s": detection.end_s, **_time_and_place(start), "start_utc": start.at(detection.start_s),
        "n_shots": len(detection.shots_s),
        "shots_s": list(detection.shots_s), "score": detection.score,
        "probability": float(bundle.calibration.probability(detection.score)),
        **_provenance(bundle),
    }  # fmt: skip


def _candidate_rows(
    target: Target,
    bundle: Bundle,
    rule: ScoringRule,
    channel: int | None,
    onset_s: NDArray[np.float64],
    score: NDArray[np.float32],
    level: NDArray[np.float32],
) -> list[Row]:
    inclusion = inclusions(target.uri, target.etag, channel, onset_s, score, bundle.operating_point.threshold, rule)
    kept = inclusion > 0
    values = zip(*(column[kept].tolist() for column in (onset_s, score, level, inclusion)), strict=True)
    of_all = {
        "path": target.path, "uri": target.uri, "channel": channel, "model_digest": bundle.digest,
        "recipe_digest": bundle.recipe.digest,
    }  # fmt: skip
    return [
        of_all | {"onset_s": time_s, "score": value, "level_db": loud, "inclusion": probability}
        for time_s, value, loud, probability in values
    ]
