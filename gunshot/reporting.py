"""The verb: from a store, evaluations and results to the report page.

Conventions
-----------
Everything on the page is read from what was written: nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import librosa
import numpy as np
from numpy.typing import NDArray

from gunshot.evaluate import Evaluation
from gunshot.evaluation.matching import DetectionMetrics
from gunshot.models.catalogue import MODELS
from gunshot.report import (
    ClipPicture,
    DatasetRow,
    DatasetSummary,
    DetectionRow,
    DistortionExample,
    ErrorExample,
    FailureRow,
    ModelResult,
    Provenance,
    RecordingTimeline,
    ReportContent,
    ScoredSplit,
    ScoringSummary,
    StageTime,
    TrainingHistory,
    render_report,
    worst_errors,
)
from gunshot.scoring.results import read_table
from gunshot.split import SPLITS
from gunshot.store.read import FeatureStore, open_store
from gunshot.store.records import failed_rows

__all__ = ["ReportInputs", "ScoredArchive", "write_up"]

Row = dict[str, Any]

_MOST_FAILURES = 200


@dataclass(frozen=True, kw_only=True)
class ScoredArchive:
    """Recordings that the default model has scored.

    Attributes
    ----------
    results : str
        Where the tables are.
    what : str
        What the recordings are, for people.
    uris : frozenset of str
        The recordings.
    truth : mapping of str to sequence of float
        Onsets of known events by URI [s]; may be empty.
    metrics : DetectionMetrics or None
        The detections held against the truth.
    """

    results: str
    what: str
    uris: frozenset[str]
    truth: Mapping[str, Sequence[float]] = field(default_factory=dict)
    metrics: DetectionMetrics | None = None


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """What a report is made of.

    Attributes
    ----------
    title, date : str
        As shown.
    store : str
        The feature store.
    evaluations : sequence of Evaluation
        One a model.
    default : str
        Name of the default model.
    copies : str or None
        The store of distorted copies.
    archive : ScoredArchive or None
        What was scored.
    command : str
        What was run.
    seed : int
        Of the run.
    stages : sequence of (name, seconds)
        How long each stage took.
    """

    title: str
    date: str
    store: str
    evaluations: Sequence[Evaluation]
    default: str
    copies: str | None = None
    archive: ScoredArchive | None = None
    command: str = ""
    seed: int = 0
    stages: Sequence[tuple[str, float]] = ()


def write_up(inputs: ReportInputs) -> str:
    """Make the report page.

    Parameters
    ----------
    inputs : ReportInputs
        What it is made of.

    Returns
    -------
    str
        One self-contained HTML page.
    """
    store = open_store(inputs.store)
    default = next(item for item in inputs.evaluations if item.bundle.name == inputs.default)
    misses, false_alarms = _errors(store, default)
    content = ReportContent(
        title=inputs.title,
        trained_on=_trained_on(default),
        date=inputs.date,
        is_synthetic=default.is_synthetic,
        models=[_model(item) for item in inputs.evaluations],
        default_model=inputs.default,
        dataset=_dataset(store),
        distortion=_distortion(store, inputs.copies),
        misses=misses,
        false_alarms=false_alarms,
        scoring=_scoring(inputs.archive, default.bundle.digest),
        failures=_failures(store, inputs.archive, default.bundle.digest),
        provenance=_provenance(inputs, default),
    )
    return render_report(content)


def _trained_on(evaluation: Evaluation) -> str:
    training = evaluation.bundle.details["training"]
    rows = training["rows"]
    # what is reported are rows of the store at hand, which need not be the one that was trained on
    reported = {split: metrics.n for split, metrics in evaluation.metrics.items()}
    unseen = f", {reported['unseen']:,} from sources it has never met" if reported.get("unseen") else ""
    copies = f" and {training['copies']:,} copies with added noise" if training["copies"] else ""
    return (
        f"Trained on {rows.get('train', 0):,} clips{copies} ({', '.join(training['sources'])}); threshold chosen on "
        f"{rows.get('validation', 0):,} others; reported on {reported.get('test', 0):,} that neither has "
        f"touched{unseen}."
    )


def _model(evaluation: Evaluation) -> ModelResult:
    bundle, table = evaluation.bundle, evaluation.predictions
    split = np.asarray(table.column("split").to_pylist())
    label, score = (np.asarray(table.column(name).to_pylist()) for name in ("label", "score"))
    history = bundle.details["training"]["history"]
    names = ("loss", "validation_loss", "accuracy", "validation_accuracy")
    return ModelResult(
        name=bundle.name,
        description=MODELS[bundle.name].what,
        splits=[
            ScoredSplit(
                split=name, metrics=evaluation.metrics[name], label=label[split == name], score=score[split == name]
            )
            for name in SPLITS
            if name in evaluation.metrics and name != "train"
        ],
        history=TrainingHistory(**{name: [epoch[name] for epoch in history] for name in names}) if history else None,
        by_source=evaluation.by_source,
        operating_point=bundle.operating_point,
    )


def _dataset(store: FeatureStore) -> DatasetSummary:
    rows = [
        DatasetRow(
            file_name=PurePosixPath(row["path"]).name,
            sample_rate_hz=row["sr"],
            duration_s=(row["duration_s"] if row["end_s"] is None else row["end_s"]) - (row["start_s"] or 0.0),
            label=row["label"],
            group=row["group"],
        )
        for row in store.rows.to_pylist()
        if row["sr"] is not None and row["label"] is not None
    ]
    return DatasetSummary.from_rows(rows)


def _picture(store: FeatureStore, row: int, *, with_waveform: bool = False) -> ClipPicture:
    rule = store.recipe.mel
    centres: NDArray[np.float64] = librosa.mel_frequencies(n_mels=rule.n_mels + 2, fmin=rule.fmin_hz, fmax=rule.fmax_hz)
    return ClipPicture(
        log_mel_db=store.log_mels([row])[0],
        mel_hz=centres[1:-1],
        sr=store.recipe.sr_hz,
        hop_length=rule.hop_length,
        waveform=store.waveforms([row])[0] if with_waveform else None,
    )


def _distortion(store: FeatureStore, copies_uri: str | None) -> DistortionExample | None:
    """The first gunshot among the copies, beside what it was made from."""
    if copies_uri is None:
        return None
    copies = open_store(copies_uri)
    row = next((i for i, label in enumerate(copies.column("label")) if label == 1), None)
    if row is None:
        return None
    source = int(copies.rows.column("source_row")[row].as_py())
    return DistortionExample(
        file_name=PurePosixPath(str(copies.column("path")[row])).name,
        distortion=f"white Gaussian noise {copies.header.derived['augment']['snr_db']:g} dB below the clip",
        original=_picture(store, source, with_waveform=True),
        distorted=_picture(copies, row, with_waveform=True),
    )


def _errors(store: FeatureStore, evaluation: Evaluation) -> tuple[list[ErrorExample], list[ErrorExample]]:
    reported = [row for row in evaluation.predictions.to_pylist() if row["split"] == "test"]
    if not reported:
        return [], []
    threshold = evaluation.bundle.operating_point.threshold
    picked = worst_errors([row["label"] for row in reported], [row["score"] for row in reported], threshold)
    misses, false_alarms = ([_error(store, reported[index]) for index in indices] for indices in picked)
    return misses, false_alarms


def _error(store: FeatureStore, row: Row) -> ErrorExample:
    return ErrorExample(
        file_name=PurePosixPath(row["path"]).name,
        score=row["score"],
        source=f"{row['source']}: {row['sound']}",
        path=f"{row['path']} at {row['onset_s']:.3f} s",
        picture=_picture(store, row["row"]),
    )


def _of(rows: list[Row], digest: str, uris: frozenset[str]) -> list[Row]:
    return [row for row in rows if row["model_digest"] == digest and row["uri"] in uris]


def _scoring(archive: ScoredArchive | None, digest: str) -> ScoringSummary | None:
    if archive is None:
        return None
    recordings = _of(read_table(archive.results, "recordings").to_pylist(), digest, archive.uris)
    detections = _of(read_table(archive.results, "detections").to_pylist(), digest, archive.uris)
    starts: dict[str, list[float]] = {row["uri"]: [] for row in recordings}
    for row in detections:
        starts[row["uri"]].append(row["start_s"])
    states = [row["state"] for row in recordings]
    return ScoringSummary(
        n_listed=len(recordings),
        states={state: states.count(state) for state in sorted(set(states))},
        listened_s=sum(row["read_s"] for row in recordings),
        n_detections=len(detections),
        archive=archive.what,
        detections=[
            DetectionRow(
                recording=row["path"],
                start_s=row["start_s"],
                score=row["score"],
                n_shots=row["n_shots"],
                start_utc=None if row["start_utc"] is None else row["start_utc"].isoformat(timespec="milliseconds"),
            )
            for row in sorted(detections, key=lambda row: -row["score"])
        ],
        timelines=[
            RecordingTimeline(
                recording=row["path"],
                duration_s=row["read_s"],
                detection_s=starts[row["uri"]],
                event_s=archive.truth.get(row["uri"]),
            )
            for row in recordings
            if row["read_s"] > 0
        ],
        truth=archive.metrics,
    )


def _failures(store: FeatureStore, archive: ScoredArchive | None, digest: str) -> list[FailureRow]:
    rows = [row for row, _ in zip(failed_rows(store.header), range(_MOST_FAILURES), strict=False)]
    if archive is not None:
        scored = _of(read_table(archive.results, "recordings").to_pylist(), digest, archive.uris)
        rows += [row for row in scored if row["state"] != "ok"]
    return [FailureRow(file=row["path"], state=row["state"], reason=row["reason"]) for row in rows]


def _provenance(inputs: ReportInputs, default: Evaluation) -> Provenance:
    bundle = default.bundle
    return Provenance(
        command=inputs.command,
        versions=bundle.details["versions"],
        digests={
            "recipe": bundle.recipe.digest,
            "manifest": bundle.details["training"]["manifest_digest"],
            **{f"model {item.bundle.name}": item.bundle.digest for item in inputs.evaluations},
        },
        seeds={"split, copies, weights and order": inputs.seed},
        stages=[StageTime(stage=name, duration_s=round(seconds, 1)) for name, seconds in inputs.stages],
    )
