"""What the demonstration is made of: a small synthetic corpus, or the recordings a user names, and an archive to score.

Conventions
-----------
Truth is the onset of every gunshot [s] by the recording's URI, and is only given for recordings in which all are known.
"""

from __future__ import annotations

import csv
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from gunshot.evaluate import Evaluation
from gunshot.store.read import FeatureStore
from gunshot.synthetic import write_archive, write_corpus

__all__ = [
    "ARCHIVE_TOLERANCE_S",
    "DEMONSTRATED",
    "REAL_ASSIGNMENTS",
    "SYNTHETIC_MAX_FPR",
    "held_out_archive",
    "make_archive",
    "make_corpus",
]

DEMONSTRATED = ("logistic", "paper-cnn", "small-cnn")
"""Models that are trained and compared; the field model takes longer and wants more sources."""

REAL_ASSIGNMENTS = (
    "livefire/FP6/*=validation",
    "livefire/FP7/*=test",
    "livefire/*=train",
    "street-*/*=unseen",
)
"""Where known collections go: whole firing positions are held out, the street clips are never trained or chosen on."""

ARCHIVE_TOLERANCE_S = 0.25

SYNTHETIC_MAX_FPR = 0.05
"""False-alarm rate of the thresholds on synthetic sound: its validation rows are too few for a smaller one."""

_N_GUNSHOTS = 500
_N_OTHERS = 500
_N_RECORDINGS = 4
_RECORDING_S = 300.0
_N_PLANTED = 60
_N_CONFUSERS = 60
_BEGINS = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


def make_corpus(out: Path, seed: int) -> Path:
    """Write the labelled clips.

    Parameters
    ----------
    out : Path
        The folder; what an earlier demonstration left there is replaced.
    seed : int
        Of the corpus.

    Returns
    -------
    Path
        The folder with its ``labels.csv``.
    """
    _clear(out)
    return write_corpus(out, n_gunshots=_N_GUNSHOTS, n_others=_N_OTHERS, seed=seed).parent


def make_archive(out: Path, seed: int) -> tuple[Path, dict[str, list[float]]]:
    """Write long recordings with planted shots.

    Parameters
    ----------
    out : Path
        The folder; what an earlier demonstration left there is replaced.
    seed : int
        Of the archive; other places and shots than the corpus of the same number.

    Returns
    -------
    folder : Path
        Where the recordings are.
    truth : dict of str to list of float
        Arrivals of the shots [s] by URI.
    """
    _clear(out)
    table = write_archive(
        out,
        n_recordings=_N_RECORDINGS,
        duration_s=_RECORDING_S,
        n_shots=_N_PLANTED,
        n_confusers=_N_CONFUSERS,
        start=_BEGINS,
        seed=seed + 1_000_003,
    )
    truth: dict[str, list[float]] = {str(path): [] for path in out.iterdir() if path.suffix.lower() == ".wav"}
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["label"] == "1":
                truth[str(out / row["path"])].append(float(row["time_s"]))
    return out, truth


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def held_out_archive(
    store: FeatureStore, evaluation: Evaluation
) -> tuple[Sequence[str], Mapping[str, Sequence[float]]]:
    """Recordings all of whose rows are test rows, and the shots that are known in them.

    Parameters
    ----------
    store : FeatureStore
        The rows.
    evaluation : Evaluation
        Which rows are test rows.

    Returns
    -------
    uris : sequence of str
        The recordings.
    truth : mapping of str to sequence of float
        Onsets by URI [s]; a whole file labelled as a gunshot may hold more shots than one, and is left out.
    """
    tested = {
        row["row"] for row in evaluation.predictions.select(["row", "split"]).to_pylist() if row["split"] == "test"
    }
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    columns = store.rows.select(["uri", "label", "start_s", "onset_s", "state"]).to_pylist()
    for number, row in enumerate(columns):
        if row["state"] == "ok":
            rows_of[row["uri"]].append(number)
    uris = sorted(uri for uri, rows in rows_of.items() if tested.issuperset(rows))
    truth = {}
    for uri in uris:
        shots = [columns[number] for number in rows_of[uri] if columns[number]["label"] == 1]
        if all(shot["start_s"] is not None for shot in shots):
            truth[uri] = [shot["onset_s"] for shot in shots]
    return uris, truth
