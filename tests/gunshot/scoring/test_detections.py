"""From scores to detections: nothing is lost, nothing counted twice."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunshot.scoring.detections import MERGE_GAP_S, REFRACTORY_S, Detection, merge_clips

TAIL_S = 0.45

gaps_s = st.one_of(st.floats(0.001, 0.3), st.floats(0.8, 1.2), st.floats(1.0, 50.0), st.sampled_from([0.1, 1.0]))
clips = st.lists(st.tuples(gaps_s, st.floats(0.0, 1.0, width=32)), max_size=40)
thresholds = st.floats(0.0, 1.0)


def arrays(clips: list[tuple[float, float]]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    gaps, scores = zip(*clips, strict=True) if clips else ((), ())
    return np.cumsum(np.array(gaps, dtype=np.float64)), np.array(scores, dtype=np.float32)


def merged(times_s: list[float], scores: list[float] | None = None, threshold: float = 0.5) -> tuple[Detection, ...]:
    score = np.ones(len(times_s)) if scores is None else np.array(scores)
    return merge_clips(np.array(times_s, dtype=np.float64), score.astype(np.float32), threshold, TAIL_S)


@settings(deadline=None)
@given(clips=clips, threshold=thresholds)
def test_detections_are_disjoint_in_order_and_hold_each_clip_above_the_threshold_once(
    clips: list[tuple[float, float]], threshold: float
) -> None:
    onset_s, score = arrays(clips)
    found = merge_clips(onset_s, score, threshold, TAIL_S)
    assert isinstance(found, tuple)
    for one, next_one in itertools.pairwise(found):
        assert one.end_s < next_one.start_s
    for time_s, value in zip(onset_s, score, strict=True):
        holding = [d for d in found if d.start_s <= time_s < d.end_s]
        if value >= threshold:
            assert len(holding) == 1
            assert holding[0].score >= value
            assert time_s + TAIL_S <= holding[0].end_s + 1e-6


@settings(deadline=None)
@given(clips=clips, threshold=thresholds)
def test_a_detection_is_made_of_its_clips(clips: list[tuple[float, float]], threshold: float) -> None:
    onset_s, score = arrays(clips)
    for detection in merge_clips(onset_s, score, threshold, TAIL_S):
        inside = (onset_s >= detection.start_s) & (onset_s < detection.end_s - TAIL_S + 1e-6) & (score >= threshold)
        assert detection.start_s == onset_s[inside][0]
        assert detection.end_s == pytest.approx(onset_s[inside][-1] + TAIL_S, abs=1e-6)
        assert detection.score == score[inside].max() >= threshold
        assert (np.diff(onset_s[inside]) <= MERGE_GAP_S).all()
        assert detection.shots_s[0] == detection.start_s
        assert set(detection.shots_s) <= set(onset_s[inside])
        assert all(later - earlier > REFRACTORY_S for earlier, later in itertools.pairwise(detection.shots_s))
        # each clip is a shot or an echo of one
        for time_s in onset_s[inside]:
            assert any(0.0 <= time_s - shot_s <= REFRACTORY_S for shot_s in detection.shots_s)


@settings(deadline=None)
@given(clips=clips, threshold=thresholds, other=thresholds)
def test_raising_the_threshold_adds_neither_clips_nor_shots(
    clips: list[tuple[float, float]], threshold: float, other: float
) -> None:
    onset_s, score = arrays(clips)
    low = merge_clips(onset_s, score, min(threshold, other), TAIL_S)
    high = merge_clips(onset_s, score, max(threshold, other), TAIL_S)
    # it can split one detection in two, so their number may grow; but each lies in one that was there
    for detection in high:
        assert sum(d.start_s <= detection.start_s and detection.end_s <= d.end_s for d in low) == 1
    assert sum(len(d.shots_s) for d in high) <= sum(len(d.shots_s) for d in low)


@settings(deadline=None)
@given(clips=clips, threshold=thresholds, shift_s=st.integers(0, 86_400))
def test_detections_move_with_their_clips(clips: list[tuple[float, float]], threshold: float, shift_s: int) -> None:
    # on the recorder's grid of samples, so that sums are exact in both places
    onset_s, score = arrays(clips)
    onset_s = np.round(onset_s * 4096) / 4096
    here, there = (merge_clips(x, score, threshold, TAIL_S) for x in (onset_s, onset_s + shift_s))
    assert [(len(d.shots_s), d.score) for d in here] == [(len(d.shots_s), d.score) for d in there]
    np.testing.assert_allclose([d.start_s + shift_s for d in here], [d.start_s for d in there], atol=1e-9)
    np.testing.assert_allclose([d.end_s + shift_s for d in here], [d.end_s for d in there], atol=2e-6)


def test_no_clips_and_none_above_the_threshold_give_no_detections() -> None:
    assert merged([]) == ()
    assert merged([1.0, 2.0], [0.1, 0.499]) == ()
    assert merged([1.0], [np.nan]) == ()


def test_a_clip_on_the_threshold_counts() -> None:
    assert merged([1.0], [0.5]) == (Detection(1.0, 1.45, (1.0,), 0.5),)


def test_the_gap_that_merges_is_one_second() -> None:
    assert len(merged([1.0, 2.0, 3.0])) == 1
    assert len(merged([1.0, 2.0, 3.0001])) == 2


def test_what_lies_below_the_threshold_bridges_no_gap() -> None:
    assert len(merged([1.0, 1.8, 2.6], [0.9, 0.1, 0.9])) == 2


def test_echoes_are_not_shots() -> None:
    assert merged([1.0, 1.05, 1.09])[0].shots_s == (1.0,)
    assert merged([1.0, 1.05, 1.15])[0].shots_s == (1.0, 1.15)  # counted from the last shot, not from its echo
    # automatic fire at 600 a minute
    assert len(merged([1.0 + 0.101 * n for n in range(30)])[0].shots_s) == 30
    # the first of another burst is a shot however near
    assert [d.shots_s for d in merged([1.0, 1.05, 9.0, 9.05])] == [(1.0,), (9.0,)]


def test_the_score_is_the_best_clips() -> None:
    assert merged([1.0, 1.5, 2.0], [0.6, 0.9, 0.7])[0].score == pytest.approx(0.9)


def test_the_end_is_that_of_the_last_clip_to_the_microsecond() -> None:
    assert merged([0.1, 0.2])[0].end_s == 0.65
