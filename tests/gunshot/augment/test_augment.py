"""Distorted copies: the level of the noise, and what a copy depends on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import stats

from gunshot.augment.chain import AugmentRule, distorted_copy
from gunshot.augment.noise import gaussian_noise

Float32 = NDArray[np.float32]


def clip(seed: int, level: float = 0.1, n_samples: int = 6000) -> Float32:
    decay = np.exp(-np.arange(n_samples) / 1000.0)
    return (level * decay * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


@settings(deadline=None)
@given(snr_db=st.floats(-20.0, 60.0), level=st.floats(1e-3, 1.0), seed=st.integers(0, 1000))
def test_the_noise_lies_as_far_below_the_clip_as_asked(snr_db: float, level: float, seed: int) -> None:
    y = clip(seed, level).astype(np.float64)
    noise = gaussian_noise(y.astype(np.float32), snr_db, np.random.default_rng(seed)) - y
    measured_db = 10.0 * np.log10(np.mean(y**2) / np.mean(noise**2))
    assert abs(measured_db - snr_db) <= 0.5  # six times the spread of the power of 6,000 draws


def test_the_noise_is_white_gaussian_and_knows_nothing_of_the_clip() -> None:
    y = clip(0, n_samples=60_000)
    noise = gaussian_noise(y, 0.0, np.random.default_rng(1)).astype(np.float64) - y
    assert stats.kstest(noise / noise.std(), "norm").pvalue > 0.01
    assert abs(noise.mean()) < 5.0 * noise.std() / np.sqrt(noise.size)
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(noise, y)[0, 1]) < 0.02
    # as strong in the quiet end as in the loud beginning
    assert noise[:30_000].std() == pytest.approx(noise[30_000:].std(), rel=0.05)


@settings(deadline=None)
@given(seed=st.integers(0, 2**63), row=st.integers(0, 2**40), snr_db=st.floats(-100.0, 100.0))
def test_a_copy_depends_on_seed_and_row_alone(seed: int, row: int, snr_db: float) -> None:
    rule, y = AugmentRule(seed=seed, snr_db=snr_db), clip(3)
    copy = distorted_copy(y, row, rule)
    distorted_copy(clip(4), row + 1, rule)  # another row between, as on a worker
    np.random.default_rng().standard_normal(3)
    np.testing.assert_array_equal(distorted_copy(y.copy(), row, AugmentRule(seed=seed, snr_db=snr_db)), copy)
    assert copy.dtype == np.float32
    assert copy.shape == y.shape


def test_other_rows_and_other_seeds_get_other_noise() -> None:
    y = clip(0)
    copies = [distorted_copy(y, row, AugmentRule(seed=seed)) - y for seed in range(12) for row in range(12)]
    # (seed, row) and (row, seed) are different draws too
    correlation = np.corrcoef(np.stack(copies).astype(np.float64))
    np.fill_diagonal(correlation, 0.0)
    assert np.abs(correlation).max() < 0.1


@settings(deadline=None)
@given(row=st.integers(0, 1000), seed=st.integers(0, 1000), snr_db=st.floats(-100.0, 100.0))
def test_zeros_stay_zeros(row: int, seed: int, snr_db: float) -> None:
    copy = distorted_copy(np.zeros(6000, np.float32), row, AugmentRule(seed=seed, snr_db=snr_db))
    assert not copy.any()


def test_the_clip_itself_is_left_alone() -> None:
    y = clip(0)
    before = y.copy()
    assert (distorted_copy(y, 0, AugmentRule()) != y).any()
    np.testing.assert_array_equal(y, before)


def test_a_louder_clip_gets_louder_noise() -> None:
    y = clip(0)
    quiet, loud = (distorted_copy(x, 5, AugmentRule()) for x in (y, 8.0 * y))
    np.testing.assert_allclose(loud, 8.0 * quiet, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "values",
    [{"snr_db": float("nan")}, {"snr_db": float("inf")}, {"snr_db": -1e6}, {"seed": -1}, {"seed": 0.5},
     {"kind": "papre"}, {"snr": 20.0}],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AugmentRule.model_validate(values)


def test_a_rule_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        AugmentRule().seed = 3
