"""The gate: the size of its blocks changes nothing but the memory it takes."""

from __future__ import annotations

import csv
import itertools
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunshot.audio.decode import Recording
from gunshot.clips import context_samples, cut, features, find_onsets
from gunshot.dsp.resample import resample
from gunshot.errors import AudioError
from gunshot.recipe import ClipRule, OnsetRule, Recipe
from gunshot.scoring.gate import BLOCK_S, Candidates, stream_candidates

Float32 = NDArray[np.float32]

RECIPE = Recipe()
OTHER_RECIPE = Recipe(
    sr_hz=8_000,
    onset=OnsetRule(n_fft=512, hop_length=100, fmax_hz=3500.0, reach_s=0.02, average_s=0.3),
    clip=ClipRule(lead_s=0.6, length_s=1.5),  # more sound before an onset than its finding needs
    mel={"fmax_hz": 3500.0},
)
SHORT_RECIPE = Recipe(onset=OnsetRule(average_s=0.3), clip=ClipRule(lead_s=0.01, length_s=0.1))  # and less after it
RATES = [8_000, 12_000, 22_050, 44_100, 48_000]


def busy_sound(duration_s: float, sr: int, seed: int = 0, level: float = 5e-3) -> Float32:
    """Noise with bursts of many strengths, some close together."""
    rng = np.random.default_rng(seed)
    y = level * rng.standard_normal(round(duration_s * sr))
    for time_s in rng.uniform(0.0, duration_s, round(4 * duration_s)):
        first, length = round(time_s * sr), round(0.2 * sr)
        burst = rng.standard_normal(length) * np.exp(-np.arange(length) / sr / rng.uniform(0.002, 0.05))
        y[first : first + length] += rng.uniform(0.01, 0.4) * burst[: y.size - first]
    return y.astype(np.float32)


def stream(path: Path, recipe: Recipe, block_s: float) -> list[Candidates]:
    with Recording(str(path)) as recording:
        return list(stream_candidates(recording, recipe, block_s=block_s))


def joined(parts: list[Candidates]) -> tuple[NDArray[np.float64], Float32]:
    return np.concatenate([p.onset_s for p in parts]), np.concatenate([p.waveforms for p in parts])


