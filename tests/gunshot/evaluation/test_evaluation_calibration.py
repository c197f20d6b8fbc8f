"""Probabilities that come true, a curve that never falls, and figures with their published values."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from gunshot.errors import ParameterError, TrainingError
from gunshot.evaluation.calibration import Calibration, brier_score, calibration_error, fit_calibration

ROWS = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), max_size=40).map(lambda r: [*r, (0, 0.3), (1, 0.6)])


def overconfident(n: int, seed: int = 0, share: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores whose logits are three times too large and shifted, and the true probabilities."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(logit(share), 1.5, n)
    label = (rng.random(n) < expit(truth)).astype(np.int8)
    return label, expit(3.0 * truth + 1.0).astype(np.float32), expit(truth)


class TestFit:
    def test_the_curve_that_made_the_scores_is_found(self) -> None:
        label, score, truth = overconfident(20_000)
        curve = fit_calibration(label, score)
        assert curve.slope == pytest.approx(1 / 3, abs=0.02)
        assert curve.intercept == pytest.approx(-1 / 3, abs=0.05)
        np.testing.assert_allclose(curve.probability(score), truth, atol=0.02)

    def test_it_is_platts_fit(self) -> None:
        """The same as logistic regression without penalty, each row split between both labels by his targets."""
        label, score, _ = overconfident(500)
        n1 = int(label.sum())
        target = np.where(label == 1, (n1 + 1) / (n1 + 2), 1 / (500 - n1 + 2))
        x = np.tile(logit(np.clip(score.astype(float), 1e-7, 1 - 1e-7)), 2)[:, None]
        model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
        model.fit(x, np.repeat([1, 0], 500), sample_weight=np.concatenate([target, 1 - target]))
        curve = fit_calibration(label, score)
        assert (curve.slope, curve.intercept) == pytest.approx((model.coef_[0, 0], model.intercept_[0]), abs=1e-4)

    def test_probabilities_come_true_on_other_rows(self) -> None:
        for n, share_left in ((40, 0.8), (400, 0.5), (4000, 0.2)):
            label, score, _ = overconfident(n, seed=1)
            curve = fit_calibration(label, score)
            there, scores, _ = overconfident(20_000, seed=2)
            raw, fitted = calibration_error(there, scores), calibration_error(there, curve.probability(scores))
            assert fitted < share_left * raw
            assert brier_score(there, curve.probability(scores)) < brier_score(there, scores)

    @settings(deadline=None, max_examples=30)
    @given(ROWS)
    def test_it_never_falls_and_stays_a_probability(self, rows: list[tuple[int, float]]) -> None:
        curve = fit_calibration([row[0] for row in rows], [row[1] for row in rows])
        scores = np.concatenate(
            [np.linspace(0, 1, 101), np.nextafter(np.float32([0, 1]), 0.5), [row[1] for row in rows]]
        )
        probability = curve.probability(np.sort(scores))
        assert probability.dtype == np.float32
        assert np.all((probability >= 0) & (probability <= 1))
        assert np.all(np.diff(probability) >= 0)
        assert math.isfinite(curve.slope)

    def test_scores_that_separate_the_classes_leave_doubt(self) -> None:
        """Two rows are no reason for certainty, and a thousand are for more."""
        doubts = []
        for n in (1, 10, 500):
            curve = fit_calibration([1] * n + [0] * n, [1.0] * n + [0.0] * n)
            doubts.append(1.0 - float(curve.probability(1.0)))
        assert doubts == pytest.approx([1 / 3, 1 / 12, 1 / 502], abs=1e-4)

    def test_scores_that_run_the_wrong_way_say_nothing(self) -> None:
        curve = fit_calibration([1, 1, 1, 0, 0, 0], [0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
        assert curve.slope == 0.0
        np.testing.assert_allclose(curve.probability([0.0, 0.5, 1.0]), 0.5, atol=1e-4)

    def test_each_group_counts_the_same_whatever_its_size(self) -> None:
        """The same as logistic regression whose rows are weighed by hand; groups of one row change nothing."""
        label, score, _ = overconfident(500)
        group = ["street" if row % 3 else f"bell {row % 7}" for row in range(500)]
        n = {1: int(label.sum()), 0: 500 - int(label.sum())}
        target = np.where(label == 1, (n[1] + 1) / (n[1] + 2), 1 / (n[0] + 2))
        names = np.array(group)
        share = np.array(
            [n[of] / (8 * np.sum((names == g) & (label == of))) for of, g in zip(label, group, strict=True)]
        )
        x = np.tile(logit(np.clip(score.astype(float), 1e-7, 1 - 1e-7)), 2)[:, None]
        model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
        weight = np.concatenate([share * target, share * (1 - target)])
        model.fit(x, np.repeat([1, 0], 500), sample_weight=weight)
        curve = fit_calibration(label, score, group=group)
        assert (curve.slope, curve.intercept) == pytest.approx((model.coef_[0, 0], model.intercept_[0]), abs=1e-4)
        assert abs(curve.intercept - fit_calibration(label, score).intercept) > 0.01
        assert fit_calibration(label, score, group=[str(row) for row in range(500)]) == fit_calibration(label, score)

    def test_one_class_is_refused(self) -> None:
        with pytest.raises(TrainingError, match="both classes"):
            fit_calibration([1, 1], [0.5, 0.6])


class TestCurve:
    CURVE = fit_calibration(*overconfident(300)[:2])

    def test_shapes_are_kept(self) -> None:
        assert self.CURVE.probability(0.5).shape == ()
        assert self.CURVE.probability(np.empty(0)).shape == (0,)
        assert self.CURVE.probability(np.full((2, 3), 0.5)).shape == (2, 3)

    def test_without_a_fit_it_is_the_score(self) -> None:
        scores = np.float32([0.0, 1e-30, 0.3, 1.0])
        np.testing.assert_array_equal(Calibration.none().probability(scores), scores)
        with pytest.raises(ParameterError, match="prior must lie in"):
            Calibration.none().probability(scores, prior=0.1)

    def test_another_share_of_gunshots_changes_the_odds_by_its_odds(self) -> None:
        """Resampled to one gunshot in a hundred, the same scores come true as the same odds, less."""
        label, score, _ = overconfident(60_000, seed=3)
        curve = fit_calibration(label, score)
        assert curve.prior == np.mean(label)
        np.testing.assert_allclose(curve.probability(score, prior=curve.prior), curve.probability(score), atol=1e-6)
        others = np.flatnonzero(label == 0)
        rare = np.concatenate([others, np.flatnonzero(label == 1)[: others.size // 99]])
        assert calibration_error(label[rare], curve.probability(score[rare], prior=0.01)) < 0.005
        assert calibration_error(label[rare], curve.probability(score[rare])) > 0.1

    @pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, math.nan])
    def test_a_share_that_is_none(self, prior: float) -> None:
        with pytest.raises(ParameterError, match=r"prior must lie in \(0, 1\)"):
            self.CURVE.probability([0.5], prior=prior)

    def test_it_reads_back_from_json(self) -> None:
        for curve in (self.CURVE, Calibration.none()):
            assert Calibration.from_dict(json.loads(json.dumps(curve.as_dict()))) == curve

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"slope": -0.1}, "must rise"),
            ({"slope": math.inf}, "must rise"),
            ({"intercept": math.nan}, "must rise"),
            ({"prior": 1.0}, "prior of a calibration"),
            ({"method": "isotonic"}, "platt or none; got 'isotonic'"),
            ({"steps": 3}, "has the fields of Calibration; got .*steps"),
        ],
    )
    def test_what_cannot_be_is_refused(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            Calibration.from_dict(self.CURVE.as_dict() | changes)


class TestFigures:
    def test_calibration_error_by_hand(self) -> None:
        """Two bins: 0.2 said and 1 of 2 came, 0.9 said and 2 of 2 came."""
        error = calibration_error([0, 1, 1, 1], [0.2, 0.2, 0.9, 0.9])
        assert error == pytest.approx(0.5 * 0.3 + 0.5 * 0.1)

    @given(ROWS)
    def test_calibration_error_by_its_definition(self, rows: list[tuple[int, float]]) -> None:
        label, probability = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
        expected = 0.0
        for low in range(15):
            inside = (probability * 15 > low) & (probability * 15 <= low + 1) | ((low == 0) & (probability == 0))
            if inside.any():
                expected += inside.mean() * abs(label[inside].mean() - probability[inside].mean())
        assert calibration_error(label, probability) == pytest.approx(expected, abs=1e-12)

    def test_edges_belong_to_the_bin_below(self) -> None:
        assert calibration_error([0, 1], [0.0, 1.0]) == 0.0
        assert calibration_error([1, 0], [0.5, 0.25], n_bins=2) == pytest.approx(0.125)  # one bin

    @given(ROWS)
    def test_brier_is_that_of_scikit_learn(self, rows: list[tuple[int, float]]) -> None:
        label, probability = [row[0] for row in rows], [row[1] for row in rows]
        assert brier_score(label, probability) == pytest.approx(brier_score_loss(label, probability), abs=1e-12)

    def test_no_bins(self) -> None:
        with pytest.raises(ParameterError, match="n_bins must be >= 1; got 0"):
            calibration_error([1, 0], [0.5, 0.5], n_bins=0)
