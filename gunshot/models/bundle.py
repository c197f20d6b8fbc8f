"""The bundle: a folder that holds a trained model and all that scoring with it needs.

Conventions
-----------
::

    BUNDLE/
      weights.npz | weights.tflite   plain arrays, or the exported network; never a pickle
      splits.parquet                 which groups trained it, chose its threshold and tested it
      model.json                     written last: kind, recipe, digests, operating point, metrics, golden scores

Golden clips are made from a seed and scored when the bundle is written; loading makes and scores them again, so that
a change of weights, features or runtime is an error before the first file is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gunshot.clips import features
from gunshot.errors import BundleError, StorageError, TransientStorageError
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.models.catalogue import MODELS
from gunshot.models.logistic import logistic_scores, read_logistic
from gunshot.models.runtime import NetworkRuntime
from gunshot.recipe import Recipe
from gunshot.storage import join, read_bytes, write_bytes

__all__ = ["FORMAT", "GOLDEN_TOLERANCE", "Bundle", "golden_clips", "load_bundle", "save_bundle", "scorer_of"]

FORMAT = "gunshot-bundle/1"
GOLDEN_TOLERANCE = 1e-3
"""Largest difference of a golden score between machines; between two runs on one machine it is 0."""

_N_GOLDEN = 8


class _Scorer(Protocol):
    def __call__(self, inputs: NDArray[np.float32], /) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Bundle:
    """A trained model, loaded and checked.

    Attributes
    ----------
    uri : str
        Where it came from.
    name : str
        Name of the model.
    digest : str
        Of weights, recipe and threshold; written into every detection. Another threshold is another model to the
        ledger: it finds other detections.
    recipe : Recipe
        The clips it reads.
    operating_point : OperatingPoint
        Its threshold, and what it was chosen for.
    details : mapping
        The whole of ``model.json``.
    scorer : callable
        From inputs to scores; use :meth:`score` or :meth:`score_inputs`.
    """

    uri: str
    name: str
    digest: str
    recipe: Recipe
    operating_point: OperatingPoint
    details: Mapping[str, Any]
    scorer: _Scorer

    @property
    def input(self) -> str:
        """What the model reads: ``waveform`` or ``log_mel``."""
        return MODELS[self.name].input

    def score(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score clips.

        Parameters
        ----------
        waveforms : ndarray of shape (n, n_samples), float32
            Clips at the recipe's rate.

        Returns
        -------
        ndarray of shape (n,), float32
            Scores in [0, 1].
        """
        if not len(waveforms):
            return np.empty(0, dtype=np.float32)
        return self.scorer(waveforms if self.input == "waveform" else features(waveforms, self.recipe))

    def score_inputs(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score what the model reads, as the store holds it.

        Parameters
        ----------
        inputs : ndarray of shape (n, ...), float32
            Rows of the store's array named by `input`.

        Returns
        -------
        ndarray of shape (n,), float32
            Scores in [0, 1].
        """
        return self.scorer(inputs) if len(inputs) else np.empty(0, dtype=np.float32)


def golden_clips(recipe: Recipe) -> NDArray[np.float32]:
    """Clips made from a seed, to check a model by.

    Parameters
    ----------
    recipe : Recipe
        Length, lead and rate.

    Returns
    -------
    ndarray of shape (8, n_samples), float32
        Bursts of noise of different decay and level over a quiet background.
    """
    rng = np.random.default_rng(1215)
    time_s = (np.arange(recipe.n_samples) - recipe.lead_samples) / recipe.sr_hz
    clips = []
    for index in range(_N_GOLDEN):
        decay_s = 0.004 * 2.0**index
        envelope = np.where(time_s >= 0, np.exp(-np.maximum(time_s, 0) / decay_s), 0.0) * 10 ** (-index / 10)
        clips.append(envelope * rng.standard_normal(time_s.size) * 0.2 + rng.standard_normal(time_s.size) * 1e-3)
    return np.asarray(clips, dtype=np.float32)


def _weights_name(model: str) -> str:
    return "weights.npz" if model == "logistic" else "weights.tflite"


def scorer_of(model: str, content: bytes, recipe: Recipe) -> _Scorer:
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


def _digest(weights: bytes, recipe: Recipe, threshold: float) -> str:
    return hashlib.sha256(weights + recipe.digest.encode() + repr(threshold).encode()).hexdigest()[:16]


def save_bundle(
    uri: str,
    *,
    model: str,
    weights: bytes,
    recipe: Recipe,
    operating_point: OperatingPoint,
    details: Mapping[str, Any],
    splits: bytes,
) -> Bundle:
    """Write a bundle, ``model.json`` last, and load it again.

    Parameters
    ----------
    uri : str
        The folder.
    model : str
        One of `gunshot.models.catalogue.MODELS`.
    weights : bytes
        The trained weights.
    recipe : Recipe
        The clips it was trained on.
    operating_point : OperatingPoint
        Its threshold.
    details : mapping
        What else to record: training, metrics, versions.
    splits : bytes
        The Parquet table of groups and splits.

    Returns
    -------
    Bundle
        As a user would load it.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    golden = scorer_of(model, weights, recipe)(
        golden_clips(recipe) if MODELS[model].input == "waveform" else features(golden_clips(recipe), recipe)
    )
    content = {
        "format": FORMAT,
        "model": model,
        "classes": ["other", "gunshot"],
        "digest": _digest(weights, recipe, operating_point.threshold),
        "recipe": recipe.model_dump(mode="json"),
        "recipe_digest": recipe.digest,
        "weights": {"name": _weights_name(model), "sha256": hashlib.sha256(weights).hexdigest()},
        "operating_point": operating_point.as_dict(),
        "golden_scores": [round(float(score), 6) for score in golden],
        **details,
    }
    write_bytes(join(uri, _weights_name(model)), weights)
    write_bytes(join(uri, "splits.parquet"), splits)
    write_bytes(join(uri, "model.json"), json.dumps(content, indent=1).encode())
    return load_bundle(uri)


def load_bundle(uri: str) -> Bundle:
    """Load a bundle and check it: digests first, then its golden scores.

    Parameters
    ----------
    uri : str
        The folder.

    Returns
    -------
    Bundle
        Ready to score.

    Raises
    ------
    BundleError
        If there is none, or it is foreign, damaged or made by another version of the clip code.
    TransientStorageError
        If its store does not answer.
    """
    try:
        details: dict[str, Any] = json.loads(read_bytes(join(uri, "model.json")))
        if details.get("format") != FORMAT or details.get("model") not in MODELS:
            raise BundleError(
                f"{uri}: format {details.get('format')!r}, model {details.get('model')!r}; this version reads "
                f"{FORMAT!r} with one of {', '.join(MODELS)}"
            )
        model = details["model"]
        weights = read_bytes(join(uri, _weights_name(model)))
        recipe = Recipe.model_validate(details["recipe"])
        operating_point = OperatingPoint.from_dict(details["operating_point"])
        golden_scores = np.asarray(details["golden_scores"], dtype=np.float64)
        _check_digests(uri, details, weights, recipe, operating_point)
    except (BundleError, TransientStorageError):
        raise
    except StorageError as error:
        raise BundleError(f"no model bundle at {uri}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = " ".join(str(error).split())  # pydantic's messages have several lines
        raise BundleError(f"{uri}: model.json is damaged ({type(error).__name__}: {what}); train again") from error
    try:
        scorer = scorer_of(model, weights, recipe)
    except BundleError as error:
        raise BundleError(f"{uri}: {error}") from error
    bundle = Bundle(uri, model, details["digest"], recipe, operating_point, details, scorer)
    _check_golden(bundle, golden_scores)
    return bundle


def _check_digests(
    uri: str, details: Mapping[str, Any], weights: bytes, recipe: Recipe, operating_point: OperatingPoint
) -> None:
    if recipe.digest != details["recipe_digest"]:
        raise BundleError(
            f"{uri}: made by another version of the clip code (recipe {details['recipe_digest']}, now "
            f"{recipe.digest}); "
            "train again"
        )
    if hashlib.sha256(weights).hexdigest() != details["weights"]["sha256"]:
        raise BundleError(f"{uri}: the weights are not those that model.json was written with; copy the bundle again")
    if _digest(weights, recipe, operating_point.threshold) != details["digest"]:
        raise BundleError(f"{uri}: its digest does not fit its weights, recipe and threshold; copy the bundle again")


def _check_golden(bundle: Bundle, expected: NDArray[np.float64]) -> None:
    scores = bundle.score(golden_clips(bundle.recipe))
    if expected.shape != scores.shape:
        raise BundleError(f"{bundle.uri}: {expected.size} golden scores, {scores.size} expected; train again")
    worst = float(np.abs(scores - expected).max())
    if not worst <= GOLDEN_TOLERANCE:
        raise BundleError(
            f"{bundle.uri}: golden scores differ by {worst:.2g} (allowed {GOLDEN_TOLERANCE:g}): features or runtime "
            "have changed on this machine; train again here, or use the versions it was made with"
        )
