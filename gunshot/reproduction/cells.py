"""One cell of the reproduction: one training, its figures, and where they are kept.

Conventions
-----------
A cell is finished when its JSON object exists: ``OUT/cells/<parameters>-<digest>.json``, written at once. The digest is
of all that decides its numbers (store, recipe, parameters, training rule, package version), so a cell of another store
or rule is never taken for this one. One seed draws the rows, splits them, draws the noise and starts the weights.

As in the paper there is no validation set: four fifths train, one fifth is the test, the threshold is 0.5 and nothing
is chosen by any figure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from gunshot import __version__
from gunshot.augment.chain import AugmentRule, distorted_copy
from gunshot.clips import features
from gunshot.errors import ParameterError, StorageError, TransientStorageError
from gunshot.evaluation.metrics import classification_metrics
from gunshot.fitting import read_inputs
from gunshot.models.batches import ArrayBatches
from gunshot.models.bundle import scorer_of
from gunshot.models.catalogue import ModelRule, model_rule
from gunshot.models.logistic import fit_logistic
from gunshot.models.native import without_greeting
from gunshot.reproduction.likeset import Drawn, draw_rows
from gunshot.reproduction.paper import THRESHOLD, DataName, ModelName
from gunshot.split import assign_splits
from gunshot.storage import exists, join, read_bytes, write_bytes
from gunshot.store.read import FeatureStore, open_store
from gunshot.training import row_weights

if TYPE_CHECKING:
    from gunshot.models.fit import Epoch

__all__ = ["EPOCHS", "SEEDS", "Cell", "SplitBy", "cell_uri", "held_out_rows", "plan_cells", "read_cell", "run_cell"]

SEEDS = (0, 1, 2)
"""Of the runs, unless others are given."""

EPOCHS = (14, 30)
"""As in the paper."""

SplitBy = Literal["random", "group"]

_FORMAT = "gunshot-reproduction/1"
_MOST_CELLS = 400  # a Prefect task each


@dataclass(frozen=True, slots=True)
class Cell:
    """What one training is.

    Attributes
    ----------
    model : {"logistic", "paper-cnn"}
        What is trained.
    data : {"original", "augmented"}
        The training rows, or the training rows and a copy of each with Gaussian noise.
    split : {"random", "group"}
        Row by row as in the paper, or by group, so that nothing of a test recording was trained on.
    epochs : int or None
        Passes; None where there are none.
    seed : int
        Of everything.
    """

    model: ModelName
    data: DataName
    split: SplitBy
    epochs: int | None
    seed: int

    @property
    def name(self) -> str:
        """Parameters in words, as in its file's name."""
        epochs = f"-{self.epochs}-epochs" if self.epochs else ""
        return f"{self.model}-{self.data}-{self.split}{epochs}-seed-{self.seed}"


def plan_cells(seeds: Sequence[int] = SEEDS, epochs: Sequence[int] = EPOCHS) -> tuple[Cell, ...]:
    """All trainings of a reproduction, the quick ones first.

    Parameters
    ----------
    seeds : sequence of int
        One run each.
    epochs : sequence of int
        Of the network.

    Returns
    -------
    tuple of Cell
        Each once.

    Raises
    ------
    ParameterError
        If a list is empty, has doubles or values out of range, or there would be too many trainings.
    """
    for name, values, low in (("--seeds", seeds, 0), ("--epochs", epochs, 1)):
        if not values or len(set(values)) < len(values) or min(values) < low or max(values) >= 2**32:
            shown = ",".join(str(value) for value in values)
            raise ParameterError(f"{name} must be different whole numbers of {low} or more; got {shown or 'none'!r}")
    models: list[tuple[ModelName, int | None]] = [("logistic", None)]
    models += [("paper-cnn", number) for number in sorted(epochs)]
    datas: tuple[DataName, ...] = ("original", "augmented")
    splits: tuple[SplitBy, ...] = ("random", "group")
    cells = tuple(
        Cell(model, data, split, number, seed)
        for model, number in models
        for data in datas
        for seed in seeds
        for split in splits
    )
    if len(cells) > _MOST_CELLS:
        raise ParameterError(
            f"--seeds and --epochs ask for {len(cells)} trainings, more than {_MOST_CELLS}; give fewer"
        )
    return cells


def cell_uri(store: FeatureStore, out: str, cell: Cell) -> str:
    """Where a cell's figures are kept.

    Parameters
    ----------
    store : FeatureStore
        The store.
    out : str
        The reproduction's folder.
    cell : Cell
        The cell.

    Returns
    -------
    str
        The address; another one for another store, recipe, rule or version.
    """
    said = {
        "format": _FORMAT,
        "version": __version__,
        "manifest": store.header.manifest_digest,
        "recipe": store.recipe.digest,
        "cell": asdict(cell),
        "rule": asdict(model_rule(cell.model)),
        "noise": AugmentRule(kind="paper", seed=cell.seed).model_dump(mode="json"),
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]
    return join(out, "cells", f"{cell.name}-{digest}.json")


