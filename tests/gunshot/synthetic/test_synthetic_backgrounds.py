"""Streams of background noise: level, colour, and no trace of how they are read."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.synthetic.backgrounds import BACKGROUNDS, SPECTRA, Background


def stream(kind: str, sr: int = 8000, seed: int = 0) -> Background:
    return Background(kind, sr, np.random.default_rng(seed))


@given(
    kind=st.sampled_from(BACKGROUNDS),
    sizes=st.lists(st.integers(0, 9000), min_size=1, max_size=6),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_samples_do_not_depend_on_the_blocks_they_are_read_in(kind: str, sizes: list[int], seed: int) -> None:
    one = stream(kind, seed=seed)
    blocks = [one.read(size) for size in sizes]
    assert [len(block) for block in blocks] == sizes
    whole = stream(kind, seed=seed).read(sum(sizes))
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_long_run_has_unit_rms_and_no_seams(kind: str) -> None:
    sr = 12_000
    y = stream(kind, sr, seed=3).read(90 * sr)
    assert 0.7 < np.sqrt(np.mean(y**2)) < 1.4
    assert np.max(np.abs(y)) < 12.0


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_colour_follows_the_table(kind: str) -> None:
    sr = 24_000
    y = stream(kind, sr, seed=4).read(30 * sr)
    power = np.abs(np.fft.rfft(y.astype(np.float64))) ** 2
    freqs_hz = np.fft.rfftfreq(len(y), 1 / sr)
    corners = np.array(SPECTRA[kind])
    shown = {hz: 10 * np.log10(np.mean(power[(freqs_hz > 0.9 * hz) & (freqs_hz < 1.1 * hz)])) for hz in (250, 8000)}
    wanted = {hz: np.interp(np.log(hz), np.log(corners[:, 0]), corners[:, 1]) for hz in shown}
    assert shown[250] - shown[8000] == pytest.approx(wanted[250] - wanted[8000], abs=4.0)


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_seeds_are_independent(kind: str) -> None:
    one, other = (np.diff(stream(kind, seed=seed).read(24_000)) for seed in (0, 1))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.2


def test_memory_does_not_grow_with_the_length() -> None:
    rain = stream("rain")
    rain.read(80_000)
    tracemalloc.start()
    for _ in range(3):
        rain.read(80_000)
    early = tracemalloc.get_traced_memory()[0]
    for _ in range(12):
        rain.read(80_000)
    late = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert late < early + 50_000


def test_unknown_kinds_and_low_rates_are_refused() -> None:
    with pytest.raises(ParameterError, match="background must be one of wind"):
        stream("applause")
    with pytest.raises(ParameterError, match="sr must be at least 8000 Hz; got 44"):
        stream("wind", sr=44)
