"""BirdNET and one of our models on the same rows of a label table.

Conventions
-----------
Rows whose group our model was trained or chosen on are left out for both. Our model scores a row in two ways: ``clip``,
the one clip that training would cut of it; and ``recording``, where the row is a whole file: the highest score of all
its onsets, as a recording in an archive is scored (0 where it has none). A row with a segment has its clip's score both
ways. BirdNET's two ways are those of `gunshot.peers.birdnet`.

Each set of rows that has gunshots is held against the negatives of all sets, and against its own where it has a hundred
or more. ``recall at FPR 0.01`` is that of the best threshold for those very rows: it flatters both alike, most where
negatives are few.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from gunshot.audio.decode import Recording
from gunshot.errors import AudioError, TrainingError
from gunshot.evaluation.curves import recall_at_fpr
from gunshot.manifest.sources import build_manifest
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.models.splits import splits_by_group
from gunshot.peers.birdnet import DEFAULT_THRESHOLD, VERSION
from gunshot.peers.scores import birdnet_scores
from gunshot.preprocess.rows import clips_of_rows
from gunshot.scoring.gate import stream_candidates
from gunshot.storage import join, write_bytes

__all__ = ["MAX_FPR", "benchmark", "our_scores", "set_figures", "write_benchmark"]

MAX_FPR = 0.01
"""False-alarm rate at which the recalls are compared."""

_LEAST_OWN = 100
"""Own negatives of a set from which on it is held against them too: one false alarm is then the budget."""

_CLIPS_AT_ONCE = 256

Float64 = NDArray[np.float64]
Row = Mapping[str, Any]
Progress = Callable[[int, int], None]


def our_scores(rows: Sequence[Row], bundle: Bundle) -> Float64:
    """Scores of our model for rows of a manifest.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the manifest.
    bundle : Bundle
        The model.

    Returns
    -------
    ndarray of shape (len(rows), 2), float64
        ``clip`` and ``recording``; NaN where there is no clip.

    Raises
    ------
    TransientStorageError
        If a store does not answer.
    """
    result = np.full((len(rows), 2), np.nan)
    clips = (
        (index, clip.y)
        for index, _, clip in clips_of_rows(enumerate(map(dict, rows)), bundle.recipe)
        if clip is not None
    )
    while some := list(islice(clips, _CLIPS_AT_ONCE)):
        result[[index for index, _ in some]] = bundle.score(np.stack([y for _, y in some]))[:, np.newaxis]
    for index, row in enumerate(rows):
        if row["start_s"] is None and row["end_s"] is None and np.isfinite(result[index, 0]):
            result[index, 1] = _highest_score(row["uri"], bundle)
    return result


def _highest_score(uri: str, bundle: Bundle) -> float:
    try:
        with Recording(uri) as recording:
            found = stream_candidates(recording, bundle.recipe)
            return max(float(bundle.score(part.waveforms).max(initial=0.0)) for part in found)
    except AudioError:
        return float("nan")


def set_figures(
    label: NDArray[np.bool_], scores: Mapping[str, Float64], thresholds: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """Figures of several systems on the same rows.

    Parameters
    ----------
    label : ndarray of shape (n,), bool
        Whether a row is a gunshot; both classes must be there.
    scores : mapping of str to ndarray of shape (n,)
        In [0, 1], by system.
    thresholds : mapping of str to float
        At which each is used.

    Returns
    -------
    dict
        By system: ``recall_at_fpr`` at `MAX_FPR`, ``auc``, and ``threshold``, ``recall`` and ``fpr`` at that.
    """
    return {
        name: {
            "recall_at_fpr": recall_at_fpr(label, score, MAX_FPR),
            "auc": float(roc_auc_score(label, score)),
            "threshold": thresholds[name],
            "recall": float(np.mean(score[label] >= thresholds[name])),
            "fpr": float(np.mean(score[~label] >= thresholds[name])),
        }
        for name, score in scores.items()
    }


def benchmark(
    labels: str,
    model: str,
    cache: str,
    *,
    inputs: Sequence[str] = (),
    by: Literal["source", "folder"] = "source",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score the held-out rows of a label table with BirdNET and with our model.

    Parameters
    ----------
    labels : str
        The label table.
    model : str
        The bundle.
    cache : str
        Where BirdNET's scores are kept.
    inputs : sequence of str
        The folder that the table's paths are relative to, if it is not the table's own.
    by : {"source", "folder"}
        What makes a set: the column ``source``, or the first folder of the path.
    progress : callable, optional
        Called with the number of files that BirdNET has heard and their total.

    Returns
    -------
    dict
        The content of ``peers.json``.

    Raises
    ------
    ParameterError
        If BirdNET is needed and not installed.
    TrainingError
        If one class has no held-out row that both can score.
    """
    bundle = load_bundle(model)
    everything = build_manifest(list(inputs), labels=labels).to_pylist()
    seen = {group for group, splits in splits_by_group(bundle.uri).items() if splits & {"train", "validation"}}
    rows = [row for row in everything if row["group"] not in seen]
    peer = birdnet_scores(rows, cache, progress=progress)
    ours = our_scores(rows, bundle)
    usable: NDArray[np.bool_] = np.asarray(np.isfinite(np.hstack([peer, ours])).all(axis=1))
    rows = [row for row, is_usable in zip(rows, usable.tolist(), strict=True) if is_usable]
    label = np.asarray([row["label"] == 1 for row in rows], dtype=bool)
    if not label.any() or label.all():
        raise TrainingError(
            f"{labels}: of {len(everything)} rows {int(label.sum())} gunshots and {int((~label).sum())} others are "
            f"held out from {model} and can be read; give a table with both"
        )
    scores = {
        "BirdNET, in place": peer[usable, 0], "BirdNET, alone": peer[usable, 1],
        "ours, clip": ours[usable, 0], "ours, recording": ours[usable, 1],
    }  # fmt: skip
    own = bundle.operating_point.threshold
    thresholds = {name: DEFAULT_THRESHOLD if name.startswith("BirdNET") else own for name in scores}
    names = np.asarray([row["source"] if by == "source" else PurePosixPath(row["path"]).parts[0] for row in rows])
    return {
        "peer": f"BirdNET v{VERSION}, class Gun",
        "model": {"uri": bundle.uri, "name": bundle.name, "digest": bundle.digest},
        "labels": labels,
        "max_fpr": MAX_FPR,
        "n_rows": len(everything),
        "n_held_out": int(usable.size),
        "n_scored": len(rows),
        "sets": _sets(names, label, scores, thresholds),
    }


