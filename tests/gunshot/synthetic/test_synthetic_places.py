"""Late sound and what reaches the microphones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.synthetic.places import PLACES, late_response, received
from gunshot.synthetic.propagation import Air, Path
from gunshot.synthetic.sources import Arrival

SR = 16_000


def impulse_at(distance_m: float, sr: int = SR) -> tuple[Arrival, ...]:
    y = np.zeros(32, np.float32)
    y[0] = 1.0 / distance_m
    return (Arrival(y=y, path_m=distance_m),)


def level_db(y: np.ndarray) -> float:
    return float(10.0 * np.log10(np.sum(np.asarray(y, np.float64) ** 2)))


@given(place=st.sampled_from(sorted(PLACES)), seed=st.integers(0, 100), length_s=st.floats(0.01, 0.5))
@settings(max_examples=30, deadline=None)
def test_late_response_is_finite_float32_of_the_length_asked_for(place: str, seed: int, length_s: float) -> None:
    late = late_response(PLACES[place], 60.0, length_s=length_s, sr=SR, rng=np.random.default_rng(seed))
    assert late.dtype == np.float32
    assert len(late) == round(length_s * SR)
    assert np.isfinite(late).all()
    assert late[0] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("place", sorted(PLACES))
def test_share_of_late_sound_grows_with_the_distance_and_decays_with_time(place: str) -> None:
    def late(distance_m: float) -> np.ndarray:
        return np.array(late_response(PLACES[place], distance_m, length_s=1.5, sr=SR, rng=np.random.default_rng(7)))

    assert level_db(late(400.0)) > level_db(late(10.0))
    decaying = late(200.0)
    assert level_db(decaying[SR:]) < level_db(decaying[: SR // 2]) - 10.0


def test_reverberation_time_is_that_of_the_band() -> None:
    late = late_response(PLACES["street"], 100.0, length_s=1.5, sr=SR, rng=np.random.default_rng(3))
    power = np.abs(np.fft.rfft(late[2000:].reshape(-1, 200), axis=1)) ** 2  # frames of 12.5 ms
    freqs_hz = np.fft.rfftfreq(200, 1 / SR)
    in_band = power[:, (freqs_hz > 450) & (freqs_hz < 1300)].sum(axis=1)
    slope_db_per_s = np.polyfit(np.arange(len(in_band)) * 200 / SR, 10 * np.log10(in_band), 1)[0]
    assert 0.7 * 1.6 < -60.0 / slope_db_per_s < 1.3 * 1.6


def test_open_field_is_drier_than_forest_and_street() -> None:
    levels = {
        name: level_db(late_response(place, 100.0, length_s=1.0, sr=SR, rng=np.random.default_rng(1)))
        for name, place in PLACES.items()
    }
    assert levels["open field"] < levels["forest"]
    assert levels["open field"] < levels["street"]


def test_first_wavefront_arrives_at_the_lead() -> None:
    lead = 80
    y = received(
        impulse_at(50.0),
        Path(length_m=50.0),
        Air(),
        PLACES["street"],
        sr=SR,
        n_samples=SR // 2,
        lead_samples=lead,
        rng=np.random.default_rng(0),
    )[:, 0]
    top = np.max(np.abs(y))
    assert np.max(np.abs(y[: lead - 40])) < 0.02 * top
    assert np.argmax(np.abs(y) > 0.2 * top) == pytest.approx(lead, abs=2)


def test_second_microphone_hears_the_same_later() -> None:
    y = received(
        impulse_at(10.0),
        Path(length_m=10.0, flow_resistivity=1e10),
        Air(),
        PLACES["open field"],
        sr=SR,
        n_samples=2000,
        lead_samples=100,
        spacing_s=(0.0, 8 / SR),
        rng=np.random.default_rng(0),
    )
    assert y.shape == (2000, 2)
    assert np.argmax(y[:, 1]) - np.argmax(y[:, 0]) == 8


@pytest.mark.parametrize("sr", [12_000, 48_000, 96_000, 176_400, 192_000])
def test_late_sound_comes_at_any_rate(sr: int) -> None:
    y = received(
        impulse_at(100.0, sr),
        Path(length_m=100.0),
        Air(),
        PLACES["street"],
        sr=sr,
        n_samples=sr // 4,
        lead_samples=round(0.004 * sr),
        rng=np.random.default_rng(5),
    )
    assert y.shape == (sr // 4, 1)
    assert np.isfinite(y).all()
    late = y[sr // 10 :, 0]
    assert level_db(late) > level_db(y[:, 0]) - 30.0


def test_a_response_shorter_than_a_sample_is_refused() -> None:
    with pytest.raises(ParameterError, match="length_s must hold a sample"):
        late_response(PLACES["street"], 10.0, length_s=1e-6, sr=SR, rng=np.random.default_rng(0))
