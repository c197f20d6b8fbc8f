"""Logistic regression: fitted to the end, scored without scikit-learn, read without pickle."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from gunshot.errors import BundleError
from gunshot.models.logistic import fit_logistic, logistic_scores, read_logistic

Problem = tuple[NDArray[np.float32], NDArray[np.int8]]


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Two overlapping clouds of 30 numbers each, of unequal size."""
    rng = np.random.default_rng(6)
    label = (np.arange(160) % 5 == 0).astype(np.int8)
    x = rng.standard_normal((160, 30)) + 0.4 * label[:, None] * rng.standard_normal(30)
    return x.astype(np.float32), label


def test_the_fit_is_at_its_minimum(problem: Problem) -> None:
    # at the minimum of  sum(log loss) + |w|^2 / 2  the gradient is zero, whoever found it
    x, label = problem
    coefficients, intercept = read_logistic(fit_logistic(x, label))
    residual = 1 / (1 + np.exp(-(x @ coefficients + intercept))) - label
    gradient = np.append(x.T @ residual + coefficients, residual.sum())
    assert np.abs(gradient).max() < 1e-2 * np.abs(x.T @ (0.5 - label)).max()


def test_scores_are_those_of_scikit_learn(problem: Problem) -> None:
    x, label = problem
    expected = LogisticRegression(max_iter=200).fit(x, label).predict_proba(x)[:, 1]
    scores = logistic_scores(read_logistic(fit_logistic(x, label)), x)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    assert scores[label == 1].mean() > scores[label == 0].mean() + 0.2


def test_same_rows_give_the_same_bytes(problem: Problem) -> None:
    assert fit_logistic(*problem) == fit_logistic(*problem)


def test_a_fit_that_is_not_finished_is_no_warning() -> None:
    """Nearly equal columns of very unequal size: the solver reaches its limit (a warning would be an error here)."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((40, 300)) * np.logspace(-3, 4, 300)).astype(np.float32)
    label = (rng.random(40) < 0.5).astype(np.int8)
    scores = logistic_scores(read_logistic(fit_logistic(x, label)), x)
    assert np.isfinite(scores).all()


def test_no_rows_have_no_scores() -> None:
    assert logistic_scores((np.zeros(7), 0.0), np.empty((0, 7), dtype=np.float32)).shape == (0,)


def test_scores_stay_in_range_however_loud_a_clip_is() -> None:
    loud = np.asarray([[1e30], [-1e30]], dtype=np.float32)
    np.testing.assert_array_equal(logistic_scores((np.ones(1), 0.0), loud), [1.0, 0.0])


class Harmful:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.mkdir, (str(self.marker),)


def test_objects_are_never_unpickled(tmp_path: Path, logistic_weights: Callable[..., bytes]) -> None:
    marker = tmp_path / "was-run"
    planted = np.empty(1, dtype=object)
    planted[0] = Harmful(marker)
    content = logistic_weights(planted, [0.0])
    with pytest.raises(BundleError, match="Object arrays cannot be loaded"):
        read_logistic(content)
    assert not marker.exists()
    with np.load(io.BytesIO(content), allow_pickle=True) as arrays:  # the trap is real
        _ = arrays["coefficients"]
    assert marker.exists()


def as_npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(6000))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: b"\x00" * 60, id="zeros"),
        pytest.param(lambda whole: b"PK\x03\x04" + b"x" * 99, id="looks like a zip"),
        pytest.param(lambda whole: whole[:-40], id="end cut off"),
        pytest.param(lambda whole: whole[:500], id="beginning only"),
        pytest.param(lambda whole: whole[:400] + b"\x55" * 8 + whole[408:], id="bytes changed"),
        pytest.param(lambda whole: as_npy(), id="one array alone"),
    ],
)
def test_damaged_weights_are_one_error(
    damage: Callable[[bytes], bytes], logistic_weights: Callable[..., bytes]
) -> None:
    whole = logistic_weights(np.linspace(-1, 1, 300), [0.5])
    coefficients, intercept = read_logistic(whole)
    np.testing.assert_array_equal(coefficients, np.linspace(-1, 1, 300))
    assert intercept == 0.5
    with pytest.raises(BundleError, match="not those of a logistic regression"):
        read_logistic(damage(whole))


@pytest.mark.parametrize(
    ("coefficients", "intercept"),
    [(["a"], [0.0]), ([1j], [0.0]), ([1.0], []), ([1.0], 0.0), ([1.0], ["a"])],
    ids=["text", "complex", "no intercept", "intercept of no dimension", "intercept of text"],
)
def test_arrays_of_something_else_are_refused(
    coefficients: Any, intercept: Any, logistic_weights: Callable[..., bytes]
) -> None:
    with pytest.raises(BundleError, match="not those of a logistic regression"):
        read_logistic(logistic_weights(coefficients, intercept))
