"""Fit one model of the catalogue to rows of stores.

Conventions
-----------
Networks are fed from the stores (`gunshot.feed`), so what is held in memory does not grow with them. Logistic
regression, the paper's first model, is fitted to arrays: 4 bytes a sample, 24 MB a thousand clips of half a second.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from gunshot.augment.field import FieldRule
from gunshot.errors import TrainingError
from gunshot.feed import Feed, Part
from gunshot.models.catalogue import ModelRule
from gunshot.models.checkpoint import Checkpoint
from gunshot.models.logistic import fit_logistic
from gunshot.models.native import without_greeting
from gunshot.progress import steps
from gunshot.store.read import FeatureStore

if TYPE_CHECKING:
    from gunshot.models.fit import Epoch

__all__ = ["Fitting", "fit_model", "read_inputs", "scores_of"]

_ROWS_AT_ONCE = 4096
_JUDGED_AT_ONCE = 256


class _Scorer(Protocol):
    def __call__(self, inputs: NDArray[np.float32], /) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class Fitting:
    """How a model is fitted.

    Attributes
    ----------
    epochs : int
        Passes; of no meaning to logistic regression.
    seed : int
        Of initial weights, order, dropout and distortions.
    patience : int or None
        Stop after so many epochs without a lower validation loss.
    field : FieldRule or None
        Distorts the training rows anew in each epoch.
    """

    epochs: int
    seed: int
    patience: int | None = None
    field: FieldRule | None = None


def fit_model(
    rule: ModelRule,
    parts: Sequence[Part],
    validation: Part,
    how: Fitting,
    *,
    checkpoint_uri: str | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> tuple[bytes, bytes | None, Sequence[Epoch]]:
    """Fit a model.

    Parameters
    ----------
    rule : ModelRule
        Which.
    parts : sequence of Part
        Training rows.
    validation : Part
        Rows that are judged after each epoch.
    how : Fitting
        Passes, seed and distortions.
    checkpoint_uri : str, optional
        Where a training that was killed goes on from.
    on_epoch : callable, optional
        Called after each epoch.

    Returns
    -------
    weights : bytes
        As a bundle holds them.
    network : bytes or None
        What training can go on from; None for logistic regression.
    history : sequence of Epoch
        Empty for logistic regression.

    Raises
    ------
    TrainingError
        If rows hold values that are not finite, or distortions are asked of a model that has none.
    """
    if rule.input == "waveform":
        if how.field is not None:
            raise TrainingError(f"--augment field is for networks; train {rule.name} with 'paper' or 'none'")
        return fit_logistic(*_arrays(parts, rule), seed=how.seed), None, ()
    with without_greeting():
        from gunshot.models.fit import fit_network  # the one way to TensorFlow, which takes seconds to import

    feed = Feed(parts, rule.input, rule.batch_size, how.seed, field=how.field)
    checkpoint = None if checkpoint_uri is None else Checkpoint(checkpoint_uri, _key(rule, parts, validation, how))
    # TensorFlow has the cores: spectrograms beside it on one thread have the bits that scoring gives, and are faster
    with threadpool_limits(1, user_api="blas"):
        fit = fit_network(
            rule,
            feed,
            Feed([validation], rule.input, _JUDGED_AT_ONCE, how.seed),
            epochs=how.epochs,
            seed=how.seed,
            patience=how.patience,
            checkpoint=checkpoint,
            on_epoch=on_epoch,
        )
    return fit.weights, fit.network, fit.epochs


def _key(rule: ModelRule, parts: Sequence[Part], validation: Part, how: Fitting) -> str:
    """Digest of what is trained on what: two trainings that share it are one."""
    about = [repr(rule), repr(how)]
    for part in (*parts, validation):
        about.append(part.store.header.manifest_digest + part.store.recipe.digest)
        about += [hashlib.sha256(array.tobytes()).hexdigest() for array in (part.rows, part.label, part.weight)]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def _arrays(parts: Sequence[Part], rule: ModelRule) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    x = np.concatenate([read_inputs(part.store, part.rows, rule) for part in parts])
    bad = int(np.sum(~np.isfinite(x).all(axis=1)))
    if bad:
        raise TrainingError(
            f"{parts[0].store.header.uri}: {bad} training rows hold values that are not finite; preprocess into a new "
            "store"
        )
    return x, np.concatenate([part.label for part in parts])


def read_inputs(store: FeatureStore, rows: Sequence[int] | NDArray[np.intp], rule: ModelRule) -> NDArray[np.float32]:
    """Rows of the array that a model reads.

    Parameters
    ----------
    store : FeatureStore
        Where.
    rows : sequence of int
        Row numbers.
    rule : ModelRule
        The model.

    Returns
    -------
    ndarray of shape (len(rows), ...), float32
        Waveforms or spectrograms.
    """
    return store.waveforms(rows) if rule.input == "waveform" else store.log_mels(rows)


def scores_of(scorer: _Scorer, store: FeatureStore, rows: NDArray[np.intp], rule: ModelRule) -> NDArray[np.float32]:
    """Score rows of a store, some at a time.

    Parameters
    ----------
    scorer : callable
        From inputs to scores.
    store : FeatureStore
        Where.
    rows : ndarray of shape (n,), intp
        Row numbers.
    rule : ModelRule
        The model.

    Returns
    -------
    ndarray of shape (n,), float32
        Scores in [0, 1].
    """
    scores = np.empty(len(rows), dtype=np.float32)
    starts = range(0, len(rows), _ROWS_AT_ONCE)
    for start in steps(starts, "evaluate", "clips", len(rows), lambda start: min(_ROWS_AT_ONCE, len(rows) - start)):
        some = slice(start, start + _ROWS_AT_ONCE)
        scores[some] = scorer(read_inputs(store, rows[some], rule))
    return scores
