"""What a network is fed while it is adapted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from gunshot.adaptation.mixture import SITE_FIELD, Mixture, Pool
from gunshot.adaptation.synthetic import synthetic_clips
from gunshot.clips import features
from gunshot.recipe import Recipe

Float32 = NDArray[np.float32]
RECIPE = Recipe()


def teacher(inputs: Float32) -> Float32:
    """A score that tells which input it was given."""
    return np.asarray(1.0 / (1.0 + np.exp(-inputs.mean(axis=(1, 2)) / 50.0)), dtype=np.float32)


def clips(n: int, seed: int) -> Float32:
    return np.random.default_rng(seed).standard_normal((n, RECIPE.n_samples)).astype(np.float32) * np.float32(0.1)


def mixture(pools: Sequence[Pool], *, batch_size: int = 16, seed: int = 0) -> Mixture:
    return Mixture(pools, teacher, RECIPE, clips(3, 9), SITE_FIELD, 0.1, batch_size, 3, seed)


class TestMixture:
    def test_a_pool_with_a_label_has_it_smoothed_and_one_without_has_the_teachers_score(self) -> None:
        pools = [Pool(clips(4, 0), 1.0, 1.0), Pool(clips(4, 1), 0.0, 1.0), Pool(clips(4, 2), None, 2.0)]
        for batch in mixture(pools).epoch(0):
            np.testing.assert_allclose(batch.y[:4], 0.95)
            np.testing.assert_allclose(batch.y[4:8], 0.05)
            np.testing.assert_allclose(batch.y[8:], teacher(batch.x[8:]), rtol=1e-6)
            assert np.all(batch.weight == 1.0)

    def test_each_pool_takes_its_share_on_average(self) -> None:
        pools = [Pool(clips(2, 0), 1.0, 1.0), Pool(clips(2, 1), 0.0, 2.0)]
        made = mixture(pools, batch_size=4)
        counts = [int(np.sum(b.y > 0.5)) for number in range(40) for b in made.epoch(number)]
        assert set(counts) == {1, 2}
        assert np.mean(counts) == pytest.approx(4 / 3, abs=0.15)

    def test_an_epoch_depends_on_its_number_and_the_seed_alone(self) -> None:
        pools = [Pool(clips(4, 0), 1.0, 1.0), Pool(clips(4, 1), None, 1.0)]
        first, again = (list(mixture(pools).epoch(1)) for _ in range(2))
        assert len(first) == mixture(pools).n_batches == 3
        for one, other in zip(first, again, strict=True):
            np.testing.assert_array_equal(one.x, other.x)
            np.testing.assert_array_equal(one.y, other.y)
        for another in (mixture(pools).epoch(2), mixture(pools, seed=1).epoch(1)):
            assert not np.array_equal(next(another).x, first[0].x)

    def test_clean_draws_are_clips_as_they_are(self) -> None:
        own = clips(3, 0)
        batch = next(mixture([Pool(own, 1.0, 1.0, clean=1.0)]).epoch(0))
        known = features(own, RECIPE)
        assert all(any(np.allclose(x, clip, atol=1e-4) for clip in known) for x in batch.x)
        distorted = next(mixture([Pool(own, 1.0, 1.0, clean=0.0)]).epoch(0))
        assert not any(np.allclose(x, clip, atol=1e-4) for x in distorted.x for clip in known)


class TestSyntheticClips:
    def test_they_depend_on_the_seed_alone_and_begin_with_their_sound(self) -> None:
        waveform, label, group = synthetic_clips(RECIPE, 6, 11)
        again, _, _ = synthetic_clips(RECIPE, 6, 11)
        other, _, _ = synthetic_clips(RECIPE, 6, 12)
        np.testing.assert_array_equal(waveform, again)
        assert not np.array_equal(waveform, other)
        assert waveform.shape == (12, RECIPE.n_samples)
        assert label.tolist() == [1] * 6 + [0] * 6
        assert group[:6].tolist() == group[6:].tolist()  # a scene has both classes
        lead = RECIPE.lead_samples // 2
        shots = waveform[:6]
        assert np.all(np.abs(shots[:, lead:]).max(axis=1) > np.abs(shots[:, :lead]).max(axis=1))
