"""What the paper reports, as data, and where it says so.

Conventions
-----------
Accuracies are fractions of the test rows at threshold 0.5, as printed. The source is B. Teterycz, "Using Machine
Learning to Classify Gunshots and Gunshot-like Sounds": abstract, "Dataset" and "Results and Discussion".

The abstract gives 0.561 for logistic regression on the original data, the results give 0.597; both are kept. The text
counts 612 + 615 files as 1226, and 1960 training rows after doubling: 980 for training, 246 for the test. All printed
accuracies are whole numbers of rows out of 246 (cut off or rounded to three digits), so one row more or less is 0.004.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["N_GUNSHOTS", "N_OTHERS", "PAPER", "THRESHOLD", "DataName", "ModelName", "PaperFigure", "paper_figure"]

ModelName = Literal["logistic", "paper-cnn"]
"""The paper's two models, by their names in `gunshot.models.catalogue`."""

DataName = Literal["original", "augmented"]
"""The training rows, or the training rows and a noisy copy of each."""

N_GUNSHOTS = 615
"""Gunshot recordings of the paper."""

N_OTHERS = 612
"""Plastic-bag pops of the paper."""

THRESHOLD = 0.5
"""The paper calls a clip by the nearer class."""


@dataclass(frozen=True, slots=True)
class PaperFigure:
    """One cell of the paper.

    Attributes
    ----------
    model, data : str
        What was trained, and on which training rows.
    epochs : int or None
        Passes; None where there are none.
    accuracy : tuple of float
        As printed; several where the paper gives several for the same thing.
    printed : str
        How it is shown.
    confusion : dict of str to int
        Errors the paper counts: ``fp`` and ``fn``; empty where it counts none.
    """

    model: ModelName
    data: DataName
    epochs: int | None
    accuracy: tuple[float, ...]
    printed: str
    confusion: dict[str, int]


PAPER: tuple[PaperFigure, ...] = (
    PaperFigure(
        "logistic", "original", None, (0.561, 0.597), "0.561 (abstract), 0.597 (results)", {"fp": 86, "fn": 13}
    ),
    PaperFigure("logistic", "augmented", None, (0.557, 0.610), "0.557 to 0.610", {}),
    PaperFigure("paper-cnn", "original", 14, (0.972,), "0.972", {}),
    PaperFigure("paper-cnn", "original", 30, (0.996,), "0.996", {}),
    PaperFigure("paper-cnn", "augmented", 14, (0.983,), "0.983", {}),
    PaperFigure("paper-cnn", "augmented", 30, (0.972,), "0.972 (best of several runs: 1.0)", {}),
)
"""All figures of the paper, in its order."""


def paper_figure(model: str, data: str, epochs: int | None) -> PaperFigure | None:
    """Look a figure of the paper up.

    Parameters
    ----------
    model, data : str
        What was trained, and on which training rows.
    epochs : int or None
        Passes.

    Returns
    -------
    PaperFigure or None
        None where the paper has none, such as another number of epochs.

    Examples
    --------
    >>> paper_figure("paper-cnn", "original", 30).printed
    '0.996'
    """
    return next((it for it in PAPER if (it.model, it.data, it.epochs) == (model, data, epochs)), None)
