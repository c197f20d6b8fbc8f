"""Mel spectrograms against librosa, and what a frame may depend on."""

from __future__ import annotations

import warnings
from typing import Any

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunshot.dsp.spectral import frame_count, log_mel, mel_filterbank

Float32 = NDArray[np.float32]

RULES = [
    # sr, n_fft, hop_length, n_mels, fmin, fmax
    (12_000, 512, 128, 40, 50.0, 5000.0),  # clips
    (12_000, 256, 64, 24, 100.0, 5000.0),  # onsets
    (8_000, 256, 100, 20, 0.0, 4000.0),  # a hop that divides nothing, and the whole range
    (16_000, 400, 160, 30, 20.0, 7600.0),  # no power of two
    (22_050, 1024, 1024, 64, 50.0, 11_025.0),  # frames side by side
    (48_000, 2048, 512, 64, 20.0, 20_000.0),
    (192_000, 4096, 1000, 48, 100.0, 90_000.0),
]


def noise(n_samples: int, seed: int = 0) -> Float32:
    return (0.2 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def sounds(sr: int) -> dict[str, Float32]:
    t = np.arange(int(0.6 * sr)) / sr
    clicks = np.zeros(t.size, dtype=np.float32)
    clicks[:: sr // 7] = 1.0
    return {
        "noise": noise(t.size),
        "tone": (0.5 * np.sin(2 * np.pi * 0.11 * sr * t)).astype(np.float32),
        "clicks": clicks,
        "shot": (noise(t.size, 1) * np.exp(-np.abs(t - 0.2) / 0.03) * (t > 0.2) + 1e-4 * noise(t.size)).astype(
            np.float32
        ),
    }


def librosa_mel(
    y: Float32, sr: int, n_fft: int, hop: int, n_mels: int, fmin: float, fmax: float
) -> NDArray[np.float64]:
    """librosa's power mel spectrogram in double precision, uncentred."""
    return librosa.feature.melspectrogram(
        y=y.astype(np.float64), sr=sr, n_fft=n_fft, hop_length=hop, n_mels=n_mels, fmin=fmin, fmax=fmax, center=False,
        window="hann", power=2.0,
    )  # fmt: skip


def named(rule: tuple[int, int, int, int, float, float]) -> dict[str, Any]:
    return dict(zip(("sr", "n_fft", "hop_length", "n_mels", "fmin", "fmax"), rule, strict=True))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_log_mel_is_librosas(rule: tuple[int, int, int, int, float, float]) -> None:
    for name, y in sounds(rule[0]).items():
        power = librosa_mel(y, *rule)
        expected = librosa.power_to_db(power, amin=1e-8, top_db=None)
        result = log_mel(y, **named(rule), floor_db=-80.0)
        assert result.dtype == np.float32
        assert result.shape == expected.shape
        # the documented tolerance: 0.01 dB down to 60 dB below the loudest bin, which single precision can hold
        loud = expected >= expected.max() - 60.0
        assert loud.any(), name
        np.testing.assert_allclose(result[loud], expected[loud], atol=1e-2, err_msg=name)
        # below that the error is of the size of single precision beside the loudest bin
        np.testing.assert_allclose(
            10 ** (result / 10.0), power, atol=1e-9 * power.max() + 1.1e-8, rtol=3e-3, err_msg=name
        )


@settings(deadline=None)
@given(
    sr=st.sampled_from([8_000, 11_025, 12_000, 22_050, 44_100, 48_000, 96_000]),
    n_fft=st.sampled_from([128, 200, 256, 512, 1000, 2048]),
    n_mels=st.integers(1, 128),
    low=st.floats(0.0, 0.4),
    high=st.floats(0.45, 1.0),
)
def test_mel_filters_are_librosas(sr: int, n_fft: int, n_mels: int, low: float, high: float) -> None:
    fmin, fmax = low * sr / 2, high * sr / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa warns where a filter is narrower than a bin; both are equal there too
        weights = mel_filterbank(sr, n_fft, n_mels, fmin, fmax)
        expected = librosa.filters.mel(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    np.testing.assert_array_equal(weights, expected)
    assert weights.dtype == np.float32


def test_mel_filters_are_made_once_and_nobody_can_change_them() -> None:
    weights = mel_filterbank(12_000, 512, 40, 50.0, 5000.0)
    assert mel_filterbank(12_000, 512, 40, 50.0, 5000.0) is weights
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 1.0


@settings(deadline=None)
@given(n_samples=st.integers(0, 5000), n_fft=st.integers(1, 1024), hop_length=st.integers(1, 1024))
def test_frame_count_counts_the_frames_that_fit(n_samples: int, n_fft: int, hop_length: int) -> None:
    starts = range(0, n_samples, hop_length)
    assert frame_count(n_samples, n_fft, hop_length) == sum(start + n_fft <= n_samples for start in starts)


@pytest.mark.parametrize("n_samples", [0, 1, 511, 512, 513, 639, 640, 6000])
def test_log_mel_has_frame_count_frames(n_samples: int) -> None:
    result = log_mel(noise(n_samples), **named(RULES[0]), floor_db=-80.0)
    assert result.shape == (40, frame_count(n_samples, 512, 128))
    assert result.flags.c_contiguous


@settings(deadline=None)
@given(first_frame=st.integers(0, 60), n_frames=st.integers(1, 30), seed=st.integers(0, 9))
def test_a_frame_depends_on_the_samples_under_it_alone(first_frame: int, n_frames: int, seed: int) -> None:
    y = noise(12_000, seed)
    start = first_frame * 128
    piece = y[start : start + 512 + (n_frames - 1) * 128]
    whole = log_mel(y, **named(RULES[0]), floor_db=-80.0)
    part = log_mel(piece, **named(RULES[0]), floor_db=-80.0)
    np.testing.assert_allclose(part, whole[:, first_frame : first_frame + n_frames], atol=1e-4)


def test_a_batch_is_its_waveforms_one_by_one() -> None:
    batch = np.stack([noise(3000, seed) for seed in range(6)]).reshape(2, 3, 3000)
    together = log_mel(batch, **named(RULES[0]), floor_db=-80.0)
    assert together.shape == (2, 3, 40, frame_count(3000, 512, 128))
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(together[index], log_mel(batch[index], **named(RULES[0]), floor_db=-80.0), atol=1e-4)


def test_an_empty_batch_has_no_spectrograms() -> None:
    assert log_mel(np.empty((0, 6000), np.float32), **named(RULES[0]), floor_db=-80.0).shape == (0, 40, 43)


@settings(deadline=None)
@given(gain_db=st.floats(-40.0, 20.0))
def test_gain_in_decibels_adds(gain_db: float) -> None:
    y = noise(6000)
    louder = (y * 10.0 ** (gain_db / 20.0)).astype(np.float32)
    plain, changed = (log_mel(x, **named(RULES[0]), floor_db=-300.0) for x in (y, louder))
    np.testing.assert_allclose(changed - plain, gain_db, atol=1e-2)


@pytest.mark.parametrize("floor_db", [-80.0, -120.0, -300.0])
def test_digital_silence_lies_at_the_floor(floor_db: float) -> None:
    result = log_mel(np.zeros(6000, np.float32), **named(RULES[0]), floor_db=floor_db)
    np.testing.assert_allclose(result, floor_db, atol=1e-4)


@settings(deadline=None)
@given(level_db=st.floats(-160.0, 0.0))
def test_nothing_lies_below_the_floor(level_db: float) -> None:
    y = (noise(2000) * 10.0 ** (level_db / 20.0)).astype(np.float32)
    result = log_mel(y, **named(RULES[0]), floor_db=-80.0)
    assert result.min() >= -80.0 - 1e-4
    unlimited = log_mel(y, **named(RULES[0]), floor_db=-300.0)
    np.testing.assert_allclose(result, np.maximum(unlimited, -80.0), atol=1e-4)


@pytest.mark.parametrize("frequency_hz", [200.0, 1000.0, 3000.0])
def test_a_tone_is_loudest_in_its_own_band(frequency_hz: float) -> None:
    sr, n_fft, _, n_mels, fmin, fmax = RULES[0]
    t = np.arange(6000) / sr
    result = log_mel(np.sin(2 * np.pi * frequency_hz * t).astype(np.float32), **named(RULES[0]), floor_db=-80.0)
    centres_hz = librosa.mel_frequencies(n_mels + 2, fmin=fmin, fmax=fmax)[1:-1]
    loudest_hz = centres_hz[result.mean(axis=1).argmax()]
    assert abs(loudest_hz - frequency_hz) <= max(1.5 * sr / n_fft, 0.06 * frequency_hz)
