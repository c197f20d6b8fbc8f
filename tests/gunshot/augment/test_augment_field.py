"""Field distortions: levels are what was asked for, classes are treated alike, seeds decide everything."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunshot.augment.field import FieldRule, field_copy, loudness
from gunshot.augment.recording import clipped, coded, mixed, noise_like
from gunshot.augment.responses import ResponseBank, place_response, recorder_response, way_response
from gunshot.augment.spectrogram import MOST_BANDS, MOST_FRAMES, masked

SR = 12_000
N = 6_000
Float32 = NDArray[np.float32]

EVERYTHING = FieldRule(
    distance=1, place=1, background=1, response=1, clipping=1, coding=1, muting=1, overlap=1, snr_db=(0, 0)
)


def burst(seed: int = 0) -> Float32:
    rng = np.random.default_rng(seed)
    y = 0.001 * rng.standard_normal(N)
    y[600:3000] += rng.standard_normal(2400) * np.exp(-np.arange(2400) / 300) * 0.5
    return y.astype(np.float32)


def copy_of(y: Float32, rule: FieldRule, seed: int = 1) -> Float32:
    beside = np.stack([burst(5), burst(6)])
    return field_copy(y, rule, np.random.default_rng(seed), sr=SR, backgrounds=beside, companion=burst(7))


@given(st.integers(0, 2**20), st.sampled_from([FieldRule(), EVERYTHING]))
def test_a_copy_is_finite_and_of_the_same_length_and_of_its_seed(seed: int, rule: FieldRule) -> None:
    copy = copy_of(burst(), rule, seed)
    assert copy.shape == (N,)
    assert copy.dtype == np.float32
    assert np.all(np.isfinite(copy))
    assert np.max(np.abs(copy)) <= 1.5  # a lossy decoder may overshoot
    assert np.array_equal(copy, copy_of(burst(), rule, seed))


@pytest.mark.parametrize("y", [np.zeros(N, np.float32), np.eye(1, N, 600, dtype=np.float32)[0]])
def test_silence_and_a_single_sample_are_borne(y: Float32) -> None:
    for seed in range(20):
        assert np.all(np.isfinite(copy_of(y, EVERYTHING, seed)))


def test_nothing_drawn_leaves_the_shape_of_the_sound() -> None:
    nothing = FieldRule(
        distance=0, place=0, background=0, response=0, clipping=0, coding=0, muting=0, overlap=0, shift_s=0,
        floor_db=(90, 90),
    )  # fmt: skip
    copy = copy_of(burst(), nothing)
    assert np.corrcoef(copy, burst())[0, 1] > 0.9999


def test_what_is_beside_a_sound_does_not_begin_with_it() -> None:
    only = FieldRule(
        distance=0, place=0, background=1, response=0, clipping=0, coding=0, muting=0, overlap=0, shift_s=0,
        floor_db=(90, 90), snr_db=(-40, -40),
    )  # fmt: skip
    begins = [int(np.argmax(np.abs(copy_of(burst(), only, seed)))) // (N // 6) for seed in range(60)]
    assert np.all(np.bincount(begins, minlength=6)[:6] > 0)


def test_the_original_is_not_touched() -> None:
    y = burst()
    copy_of(y, EVERYTHING)
    assert np.array_equal(y, burst())


@given(st.floats(-10, 40))
def test_mixing_keeps_the_ratio(snr_db: float) -> None:
    y, beside = burst(), burst(3)
    added = mixed(y, beside, 0.01, snr_db) - y
    found = 10 * np.log10(0.01 / np.mean(np.square(added, dtype=np.float64)))
    assert found == pytest.approx(snr_db, abs=0.05)
    assert np.array_equal(mixed(y, np.zeros_like(y), 0.01, snr_db), y)


@given(st.integers(0, 1000), st.floats(0, 60))
def test_noise_lies_as_far_below_as_asked(seed: int, below_db: float) -> None:
    noise = noise_like(N, 0.04, below_db, np.random.default_rng(seed))
    assert 10 * np.log10(0.04 / np.mean(np.square(noise, dtype=np.float64))) == pytest.approx(below_db, abs=0.01)


def test_clipping_limits_and_keeps_the_sign() -> None:
    y = burst()
    for seed in range(10):
        limited = clipped(y, np.random.default_rng(seed))
        assert np.max(np.abs(limited)) < 0.95 * np.max(np.abs(y))
        assert np.all(limited * y >= 0)


def test_every_coding_gives_the_sound_back_about() -> None:
    y = burst() / np.float32(np.max(np.abs(burst())))
    heard = [coded(y, SR, np.random.default_rng(seed)) for seed in range(40)]
    assert all(copy.shape == y.shape for copy in heard)
    assert sum(not np.array_equal(copy, y) for copy in heard) > 30  # most formats take this rate
    alike = [float(np.max(scipy.signal.correlate(copy, y, "full")) / np.sum(y * y)) for copy in heard]
    assert min(alike) > 0.5


def test_the_way_takes_highs_first() -> None:
    freqs = scipy.fft.rfftfreq(2 * N, 1 / SR)
    loss = []
    for seed in range(60):
        response = np.abs(way_response(freqs, np.random.default_rng(seed)))
        assert np.all(np.isfinite(response))
        low, high = (float(np.mean(response[(freqs > a) & (freqs < b)] ** 2)) for a, b in ((200, 800), (3000, 5000)))
        loss.append(10 * np.log10(low / high))
    assert np.mean(loss) > 3
    assert np.min(loss) > -12  # the ground's comb may favour a band, air never does


def test_a_place_is_the_direct_sound_and_something_later() -> None:
    for seed in range(20):
        impulse = scipy.fft.irfft(place_response(2 * N, SR, np.random.default_rng(seed)), 2 * N)
        assert impulse[0] == pytest.approx(1, abs=0.5)
        assert np.sum(impulse[1:N] ** 2) > 0
        assert np.allclose(impulse[N:], 0, atol=1e-4)


def test_a_recorder_passes_speech_and_is_its_own() -> None:
    freqs = scipy.fft.rfftfreq(2 * N, 1 / SR)
    found = [np.abs(recorder_response(freqs, SR, np.random.default_rng(seed))) for seed in range(30)]
    assert all(np.all(np.isfinite(response)) for response in found)
    assert all(response[(freqs > 600) & (freqs < 1000)].max() > 0.2 for response in found)
    assert not np.allclose(found[0], found[1])


def test_loudness_is_that_of_the_loudest_part() -> None:
    y = np.zeros(N, np.float32)
    assert loudness(y, SR) == 0
    y[1000:1600] = 0.5
    assert loudness(y, SR) == pytest.approx(0.25)
    assert loudness(y[1000:1100], SR) == pytest.approx(0.25)


def test_a_bank_gives_what_is_drawn_and_depends_on_its_seed_alone() -> None:
    bank, again, other = (ResponseBank([seed, 1], N, SR, size=3) for seed in (5, 5, 6))
    rng = np.random.default_rng(0)
    kinds = [("way", "_ways"), ("place", "_places"), ("recorder", "_recorders")]
    for name, held in kinds:
        taken = {getattr(bank, name)(rng).tobytes() for _ in range(60)}
        assert taken == {response.tobytes() for response in getattr(again, held)}
        assert not taken & {response.tobytes() for response in getattr(other, held)}


def test_copies_from_a_bank_are_as_various_as_the_generator_is() -> None:
    bank = ResponseBank([1], N, SR, size=8)
    copies = {
        field_copy(burst(), FieldRule(), np.random.default_rng(seed), sr=SR, backgrounds=burst(5)[None], bank=bank)
        .tobytes()
        for seed in range(50)
    }  # fmt: skip
    assert len(copies) == 50


@given(st.integers(0, 2**20), st.integers(2, 60), st.integers(2, 60))
def test_masks_take_out_at_most_their_share_and_leave_the_rest(seed: int, n_mels: int, n_frames: int) -> None:
    picture = np.random.default_rng(seed).standard_normal((n_mels, n_frames)).astype(np.float32)
    copy = masked(picture, 1.0, np.random.default_rng(seed))
    gone = copy != picture
    bands, frames = gone.all(axis=1).sum(), gone.all(axis=0).sum()
    assert 1 <= bands <= max(1, round(MOST_BANDS * n_mels))
    assert 1 <= frames <= max(1, round(MOST_FRAMES * n_frames))
    assert gone.sum() == bands * n_frames + frames * n_mels - bands * frames
    assert np.array_equal(masked(picture, 0.0, np.random.default_rng(seed)), picture)
