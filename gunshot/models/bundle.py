"""The bundle: a folder that holds a trained model and all that scoring with it needs.

Conventions
-----------
::

    BUNDLE/
      weights.npz | weights.tflite   plain arrays, or the exported network; never a pickle
      splits.parquet                 which groups trained it, chose its threshold and tested it
      validation.parquet             label, score and group of the rows that the thresholds were chosen on
      model.json                     written last: kind, recipe, digests, operating points and the default's name,
                                     calibration, metrics, golden scores

Golden clips are made from a seed and scored when the bundle is written; loading makes and scores them again, so that
a change of weights, features or runtime is an error before the first file is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gunshot.clips import features
from gunshot.errors import BundleError, StorageError, TransientStorageError
from gunshot.evaluation.calibration import Calibration
from gunshot.evaluation.choice import ScoredRows
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.models.catalogue import MODELS
from gunshot.models.golden import check_golden, golden_clips
from gunshot.models.points import ROWS_NAME, find_point, point_digest, read_points, read_rows, rows_table
from gunshot.models.scorers import Scorer, scorer_of, weights_name
from gunshot.recipe import Recipe
from gunshot.storage import join, read_bytes, write_bytes

__all__ = [
    "FORMAT",
    "Bundle",
    "load_bundle",
    "save_bundle",
    "scorer_of",
]

FORMAT = "gunshot-bundle/2"
NETWORK = "network.npz"
"""What training goes on from; scoring never reads it."""


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
        Of weights, recipe, calibration and threshold; written into every detection. Another threshold is another
        model to the ledger: it finds other detections.
    recipe : Recipe
        The clips it reads.
    operating_point : OperatingPoint
        The threshold in use, and what it was chosen for: the default unless another was asked for.
    operating_points : tuple of OperatingPoint
        Those that the bundle holds, the default among them.
    calibration : Calibration
        From its scores to probabilities.
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
    operating_points: tuple[OperatingPoint, ...]
    calibration: Calibration
    details: Mapping[str, Any]
    scorer: Scorer

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

    def network(self) -> bytes:
        """Weights that training can go on from.

        Returns
        -------
        bytes
            An ``.npz`` of plain arrays.

        Raises
        ------
        BundleError
            If the bundle has none, or they are not those that it was written with.
        """
        expected = self.details.get("network")
        if not expected:
            raise BundleError(f"{self.uri}: {self.name} holds no weights to go on from; train it again")
        content = read_bytes(join(self.uri, NETWORK))
        if hashlib.sha256(content).hexdigest() != expected["sha256"]:
            raise BundleError(f"{self.uri}: {NETWORK} is not what model.json was written with; copy the bundle again")
        return content

    def validation_rows(self) -> ScoredRows | None:
        """Rows that its thresholds were chosen on, with their scores.

        Returns
        -------
        ScoredRows or None
            None for a bundle that was written without them.

        Raises
        ------
        BundleError
            If they are damaged or gone.
        """
        return _validation_rows(self.uri, self.details)


def save_bundle(
    uri: str,
    *,
    model: str,
    weights: bytes,
    recipe: Recipe,
    operating_point: OperatingPoint,
    details: Mapping[str, Any],
    splits: bytes,
    operating_points: Sequence[OperatingPoint] = (),
    calibration: Calibration | None = None,
    validation: ScoredRows | None = None,
    network: bytes | None = None,
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
        The default.
    details : mapping
        What else to record: training, metrics, versions.
    splits : bytes
        The Parquet table of groups and splits.
    operating_points : sequence of OperatingPoint
        Others to choose from; one of the default's name is left out.
    calibration : Calibration, optional
        From scores to probabilities; the score itself if not given.
    validation : ScoredRows, optional
        Rows to choose further operating points on.
    network : bytes, optional
        Weights that training can go on from (`gunshot.models.fit.read_weights`).

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
    calibration = calibration or Calibration.none()
    points = [operating_point, *(point for point in operating_points if point.name != operating_point.name)]
    rows = None if validation is None else rows_table(validation)
    content = {
        "format": FORMAT,
        "model": model,
        "classes": ["other", "gunshot"],
        "digest": point_digest(weights, recipe, calibration, operating_point.threshold),
        "recipe": recipe.model_dump(mode="json"),
        "recipe_digest": recipe.digest,
        "weights": {"name": weights_name(model), "sha256": hashlib.sha256(weights).hexdigest()},
        "default": operating_point.name,
        "operating_points": [point.as_dict() for point in points],
        "digests": {point.name: point_digest(weights, recipe, calibration, point.threshold) for point in points},
        "calibration": calibration.as_dict(),
        "validation_rows": None if rows is None else {"name": ROWS_NAME, "sha256": hashlib.sha256(rows).hexdigest()},
        "network": None if network is None else {"name": NETWORK, "sha256": hashlib.sha256(network).hexdigest()},
        "golden_scores": [round(float(score), 6) for score in golden],
    }
    write_bytes(join(uri, weights_name(model)), weights)
    write_bytes(join(uri, "splits.parquet"), splits)
    if rows is not None:
        write_bytes(join(uri, ROWS_NAME), rows)
    if network is not None:
        write_bytes(join(uri, NETWORK), network)
    write_bytes(join(uri, "model.json"), json.dumps(content | dict(details), indent=1).encode())
    return load_bundle(uri)


def load_bundle(uri: str, operating_point: str | None = None) -> Bundle:
    """Load a bundle and check it: digests first, then its golden scores.

    Parameters
    ----------
    uri : str
        The folder.
    operating_point : str, optional
        Name of one of its operating points, a rule of `gunshot.evaluation.rules` or a threshold; its default if not
        given.

    Returns
    -------
    Bundle
        Ready to score.

    Raises
    ------
    ParameterError
        If the operating point is neither a name nor a rule.
    BundleError
        If there is none, it is foreign, damaged or made by another version of the clip code, or it cannot have that
        operating point.
    TransientStorageError
        If its store does not answer.
    """
    try:
        details: dict[str, Any] = json.loads(read_bytes(join(uri, "model.json")))
        if details.get("format") != FORMAT or details.get("model") not in MODELS:
            raise BundleError(
                f"{uri}: format {details.get('format')!r}, model {details.get('model')!r}; this version reads "
                f"{FORMAT!r} with one of {', '.join(MODELS)}: train again, or use the version it was made with"
            )
        model = details["model"]
        weights = read_bytes(join(uri, weights_name(model)))
        recipe = Recipe.model_validate(details["recipe"])
        points, default = read_points(details)
        calibration = Calibration.from_dict(details["calibration"])
        golden_scores = np.asarray(details["golden_scores"], dtype=np.float64)
        digests = {point.name: point_digest(weights, recipe, calibration, point.threshold) for point in points}
        _check_digests(uri, details, weights, recipe, digests)
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
    bundle = Bundle(uri, model, details["digest"], recipe, default, points, calibration, details, scorer)
    check_golden(uri, bundle.score(golden_clips(recipe)), golden_scores)
    if operating_point is None:
        return bundle
    held = {point.name for point in points}
    rows = None if operating_point in held else bundle.validation_rows()
    point = find_point(points, rows, operating_point, uri)
    return replace(bundle, operating_point=point, digest=point_digest(weights, recipe, calibration, point.threshold))


def _validation_rows(uri: str, details: Mapping[str, Any]) -> ScoredRows | None:
    about = details.get("validation_rows")
    if about is None:
        return None
    try:
        content = read_bytes(join(uri, ROWS_NAME))
        if hashlib.sha256(content).hexdigest() != about["sha256"]:
            raise BundleError(f"{uri}: {ROWS_NAME} is not what model.json was written with; copy the bundle again")
        return read_rows(content)
    except (BundleError, TransientStorageError):
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:  # Arrow has kinds of all of them
        raise BundleError(f"{uri}: {ROWS_NAME} cannot be read ({error}); copy the bundle again") from error


def _check_digests(
    uri: str, details: Mapping[str, Any], weights: bytes, recipe: Recipe, digests: Mapping[str, str]
) -> None:
    if recipe.digest != details["recipe_digest"]:
        raise BundleError(
            f"{uri}: made by another version of the clip code (recipe {details['recipe_digest']}, now "
            f"{recipe.digest}); "
            "train again"
        )
    if hashlib.sha256(weights).hexdigest() != details["weights"]["sha256"]:
        raise BundleError(f"{uri}: the weights are not those that model.json was written with; copy the bundle again")
    if digests[details["default"]] != details["digest"] or digests != details["digests"]:
        raise BundleError(
            f"{uri}: its digest does not fit its weights, recipe, calibration and thresholds; copy the bundle again"
        )
