"""The models by name, and how each is trained. Free of TensorFlow, so that the command line can list them.

Conventions
-----------
A model reads either clips (``waveform``) or their log-mel spectrograms (``log_mel``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gunshot.errors import ParameterError

__all__ = ["DEFAULT_MODEL", "MODELS", "ModelRule", "model_rule"]

DEFAULT_MODEL = "small-cnn"


@dataclass(frozen=True, slots=True)
class ModelRule:
    """How a model is trained unless the user says otherwise.

    Attributes
    ----------
    name : str
        Name in the command line, bundles and reports.
    input : {"waveform", "log_mel"}
        What it reads.
    epochs, batch_size : int
        Passes over the training rows, and rows in a step; 0 where there are none.
    learning_rate : float
        Of Adam, at the beginning.
    decays : bool
        Whether the learning rate falls to zero along a half cosine.
    weight_decay : float
        Of AdamW; 0 is Adam.
    label_smoothing : float
        How far targets are drawn from 0 and 1 towards the middle; keeps scores from saturating.
    augment : {"none", "paper", "field"}
        How its training rows are distorted unless another way is asked for.
    what : str
        One line for people.
    """

    name: str
    input: Literal["waveform", "log_mel"]
    epochs: int
    batch_size: int
    learning_rate: float
    decays: bool
    weight_decay: float
    label_smoothing: float
    augment: Literal["none", "paper", "field"]
    what: str


MODELS: dict[str, ModelRule] = {
    rule.name: rule
    for rule in (
        ModelRule(
            "logistic", "waveform", 0, 0, 0, False, 0, 0, "paper", "logistic regression on waveforms, the paper's"
        ),
        ModelRule("paper-cnn", "log_mel", 14, 10, 1e-3, True, 0, 0, "paper", "the paper's seven convolutions"),
        ModelRule(
            "small-cnn", "log_mel", 20, 32, 2e-3, True, 0.02, 0.05, "paper", "four light convolutions; the default"
        ),
        ModelRule(
            "field-cnn", "log_mel", 10, 64, 2e-3, True, 0.02, 0.02, "field", "wider, with ears trained elsewhere"
        ),
    )
}
"""The models by name."""


def model_rule(name: str) -> ModelRule:
    """Look a model up.

    Parameters
    ----------
    name : str
        One of `MODELS`.

    Returns
    -------
    ModelRule
        How it is trained.

    Raises
    ------
    ParameterError
        If there is no such model.
    """
    if name not in MODELS:
        raise ParameterError(f"--model must be one of {', '.join(MODELS)}; got {name!r}")
    return MODELS[name]