def _sets(
    names: NDArray[np.str_], label: NDArray[np.bool_], scores: Mapping[str, Float64], thresholds: Mapping[str, float]
) -> list[dict[str, Any]]:
    sets = []
    for name in [*np.unique(names[label]).tolist(), "all sets"]:
        shots = label if name == "all sets" else label & (names == name)
        own = ~label & (names == name)
        against = {"all": ~label} | ({"own": own} if own.sum() >= _LEAST_OWN else {})
        for which, others in against.items():
            taken = shots | others
            figures = set_figures(label[taken], {key: value[taken] for key, value in scores.items()}, thresholds)
            sets.append(
                {"set": name, "negatives": which, "n_gunshots": int(shots.sum()), "n_others": int(others.sum()),
                 "figures": figures}
            )  # fmt: skip
    return sets


def write_benchmark(content: Mapping[str, Any], out: str) -> str:
    """Write ``peers.json`` and ``peers.md``.

    Parameters
    ----------
    content : mapping
        From `benchmark`.
    out : str
        The folder.

    Returns
    -------
    str
        The text of ``peers.md``.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    text = _markdown(content)
    write_bytes(join(out, "peers.json"), json.dumps(content, indent=1).encode())
    write_bytes(join(out, "peers.md"), text.encode())
    return text


def _markdown(content: Mapping[str, Any]) -> str:
    systems = list(content["sets"][0]["figures"])
    lines = [
        f"# {content['peer']}, and {content['model']['name']} {content['model']['digest']}",
        "",
        f"{content['n_scored']:,} rows that our model has not met, of {content['n_rows']:,} in `{content['labels']}`.",
        "",
        f"## Recall at a false-alarm rate of {content['max_fpr']:g} (area under the ROC curve)",
        "",
        "| shots of | negatives of | " + " | ".join(systems) + " |",
        "|---|---|" + "---|" * len(systems),
    ]
    for each in content["sets"]:
        cells = [f"{found['recall_at_fpr']:.3f} ({found['auc']:.3f})" for found in each["figures"].values()]
        lines.append(f"| {_shots(each)} | {_others(each)} | " + " | ".join(cells) + " |")
    used = [f"{name} at {found['threshold']:.3g}" for name, found in content["sets"][0]["figures"].items()]
    lines += [
        "",
        "## Recall and false-alarm rate at the threshold in use",
        "",
        "| shots of | negatives of | " + " | ".join(used) + " |",
        "|---|---|" + "---|" * len(systems),
    ]
    for each in content["sets"]:
        cells = [f"{found['recall']:.3f} / {found['fpr']:.4f}" for found in each["figures"].values()]
        lines.append(f"| {_shots(each)} | {_others(each)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _shots(each: Mapping[str, Any]) -> str:
    return f"{each['set']} ({each['n_gunshots']:,})"


def _others(each: Mapping[str, Any]) -> str:
    return f"{'all sets' if each['negatives'] == 'all' else each['set']} ({each['n_others']:,})"
