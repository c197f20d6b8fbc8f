"""The places of the threshold's slider: what is told at each is what is counted there."""

from __future__ import annotations

from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.evaluation.metrics import classification_metrics
from gunshot.evaluation.rates import alarm_rate
from gunshot.report import ModelResult, ReportContent, ScoredSplit, render_report
from gunshot.report.slider import places_of, script, threshold_slider, threshold_sliders, threshold_text
from gunshot.report.words import class_key_figures

ROWS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])), min_size=2).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


def model(label: list[int], score: list[float], own: float, split: str = "test") -> ModelResult:
    metrics = classification_metrics(label, score, own)
    return ModelResult(name="m", splits=[ScoredSplit(split=split, metrics=metrics, label=label, score=score)])


@given(rows=ROWS, own=st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]))
def test_each_place_counts_what_its_threshold_calls(rows: list[tuple[int, float]], own: float) -> None:
    label, score = [row[0] for row in rows], [row[1] for row in rows]
    slider = threshold_slider(model(label, score, own))
    assert slider is not None
    for place in slider.places:
        expected = classification_metrics(label, score, place.metrics.threshold)
        for name in ("true_positives", "false_negatives", "false_positives", "true_negatives"):
            assert getattr(place.metrics, name) == getattr(expected, name)
        assert list(place.figures) == class_key_figures(expected, "test")
    assert slider.own.metrics.threshold == own
    thresholds = [place.metrics.threshold for place in slider.places]
    assert thresholds == sorted(set(thresholds))
    # with so few scores every pair of counts that some threshold gives has its place
    called = np.asarray(score)[:, None] >= np.unique([*score, 0.0, 1.0, *(np.unique(score) + 1e-9)])[None, :]
    reachable = {
        (int(np.sum(column & (np.asarray(label) == 1))), int(np.sum(column & (np.asarray(label) == 0))))
        for column in called.T
    }
    found = {(place.metrics.true_positives, place.metrics.false_positives) for place in slider.places}
    assert found <= reachable
    if 1.0 not in score:
        assert (0, 0) in found


def test_places_are_few_and_close_where_errors_are_few() -> None:
    rng = np.random.default_rng(4)
    label = np.repeat([0, 1], [100_000, 5_000]).astype(np.int8)
    score = np.clip(np.concatenate([rng.beta(1, 30, 100_000), rng.beta(30, 1, 5_000)]), 0, 1)
    places = places_of(label, score, 0.6)
    assert len(places) < 200
    misses, alarms = ({5_000 - found for _, found, _ in places}, {raised for *_, raised in places})
    assert {0, 1, 2, 3, 4, 5} <= misses
    assert {0, 1, 2, 3, 4, 5} <= alarms


def test_a_recorder_day_is_told_where_it_is_known() -> None:
    label, score = [1, 1, 0, 0, 0], [0.9, 0.4, 0.6, 0.1, 0.2]
    slider = threshold_slider(model(label, score, 0.5), 1300.0)
    assert slider is not None
    for place in slider.places:
        *_, day = place.figures
        rate = alarm_rate(classification_metrics(label, score, place.metrics.threshold), 1300.0)
        assert rate.false_alarms_per_day is not None
        assert f"raises {rate.false_alarms_per_day:,.0f} false alarms a day" in day.sentence
        assert "1,300 candidates an hour" in day.basis


@pytest.mark.parametrize(("label", "score"), [([1, 1], [0.2, 0.9]), ([0, 0], [0.2, 0.9])])
def test_one_class_has_no_slider(label: list[int], score: list[float]) -> None:
    assert threshold_slider(model(label, score, 0.5)) is None
    assert threshold_slider(None) is None
    assert threshold_slider(ModelResult(name="m")) is None


@pytest.mark.parametrize(
    ("threshold", "text"), [(0.5, "0.500"), (0.0, "0.000"), (0.00321, "0.0032"), (0.999_98, "0.999980")]
)
def test_a_threshold_is_told_from_0_and_1(threshold: float, text: str) -> None:
    assert threshold_text(threshold) == text


def test_what_the_script_is_given_says_at_each_place_what_is_told_there() -> None:
    slider = threshold_slider(model([1, 1, 1, 0, 0, 0], [0.9, 0.4, 0.4, 0.6, 0.1, 0.2], 0.5), 1300.0)
    assert slider is not None
    given = slider.content()
    assert len(given["gunshots"]) < len(given["places"])
    for (threshold, gunshots, others), place in zip(given["places"], slider.places, strict=True):
        parts = given["gunshots"][gunshots], given["others"][others]
        counts, rates, figures = ([value for part in parts for value in part[what]] for what in range(3))
        assert {"threshold": threshold, "counts": counts, "rates": rates, "figures": figures} == place.as_dict()
    assert given["places"][given["chosen"]][0] == slider.own.threshold


def test_each_model_and_split_with_both_classes_has_one_the_key_figures_first(content: ReportContent) -> None:
    both, one = ([1, 0, 1, 0], [0.9, 0.2, 0.6, 0.4]), ([0, 0], [0.2, 0.9])
    a, b = (
        replace(
            model(*both, 0.5),
            name=name,
            splits=[
                model(*rows, 0.5, split).splits[0]
                for split, rows in (("unseen", one), ("validation", both), ("test", both))
            ],
        )
        for name in "ab"
    )
    sliders = threshold_sliders(replace(content, models=[a, b], default_model="b"))
    assert [it.name for it in sliders] == ["b, test", "b, validation", "a, validation", "a, test"]
    assert threshold_sliders(replace(content, models=[], default_model=None)) == []
    page = render_report(replace(content, models=[model(*both, 0.5)], default_model="m"))
    assert 'id="threshold-slider"' in page
    assert '<select id="threshold-which"' not in page  # there is no choice


def test_without_a_script_the_models_own_threshold_is_there_and_nothing_to_move(content: ReportContent) -> None:
    page = render_report(content)
    slider = threshold_slider(content.key_model)
    assert slider is not None
    box = page[page.index('id="threshold-box"') - 5 : page.index('id="threshold-slider"')]
    assert box.startswith("<div id=")
    assert " hidden " in box
    told = unescape(page[page.index('<h2 id="threshold">') : page.index("<script>")])
    for number, count in enumerate(slider.own.as_dict()["counts"]):
        assert f'id="threshold-count-{number}">{count}<' in told
    for place in slider.own.figures:
        assert f">{place.sentence}<" in told


def test_the_script_holds_nothing_that_ends_it_or_asks_for_more() -> None:
    text = script()
    assert "</script" not in text
    assert "<!--" not in text
    for word in ("fetch", "eval", "innerHTML", "import", "XMLHttpRequest", "http"):
        assert word not in text


def test_rows_that_chose_the_threshold_are_said_to_flatter(content: ReportContent) -> None:
    rows = ([1, 0, 1, 0], [0.9, 0.2, 0.6, 0.4])
    page = render_report(replace(content, models=[model(*rows, 0.5, "validation")], default_model="m"))
    assert "was chosen on these very clips, so these figures flatter" in page
