"""All figures of one split: they agree with each other, and what the rows cannot give is None."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gunshot.errors import ParameterError
from gunshot.evaluation.fixed_fpr import FIXED_FPRS
from gunshot.evaluation.metrics import classification_metrics
from gunshot.evaluation.rates import DEFAULT_CANDIDATES_PER_HOUR, DEFAULT_SHOTS_PER_DAY, alarm_rate
from gunshot.evaluation.reported import BaseRates, reported_figures
from gunshot.evaluation.reported_rows import ReportedRows

Make = Callable[..., ReportedRows]

KEYS = {
    "recall_at_fpr", "curves", "calibration", "breakdown", "confusers", "recorder_day", "open_set", "misses",
    "false_alarms",
}  # fmt: skip


@pytest.fixture(scope="module")
def rows(reported: Make) -> ReportedRows:
    """60 rows of 10 groups, some called wrong, some of whose values nobody knows."""
    rng = np.random.default_rng(0)
    label = np.arange(60) % 2
    score = np.clip(0.35 * label + 0.65 * rng.random(60), 0, 1)
    return reported(
        label.tolist(), score, group=[f"g{i // 6}" for i in range(60)], probability=score**2,
        sound=["gunshot:rifle" if one else ("door", "bark")[i % 3 == 0] for i, one in enumerate(label)],
        snr_db=[None if i % 7 == 0 else i / 3 for i in range(60)], sr=[None if i % 5 == 0 else 8000 for i in range(60)],
    )  # fmt: skip


def test_the_figures_agree(rows: ReportedRows) -> None:
    found = reported_figures(rows, 0.5, trained={("gunshot:rifle", 1), ("door", 0)})
    metrics = found.metrics
    assert metrics == classification_metrics(rows.label, rows.score, 0.5, rows.group)
    assert found.misses.n == metrics.false_negatives > 0
    assert found.false_alarms.n == metrics.false_positives > 0
    assert sum(it.n_alarms for it in found.confusers.sounds) == metrics.false_positives
    assert sum(it.n for it in found.confusers.sounds) == metrics.n_others
    assert sum(it.n for it in found.reliability.bins) == metrics.n
    assert found.alarms == alarm_rate(metrics)
    for name, parts in found.breakdowns.items():
        n = metrics.n_gunshots if name == "firearm" else metrics.n
        assert sum(part.n for part in parts.values()) == n
        assert sum(part.false_negatives for part in parts.values()) == metrics.false_negatives
    assert found.open_set is not None
    assert found.open_set.known is not None
    assert found.open_set.new is not None
    assert found.open_set.known.n + found.open_set.new.n == metrics.n
    assert found.open_set.new_sounds == (("bark", 0),)
    assert tuple(it.max_fpr for it in found.fixed_fpr) == FIXED_FPRS
    assert all(it.over_groups is not None for it in found.fixed_fpr)


def test_json_takes_them_and_says_every_figure(rows: ReportedRows) -> None:
    figures = reported_figures(rows, 0.5).as_dict()
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert set(figures) == KEYS
    assert figures["open_set"] is None  # nobody has said what was trained on
    assert set(figures["recall_at_fpr"]) == {"0.01", "0.001"}
    assert set(figures["curves"]) == {"roc", "precision_recall", "det"}
    assert figures["calibration"]["of"] == "probability"


def keys_of(figures: Any) -> set[str]:
    """Every key that is a name of a figure: values of columns, such as sources, are not."""
    if isinstance(figures, list):
        return set().union(*map(keys_of, figures))
    if not isinstance(figures, dict):
        return set()
    return {key for key in figures if re.fullmatch("[a-z][a-z_]+", key)}.union(*map(keys_of, figures.values()))


def test_every_figure_is_defined(rows: ReportedRows) -> None:
    """docs/evaluation.md names each key of metrics.json in code letters."""
    page = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text()
    named = set(re.findall(r"`([a-z][a-z_]+)`", page))
    found = reported_figures(rows, 0.5, trained={("door", 0)})
    keys = keys_of(found.as_dict()) | keys_of(found.metrics.as_dict())
    values = {*rows.source, *rows.device, "folder", "rifle"}
    assert len(keys - values) > 50
    assert keys - values - named == set()


def test_where_nothing_was_trained_on_all_is_new(reported: Make) -> None:
    found = reported_figures(reported([1, 0], [0.9, 0.2]), 0.5, trained=()).open_set
    assert found is not None
    assert found.known is None
    assert found.new is not None
    assert found.new.n == 2


def test_without_a_calibration_the_scores_are_judged(reported: Make) -> None:
    rows = reported([1, 0], [0.9, 0.2])
    found = reported_figures(rows, 0.5)
    assert found.as_dict()["calibration"]["of"] == "score"
    assert found.reliability.brier == pytest.approx((0.01 + 0.04) / 2)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_gives_none_and_not_zero(reported: Make, label: int) -> None:
    found = reported_figures(reported([label] * 3, [0.9, 0.6, 0.1]), 0.5)
    figures = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert (figures["recall_at_fpr"], figures["curves"]) == ({}, {})
    assert (found.metrics.roc_auc, found.metrics.average_precision) == (None, None)
    day = figures["recorder_day"]
    assert {it["precision"] for it in day["expected_precision"]} == {None}
    assert (day["false_alarms_per_day"] is None) == (label == 1)
    assert bool(figures["confusers"]["sounds"]) == (label == 0)
    assert (figures["misses"]["n"], figures["false_alarms"]["n"]) == ((1, 0) if label else (0, 2))


def test_the_threshold_is_the_one_given(rows: ReportedRows) -> None:
    low, high = reported_figures(rows, 0.2), reported_figures(rows, 0.8)
    assert low.misses.n < high.misses.n
    assert low.false_alarms.n > high.false_alarms.n
    # what needs no threshold does not change with it
    assert (low.curves, low.reliability, low.fixed_fpr) == (high.curves, high.reliability, high.fixed_fpr)


def test_what_a_recorder_brings_is_the_users_to_say(rows: ReportedRows) -> None:
    assert (BaseRates().candidates_per_hour, BaseRates().shots_per_day) == (
        DEFAULT_CANDIDATES_PER_HOUR, DEFAULT_SHOTS_PER_DAY,
    )  # fmt: skip
    usual = reported_figures(rows, 0.5).alarms
    quiet = reported_figures(rows, 0.5, base_rates=BaseRates(130.0, (2.0,))).alarms
    assert quiet.false_alarms_per_day is not None
    assert usual.false_alarms_per_day == pytest.approx(10 * quiet.false_alarms_per_day)
    assert [it.shots_per_day for it in quiet.precision] == [2.0]


def test_refusals(rows: ReportedRows, reported: Make) -> None:
    with pytest.raises(ParameterError, match="candidates_per_hour must be positive"):
        reported_figures(rows, 0.5, base_rates=BaseRates(0.0))
    with pytest.raises(ParameterError, match="threshold must lie in"):
        reported_figures(rows, math.nan)
    with pytest.raises(ParameterError, match="max_fpr must lie in"):
        reported_figures(rows, 0.5, max_fprs=[1.5])
    with pytest.raises(ParameterError, match="at least one row"):
        reported_figures(reported([], []), 0.5)
