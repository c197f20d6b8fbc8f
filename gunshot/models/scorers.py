"""What turns a model's inputs into scores.

Conventions
-----------
Weights are plain arrays (``weights.npz``) or an exported network (``weights.tflite``); no pickle is ever loaded.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import BundleError
from gunshot.models.logistic import logistic_scores, read_logistic
from gunshot.models.runtime import NetworkRuntime
from gunshot.recipe import Recipe

__all__ = ["Scorer", "scorer_of", "weights_name"]


Scorer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From inputs of shape (n, ...), float32, to scores of shape (n,), float32."""


def weights_name(model: str) -> str:
    """Name of a model's weights in its bundle.

    Parameters
    ----------
    model : str
        One of `gunshot.models.catalogue.MODELS`.

    Returns
    -------
    str
        A file's name.
    """
    return "weights.npz" if model == "logistic" else "weights.tflite"


def scorer_of(model: str, content: bytes, recipe: Recipe) -> Scorer:
    """What turns a model's inputs into scores; needed before there is a bundle, to choose its operating point.

    Parameters
    ----------
    model : str
        One of `gunshot.models.catalogue.MODELS`.
    content : bytes
        Its weights.
    recipe : Recipe
        The clips it reads.

    Returns
    -------
    callable
        From inputs of shape (n, ...), float32, to scores of shape (n,), float32.

    Raises
    ------
    BundleError
        If the weights are not of that model and recipe.
    """
    if model == "logistic":
        weights = read_logistic(content)
        if weights[0].shape != (recipe.n_samples,):
            raise BundleError(f"weights are for {weights[0].size} samples, the recipe's clips have {recipe.n_samples}")
        return lambda inputs: logistic_scores(weights, inputs)
    return NetworkRuntime(content, recipe.mel_shape).scores
