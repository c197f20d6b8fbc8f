"""The verb: from a store, evaluations and results to the report page.

Conventions
-----------
Everything on the page is read from what was written: nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from gunshot.evaluate import Evaluation, model_names
from gunshot.evaluation.mistakes import Mistake
from gunshot.models.card import model_card
from gunshot.models.catalogue import MODELS
from gunshot.report import (
    ClipPicture,
    DatasetRow,
    DatasetSummary,
    DistortionExample,
    ErrorExample,
    FailureRow,
    ModelResult,
    Provenance,
    ReportContent,
    ScoredSplit,
    Section,
    StageTime,
    TrainingHistory,
    audit_section,
    champion_section,
    held_out_sections,
    render_report,
)
from gunshot.report.gallery import MOST_EXAMPLES
from gunshot.report.scored import ScoredArchive, scored_recordings, scoring_summary
from gunshot.report.store_pictures import copied_example, row_pictures, trained_example
from gunshot.split import SPLITS
from gunshot.store.read import FeatureStore, open_store
from gunshot.store.records import failed_rows

__all__ = ["ReportInputs", "ScoredArchive", "write_up"]

Row = dict[str, Any]

_MOST_FAILURES = 200


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
        Name of the default model, as `gunshot.evaluate.model_names` gives it.
    copies : str or None
        The store of distorted copies; where there is none, a clip is distorted as the default model's training did.
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
    # the same bundle given twice is shown once
    named = dict(zip(model_names(inputs.evaluations), inputs.evaluations, strict=True))
    default = next(item for name, item in named.items() if name == inputs.default)
    misses, false_alarms = _errors(store, default)
    content = ReportContent(
        title=inputs.title,
        trained_on=_trained_on(default),
        date=inputs.date,
        is_synthetic=default.is_synthetic,
        models=[_model(name, item) for name, item in named.items()],
        default_model=inputs.default,
        dataset=_dataset(store),
        distortion=_distortion(store, inputs.copies, default),
        misses=misses,
        false_alarms=false_alarms,
        sections=_sections(default),
        candidates_per_hour=next((of.alarms.candidates_per_hour for of in default.figures.values()), None),
        scoring=None if inputs.archive is None else scoring_summary(inputs.archive, default.bundle.digest),
        failures=_failures(store, inputs.archive, default.bundle.digest),
        provenance=_provenance(inputs, default, named),
        card=model_card(default.bundle),
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
        f"Trained on {rows.get('train', 0):,} clips{copies} ({_sources(training)}); threshold chosen on "
        f"{rows.get('validation', 0):,} others; reported on {reported.get('test', 0):,} that neither has "
        f"touched{unseen}."
    )


def _sources(training: Mapping[str, Any]) -> str:
    """The sources that a bundle notes: counted at training, or names alone for a site's own sound."""
    return ", ".join(sorted({*(training.get("rows_by_source") or ()), *(training.get("sources") or ())}))


def _sections(evaluation: Evaluation) -> list[Section]:
    details = evaluation.bundle.details
    noted = (champion_section(details.get("champion")), audit_section(details.get("audit")))
    held_out = held_out_sections(evaluation.figures, evaluation.unseen_sources)
    return [*held_out, *(section for section in noted if section is not None)]


def _model(name: str, evaluation: Evaluation) -> ModelResult:
    bundle, table = evaluation.bundle, evaluation.predictions
    split = np.asarray(table.column("split").to_pylist())
    label, score = (np.asarray(table.column(name).to_pylist()) for name in ("label", "score"))
    history = bundle.details["training"]["history"]
    names = ("loss", "validation_loss", "accuracy", "validation_accuracy")
    return ModelResult(
        name=name,
        description=MODELS[bundle.name].what,
        splits=[
            ScoredSplit(
                split=part, metrics=evaluation.metrics[part], label=label[split == part], score=score[split == part]
            )
            for part in SPLITS
            if part in evaluation.metrics and part != "train"
        ],
        history=TrainingHistory(**{key: [epoch[key] for epoch in history] for key in names}) if history else None,
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


def _distortion(store: FeatureStore, copies: str | None, default: Evaluation) -> DistortionExample | None:
    if copies is not None:
        return copied_example(store, copies)
    return trained_example(store, default.bundle.details["training"])


def _errors(store: FeatureStore, evaluation: Evaluation) -> tuple[list[ErrorExample], list[ErrorExample]]:
    """The rows of all reported splits that are called wrong, those the model was most sure of first."""
    figures = evaluation.figures.values()
    misses = sorted((it for of in figures for it in of.misses.worst), key=lambda it: it.score)
    false_alarms = sorted((it for of in figures for it in of.false_alarms.worst), key=lambda it: -it.score)
    return _examples(store, misses[:MOST_EXAMPLES]), _examples(store, false_alarms[:MOST_EXAMPLES])


def _examples(store: FeatureStore, mistakes: Sequence[Mistake]) -> list[ErrorExample]:
    pictures = row_pictures(store, [mistake.row for mistake in mistakes])
    return [_error(mistake, picture) for mistake, picture in zip(mistakes, pictures, strict=True)]


def _error(mistake: Mistake, picture: ClipPicture) -> ErrorExample:
    level = "" if mistake.snr_db is None else f", SNR about {mistake.snr_db:.0f} dB"
    return ErrorExample(
        file_name=PurePosixPath(mistake.path).name,
        score=mistake.score,
        source=f"{mistake.source}: {mistake.sound}{level}",
        path=f"{mistake.path} at {mistake.onset_s:.3f} s",
        picture=picture,
    )


def _failures(store: FeatureStore, archive: ScoredArchive | None, digest: str) -> list[FailureRow]:
    rows = [row for row, _ in zip(failed_rows(store.header), range(_MOST_FAILURES), strict=False)]
    if archive is not None:
        rows += [row for row in scored_recordings(archive, digest) if row["state"] != "ok"]
    return [FailureRow(file=row["path"], state=row["state"], reason=row["reason"]) for row in rows]


def _provenance(inputs: ReportInputs, default: Evaluation, named: Mapping[str, Evaluation]) -> Provenance:
    bundle = default.bundle
    return Provenance(
        command=inputs.command,
        versions=bundle.details["versions"],
        digests={
            "recipe": bundle.recipe.digest,
            "manifest": bundle.details["training"]["manifest_digest"],
            **{f"model {name}": item.bundle.digest for name, item in named.items()},
        },
        seeds={"split, copies, weights and order": inputs.seed},
        stages=[StageTime(stage=name, duration_s=round(seconds, 1)) for name, seconds in inputs.stages],
    )
