"""Fitting a network. TensorFlow is imported here and in `gunshot.models.networks`, nowhere else.

Conventions
-----------
The same rows, seed and versions on the same machine give the same weights, to the byte (a test holds it). Seeds suffice
for the operations used here; TensorFlow's switch for deterministic ones changes no byte and costs half the speed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from gunshot.models.catalogue import ModelRule
from gunshot.models.native import without_greeting
from gunshot.models.networks import NETWORKS

__all__ = ["Epoch", "Fit", "fit_network"]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training rows.

    Attributes
    ----------
    number : int
        From 1.
    loss, accuracy : float
        On the training rows.
    validation_loss, validation_accuracy : float
        On the validation rows.
    """

    number: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted network.

    Attributes
    ----------
    weights : bytes
        Exported for the runtime.
    epochs : tuple of Epoch
        How training went.
    n_weights : int
        Trainable numbers.
    """

    weights: bytes
    epochs: tuple[Epoch, ...]
    n_weights: int


def fit_network(
    rule: ModelRule,
    train: tuple[NDArray[np.float32], NDArray[np.int8]],
    validation: tuple[NDArray[np.float32], NDArray[np.int8]],
    *,
    epochs: int,
    seed: int,
    weight: NDArray[np.float32] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Fit:
    """Fit a network and export it.

    Parameters
    ----------
    rule : ModelRule
        Which network and how.
    train, validation : tuple of ndarray
        Spectrograms of shape (n, n_mels, n_frames), float32 [dB], and labels of shape (n,), int8.
    epochs : int
        Passes over the training rows.
    seed : int
        Of initial weights, order and dropout.
    weight : ndarray of shape (n,), float32, optional
        What each training row counts in the loss; all the same if not given.
    on_epoch : callable, optional
        Called after each epoch.

    Returns
    -------
    Fit
        The exported network and its history.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    x, y = train
    network = NETWORKS[rule.name]((int(x.shape[1]), int(x.shape[2])))
    steps = epochs * -(-len(x) // rule.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(rule.learning_rate, steps) if rule.decays else rule.learning_rate
    network.compile(
        keras.optimizers.AdamW(rate, weight_decay=rule.weight_decay),
        keras.losses.BinaryCrossentropy(label_smoothing=rule.label_smoothing),
        metrics=["accuracy"],
    )
    history: list[Epoch] = []

    def _record(number: int, logs: dict[str, float]) -> None:
        epoch = Epoch(number + 1, logs["loss"], logs["accuracy"], logs["val_loss"], logs["val_accuracy"])
        history.append(epoch)
        if on_epoch:
            on_epoch(epoch)

    network.fit(
        x,
        y.astype(np.float32),
        batch_size=rule.batch_size,
        epochs=epochs,
        verbose=0,
        validation_data=(validation[0], validation[1].astype(np.float32)),
        sample_weight=weight,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=_record)],
    )
    return Fit(_export(network), tuple(history), int(network.count_params()))


def _export(network: keras.Model) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.tflite")
        with without_greeting():
            network.export(str(path), format="litert", verbose=False)
        return path.read_bytes()
