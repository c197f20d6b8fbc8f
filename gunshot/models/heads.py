"""A network taken apart before its last step: what it makes of a clip, and other weights for that step alone.

Conventions
-----------
A network ends with one dense layer, or with two whose logits are added (`networks.heads`); here they are one, of all
their features. TensorFlow is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from gunshot.models.networks import NETWORKS, call, heads

__all__ = ["Heads", "Heard"]


class Heard(NamedTuple):
    """What a network makes of clips.

    Attributes
    ----------
    features : ndarray of shape (n, n_features), float64
        What its last step reads.
    logit : ndarray of shape (n,), float64
        What that step says.
    call : ndarray of shape (n,), float64
        Logit of what counts beside it (`networks.as_one`); minus infinity where nothing does.
    """

    features: NDArray[np.float64]
    logit: NDArray[np.float64]
    call: NDArray[np.float64]


class Heads:
    """The last step of a network, and all that comes before it.

    Parameters
    ----------
    name : str
        Which of the networks.
    shape : tuple of int
        (n_mels, n_frames).
    weights : sequence of ndarray
        In the network's order, as `gunshot.models.fit.read_weights` gives them.
    """

    def __init__(self, name: str, shape: tuple[int, int], weights: Sequence[NDArray[np.float32]]) -> None:
        self._network = NETWORKS[name](shape)
        self._network.set_weights(list(weights))
        self._heads = heads(self._network)
        outputs = [layer.input for layer, _ in self._heads]
        if len(self._heads) > 1:
            outputs.append(call(self._network))
        self._before = keras.Model(self._network.input, outputs)
        self._old = [layer.get_weights() for layer, _ in self._heads]
        self._kernel = np.concatenate([kernel[:, 0] for kernel, _ in self._old]).astype(np.float64)
        self._bias = sum(share * float(bias[0]) for (_, share), (_, bias) in zip(self._heads, self._old, strict=True))

    def hear(self, x: NDArray[np.float32]) -> Heard:
        """Let the network hear clips, up to its last step.

        Parameters
        ----------
        x : ndarray of shape (n, n_mels, n_frames), float32
            Log-mel spectrograms.

        Returns
        -------
        Heard
            Row by row.
        """
        made = [np.asarray(part, dtype=np.float64) for part in keras.tree.flatten(self._before.predict_on_batch(x))]
        shares = [share for _, share in self._heads]
        features = np.concatenate([share * part for share, part in zip(shares, made, strict=False)], axis=1)
        beside = made[-1][:, 0] if len(made) > len(shares) else np.full(len(x), -np.inf)
        return Heard(features, features @ self._kernel + self._bias, beside)

    def moved(self, direction: NDArray[np.float64], constant: float) -> list[NDArray[np.float32]]:
        """Give the network with another last step.

        Parameters
        ----------
        direction : ndarray of shape (n_features,), float64
            What is added to the weight of each feature.
        constant : float
            What is added to the logit of every clip.

        Returns
        -------
        list of ndarray
            Weights in the network's order; all that comes before the last step is as it was.
        """
        start = 0
        for number, ((layer, _), (kernel, bias)) in enumerate(zip(self._heads, self._old, strict=True)):
            end = start + len(kernel)
            layer.set_weights([kernel + direction[start:end, None], bias + (constant if number == 0 else 0.0)])
            start = end
        return list(self._network.get_weights())
