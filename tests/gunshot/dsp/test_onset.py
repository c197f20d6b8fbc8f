"""Onset strength and peaks against librosa, and the sample at which a sound begins."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunshot.dsp.onset import onset_strength, pick_peaks, refine_onset
from gunshot.dsp.spectral import log_mel

Float32 = NDArray[np.float32]

SR = 12_000
HOP = 64
N_FFT = 256


def spectrogram(y: Float32) -> Float32:
    return log_mel(
        y, sr=SR, n_fft=N_FFT, hop_length=HOP, n_mels=24, fmin=100.0, fmax=5000.0, floor_db=-80.0
    )  # fmt: skip


def decaying_noise(
    start_s: float, decay_s: float, seed: int, *, duration_s: float = 1.5, level: float = 1e-3
) -> Float32:
    rng = np.random.default_rng(seed)
    t = np.arange(round(duration_s * SR)) / SR - start_s
    burst = rng.standard_normal(t.size) * np.exp(-np.maximum(t, 0.0) / decay_s) * (t >= 0.0)
    return (0.3 * burst + level * rng.standard_normal(t.size)).astype(np.float32)


values = st.floats(0.0, 60.0, width=32)
strengths = st.lists(values, min_size=0, max_size=120).map(lambda v: np.array(v, dtype=np.float32))


@settings(deadline=None)
@given(
    levels=st.integers(1, 40).flatmap(
        lambda n: st.lists(st.lists(st.floats(-80.0, 30.0, width=32), min_size=n, max_size=n), min_size=1, max_size=24)
    )
)
def test_onset_strength_is_librosas(levels: list[list[float]]) -> None:
    spectrum = np.array(levels, dtype=np.float32)
    # librosa refuses a single frame; there is no rise in it
    expected = (
        librosa.onset.onset_strength(S=spectrum, sr=SR, hop_length=HOP, center=False, detrend=False)
        if spectrum.shape[1] > 1
        else np.zeros(1)
    )
    result = onset_strength(spectrum)
    assert result.dtype == np.float32
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_frames", [0, 1])
def test_too_few_frames_have_no_rise(n_frames: int) -> None:
    np.testing.assert_array_equal(onset_strength(np.zeros((24, n_frames), np.float32)), np.zeros(n_frames))


def test_a_falling_sound_has_no_onset_strength() -> None:
    falling = np.linspace(0.0, -60.0, 50, dtype=np.float32) * np.ones((24, 1), np.float32)
    assert not onset_strength(falling).any()
    np.testing.assert_allclose(onset_strength(falling[:, ::-1])[1:], 60.0 / 49.0, rtol=1e-4)


@settings(deadline=None)
@given(gain_db=st.floats(-10.0, 40.0))
def test_above_the_floor_onset_strength_does_not_know_the_gain(gain_db: float) -> None:
    y = decaying_noise(0.5, 0.05, 0, level=3e-2)
    louder = (y * 10.0 ** (gain_db / 20.0)).astype(np.float32)
    np.testing.assert_allclose(onset_strength(spectrogram(louder)), onset_strength(spectrogram(y)), atol=0.02)


@settings(deadline=None)
@given(strength=strengths, reach=st.integers(1, 12), average=st.integers(1, 20), delta_db=st.floats(0.1, 10.0))
def test_peaks_are_largest_within_reach_and_exceed_their_surroundings(
    strength: Float32, reach: int, average: int, delta_db: float
) -> None:
    peaks = pick_peaks(strength, reach_frames=reach, average_frames=average, delta_db=delta_db)
    assert (np.diff(peaks) > reach).all()
    around = np.pad(strength.astype(np.float64), average)
    for frame in peaks:
        assert strength[frame] == strength[max(0, frame - reach) : frame + reach + 1].max()
        assert strength[frame] > around[frame : frame + 2 * average + 1].mean() + delta_db - 1e-9


@settings(deadline=None)
@given(strength=strengths, reach=st.integers(1, 12), average=st.integers(1, 20), delta_db=st.floats(0.1, 10.0))
def test_all_frames_that_keep_the_rule_are_peaks(strength: Float32, reach: int, average: int, delta_db: float) -> None:
    assume(np.unique(strength).size == strength.size)  # of equal ones only the first counts
    peaks = set(pick_peaks(strength, reach_frames=reach, average_frames=average, delta_db=delta_db).tolist())
    around = np.pad(strength.astype(np.float64), average)
    for frame, value in enumerate(strength):
        is_largest = value == strength[max(0, frame - reach) : frame + reach + 1].max()
        stands_out = value > around[frame : frame + 2 * average + 1].mean() + delta_db + 1e-9
        if is_largest and stands_out:
            assert frame in peaks


@settings(deadline=None)
@given(strength=strengths.filter(lambda s: s.size > 0), reach=st.integers(1, 5), delta_db=st.floats(0.5, 5.0))
def test_peaks_are_librosas_where_its_greedy_wait_plays_no_part(strength: Float32, reach: int, delta_db: float) -> None:
    assume(np.unique(strength).size == strength.size)
    # librosa takes means over what is left of a span at the edges, and counts frame 0: pad, so that the rules are equal
    padding = 40
    padded = np.pad(strength, padding)
    ours = pick_peaks(padded, reach_frames=reach, average_frames=12, delta_db=delta_db)
    theirs = librosa.util.peak_pick(
        padded.astype(np.float64), pre_max=reach, post_max=reach + 1, pre_avg=12, post_avg=13, delta=delta_db, wait=0
    )
    np.testing.assert_array_equal(ours, theirs)


@settings(deadline=None)
@given(
    strength=st.lists(values, min_size=60, max_size=150, unique=True).map(lambda v: np.array(v, dtype=np.float32)),
    start=st.integers(0, 30),
    stop=st.integers(0, 30),
)
def test_a_peak_depends_on_its_surroundings_alone(strength: Float32, start: int, stop: int) -> None:
    reach, average = 3, 8
    piece = strength[start : strength.size - stop]
    whole = pick_peaks(strength, reach_frames=reach, average_frames=average, delta_db=1.0)
    part = pick_peaks(piece, reach_frames=reach, average_frames=average, delta_db=1.0) + start
    inside = (start + average, strength.size - stop - average)
    np.testing.assert_array_equal(
        part[(part >= inside[0]) & (part < inside[1])], whole[(whole >= inside[0]) & (whole < inside[1])]
    )


def test_of_equal_peaks_within_reach_the_first_counts() -> None:
    strength = np.zeros(60, np.float32)
    strength[[20, 23, 40]] = 10.0
    assert pick_peaks(strength, reach_frames=5, average_frames=5, delta_db=1.0).tolist() == [20, 40]


def test_no_frames_have_no_peaks() -> None:
    assert pick_peaks(np.empty(0, np.float32), reach_frames=9, average_frames=19, delta_db=1.5).size == 0


@settings(deadline=None)
@given(
    y=st.lists(st.floats(-1.0, 1.0, width=32), min_size=20, max_size=80).map(lambda v: np.array(v, dtype=np.float32)),
    start=st.integers(-30, 90),
    length=st.integers(-30, 90),
    rise=st.floats(0.01, 1.0),
)
@example(y=np.array([0.0, 0.5, -1.0], dtype=np.float32), start=0, length=3, rise=1.0)
@example(y=np.array([0.0, 0.5, -1.0], dtype=np.float32), start=0, length=3, rise=0.5)
def test_refined_onset_is_the_first_sample_that_rises(y: Float32, start: int, length: int, rise: float) -> None:
    onset = refine_onset(y, start, start + length, rise)
    begin = max(0, start)
    span = np.abs(y[begin : max(begin, start + length)]).tolist()
    if not span or max(span) == 0.0:
        assert onset == begin
    else:
        assert onset == begin + next(i for i, value in enumerate(span) if value >= rise * max(span))


@settings(deadline=None)
@given(gain_db=st.floats(-120.0, 120.0), seed=st.integers(0, 20))
def test_gain_does_not_move_the_refined_onset(gain_db: float, seed: int) -> None:
    y = decaying_noise(0.05, 0.02, seed, duration_s=0.1)
    louder = (y * 10.0 ** (gain_db / 20.0)).astype(np.float32)
    assert refine_onset(louder, 500, 800, 0.3) == refine_onset(y, 500, 800, 0.3)


def first_onset_s(y: Float32) -> float:
    frames = pick_peaks(onset_strength(spectrogram(y)), reach_frames=9, average_frames=19, delta_db=6.0)
    return refine_onset(y, int(frames[0]) * HOP, int(frames[0]) * HOP + N_FFT, 0.3) / SR


@pytest.mark.parametrize("decay_s", [0.005, 0.03, 0.15])
@pytest.mark.parametrize("start_s", [0.2, 0.503, 0.7771])
def test_the_first_onset_is_librosas_and_the_true_one(start_s: float, decay_s: float) -> None:
    y = decaying_noise(start_s, decay_s, seed=round(1e4 * start_s))
    hop = 128
    envelope = librosa.onset.onset_strength(y=y, sr=SR, hop_length=hop, n_fft=512, n_mels=40)
    found = librosa.onset.onset_detect(onset_envelope=envelope, sr=SR, hop_length=hop, units="time", backtrack=False)
    assert abs(first_onset_s(y) - found[0]) <= 2 * hop / SR
    assert abs(first_onset_s(y) - start_s) <= 0.003
