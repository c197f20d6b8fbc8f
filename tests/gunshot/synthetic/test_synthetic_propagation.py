"""Air and ground against the tables of the standards and their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.synthetic.propagation import (
    FOREST_FLOOR,
    HARD_GROUND,
    SOFT_GROUND,
    Air,
    Path,
    air_absorption,
    ground_delay_s,
    ground_reflection,
    path_response,
    screening_loss_db,
    speed_of_sound,
    spreading_gain,
)

# ISO 9613-1:1993, table 1: temperature, humidity, nominal third-octave band, dB/km
ISO_9613_1 = [
    (-20.0, 10.0, 50.0, 0.589),
    (0.0, 50.0, 1000.0, 6.83),
    (0.0, 20.0, 2000.0, 34.6),
    (0.0, 100.0, 6300.0, 88.0),
    (10.0, 70.0, 1000.0, 3.66),
    (10.0, 50.0, 4000.0, 46.7),
    (15.0, 100.0, 10_000.0, 105.0),
    (20.0, 50.0, 1000.0, 4.66),
    (20.0, 80.0, 1000.0, 5.15),
    (30.0, 50.0, 4000.0, 24.5),
]
# ISO 9613-2:1996, table 2: octave bands 63 Hz to 8 kHz, dB/km
ISO_9613_2 = {
    (10.0, 70.0): (0.1, 0.4, 1.0, 1.9, 3.7, 9.7, 32.8, 117.0),
    (20.0, 70.0): (0.1, 0.3, 1.1, 2.8, 5.0, 9.0, 22.9, 76.6),
    (15.0, 20.0): (0.3, 0.6, 1.2, 2.7, 8.2, 28.2, 88.8, 202.0),
}

airs = st.builds(
    Air,
    temperature_c=st.floats(-10.0, 40.0),
    humidity_percent=st.floats(10.0, 100.0),
    pressure_kpa=st.floats(80.0, 105.0),
)


def exact_midband_hz(nominal_hz: float) -> float:
    """Exact third-octave midband that both tables are computed at (ISO 9613-1, note 5)."""
    return 1000.0 * math.pow(10.0, round(10.0 * math.log10(nominal_hz / 1000.0)) / 10.0)


@pytest.mark.parametrize(("temperature_c", "humidity_percent", "nominal_hz", "db_per_km"), ISO_9613_1)
def test_absorption_agrees_with_iso_9613_1(
    temperature_c: float, humidity_percent: float, nominal_hz: float, db_per_km: float
) -> None:
    air = Air(temperature_c=temperature_c, humidity_percent=humidity_percent)
    found = 1000.0 * air_absorption(np.array([exact_midband_hz(nominal_hz)]), air)[0]
    assert found == pytest.approx(db_per_km, rel=0.005)


@pytest.mark.parametrize("weather", list(ISO_9613_2))
def test_absorption_agrees_with_iso_9613_2(weather: tuple[float, float]) -> None:
    bands = np.array([exact_midband_hz(f) for f in (63, 125, 250, 500, 1000, 2000, 4000, 8000)])
    air = Air(temperature_c=weather[0], humidity_percent=weather[1])
    np.testing.assert_allclose(1000.0 * air_absorption(bands, air), ISO_9613_2[weather], rtol=0.005, atol=0.051)


@given(air=airs)
def test_higher_frequencies_lose_more(air: Air) -> None:
    losses = air_absorption(np.geomspace(20.0, 90_000.0, 200), air)
    assert (losses > 0).all()
    assert (np.diff(losses) > 0).all()


def test_air_outside_of_its_range_is_refused() -> None:
    with pytest.raises(ParameterError, match="humidity_percent must be in"):
        Air(humidity_percent=0.0)
    with pytest.raises(ParameterError, match="temperature_c must be in"):
        Air(temperature_c=293.15)


def test_sound_travels_faster_in_warmer_air() -> None:
    assert speed_of_sound(20.0) == pytest.approx(343.2)
    assert speed_of_sound(0.0) == pytest.approx(331.3, abs=0.1)


@given(distance_m=st.floats(1.0, 1e4))
def test_doubling_the_distance_costs_six_decibels(distance_m: float) -> None:
    ratio_db = 20.0 * math.log10(spreading_gain(2.0 * distance_m) / spreading_gain(distance_m))
    assert ratio_db == pytest.approx(-6.0206, abs=1e-4)
    assert spreading_gain(0.1) == 1.0


@given(
    across_m=st.floats(5.0, 800.0),
    source_m=st.floats(0.3, 40.0),
    receiver_m=st.floats(0.3, 10.0),
    temperature_c=st.floats(-20.0, 40.0),
)
def test_ground_delay_is_the_way_by_the_image_source(
    across_m: float, source_m: float, receiver_m: float, temperature_c: float
) -> None:
    direct_m = math.hypot(across_m, source_m - receiver_m)
    path = Path(length_m=direct_m, source_height_m=source_m, receiver_height_m=receiver_m)
    longer_m = math.hypot(across_m, source_m + receiver_m) - direct_m
    assert ground_delay_s(path, temperature_c) == pytest.approx(
        longer_m / speed_of_sound(temperature_c), rel=1e-6, abs=1e-12
    )


@given(length_m=st.floats(5.0, 600.0), resistivity=st.sampled_from([FOREST_FLOOR, SOFT_GROUND, HARD_GROUND]))
def test_ground_reflects_no_more_than_comes(length_m: float, resistivity: float) -> None:
    path = Path(length_m=length_m, flow_resistivity=resistivity)
    coefficient = ground_reflection(np.geomspace(20.0, 20_000.0, 100), path, 15.0)
    assert np.isfinite(coefficient).all()
    assert (np.abs(coefficient) < 2.0).all()  # the surface wave over soft ground may exceed 1
    both = path_response(np.linspace(0.0, 20_000.0, 500), path, Air())
    assert (np.abs(both) < 2.1).all()  # but never more than doubles the pressure


def test_hard_ground_is_a_mirror_and_soft_ground_turns_the_sign_at_grazing_angles() -> None:
    freqs_hz = np.array([250.0, 500.0])
    hard = ground_reflection(freqs_hz, Path(length_m=20.0, flow_resistivity=1e10), 15.0)
    np.testing.assert_allclose(hard, 1.0, atol=0.02)
    soft = ground_reflection(np.array([4000.0]), Path(length_m=400.0, flow_resistivity=FOREST_FLOOR), 15.0)
    assert soft[0].real < -0.8


def test_screening_starts_at_five_decibels_grows_with_frequency_and_ends_at_24() -> None:
    freqs_hz = np.geomspace(20.0, 20_000.0, 50)
    loss = screening_loss_db(freqs_hz, 0.2, 15.0)
    assert (np.diff(loss) >= 0).all()
    assert screening_loss_db(np.array([1.0]), 1e-6, 15.0)[0] == pytest.approx(5.0, abs=0.01)
    assert loss[-1] == 24.0
    assert not screening_loss_db(freqs_hz, 0.0, 15.0).any()


def test_path_response_is_its_factors() -> None:
    air = Air(temperature_c=12.0, humidity_percent=60.0)
    freqs_hz = np.linspace(0.0, 8000.0, 2001)
    path = Path(length_m=150.0, source_height_m=1.5, receiver_height_m=3.0, detour_m=0.1)
    some = freqs_hz[40:]
    loss_db = 150.0 * air_absorption(some, air) + screening_loss_db(some, 0.1, 12.0)
    lag_s = ground_delay_s(path, 12.0)
    reflected_m = 150.0 + lag_s * speed_of_sound(12.0)
    bounce = ground_reflection(some, path, 12.0) * 150.0 / reflected_m * np.exp(-2j * np.pi * some * lag_s)
    wanted = 10.0 ** (-loss_db / 20.0) * (1.0 + bounce)
    np.testing.assert_allclose(path_response(freqs_hz, path, air)[40:], wanted, atol=0.01)


def test_path_response_over_hard_ground_is_two_echoes_at_the_delay_of_the_geometry() -> None:
    sr, n_fft = 48_000, 1 << 14
    path = Path(length_m=12.0, source_height_m=1.5, receiver_height_m=1.5, flow_resistivity=1e10)
    response = path_response(np.linspace(0.0, sr / 2, n_fft // 2 + 1), path, Air())
    impulse = np.fft.irfft(response, n_fft)
    lag = round(ground_delay_s(path, 15.0) * sr)
    assert np.argmax(impulse) == 0
    assert np.argmax(impulse[10 : n_fft // 2]) + 10 == pytest.approx(lag, abs=1)
