"""Gunshots and the sounds like them: shapes, times, spectra."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks

from gunshot.errors import ParameterError
from gunshot.synthetic import everyday, lookalikes
from gunshot.synthetic.catalogue import GUNSHOTS, OTHERS, draw_sound, sound_names
from gunshot.synthetic.propagation import Air, speed_of_sound
from gunshot.synthetic.sources import WEAPONS, Firing, firing_times, gunshot

SR = 48_000


def blast(weapon: str, seed: int, distance_m: float = 100.0) -> np.ndarray:
    """Muzzle blast of one shot, cut to start at its front."""
    arrivals = gunshot(
        weapon,
        "single",
        sr=SR,
        distance_m=distance_m,
        max_s=1.0,
        temperature_c=15.0,
        rng=np.random.default_rng(seed),
    )
    y = np.asarray(arrivals[0].y, np.float64)
    return y[np.argmax(y != 0.0) :]


def spectral_peak_hz(y: np.ndarray) -> float:
    n_fft = 1 << 16
    return float(np.fft.rfftfreq(n_fft, 1 / SR)[np.argmax(np.abs(np.fft.rfft(y, n_fft)))])


@given(
    label=st.integers(0, 1),
    sr=st.sampled_from([8000, 12_000, 22_050, 48_000]),
    max_s=st.floats(0.3, 1.2),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None)
def test_any_drawn_sound_is_finite_float32_and_no_longer_than_wanted(
    label: int, sr: int, max_s: float, seed: int
) -> None:
    sound = draw_sound(label, sr=sr, max_s=max_s, air=Air(), rng=np.random.default_rng(seed))
    assert sound.label == label
    assert sound.name in sound_names(label)
    assert any(arrival.y.any() for arrival in sound.arrivals)
    for arrival in sound.arrivals:
        assert arrival.y.dtype == np.float32
        assert arrival.y.ndim == 1
        assert len(arrival.y) <= round(max_s * sr)
        assert np.isfinite(arrival.y).all()
        assert arrival.path_m > 0


@pytest.mark.parametrize("name", sorted(GUNSHOTS) + sorted(OTHERS))
def test_every_sound_begins_at_its_first_sample_and_repeats_with_its_seed(name: str) -> None:
    def draw() -> list[np.ndarray]:
        sound = draw_sound(int(name in GUNSHOTS), sr=SR, max_s=0.9, air=Air(), rng=np.random.default_rng(11), name=name)
        return [np.asarray(arrival.y) for arrival in sound.arrivals]

    first, again = draw(), draw()
    for y, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(y, same)
    starts = [np.argmax(np.abs(y) > 1e-3 * np.max(np.abs(y))) for y in first if y.any()]
    assert min(starts) < 0.01 * SR


def test_unknown_names_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ParameterError, match="name must be one of"):
        draw_sound(1, sr=SR, max_s=1.0, air=Air(), rng=rng, name="balloon pop")
    with pytest.raises(ParameterError, match="weapon must be one of"):
        gunshot("bow", "single", sr=SR, distance_m=10.0, max_s=1.0, temperature_c=15.0, rng=rng)


def test_peak_of_a_blast_falls_six_decibels_per_doubling_and_a_little_more() -> None:
    for seed in range(10):
        near, far = np.max(blast("shotgun", seed, 50.0)), np.max(blast("shotgun", seed, 100.0))
        assert -7.0 < 20.0 * np.log10(far / near) < -5.9


def test_spectra_lie_where_the_physics_puts_them() -> None:
    def median_peak_hz(make: Callable[[int], np.ndarray]) -> float:
        return float(np.median([spectral_peak_hz(make(seed)) for seed in range(25)]))

    guns = {weapon: median_peak_hz(partial(blast, weapon)) for weapon in WEAPONS}
    bag = median_peak_hz(lambda seed: lookalikes.plastic_bag_pop(SR, 1.0, np.random.default_rng(seed)))
    balloon = median_peak_hz(lambda seed: lookalikes.balloon_pop(SR, 1.0, np.random.default_rng(seed)))
    clap = median_peak_hz(lambda seed: lookalikes.hand_clap(SR, 1.0, np.random.default_rng(seed)))
    assert all(150.0 < hz < 600.0 for hz in guns.values())
    assert guns["rifle"] < guns["pistol"]
    assert min(bag, balloon, clap) > max(guns.values())


def test_shock_wave_comes_first_and_the_blast_follows_within_the_travel_time() -> None:
    n_shocks = 0
    for seed in range(60):
        arrivals = gunshot(
            "rifle",
            "single",
            sr=SR,
            distance_m=150.0,
            max_s=1.0,
            temperature_c=15.0,
            rng=np.random.default_rng(seed),
        )
        if len(arrivals) == 2:
            n_shocks += 1
            muzzle, shock = (np.asarray(arrival.y) for arrival in arrivals)
            lag_s = np.argmax(muzzle != 0.0) / SR
            assert np.argmax(shock != 0.0) == 0
            assert 0.0 < lag_s < 150.0 / speed_of_sound(15.0)
            assert arrivals[1].path_m < 150.0
    assert 5 < n_shocks < 40


def test_shotguns_leave_no_shock_wave() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        assert len(gunshot("shotgun", "single", sr=SR, distance_m=60.0, max_s=0.5, temperature_c=15.0, rng=rng)) == 1


@given(seed=st.integers(0, 10_000))
def test_automatic_fire_keeps_its_cyclic_rate(seed: int) -> None:
    times_s = firing_times("burst", np.random.default_rng(seed))
    gaps_s = np.diff(times_s)
    assert times_s[0] == 0.0
    assert 3 <= len(times_s) <= 8
    assert 570.0 < 60.0 / np.mean(gaps_s) < 950.0
    assert np.ptp(gaps_s) < 0.12 * np.mean(gaps_s)


@given(seed=st.integers(0, 10_000))
def test_aimed_shots_are_slower(seed: int) -> None:
    times_s = firing_times("series", np.random.default_rng(seed))
    assert 2 <= len(times_s) <= 4
    assert (np.diff(times_s) >= 0.2).all()
    assert len(firing_times("single", np.random.default_rng(seed))) == 1


def test_unknown_way_of_firing_is_refused() -> None:
    wrong: Firing = "salvo"
    with pytest.raises(ParameterError, match="firing must be single, series or burst; got 'salvo'"):
        firing_times(wrong, np.random.default_rng(0))


def test_a_burst_shows_its_rounds_at_their_times() -> None:
    rng = np.random.default_rng(2)
    y = np.asarray(gunshot("shotgun", "burst", sr=SR, distance_m=30.0, max_s=1.0, temperature_c=15.0, rng=rng)[0].y)
    peaks, _ = find_peaks(np.append(0.0, y), height=0.5 * y.max(), distance=round(0.02 * SR))
    gaps_s = np.diff(peaks) / SR
    assert len(peaks) >= 3
    assert (np.abs(gaps_s - np.median(gaps_s)) < 0.05 * np.median(gaps_s)).all()


@pytest.mark.parametrize("sound", sorted(everyday.__all__))
def test_sounds_of_everyday_life_swell_slower_than_a_blast(sound: str) -> None:
    make: Callable[[int, float, np.random.Generator], np.ndarray] = getattr(everyday, sound)
    for seed in range(5):
        y = np.abs(make(SR, 1.0, np.random.default_rng(seed)))
        assert np.max(y[: SR // 1000]) < 0.7 * np.max(y)
