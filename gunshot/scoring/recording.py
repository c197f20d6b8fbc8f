"""One recording: its row of the ledger and its detections.

Conventions
-----------
A recording that cannot be used is a row with its state and reason; one that breaks off is scored as far as it goes and
its state is ``short``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gunshot.audio.decode import Recording
from gunshot.errors import AudioError
from gunshot.models.bundle import Bundle
from gunshot.scoring.detections import Detection, merge_clips
from gunshot.scoring.gate import BLOCK_S, stream_candidates
from gunshot.scoring.targets import Target
from gunshot.scoring.timestamps import Deployments, RecordingStart, read_metadata, recording_start
from gunshot.scoring.timestamps.deployments import NO_DEPLOYMENTS

__all__ = ["Row", "score_recording"]

Row = dict[str, Any]


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
    start = recording_start(target.path, deployments=deployments)
    row = _empty_row(target, bundle, start)
    try:
        with Recording(target.uri) as recording:
            header = recording.header
            start = recording_start(target.path, read_metadata(*recording.content), deployments)
            row |= _time_and_place(start)
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


def _time_and_place(start: RecordingStart) -> Row:
    return {
        "start_utc": start.utc, "time_source": start.source, "time_uncertainty_s": start.uncertainty_s,
        "site": start.site, "recorder": start.recorder, "latitude": start.latitude, "longitude": start.longitude,
    }  # fmt: skip


def _empty_row(target: Target, bundle: Bundle, start: RecordingStart) -> Row:
    return {
        "path": target.path, "uri": target.uri, "size": target.size, "etag": target.etag, "state": "ok", "reason": "",
        "sr": None, "n_channels": None, "duration_s": None, "read_s": 0.0, **_time_and_place(start),
        "n_candidates": 0, "n_detections": 0, **_provenance(bundle),
    }  # fmt: skip


def _detection_row(target: Target, bundle: Bundle, start: RecordingStart, detection: Detection) -> Row:
    return {
        "path": target.path, "uri": target.uri, "start_s": detection.start_s, "end_s": detection.end_s,
        **_time_and_place(start), "start_utc": start.at(detection.start_s), "n_shots": len(detection.shots_s),
        "shots_s": list(detection.shots_s), "score": detection.score,
        "probability": float(bundle.calibration.probability(detection.score)),
        **_provenance(bundle),
    }  # fmt: skip
