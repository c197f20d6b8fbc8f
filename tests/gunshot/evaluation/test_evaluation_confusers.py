"""Confusers: counts that add up to the other sounds and the false alarms, the worst first."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.evaluation.confusers import confuser_matrix
from gunshot.evaluation.intervals import exact_interval
from gunshot.evaluation.level import SNR_BANDS_DB, all_bands
from gunshot.evaluation.metrics import classification_metrics
from gunshot.evaluation.reported_rows import ReportedRows

Make = Callable[..., ReportedRows]

ROWS = st.lists(
    st.tuples(
        st.integers(0, 1), st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from(["bark", "door", "thunder", "gunshot"]),
        st.none() | st.floats(-5.0, 50.0),
    ),
    min_size=1, max_size=25,
)  # fmt: skip


@settings(max_examples=50)
@given(ROWS)
def test_counts_add_up(reported: Make, values: list[tuple[int, float, str, float | None]]) -> None:
    label, score, sound, level = zip(*values, strict=True)
    rows = reported(label, score, sound=sound, snr_db=level)
    matrix = confuser_matrix(rows, 0.5)
    whole = classification_metrics(label, score, 0.5)
    assert sum(it.n for it in matrix.sounds) == whole.n_others
    assert sum(it.n_alarms for it in matrix.sounds) == whole.false_positives
    assert {it.sound for it in matrix.sounds} == {name for one, name in zip(label, sound, strict=True) if not one}
    assert list(matrix.bands) == all_bands(SNR_BANDS_DB)
    for it in matrix.sounds:
        assert len(it.bands) == len(matrix.bands)
        assert (sum(a for a, _ in it.bands), sum(n for _, n in it.bands)) == (it.n_alarms, it.n)
        assert all(0 <= alarms <= n for alarms, n in it.bands)
    unknown = sum(it.bands[-1][1] for it in matrix.sounds)
    assert unknown == sum(one == 0 and db is None for one, db in zip(label, level, strict=True))
    order = [(-it.n_alarms, -it.rate) for it in matrix.sounds]
    assert order == sorted(order)
    raising = len(matrix.raising)
    assert matrix.raising == matrix.sounds[:raising]
    assert not any(it.n_alarms for it in matrix.sounds[raising:])


def test_the_worst_is_first(reported: Make) -> None:
    """Most alarms, then the higher rate; those that raise none: the most clips, then the name."""
    clips = {"door": [0.9, 0.9, 0.1], "bark": [0.9, 0.9], "drum": [0.9] * 3, "wind": [0.1], "rain": [0.1] * 2, "a": [0]}
    sound = [name for name, scores in clips.items() for _ in scores]
    score = [value for scores in clips.values() for value in scores]
    matrix = confuser_matrix(reported([0] * len(score), score, sound=sound), 0.5)
    assert [it.sound for it in matrix.sounds] == ["drum", "bark", "door", "rain", "a", "wind"]
    assert [it.sound for it in matrix.raising] == ["drum", "bark", "door"]
    assert [it.rate for it in matrix.raising] == [1.0, 1.0, pytest.approx(2 / 3)]


def test_a_sound_is_counted_in_the_band_of_its_level(reported: Make) -> None:
    """An edge belongs to the band above it, and a score on the threshold is an alarm."""
    rows = reported([0, 0, 0, 0, 1], [0.5, 0.1, 0.5, 0.9, 0.9], sound=["bark"] * 5, snr_db=[5.9, 6.0, 6.0, None, 6.0])
    (bark,) = confuser_matrix(rows, 0.5).sounds
    assert bark.bands == ((1, 1), (1, 2), (0, 0), (0, 0), (0, 0), (1, 1))
    (as_json,) = confuser_matrix(rows, 0.5).as_dict()["sounds"]
    assert as_json["bands"] == {
        "under 6 dB": {"n_alarms": 1, "n": 1, "rate": 1.0},
        "6 to 12 dB": {"n_alarms": 1, "n": 2, "rate": 0.5},
        "not known": {"n_alarms": 1, "n": 1, "rate": 1.0},
    }
    interval = exact_interval(3, 4)
    assert interval is not None
    assert (as_json["rate"], as_json["rate_interval"]) == (0.75, list(interval))


def test_gunshots_alone_give_no_confuser(reported: Make) -> None:
    matrix = confuser_matrix(reported([1, 1], [0.9, 0.1]), 0.5)
    assert (matrix.sounds, matrix.raising) == ((), ())
    assert json.loads(json.dumps(matrix.as_dict(), allow_nan=False))["sounds"] == []


def test_the_order_of_the_rows_does_not_matter(reported: Make) -> None:
    rng = np.random.default_rng(0)
    score, sound = rng.random(40), rng.choice(["a", "b", "c", "d"], 40).tolist()
    turned = rng.permutation(40)
    one = confuser_matrix(reported([0] * 40, score, sound=sound), 0.5)
    other = confuser_matrix(reported([0] * 40, score[turned], sound=[sound[i] for i in turned]), 0.5)
    assert one == other
