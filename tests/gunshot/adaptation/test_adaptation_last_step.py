"""The fit of a network's last step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit

from gunshot.adaptation.last_step import fit_last_step, joint_logit

Float64 = NDArray[np.float64]


class Clips(NamedTuple):
    """Features that tell shots from others in a way that the old step does not know."""

    features: Float64
    logit: Float64
    call: Float64
    label: Float64


def clips(seed: int = 0, *, called: bool = True) -> Clips:
    rng = np.random.default_rng(seed)
    label = (np.arange(200) % 2).astype(np.float64)
    features = rng.normal(3.0, 2.0, (200, 5))
    features[:, 2] += 3.0 * label
    call = rng.normal(-4.0, 1.0, 200) if called else np.full(200, -np.inf)
    return Clips(features, features[:, 0] - 4.0, call, label)


def loss(rows: Clips, direction: Float64, constant: float) -> float:
    joint = joint_logit(rows.logit + rows.features @ direction + constant, rows.call)
    return float(np.mean(np.logaddexp(0.0, joint) - rows.label * joint))


class TestFitLastStep:
    @pytest.mark.parametrize("called", [True, False])
    def test_it_finds_what_the_old_step_did_not_know(self, called: bool) -> None:
        rows = clips(called=called)
        direction, constant = fit_last_step(*rows, penalty=1e-4)
        assert np.argmax(np.abs(direction)) in (0, 2)
        assert direction[2] > 0.0
        assert loss(rows, direction, constant) < 0.5 * loss(rows, np.zeros(5), 0.0)

    @pytest.mark.parametrize("called", [True, False])
    def test_without_penalty_no_step_nearby_is_better(self, called: bool) -> None:
        rows = clips(1, called=called)
        rows = rows._replace(label=np.clip(rows.label, 0.1, 0.9))  # or there is no finite minimum
        direction, constant = fit_last_step(*rows, penalty=0.0)
        best = loss(rows, direction, constant)
        for axis in np.eye(6) * 0.05:
            for sign in (1.0, -1.0):
                assert loss(rows, direction + sign * axis[:5], constant + sign * axis[5]) >= best - 1e-6

    def test_a_higher_penalty_keeps_it_nearer(self) -> None:
        far, near = (np.abs(fit_last_step(*clips(), penalty=p)[0]).sum() for p in (1e-4, 1.0))
        assert near < 0.2 * far

    @given(st.integers(0, 2**32 - 1))
    def test_what_it_says_already_changes_nothing(self, seed: int) -> None:
        rows = clips(seed)
        direction, constant = fit_last_step(*rows[:3], expit(joint_logit(rows.logit, rows.call)))
        np.testing.assert_allclose(direction, 0.0, atol=1e-3)
        assert abs(constant) < 1e-3

    def test_a_feature_that_never_varies_is_left_alone(self) -> None:
        rows = clips()
        rows.features[:, 4] = 7.0
        direction, constant = fit_last_step(*rows)
        assert direction[4] == 0.0
        assert np.isfinite(direction).all()
        assert np.isfinite(constant)

    @given(st.floats(-30, 30), st.floats(-30, 30))
    def test_the_joint_logit_is_that_of_either_being_right(self, one: float, other: float) -> None:
        joint = float(joint_logit(np.array([one]), np.array([other]))[0])
        assert expit(-joint) == pytest.approx(expit(-one) * expit(-other), rel=1e-6)