def at_once(path: Path, recipe: Recipe) -> tuple[NDArray[np.float64], Float32]:
    """The candidates, from the whole recording in memory: what the gate stands for."""
    with Recording(str(path)) as recording:
        y = resample(recording.read(), recording.header.sr, recipe.sr_hz)
    onsets = find_onsets(y, recipe, from_start=True).sample
    clips = [cut(y, int(onset), recipe) for onset in onsets]
    return onsets / recipe.sr_hz, np.array(clips, dtype=np.float32).reshape(-1, recipe.n_samples)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A busy recording at each rate."""
    folder = tmp_path_factory.mktemp("busy")
    for sr in RATES:
        sf.write(folder / f"{sr}.flac", busy_sound(9.7, sr, seed=sr), sr, subtype="PCM_16")
    return {sr: folder / f"{sr}.flac" for sr in RATES}


@pytest.mark.parametrize("recipe", [RECIPE, OTHER_RECIPE, SHORT_RECIPE], ids=["default", "other", "short"])
@settings(deadline=None, max_examples=15)
@given(sr=st.sampled_from(RATES), block_s=st.one_of(st.floats(0.05, 1.0), st.floats(1.0, 20.0)))
def test_blocks_of_any_size_give_the_candidates_of_the_whole(
    busy: dict[int, Path], recipe: Recipe, sr: int, block_s: float
) -> None:
    onset_s, waveforms = joined(stream(busy[sr], recipe, block_s))
    expected_onset_s, expected_waveforms = at_once(busy[sr], recipe)
    assert onset_s.size > 10
    np.testing.assert_array_equal(onset_s, expected_onset_s)
    np.testing.assert_array_equal(waveforms, expected_waveforms)
    assert (np.diff(onset_s) > 0).all()


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_an_onset_on_the_edge_between_two_decisions_is_found_once(tmp_path: Path, offset: int) -> None:
    sr, hop = RECIPE.sr_hz, RECIPE.onset.hop_length
    edges = [(n * sr - context_samples(RECIPE) - RECIPE.n_samples) // hop * hop for n in range(1, 6)]
    y = 1e-3 * np.random.default_rng(0).standard_normal(6 * sr)
    decay = np.exp(-np.arange(1500) / 300.0)
    for edge in edges:
        y[edge + offset : edge + offset + decay.size] += 0.5 * decay
    sf.write(tmp_path / "edges.wav", y, sr, subtype="FLOAT")
    onset_s, _ = joined(stream(tmp_path / "edges.wav", RECIPE, 1.0))
    for edge in edges:
        assert np.sum(np.round(onset_s * sr) == edge + offset) == 1


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n_blocks=st.integers(1, 4), more=st.integers(-2, 2), sr=st.sampled_from([12_000, 44_100]), seed=st.integers(0, 99)
)
def test_a_recording_that_ends_beside_a_block_edge_is_read_to_its_end(
    tmp_path: Path, n_blocks: int, more: int, sr: int, seed: int
) -> None:
    path = tmp_path / "edge.wav"
    n_samples = n_blocks * sr + more
    sf.write(path, busy_sound(n_samples / sr, sr, seed), sr, subtype="FLOAT")
    parts = stream(path, RECIPE, 1.0)
    assert parts[-1].read_s == pytest.approx(n_samples / sr)
    onset_s, waveforms = joined(parts)
    expected_onset_s, expected_waveforms = at_once(path, RECIPE)
    np.testing.assert_array_equal(onset_s, expected_onset_s)
    np.testing.assert_array_equal(waveforms, expected_waveforms)


@pytest.mark.parametrize("n_samples", [1, 2, 63, 64, 255, 256, 257, 320, 700, 5999])
@pytest.mark.parametrize("sr", [12_000, 44_100])
@pytest.mark.parametrize("block_s", [0.001, 0.05, BLOCK_S])
def test_a_recording_shorter_than_a_clip_passes(tmp_path: Path, n_samples: int, sr: int, block_s: float) -> None:
    path = tmp_path / "few.wav"
    sf.write(path, busy_sound(1.0, sr)[:n_samples], sr, subtype="FLOAT")
    parts = stream(path, RECIPE, block_s)
    assert parts[-1].read_s == pytest.approx(n_samples / sr)
    onset_s, waveforms = joined(parts)
    expected_onset_s, expected_waveforms = at_once(path, RECIPE)
    np.testing.assert_array_equal(onset_s, expected_onset_s)
    np.testing.assert_array_equal(waveforms, expected_waveforms)


def test_parts_come_in_order_with_the_shapes_of_the_recipe(busy: dict[int, Path]) -> None:
    parts = stream(busy[48_000], RECIPE, 0.5)
    assert len(parts) > 10
    for part in parts:
        assert part.waveforms.shape == (part.onset_s.size, RECIPE.n_samples)
        assert part.waveforms.dtype == np.float32
        assert (part.onset_s <= part.read_s).all()
        assert not part.is_silent
        assert np.isfinite(features(part.waveforms, RECIPE)).all()
    read_s = [part.read_s for part in parts]
    assert read_s == sorted(set(read_s))
    assert read_s[-1] == pytest.approx(9.7)
    assert (np.diff(joined(parts)[0]) > 0).all()


def test_digital_silence_has_no_candidates_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "zeros.wav"
    sf.write(path, np.zeros(44_100 * 3), 44_100)
    parts = stream(path, RECIPE, 0.5)
    assert joined(parts)[0].size == 0
    assert all(part.is_silent for part in parts)
    y = np.zeros(44_100 * 3)
    y[44_100] = 0.001
    sf.write(path, y, 44_100)
    parts = stream(path, RECIPE, 0.5)
    assert parts[0].is_silent
    assert not parts[-1].is_silent


def test_memory_stays_flat_however_long_the_recording(tmp_path: Path) -> None:
    sr, peaks = 8_000, {}
    block = busy_sound(30.0, sr)
    for n_blocks in (1, 8):
        path = tmp_path / "long.wav"
        with sf.SoundFile(path, "w", sr, 1, subtype="PCM_16") as file:
            for _ in range(n_blocks):
                file.write(block)
        with Recording(str(path)) as recording:
            tracemalloc.start()
            n_candidates = sum(part.onset_s.size for part in stream_candidates(recording, RECIPE, block_s=2.0))
            peaks[n_blocks] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert n_candidates > 50 * n_blocks
    # eight times the recording (11 MB more at the recipe's rate) takes no more than a tenth more memory
    assert peaks[8] < 1.1 * peaks[1]


def test_a_sample_that_is_no_number_ends_the_stream(tmp_path: Path) -> None:
    y = busy_sound(6.0, 12_000)
    y[-100] = np.nan
    sf.write(tmp_path / "bad.wav", y, 12_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite") as caught:
        stream(tmp_path / "bad.wav", RECIPE, 1.0)
    assert caught.value.state == "unreadable"


@pytest.mark.parametrize("block_s", [0.3, 2.0, BLOCK_S])
def test_a_recording_that_breaks_off_gives_its_candidates_before_the_break(
    tmp_path: Path, busy: dict[int, Path], block_s: float
) -> None:
    content = busy[44_100].read_bytes()
    path = tmp_path / "cut.flac"
    path.write_bytes(content[: len(content) // 2])
    with Recording(str(path)) as recording:
        parts = list(stream_candidates(recording, RECIPE, block_s=block_s))
        assert recording.defect is not None
        assert recording.defect.startswith(f"breaks off after {parts[-1].read_s:.3f} s")
    read_s = parts[-1].read_s
    assert 4.0 < read_s < 5.5
    onset_s, waveforms = joined(parts)
    assert (onset_s < read_s).all()
    whole_onset_s, whole_waveforms = at_once(busy[44_100], RECIPE)
    sure = onset_s < read_s - 0.7  # their clips and surroundings are whole
    np.testing.assert_array_equal(onset_s[sure], whole_onset_s[whole_onset_s < read_s - 0.7])
    np.testing.assert_allclose(waveforms[sure], whole_waveforms[: sure.sum()], atol=1e-6)


@pytest.mark.audio
def test_the_shots_of_live_fire_are_candidates(audio: Path) -> None:
    with (audio / "labels.csv").open(newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["path"].startswith(("livefire/FP6/", "livefire/FP7/")) and row["label"] == "1"
        ]
    rows.sort(key=lambda row: row["path"])
    found = []
    for path, same_file in itertools.groupby(rows, key=lambda row: row["path"]):
        onset_s = joined(stream(audio / path, RECIPE, BLOCK_S))[0]
        assert (np.diff(onset_s) > 0).all()
        found += [bool(np.any(np.abs(onset_s - float(row["start_s"]) - 0.1) <= 0.05)) for row in same_file]
    assert len(found) > 300
    assert np.mean(found) >= 0.98
