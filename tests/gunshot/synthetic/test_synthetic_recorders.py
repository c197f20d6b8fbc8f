"""Recorders: filters that run in blocks, noise, saturation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import sosfreqz

from gunshot.synthetic.recorders import RECORDERS, digitised, sections, through


@pytest.mark.parametrize("name", sorted(RECORDERS))
@pytest.mark.parametrize("sr", [8000, 44_100, 192_000])
def test_linear_part_cuts_lows_passes_speech_and_shows_its_resonance(name: str, sr: int) -> None:
    recorder = RECORDERS[name]
    probes_hz = np.array([recorder.high_pass_hz / 10.0, recorder.high_pass_hz * 4.0])
    _, response = sosfreqz(sections(recorder, sr), probes_hz, fs=sr)
    low_db, mid_db = 20.0 * np.log10(np.abs(response))
    assert low_db < -35.0
    assert abs(mid_db) < 3.0
    if recorder.resonance_hz < min(0.45 * sr, 0.6 * recorder.low_pass_hz):
        _, peak = sosfreqz(sections(recorder, sr), np.array([recorder.resonance_hz]), fs=sr)
        assert 20.0 * np.log10(np.abs(peak[0])) == pytest.approx(recorder.resonance_db, abs=1.0)


def test_blocks_with_state_are_the_whole() -> None:
    sos = sections(RECORDERS["phone"], 16_000)
    y = np.random.default_rng(0).standard_normal((4000, 2)).astype(np.float32)
    whole, _ = through(sos, y)
    first, state = through(sos, y[:1700])
    second, _ = through(sos, y[1700:], state)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)


@pytest.mark.parametrize("name", sorted(RECORDERS))
def test_self_noise_has_its_level(name: str) -> None:
    recorder = RECORDERS[name]
    hiss = digitised(recorder, np.zeros((20_000, 1), np.float32), np.random.default_rng(1))
    assert 20.0 * np.log10(np.std(hiss)) == pytest.approx(recorder.self_noise_dbfs, abs=0.3)


@pytest.mark.parametrize("name", sorted(RECORDERS))
def test_loud_sounds_saturate_and_quiet_ones_pass(name: str) -> None:
    recorder = RECORDERS[name]
    ramp = np.linspace(-4.0, 4.0, 4001, dtype=np.float32)[:, None]
    out = digitised(recorder, ramp.copy(), np.random.default_rng(1))
    assert out.dtype == np.float32
    assert np.max(np.abs(out)) <= 1.0
    assert np.max(out) > 0.98
    below = np.abs(ramp) < 0.9 * recorder.knee
    np.testing.assert_allclose(out[below], ramp[below], atol=0.01)
