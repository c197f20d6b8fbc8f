"""A network taken apart before its last step."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from gunshot.adaptation.last_step import joint_logit
from gunshot.models.heads import Heads
from gunshot.models.networks import NETWORKS, as_one, heads

SHAPE = (40, 96)
CLIPS = np.random.default_rng(0).normal(-40.0, 10.0, (6, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("name", sorted(NETWORKS))
class TestHeads:
    def test_what_it_hears_gives_the_networks_score(self, name: str) -> None:
        network = NETWORKS[name](SHAPE)
        heard = Heads(name, SHAPE, network.get_weights()).hear(CLIPS)
        score = as_one(network).predict_on_batch(CLIPS)[:, 0]
        np.testing.assert_allclose(expit(joint_logit(heard.logit, heard.call)), score, atol=1e-5)

    def test_a_move_adds_to_the_logit_what_it_says_and_touches_nothing_before(self, name: str) -> None:
        old = NETWORKS[name](SHAPE).get_weights()
        network = Heads(name, SHAPE, old)
        before = network.hear(CLIPS)
        direction = np.random.default_rng(1).normal(0.0, 0.1, before.features.shape[1])
        network.moved(2.0 * direction, 1.0)  # a move is from the network as it was, whatever was tried before
        new = network.moved(direction, 0.25)
        after = Heads(name, SHAPE, new).hear(CLIPS)
        np.testing.assert_array_equal(after.features, before.features)
        np.testing.assert_array_equal(after.call, before.call)
        np.testing.assert_allclose(after.logit, before.logit + before.features @ direction + 0.25, atol=1e-3)
        changed = sum(not np.array_equal(a, b) for a, b in zip(old, new, strict=True))
        assert changed == len(heads(NETWORKS[name](SHAPE))) + 1  # each kernel and one bias

    def test_no_move_is_the_network_itself(self, name: str) -> None:
        old = NETWORKS[name](SHAPE).get_weights()
        network = Heads(name, SHAPE, old)
        same = network.moved(np.zeros(network.hear(CLIPS).features.shape[1]), 0.0)
        for a, b in zip(old, same, strict=True):
            np.testing.assert_array_equal(a, b)