def read_cell(uri: str) -> dict[str, Any] | None:
    """Read a finished cell.

    Parameters
    ----------
    uri : str
        Where it is kept.

    Returns
    -------
    dict or None
        Its figures; None where it is not finished, or what is there is not a cell's.

    Raises
    ------
    TransientStorageError
        If the storage does not answer.
    """
    if not exists(uri):
        return None
    try:
        content = json.loads(read_bytes(uri))
    except TransientStorageError:
        raise
    except (StorageError, ValueError):
        return None  # it is trained again, and written anew
    is_whole = isinstance(content, dict) and content.get("format") == _FORMAT and "metrics" in content
    return content if is_whole else None


def held_out_rows(drawn: Drawn, by: SplitBy, seed: int) -> NDArray[np.bool_]:
    """Which drawn rows are the test: a fifth of them.

    Parameters
    ----------
    drawn : Drawn
        The rows.
    by : {"random", "group"}
        What is never divided.
    seed : int
        Of the shuffling.

    Returns
    -------
    ndarray of shape (n,), bool
        All others train.

    Raises
    ------
    TrainingError
        If there are too few groups.
    """
    splits = assign_splits(drawn.path, drawn.group, drawn.label, drawn.source, by=by, seed=seed)
    return np.asarray(splits == "test")  # the paper chose nothing on validation rows: here they train


def run_cell(store_uri: str, out: str, cell: Cell, on_epoch: Callable[[Epoch], None] | None = None) -> dict[str, Any]:
    """Train one cell and write its figures, unless they are there.

    Parameters
    ----------
    store_uri, out : str
        The committed store and the reproduction's folder.
    cell : Cell
        What to train.
    on_epoch : callable, optional
        Called after each epoch.

    Returns
    -------
    dict
        The cell's figures, as written.

    Raises
    ------
    TrainingError
        If the store's rows cannot be drawn or divided.
    StoreError, StorageError
        If the store cannot be read, or the figures not written.
    """
    store = open_store(store_uri)
    uri = cell_uri(store, out, cell)
    known = read_cell(uri)
    if known is not None:
        return known
    began = perf_counter()
    drawn = draw_rows(store, cell.seed)
    is_test = held_out_rows(drawn, cell.split, cell.seed)
    rule = model_rule(cell.model)
    x, y = _training_inputs(store, drawn, ~is_test, rule, cell)
    weights, history = _fit(rule, x, y, cell, on_epoch)
    inputs = read_inputs(store, drawn.rows[is_test], rule)
    scores = scorer_of(cell.model, weights, store.recipe)(inputs)
    content = {
        "format": _FORMAT,
        "cell": asdict(cell),
        "set": drawn.as_dict(),
        "rows": {"train": len(y), "test": int(is_test.sum()), **_shared(drawn, is_test)},
        "metrics": classification_metrics(drawn.label[is_test], scores, THRESHOLD).as_dict(),
        "history": [{"number": epoch.number, "loss": epoch.loss, "accuracy": epoch.accuracy} for epoch in history],
        "elapsed_s": round(perf_counter() - began, 2),
    }
    write_bytes(uri, json.dumps(content, indent=1).encode())
    return content


def _training_inputs(
    store: FeatureStore, drawn: Drawn, is_train: NDArray[np.bool_], rule: ModelRule, cell: Cell
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """The training rows, and with "augmented" a noisy copy of each behind them."""
    rows, y = drawn.rows[is_train], drawn.label[is_train]
    x = read_inputs(store, rows, rule)
    if cell.data == "original":
        return x, y
    noise = AugmentRule(kind="paper", seed=cell.seed)
    originals = store.waveforms(rows)
    copies = np.stack([distorted_copy(clip, int(row), noise) for clip, row in zip(originals, rows, strict=True)])
    copied = copies if rule.input == "waveform" else features(copies, store.recipe)
    return np.concatenate([x, copied]), np.concatenate([y, y])


def _fit(
    rule: ModelRule,
    x: NDArray[np.float32],
    y: NDArray[np.int8],
    cell: Cell,
    on_epoch: Callable[[Epoch], None] | None,
) -> tuple[bytes, Sequence[Epoch]]:
    if cell.epochs is None:
        return fit_logistic(x, y, seed=cell.seed), ()
    with without_greeting():
        from gunshot.models.fit import fit_network  # the one way to TensorFlow, which takes seconds to import

    # the fit wants rows to watch: a batch of the training rows, so that no figure of the test rows can steer anything
    watched = x[: rule.batch_size], y[: rule.batch_size]
    weight = row_weights(y, np.zeros(len(y), dtype="<U1"))  # one source a class, as in the paper
    train = ArrayBatches(x, y, rule.batch_size, cell.seed, weight)
    fit = fit_network(rule, train, ArrayBatches(*watched, 256), epochs=cell.epochs, seed=cell.seed, on_epoch=on_epoch)
    return fit.weights, fit.epochs


def _shared(drawn: Drawn, is_test: NDArray[np.bool_]) -> dict[str, int]:
    """Groups on both sides of the split, and how many test rows are of them."""
    group = np.asarray(drawn.group, dtype=str)
    on_both = np.isin(group, group[~is_test]) & is_test
    return {"shared_groups": len(set(group[on_both].tolist())), "test_rows_of_shared_groups": int(on_both.sum())}
