"""One rate on one time grid: against librosa, in pieces and in blocks."""

from __future__ import annotations

from math import gcd

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunshot.dsp.resample import EDGE_S, Resampler, grid_step, resample

Float32 = NDArray[np.float32]

SR = 12_000
COMMON_RATES = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000]

rates = st.one_of(st.sampled_from(COMMON_RATES), st.integers(8_000, 192_000))


def noise(n_samples: int, seed: int = 0) -> Float32:
    return (0.2 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


@pytest.mark.parametrize("sr_in", COMMON_RATES)
@pytest.mark.parametrize("sr_out", [8_000, 12_000, 22_050])
def test_resample_is_librosas(sr_in: int, sr_out: int) -> None:
    y = noise(sr_in // 2 + 7)
    expected = librosa.resample(y, orig_sr=sr_in, target_sr=sr_out, res_type="soxr_hq")
    result = resample(y, sr_in, sr_out)
    assert result.dtype == np.float32
    assert abs(result.size - expected.size) <= 1  # librosa rounds the length up
    n = min(result.size, expected.size)
    np.testing.assert_allclose(result[:n], expected[:n], atol=1e-6)


@settings(deadline=None)
@given(sr_in=rates, n_samples=st.integers(0, 20_000))
def test_the_result_is_as_long_as_the_sound(sr_in: int, n_samples: int) -> None:
    assert abs(resample(noise(n_samples), sr_in, SR).size - n_samples * SR / sr_in) <= 0.5 + 1e-9


def test_equal_rates_change_nothing() -> None:
    y = noise(100)
    assert resample(y, SR, SR) is y
    assert Resampler(SR, SR).push(y, last=True) is y


@pytest.mark.parametrize("sr_in", COMMON_RATES)
def test_a_tone_keeps_its_time_phase_and_level(sr_in: int) -> None:
    t_in, t_out = np.arange(sr_in) / sr_in, np.arange(SR) / SR
    result = resample(np.sin(2 * np.pi * 440.0 * t_in).astype(np.float32), sr_in, SR)
    inner = slice(round(EDGE_S * SR), -round(EDGE_S * SR))
    np.testing.assert_allclose(result[inner], np.sin(2 * np.pi * 440.0 * t_out)[inner], atol=1e-4)


@pytest.mark.parametrize("sr_in", [32_000, 48_000, 192_000])
def test_what_lies_above_the_new_nyquist_rate_is_removed(sr_in: int) -> None:
    t = np.arange(sr_in) / sr_in
    result = resample(np.sin(2 * np.pi * 7500.0 * t).astype(np.float32), sr_in, SR)
    assert np.abs(result[round(EDGE_S * SR) : -round(EDGE_S * SR)]).max() < 1e-5


@settings(deadline=None)
@given(sr_in=st.integers(1, 400_000), sr_out=st.integers(1, 400_000), multiple_of=st.integers(1, 2048))
def test_a_grid_step_is_the_smallest_that_falls_on_the_output_grid(sr_in: int, sr_out: int, multiple_of: int) -> None:
    step = grid_step(sr_in, sr_out, multiple_of)
    outputs, rest = divmod(step * sr_out, sr_in)
    assert rest == 0
    assert outputs % multiple_of == 0
    # `n * sr_out / sr_in` is a multiple of `multiple_of` just where sr_in * multiple_of divides n * sr_out
    assert step == sr_in * multiple_of // gcd(sr_in * multiple_of, sr_out)


@settings(max_examples=40, deadline=None)
@given(sr_in=rates, multiple_of=st.sampled_from([1, 64]), where=st.floats(0.0, 1.0), seed=st.integers(0, 5))
def test_a_piece_on_the_grid_gives_the_samples_of_the_whole(
    sr_in: int, multiple_of: int, where: float, seed: int
) -> None:
    step = grid_step(sr_in, SR, multiple_of)
    start = step * max(1, round(where * sr_in / step))
    y = noise(start + sr_in // 2, seed)
    whole, piece = resample(y, sr_in, SR), resample(y[start:], sr_in, SR)
    first = start * SR // sr_in
    assert first * sr_in == start * SR
    assert first % multiple_of == 0
    edge = round(EDGE_S * SR)
    inside = whole[first + edge : first + piece.size]
    # the end is the recording's own end in both: only the cut edge differs. At odd rates soxr interpolates its filter.
    atol = 2e-6 if sr_in in COMMON_RATES else 1e-5
    np.testing.assert_allclose(piece[edge : edge + inside.size], inside, rtol=0.0, atol=atol)


@settings(max_examples=60, deadline=None)
@given(sr_in=rates, cuts=st.lists(st.integers(0, 30_000), max_size=12), seed=st.integers(0, 5))
def test_blocks_of_any_size_join_to_the_whole(sr_in: int, cuts: list[int], seed: int) -> None:
    y = noise(30_000, seed)
    resampler = Resampler(sr_in, SR)
    blocks = np.split(y, sorted(cuts))
    joined = np.concatenate([resampler.push(block, last=i == len(cuts)) for i, block in enumerate(blocks)])
    np.testing.assert_array_equal(joined, resample(y, sr_in, SR))


def test_an_empty_last_block_flushes_what_is_held() -> None:
    y = noise(4410)
    resampler = Resampler(44_100, SR)
    begun = resampler.push(y, last=False)
    rest = resampler.push(y[:0], last=True)
    assert rest.size > 0
    np.testing.assert_array_equal(np.concatenate([begun, rest]), resample(y, 44_100, SR))


@pytest.mark.parametrize("n_samples", [0, 1, 2, 7])
def test_a_few_samples_pass(n_samples: int) -> None:
    whole = resample(noise(n_samples), 48_000, SR)
    assert abs(whole.size - n_samples / 4) <= 0.5
    np.testing.assert_array_equal(Resampler(48_000, SR).push(noise(n_samples), last=True), whole)
