"""The formulas of the waves, and that sampling keeps their time and impulse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.synthetic.sampling import band_noise, place_friedlander, place_n_wave, place_ringing, silence
from gunshot.synthetic.waves import berlage, friedlander, friedlander_impulse, n_wave, pascal, ringing

durations_s = st.floats(5e-5, 5e-3)
decays = st.floats(0.5, 4.0)


def spectral_peak_hz(wave: np.ndarray, step_s: float) -> float:
    """Frequency of the largest bin of a finely padded spectrum."""
    n_fft = 1 << 20
    return float(np.fft.rfftfreq(n_fft, step_s)[np.argmax(np.abs(np.fft.rfft(wave, n_fft)))])


@given(positive_s=durations_s, decay=decays, peak_pa=st.floats(0.1, 1e4))
def test_friedlander_jumps_to_its_peak_and_crosses_zero_at_the_positive_duration(
    positive_s: float, decay: float, peak_pa: float
) -> None:
    t_s = np.linspace(-positive_s, 12 * positive_s, 2602)[1:]
    wave = friedlander(t_s, peak_pa, positive_s, decay)
    assert not wave[t_s < 0].any()
    assert friedlander(np.zeros(1), peak_pa, positive_s, decay)[0] == peak_pa
    assert np.max(wave) <= peak_pa
    assert (wave[(t_s > 0) & (t_s < 0.999 * positive_s)] > 0).all()
    assert (wave[t_s > 1.001 * positive_s] <= 0).all()


@given(positive_s=durations_s, decay=decays)
def test_friedlander_impulse_is_the_integral_of_the_positive_phase(positive_s: float, decay: float) -> None:
    t_s = np.linspace(0.0, positive_s, 20_001)
    integral = np.trapezoid(friedlander(t_s, 100.0, positive_s, decay), t_s)
    assert integral == pytest.approx(friedlander_impulse(100.0, positive_s, decay), rel=1e-6)


def test_original_friedlander_wave_has_no_net_impulse_and_peaks_at_one_over_two_pi_t() -> None:
    positive_s, step_s = 5e-4, 1e-6
    wave = friedlander(np.arange(0.0, 0.02, step_s), 1.0, positive_s)
    assert abs(float(np.trapezoid(wave, dx=step_s))) < 1e-4 * friedlander_impulse(1.0, positive_s)
    assert spectral_peak_hz(wave, step_s) == pytest.approx(1.0 / (2.0 * math.pi * positive_s), rel=0.01)


@given(duration_s=durations_s, peak_pa=st.floats(0.1, 1e4))
def test_n_wave_is_antisymmetric_about_its_middle(duration_s: float, peak_pa: float) -> None:
    offsets_s = np.linspace(0.0, 0.499, 200) * duration_s
    later = n_wave(0.5 * duration_s + offsets_s, peak_pa, duration_s)
    earlier = n_wave(0.5 * duration_s - offsets_s, peak_pa, duration_s)
    np.testing.assert_allclose(later, -earlier, atol=1e-9 * peak_pa)
    assert n_wave(np.zeros(1), peak_pa, duration_s)[0] == peak_pa
    assert not n_wave(np.array([-1e-9, duration_s * 1.001]), peak_pa, duration_s).any()


def test_n_wave_spectrum_peaks_at_two_thirds_of_its_inverse_duration() -> None:
    step_s, duration_s = 1e-6, 4e-4
    wave = n_wave(np.arange(0.0, duration_s, step_s), 1.0, duration_s)
    # the transform is a spherical Bessel function of order 1, whose first maximum lies at 2.0816
    assert spectral_peak_hz(wave, step_s) == pytest.approx(2.0816 / (math.pi * duration_s), rel=0.01)


@given(rise=st.floats(0.2, 4.0), decay_s=st.floats(1e-4, 1e-2))
def test_berlage_envelope_peaks_at_rise_times_decay(rise: float, decay_s: float) -> None:
    t_s = np.linspace(0.0, 30 * rise * decay_s, 4001)
    top_s = rise * decay_s
    freq_hz = 0.25 / top_s  # so that the sine is at its top there
    assert berlage(np.array([top_s]), 3.0, freq_hz, rise, decay_s)[0] == pytest.approx(3.0)
    assert np.max(np.abs(berlage(t_s, 3.0, freq_hz, rise, decay_s))) <= 3.0 + 1e-9


def test_ringing_is_the_sum_of_its_modes() -> None:
    t_s = np.arange(500) / 8000
    freqs, decays_s, loud = np.array([300.0, 900.0]), np.array([0.01, 0.003]), np.array([1.0, 2.0])
    apart = sum(ringing(t_s, freqs[k : k + 1], decays_s[k : k + 1], loud[k : k + 1]) for k in range(2))
    np.testing.assert_allclose(ringing(t_s, freqs, decays_s, loud), apart)


def test_pascal_counts_twenty_decibels_for_a_factor_of_ten() -> None:
    assert pascal(0.0) == pytest.approx(20e-6)
    assert pascal(160.0) / pascal(140.0) == pytest.approx(10.0)


@pytest.mark.parametrize("bad", [0.0, -1e-3, math.nan, math.inf])
def test_durations_must_be_positive(bad: float) -> None:
    t_s = np.zeros(3)
    with pytest.raises(ParameterError, match="positive_s must be above 0"):
        friedlander(t_s, 1.0, bad)
    with pytest.raises(ParameterError, match="duration_s must be above 0"):
        n_wave(t_s, 1.0, bad)
    with pytest.raises(ParameterError, match="decay_s must be above 0"):
        berlage(t_s, 1.0, 100.0, 1.0, bad)
    with pytest.raises(ParameterError, match="positive_s must be above 0"):
        place_friedlander(np.zeros(9), 8000, 0.0, 1.0, bad)


@given(
    sr=st.sampled_from([12_000, 44_100, 192_000]),
    start_s=st.floats(0.0, 0.01),
    positive_s=st.floats(1e-4, 1e-3),
    decay=decays,
)
def test_placed_friedlander_keeps_its_time_and_its_impulse(
    sr: int, start_s: float, positive_s: float, decay: float
) -> None:
    y = np.zeros(round(0.06 * sr))
    place_friedlander(y, sr, start_s, 50.0, positive_s, decay)
    assert not y[: math.floor(start_s * sr)].any()
    assert np.argmax(y) - start_s * sr <= 1.0
    whole = 50.0 * positive_s * (1.0 / decay - 1.0 / decay**2)  # from 0 to infinity
    assert np.sum(y) / sr == pytest.approx(whole, abs=1e-4 * 50.0 * positive_s)


@given(sr=st.sampled_from([12_000, 48_000]), start_s=st.floats(0.0, 0.004), duration_s=st.floats(1e-4, 1e-3))
def test_placed_n_wave_has_no_net_impulse_and_half_of_it_where_it_crosses_zero(
    sr: int, start_s: float, duration_s: float
) -> None:
    y = np.zeros(round(0.01 * sr))
    place_n_wave(y, sr, start_s, 10.0, duration_s)
    running = np.cumsum(y) / sr
    assert running[-1] == pytest.approx(0.0, abs=1e-9)
    assert np.max(running) <= 10.0 * duration_s / 4.0 + 1e-9
    assert np.max(running) >= 10.0 * (duration_s / 4.0 - 0.25 / sr**2 / duration_s) - 1e-9


def test_placing_adds_and_drops_what_falls_outside() -> None:
    sr = 16_000
    y = np.ones(100)
    place_friedlander(y, sr, 1.0, 5.0, 1e-3)
    place_n_wave(y, sr, -1.0, 5.0, 1e-3)
    place_ringing(y, sr, 0.0, np.array([7900.0]), np.array([0.01]), np.array([1.0]))  # above 0.45 sr
    np.testing.assert_array_equal(y, np.ones(100))
    place_ringing(y, sr, 0.002, np.array([500.0]), np.array([0.01]), np.array([1.0]))
    np.testing.assert_array_equal(y[:32], np.ones(32))
    assert np.ptp(y[32:]) > 0.5


@pytest.mark.parametrize("sr", [8000, 48_000])
def test_band_noise_has_unit_rms_and_keeps_to_its_band(sr: int) -> None:
    noise = band_noise(4 * sr, sr, 500.0, 2000.0, np.random.default_rng(1))
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1.0, abs=0.12)
    power = np.abs(np.fft.rfft(noise)) ** 2
    freqs_hz = np.fft.rfftfreq(len(noise), 1 / sr)
    assert np.sum(power[(freqs_hz > 400) & (freqs_hz < 2500)]) > 0.9 * np.sum(power)


def test_silence_is_the_shorter_length() -> None:
    assert len(silence(0.5, 8000, 2.0)) == 4000
    assert len(silence(5.0, 8000, 2.0)) == 16_000
    assert not silence(0.1, 8000, 1.0).any()
