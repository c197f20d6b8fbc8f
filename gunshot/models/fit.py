"""Fitting a network. TensorFlow is imported here and by the networks (`networks`, `ears`, `heads`), nowhere else.

Conventions
-----------
The same rows, seed and versions on the same machine give the same weights, to the byte (a test holds it). Seeds suffice
for the operations used here; TensorFlow's switch for deterministic ones changes no byte and costs half the speed. A
training that was killed goes on from its last epoch and ends with the same weights.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import BundleError, TrainingError
from gunshot.models.batches import Batch, Batches, ahead
from gunshot.models.catalogue import ModelRule
from gunshot.models.checkpoint import Checkpoint, Saved
from gunshot.models.native import without_greeting

try:
    import keras

    from gunshot.models.networks import NETWORKS, as_one
except ModuleNotFoundError as missing:  # where recordings are scored it is not needed, and left out of the image
    raise TrainingError(
        f"networks are trained with TensorFlow, and {missing.name} is not installed; install it with pip install "
        "'gunshot[train]', or run this in the image that is built with --target training"
    ) from missing

__all__ = ["Epoch", "Fit", "fit_network", "read_weights"]


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
    network : bytes
        The same numbers as an ``.npz`` of plain arrays, for training to go on from (`gunshot.models.copies`).
    epochs : tuple of Epoch
        How training went.
    n_weights : int
        Trainable numbers.
    """

    weights: bytes
    network: bytes
    epochs: tuple[Epoch, ...]
    n_weights: int


def fit_network(
    rule: ModelRule,
    train: Batches,
    validation: Batches,
    *,
    epochs: int,
    seed: int,
    patience: int | None = None,
    initial: Sequence[NDArray[Any]] | None = None,
    checkpoint: Checkpoint | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Fit:
    """Fit a network and export it.

    Parameters
    ----------
    rule : ModelRule
        Which network and how.
    train, validation : Batches
        Rows; of the second the first epoch is judged after each of the first's.
    epochs : int
        Passes over the training rows.
    seed : int
        Of initial weights and dropout; the order is that of `train`.
    patience : int, optional
        Stop after so many epochs without a lower validation loss, and take the best; otherwise the last is taken.
    initial : sequence of ndarray, optional
        Weights to begin with, as `read_weights` gives them; drawn from the seed if not given.
    checkpoint : Checkpoint, optional
        Where to go on from after a kill; a training that did has the weights of one that ran through.
    on_epoch : callable, optional
        Called after each epoch.

    Returns
    -------
    Fit
        The exported network and its history.
    """
    network = _network(rule, train, epochs, seed)
    if initial is not None:
        network.set_weights(list(initial))
    history: list[Epoch] = []
    best: list[NDArray[Any]] = []
    saved = None if checkpoint is None else checkpoint.load()
    if saved is not None:
        _restore(network, saved.arrays)
        history, best = [_epoch(figures) for figures in saved.history], list(saved.best)
    while len(history) < epochs and not _is_over(history, patience):
        history.append(_one_epoch(network, train, validation, len(history)))
        if patience is not None and history[-1].validation_loss <= min(epoch.validation_loss for epoch in history):
            best = network.get_weights()
        if checkpoint is not None:
            checkpoint.save(Saved(_state(network), best, [asdict(epoch) for epoch in history]))
        if on_epoch:
            on_epoch(history[-1])
    if best:
        network.set_weights(best)
    return Fit(_export(network), _packed(network.get_weights()), tuple(history), int(network.count_params()))


def _network(rule: ModelRule, train: Batches, epochs: int, seed: int) -> keras.Model:
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    network = NETWORKS[rule.name]((train.shape[0], train.shape[1]))
    steps = epochs * train.n_batches
    rate = keras.optimizers.schedules.CosineDecay(rule.learning_rate, steps) if rule.decays else rule.learning_rate
    network.compile(
        keras.optimizers.AdamW(rate, weight_decay=rule.weight_decay),
        keras.losses.BinaryCrossentropy(label_smoothing=rule.label_smoothing),
        weighted_metrics=["accuracy"],
    )
    network.optimizer.build(network.trainable_variables)
    return network


def _state(network: keras.Model) -> list[NDArray[Any]]:
    return [np.asarray(variable) for variable in (*network.variables, *network.optimizer.variables)]


def _restore(network: keras.Model, arrays: Sequence[NDArray[Any]]) -> None:
    variables = (*network.variables, *network.optimizer.variables)
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _is_over(history: list[Epoch], patience: int | None) -> bool:
    if patience is None or not history:
        return False
    losses = [epoch.validation_loss for epoch in history]
    return len(losses) - 1 - int(np.argmin(losses)) >= patience


def _one_epoch(network: keras.Model, train: Batches, validation: Batches, number: int) -> Epoch:
    fitted = _mean(
        (len(batch.y), network.train_on_batch(batch.x, _targets(network, batch), batch.weight, return_dict=True))
        for batch in ahead(train.epoch(number))
    )
    judged = _mean(
        (len(batch.y), network.test_on_batch(batch.x, _targets(network, batch), batch.weight, return_dict=True))
        for batch in validation.epoch(0)
    )
    return Epoch(number + 1, fitted["loss"], fitted["accuracy"], judged["loss"], judged["accuracy"])


def _mean(figures: Iterable[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """Mean over the rows of all batches: Keras gives each batch's own."""
    total = {"loss": 0.0, "accuracy": 0.0}
    n_rows = 0
    for n, of_batch in figures:
        n_rows += n
        total = {name: value + n * float(of_batch[name]) for name, value in total.items()}
    return {name: value / max(1, n_rows) for name, value in total.items()}


def _targets(network: keras.Model, batch: Batch) -> NDArray[np.float32]:
    """The label once for each head."""
    return np.repeat(batch.y[:, None], network.output_shape[-1], axis=1)


def _epoch(figures: dict[str, float]) -> Epoch:
    return Epoch(
        int(figures["number"]), figures["loss"], figures["accuracy"], figures["validation_loss"],
        figures["validation_accuracy"],
    )  # fmt: skip


def _packed(arrays: Sequence[NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    everything: dict[str, Any] = {f"w{number:04d}": array for number, array in enumerate(arrays)}
    np.savez_compressed(buffer, **everything)
    return buffer.getvalue()


def read_weights(content: bytes) -> list[NDArray[np.float32]]:
    """Read back the weights of `Fit.network`.

    Parameters
    ----------
    content : bytes
        The ``.npz``.

    Returns
    -------
    list of ndarray
        In the network's order.

    Raises
    ------
    BundleError
        If it is none.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return [np.asarray(arrays[name], dtype=np.float32) for name in sorted(arrays.files)]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BundleError(f"no weights that training can go on from: {error}") from error


def _export(network: keras.Model) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.tflite")
        with without_greeting():
            as_one(network).export(str(path), format="litert", verbose=False)
        return path.read_bytes()
