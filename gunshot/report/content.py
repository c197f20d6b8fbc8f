"""What the report page needs: frozen dataclasses of plain data and NumPy arrays.

Conventions: label 1 is a gunshot, label 0 any other sound; scores lie in [0, 1]; times are seconds from the
start of a recording; time stamps are ISO 8601 text in UTC. Names and paths are shown as given and escaped by
the page. Nothing here reads a clock or a file: the same content gives the same page, byte for byte.

`ReportContent` is the whole page. All of it is optional but the title, what was trained on what, and the
date: a part that is missing leaves its section out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gunshot.errors import ParameterError
from gunshot.evaluation.metrics import ClassificationMetrics
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.evaluation.rows import labelled_scores
from gunshot.report.archive import FailureRow, ScoringSummary
from gunshot.report.blocks import Section
from gunshot.report.dataset import DatasetSummary
from gunshot.report.pictures import DistortionExample, ErrorExample

__all__ = ["ModelResult", "Provenance", "ReportContent", "ScoredSplit", "StageTime", "TrainingHistory"]

MAIN_SPLITS = ("test", "unseen", "validation")
"""Splits that the key figures may come from, the best first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredSplit:
    """One model's figures on one split.

    Parameters
    ----------
    split : str
        Name of the rows: "test", "validation", ...
    metrics : ClassificationMetrics
        Figures at the model's threshold.
    label, score : array_like of shape (n,), optional
        The rows themselves, for curves and histogram; both or neither.

    Raises
    ------
    ParameterError
        If only one of label and score is given, or they are not as many rows as the metrics count.
    """

    split: str
    metrics: ClassificationMetrics
    label: ArrayLike | None = None
    score: ArrayLike | None = None

    def __post_init__(self) -> None:
        """Check that the rows are those of the metrics."""
        if (self.label is None) != (self.score is None):
            raise ParameterError(f"label and score of split {self.split!r} must be given both or neither; got one")
        if self.rows is not None and self.rows[0].size != self.metrics.n:
            raise ParameterError(
                f"label of split {self.split!r} must be the {self.metrics.n} rows of its metrics; "
                f"got {self.rows[0].size}: pass the predictions of the same split"
            )

    @property
    def rows(self) -> tuple[NDArray[np.int8], NDArray[np.float64]] | None:
        """Labels and scores, checked; None where they were not given."""
        if self.label is None or self.score is None:
            return None
        return labelled_scores(self.label, self.score)


@dataclass(frozen=True, kw_only=True)
class TrainingHistory:
    """Loss and accuracy after each epoch; a sequence that was not recorded stays empty.

    Parameters
    ----------
    loss, validation_loss : sequence of float
        One value an epoch.
    accuracy, validation_accuracy : sequence of float
        One value in [0, 1] an epoch.
    """

    loss: Sequence[float] = ()
    validation_loss: Sequence[float] = ()
    accuracy: Sequence[float] = ()
    validation_accuracy: Sequence[float] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelResult:
    """One trained model.

    Parameters
    ----------
    name : str
        Short name, unique in the report.
    description : str
        One line: the kind of model, augmentation, epochs.
    splits : sequence of ScoredSplit
        In the order to show; curves and key figures take "test", else "unseen", else "validation", else the
        first there is.
    history : TrainingHistory, optional
        For models trained in epochs.
    by_source : mapping of {str: ClassificationMetrics}
        Breakdown of the same split as the key figures.
    operating_point : OperatingPoint, optional
        Where the threshold comes from.
    """

    name: str
    description: str = ""
    splits: Sequence[ScoredSplit] = ()
    history: TrainingHistory | None = None
    by_source: Mapping[str, ClassificationMetrics] = field(default_factory=dict)
    operating_point: OperatingPoint | None = None

    @property
    def main_split(self) -> ScoredSplit | None:
        """The split of the key figures and curves."""
        named = {split.split: split for split in reversed(self.splits)}
        first = self.splits[0] if self.splits else None
        return next((named[name] for name in MAIN_SPLITS if name in named), first)


@dataclass(frozen=True, kw_only=True)
class StageTime:
    """Run time of one stage.

    Parameters
    ----------
    stage : str
        Name of the stage: "preprocess", "train", ...
    duration_s : float
        Wall time [s].
    detail : str
        What was done in it, such as "1,226 files on 2 workers".
    """

    stage: str
    duration_s: float
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What is needed to make the same page again.

    Parameters
    ----------
    command : str
        The command line.
    versions : mapping of {str: str}
        Version of each package that matters.
    digests : mapping of {str: str}
        Digest of the recipe, the training data, the weights, ...
    seeds : mapping of {str: int}
        Seed of each random step.
    stages : sequence of StageTime
        Run time of each stage, in order.
    """

    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    stages: Sequence[StageTime] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportContent:
    """The whole page.

    Parameters
    ----------
    title : str
        Heading of the page.
    trained_on : str
        One or two sentences: what was trained, on what, and tested on what.
    date : str
        Date of the run, as shown.
    is_synthetic : bool
        Whether the sound was made by a program; the page then says that no figure is accuracy on real
        recordings.
    class_names : (str, str)
        Names of the classes with label 0 and label 1, in the singular.
    models : sequence of ModelResult
        In the order to show.
    default_model : str, optional
        Name of the model of the key figures and the gallery; the first one where it is not given.
    dataset : DatasetSummary, optional
        Table and counts of the clips.
    distortion : DistortionExample, optional
        One clip beside its distorted copy.
    misses, false_alarms : sequence of ErrorExample
        Worst errors of the default model, the worst first; the page shows up to 30 of each.
    sections : sequence of Section
        Figures of the default model on held-out rows, shown after the curves.
    candidates_per_hour : float, optional
        What one recorder brings, for the false alarms a day at a threshold [1/h].
    scoring : ScoringSummary, optional
        What was found in whole recordings.
    failures : sequence of FailureRow
        Files without a result, from any stage; the page lists the first 100.
    provenance : Provenance, optional
        Versions, digests, seeds, command and run times.
    card : str
        The default model's card, in Markdown; empty for none.

    Raises
    ------
    ParameterError
        If two models share a name, or the default model is not among them.
    """

    title: str
    trained_on: str
    date: str
    is_synthetic: bool
    class_names: tuple[str, str] = ("other sound", "gunshot")
    models: Sequence[ModelResult] = ()
    default_model: str | None = None
    dataset: DatasetSummary | None = None
    distortion: DistortionExample | None = None
    misses: Sequence[ErrorExample] = ()
    false_alarms: Sequence[ErrorExample] = ()
    sections: Sequence[Section] = ()
    candidates_per_hour: float | None = None
    scoring: ScoringSummary | None = None
    failures: Sequence[FailureRow] = ()
    provenance: Provenance | None = None
    card: str = ""

    def __post_init__(self) -> None:
        """Refuse models that cannot be told apart or found."""
        names = [model.name for model in self.models]
        if len(set(names)) < len(names):
            raise ParameterError(f"models must have names of their own; got {names}: add what tells them apart")
        if self.default_model is not None and self.default_model not in names:
            raise ParameterError(f"default_model must be one of {names}; got {self.default_model!r}: name a model")

    @property
    def key_model(self) -> ModelResult | None:
        """The model of the key figures; None without models."""
        first = self.models[0] if self.models else None
        return next((model for model in self.models if model.name == self.default_model), first)
