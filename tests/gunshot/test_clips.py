"""The clip: the same sound gives the same clip, however it is reached; where it begins, and what it holds."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunshot.audio.decode import Recording
from gunshot.clips import (
    MAX_SEARCH_S,
    Clip,
    Segment,
    clip_of_segment,
    context_samples,
    cut,
    features,
    find_onsets,
)
from gunshot.errors import AudioError
from gunshot.recipe import ClipRule, MelRule, OnsetRule, Recipe
from gunshot.scoring.gate import stream_candidates

Float32 = NDArray[np.float32]

RECIPE = Recipe()
SR = RECIPE.sr_hz

by_file = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def noise(n_samples: int, seed: int, level: float) -> NDArray[np.float64]:
    return level * np.random.default_rng(seed).standard_normal(n_samples)


def shot(sr: int, seed: int, decay_s: float = 0.03, duration_s: float = 0.4) -> NDArray[np.float64]:
    """Decaying noise below 5 kHz whose first sample is loud: what a microphone near a gun hears."""
    n_samples = round(duration_s * sr)
    decay = np.exp(-np.arange(n_samples) / sr / decay_s)
    hiss = np.random.default_rng(seed).standard_normal(round(duration_s * 10_000) + 8)
    body = np.interp(np.arange(n_samples) / sr, np.arange(hiss.size) / 10_000, hiss)
    body[0] = 2.5
    return 0.2 * np.clip(body, -2.5, 2.5) * decay


def recording_with(
    times_s: list[float], duration_s: float, sr: int, *, level: float = 1e-3, seed: int = 0, gain: float = 1.0
) -> Float32:
    """Noise with a shot at each time, all different."""
    y = noise(round(duration_s * sr), seed, level)
    for number, time_s in enumerate(times_s):
        first = round(time_s * sr)
        sound = shot(sr, 100 * seed + number, decay_s=0.02 + 0.01 * (number % 3))[: y.size - first]
        y[first : first + sound.size] += sound
    return (gain * y).astype(np.float32)


def write(path: Path, y: Float32, sr: int, subtype: str = "FLOAT") -> str:
    sf.write(path, y, sr, subtype=subtype)
    return str(path)


def clip_of(uri: str, segment: Segment | None = None, recipe: Recipe = RECIPE) -> Clip:
    with Recording(uri) as recording:
        return clip_of_segment(recording, segment or Segment(), recipe)


@dataclass(frozen=True)
class Scored:
    """All candidates that scoring finds in a recording."""

    onset_s: NDArray[np.float64]
    waveforms: Float32

    def nearest(self, onset_s: float) -> int:
        return int(np.argmin(np.abs(self.onset_s - onset_s)))


def scored(uri: str, recipe: Recipe = RECIPE, block_s: float = 1.7) -> Scored:
    with Recording(uri) as recording:
        parts = list(stream_candidates(recording, recipe, block_s=block_s))
    return Scored(np.concatenate([p.onset_s for p in parts]), np.concatenate([p.waveforms for p in parts]))


def assert_same_clip(one: Clip, other: Clip, recipe: Recipe = RECIPE) -> None:
    assert one.onset_s == other.onset_s
    assert_same_sound(one.y, other.y, recipe)


def assert_same_sound(one: Float32, other: Float32, recipe: Recipe = RECIPE) -> None:
    np.testing.assert_allclose(one, other, rtol=0.0, atol=1e-5)
    np.testing.assert_allclose(features(one[None], recipe), features(other[None], recipe), rtol=0.0, atol=1e-2)


# ---- training's features are scoring's


TIMES_S = [1.2345, 2.9, 4.00007, 5.5555, 8.25, 10.31, 10.93]

OTHER_RECIPE = Recipe(
    sr_hz=16_000,
    onset=OnsetRule(n_fft=400, hop_length=100, n_mels=20, fmax_hz=7000.0, reach_s=0.04, average_s=0.15),
    clip=ClipRule(lead_s=0.1, length_s=0.7),
    mel=MelRule(n_fft=400, hop_length=200, n_mels=30, fmax_hz=7000.0),
)
NO_LEAD = Recipe(clip=ClipRule(lead_s=0.0))


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, str], str]:
    """Makes, once a rate and ending, a noisy recording with shots at `TIMES_S`."""
    folder = tmp_path_factory.mktemp("long")

    def make(sr: int, ending: str) -> str:
        path = folder / f"{sr}.{ending}"
        if not path.exists():
            y = recording_with(TIMES_S, 12.0, sr, seed=sr % 97)
            if ending == "wav":
                y = np.stack([y, y], axis=1)
            with sf.SoundFile(path, "w", sr, y.ndim) as file:
                for start in range(0, len(y), 50_000):
                    file.write(y[start : start + 50_000])
        return str(path)

    return make


@pytest.mark.parametrize("recipe", [RECIPE, OTHER_RECIPE, NO_LEAD], ids=["default", "other", "no lead"])
@pytest.mark.parametrize(
    ("sr", "ending"),
    [(8_000, "wav"), (12_000, "flac"), (22_050, "flac"), (44_100, "wav"), (48_000, "flac"), (96_000, "flac"),
     (192_000, "wav"), (44_100, "ogg"), (48_000, "mp3"), (37_123, "wav")],
)  # fmt: skip
def test_training_and_scoring_see_the_same_clip(
    long_recording: Callable[[int, str], str], sr: int, ending: str, recipe: Recipe
) -> None:
    uri = long_recording(sr, ending)
    in_archive = scored(uri, recipe)
    with Recording(uri) as recording:  # all segments from one opening, as in a partition
        for time_s in TIMES_S:
            lead_s = recipe.clip.lead_s
            narrow = clip_of_segment(recording, Segment(time_s - lead_s - 0.02, time_s + 0.03), recipe)
            wide = clip_of_segment(recording, Segment(time_s - lead_s - 0.2, time_s + 0.4), recipe)
            assert narrow.is_onset
            assert abs(narrow.onset_s - time_s) <= 0.003
            assert_same_clip(narrow, wide, recipe)
            index = in_archive.nearest(time_s)
            assert in_archive.onset_s[index] == narrow.onset_s
            assert_same_sound(narrow.y, in_archive.waveforms[index], recipe)


@by_file
@given(
    sr=st.sampled_from([8_000, 12_000, 44_100, 48_000]),
    number=st.integers(0, len(TIMES_S) - 2),
    before_s=st.floats(0.06, 0.5),
    after_s=st.floats(0.01, 0.5),
)
def test_the_clip_does_not_depend_on_where_its_label_begins_and_ends(
    long_recording: Callable[[int, str], str], sr: int, number: int, before_s: float, after_s: float
) -> None:
    uri = long_recording(sr, "flac")
    time_s = TIMES_S[number]
    reference = clip_of(uri, Segment(time_s - 0.1, time_s + 0.1))
    assert_same_clip(clip_of(uri, Segment(time_s - before_s, time_s + after_s)), reference)


@pytest.mark.parametrize("sr", [12_000, 44_100])
def test_a_recording_of_the_shot_alone_gives_the_clip_of_the_long_one(
    tmp_path: Path, long_recording: Callable[[int, str], str], sr: int
) -> None:
    # the same samples, cut out on a whole number of seconds, so that both have one grid
    uri = long_recording(sr, "flac")
    y = sf.read(uri, dtype="float32")[0]
    alone = write(tmp_path / "alone.wav", y[2 * sr : 4 * sr - sr // 10], sr)
    of_part, of_whole = clip_of(alone), clip_of(uri, Segment(2.5, 3.5))
    assert of_part.onset_s + 2.0 == pytest.approx(of_whole.onset_s, abs=1e-9)
    assert_same_sound(of_part.y, of_whole.y)


@pytest.mark.parametrize("recipe", [RECIPE, OTHER_RECIPE], ids=["default", "other"])
@settings(deadline=None, max_examples=30)
@given(start_frame=st.integers(1, 400), length_s=st.floats(0.6, 2.0), seed=st.integers(0, 5))
def test_context_is_enough_to_find_the_onsets_of_the_whole(
    recipe: Recipe, start_frame: int, length_s: float, seed: int
) -> None:
    sr, context = recipe.sr_hz, context_samples(recipe)
    assert context % recipe.onset.hop_length == 0
    whole = recording_with([0.5, 1.1, 1.3, 2.2, 2.35, 3.6], 5.0, sr, level=0.02, seed=seed)
    start = start_frame * recipe.onset.hop_length
    piece = whole[start : start + round(length_s * sr)]
    expected, found = find_onsets(whole, recipe, from_start=True), find_onsets(piece, recipe, from_start=False)
    in_whole = (expected.sample >= start + context) & (expected.sample < start + piece.size - context)
    in_piece = (found.sample >= context) & (found.sample < piece.size - context)
    np.testing.assert_array_equal(found.sample[in_piece] + start, expected.sample[in_whole])
    np.testing.assert_allclose(found.strength_db[in_piece], expected.strength_db[in_whole], atol=1e-3)


# ---- onsets


@pytest.mark.parametrize("sr", [8_000, 12_000, 22_050, 44_100, 96_000])
@pytest.mark.parametrize("decay_s", [0.005, 0.05, 0.2])
def test_an_onset_lies_where_the_sound_begins(tmp_path: Path, sr: int, decay_s: float) -> None:
    for number, time_s in enumerate((0.3, 0.5003, 0.71237)):
        y = noise(2 * sr, number, 1e-3)
        first = round(time_s * sr)
        sound = shot(sr, number, decay_s)
        y[first : first + sound.size] += sound
        clip = clip_of(write(tmp_path / f"{number}.wav", y.astype(np.float32), sr))
        assert clip.is_onset
        assert abs(clip.onset_s - first / sr) <= 0.003


@by_file
@given(gain_db=st.floats(-20.0, 20.0), time_s=st.floats(0.3, 1.0))
def test_gain_does_not_move_the_onset(tmp_path: Path, gain_db: float, time_s: float) -> None:
    # the noise stays 20 dB above the floor of levels, below which gain does tell
    plain = recording_with([time_s], 1.6, SR, level=0.03)
    louder = (plain * 10.0 ** (gain_db / 20.0)).astype(np.float32)
    one, other = (clip_of(write(tmp_path / "gain.wav", y, SR)) for y in (plain, louder))
    assert one.onset_s == other.onset_s
    assert one.strength_db == pytest.approx(other.strength_db, abs=0.1)
    np.testing.assert_allclose(other.y, one.y * 10.0 ** (gain_db / 20.0), rtol=1e-3, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    n_fft=st.sampled_from([256, 1024, 4096]),
    hop_length=st.sampled_from([16, 64, 128]),
    reach_s=st.sampled_from([0.001, 0.005, 0.05]),
    rise=st.sampled_from([0.05, 0.3, 1.0]),
)
def test_onsets_increase_under_any_rule(seed: int, n_fft: int, hop_length: int, reach_s: float, rise: float) -> None:
    rule = OnsetRule(n_fft=n_fft, hop_length=hop_length, reach_s=reach_s, average_s=0.05, delta_db=0.2, rise=rise)
    rng = np.random.default_rng(seed)
    y = noise(24_000, seed, 10 ** rng.uniform(-5, -1))
    for first in rng.integers(0, 23_000, 40):
        length = int(rng.integers(1, 400))
        y[first : first + length] += rng.uniform(0, 1) * rng.standard_normal(length)
    onsets = find_onsets(y.astype(np.float32), Recipe(onset=rule), from_start=True)
    assert (np.diff(onsets.sample) > 0).all()
    assert onsets.sample.shape == onsets.strength_db.shape
    assert onsets.sample.dtype == np.int64


def test_the_first_of_two_like_sounds_is_taken_and_a_weak_one_passed_over(tmp_path: Path) -> None:
    like = recording_with([0.6, 1.2], 2.0, SR)
    assert clip_of(write(tmp_path / "like.wav", like, SR)).onset_s == pytest.approx(0.6, abs=0.003)
    weak = like.copy()
    weak[round(0.55 * SR) : round(1.0 * SR)] = 0.03 * like[round(0.55 * SR) : round(1.0 * SR)]
    weak += noise(weak.size, 1, 1e-3).astype(np.float32)
    assert clip_of(write(tmp_path / "weak.wav", weak, SR)).onset_s == pytest.approx(1.2, abs=0.003)
    # the weak one is there, if it is asked for
    assert clip_of(write(tmp_path / "weak.wav", weak, SR), Segment(0.5, 0.7)).onset_s == pytest.approx(0.6, abs=0.003)


def test_a_label_leaves_room_for_the_lead_before_its_sound(tmp_path: Path) -> None:
    uri = write(tmp_path / "two.wav", recording_with([0.6, 1.2], 2.0, SR), SR)
    assert clip_of(uri, Segment(0.5, 1.5)).onset_s == pytest.approx(0.6, abs=0.003)
    # 30 ms are no room for the lead: the lead would hold what the label leaves out
    assert clip_of(uri, Segment(0.57, 1.5)).onset_s == pytest.approx(1.2, abs=0.003)
    assert clip_of(uri, Segment(0.62, 1.5)).onset_s == pytest.approx(1.2, abs=0.003)
    # at the recording's own start there is nothing to leave out
    assert clip_of(write(tmp_path / "start.wav", recording_with([0.03], 1.0, SR), SR)).onset_s < 0.04


@pytest.mark.parametrize("sr", [12_000, 44_100])
@pytest.mark.parametrize("delay_s", [0.0, 0.004])
def test_a_recording_trimmed_to_its_sound_begins_with_it(tmp_path: Path, sr: int, delay_s: float) -> None:
    uri = write(tmp_path / "trimmed.wav", recording_with([delay_s], 1.0, sr), sr)
    clip = clip_of(uri)
    assert clip.is_onset
    assert abs(clip.onset_s - delay_s) <= 0.003
    lead = RECIPE.lead_samples - round(clip.onset_s * SR)
    assert not clip.y[:lead].any()
    assert clip.y[lead:].any()
    assert_same_clip(clip_of(uri, Segment(0.0, 1.0)), clip)
    in_archive = scored(uri)
    assert in_archive.onset_s[0] == clip.onset_s
    assert_same_sound(in_archive.waveforms[0], clip.y)


def test_a_recording_that_begins_in_the_middle_of_steady_sound_has_no_onset_there(tmp_path: Path) -> None:
    uri = write(tmp_path / "river.wav", recording_with([0.8], 2.0, SR, level=0.05), SR)
    assert clip_of(uri).onset_s == pytest.approx(0.8, abs=0.003)
    assert scored(uri).onset_s[0] > 0.02


# ---- what a clip holds


@settings(deadline=None)
@given(
    n_samples=st.integers(0, 9000),
    onset=st.integers(0, 9500),
    limit=st.none() | st.integers(0, 9500),
    lead=st.sampled_from([0.0, 0.05, 0.2]),
)
def test_a_clip_is_lead_sound_and_zeros(n_samples: int, onset: int, limit: int | None, lead: float) -> None:
    recipe = Recipe(clip=ClipRule(lead_s=lead))
    y = np.arange(1, n_samples + 1, dtype=np.float32)
    first = onset - recipe.lead_samples
    end = n_samples if limit is None else min(n_samples, limit)
    expected = [index + 1 if 0 <= index < end else 0 for index in range(first, first + recipe.n_samples)]
    np.testing.assert_array_equal(cut(y, onset, recipe, limit), np.array(expected, dtype=np.float32))


def test_a_clip_is_its_own_and_not_a_view_of_the_recording() -> None:
    y = np.ones(9000, np.float32)
    cut(y, 1000, RECIPE)[:] = 5.0
    assert (y == 1.0).all()


@by_file
@given(after_s=st.floats(0.01, 0.6))
def test_nothing_after_the_limit_is_in_the_clip(tmp_path: Path, after_s: float) -> None:
    uri = write(tmp_path / "limit.wav", recording_with([0.7, 1.4], 3.0, SR, level=0.01), SR)
    limit_s = 0.7 + after_s
    free, limited = clip_of(uri, Segment(0.6, 0.9)), clip_of(uri, Segment(0.6, 0.9, limit_s))
    assert limited.onset_s == free.onset_s
    held = min(RECIPE.n_samples, round(limit_s * SR) - (round(free.onset_s * SR) - RECIPE.lead_samples))
    np.testing.assert_array_equal(limited.y[:held], free.y[:held])
    assert not limited.y[held:].any()
    assert free.y[held:].all()
    assert free.padded_s == 0.0
    assert limited.padded_s == pytest.approx((RECIPE.n_samples - held) / SR)


@pytest.mark.parametrize("rest_s", [0.1, 0.3, 0.449, 0.45, 0.6])
def test_a_clip_at_the_end_of_its_recording_is_padded_with_zeros(tmp_path: Path, rest_s: float) -> None:
    clip = clip_of(write(tmp_path / "end.wav", recording_with([1.0], 1.0 + rest_s, SR, level=0.01), SR))
    there = round((1.0 + rest_s) * SR) - (round(clip.onset_s * SR) - RECIPE.lead_samples)
    n_padding = max(0, RECIPE.n_samples - there)
    assert clip.padded_s == pytest.approx(n_padding / SR)
    assert not clip.y[RECIPE.n_samples - n_padding :].any()
    assert clip.y[: RECIPE.n_samples - n_padding].all()


def test_features_are_those_of_each_clip_alone() -> None:
    clips = np.stack([noise(RECIPE.n_samples, seed, 0.1) for seed in range(5)]).astype(np.float32)
    together = features(clips, RECIPE)
    assert together.shape == (5, *RECIPE.mel_shape)
    for index in range(5):
        np.testing.assert_allclose(together[index], features(clips[index : index + 1], RECIPE)[0], atol=1e-4)


# ---- segments without a sound of their own


def hum(duration_s: float, sr: int = SR) -> Float32:
    return (0.1 * np.sin(2 * np.pi * 200.0 * np.arange(round(duration_s * sr)) / sr)).astype(np.float32)


@pytest.mark.parametrize("segment", [Segment(), Segment(1.0, 2.0), Segment(2.3, 3.0), Segment(1.0, 1.01)])
def test_steady_sound_gives_a_full_clip_of_the_segment(tmp_path: Path, segment: Segment) -> None:
    clip = clip_of(write(tmp_path / "hum.wav", hum(3.0), SR), segment)
    assert not clip.is_onset
    low_s, high_s = segment.start_s or 0.0, segment.end_s or 3.0
    assert low_s <= clip.onset_s < high_s
    # the clip fits before the end of the recording, where the segment leaves room for that
    if low_s + RECIPE.clip.length_s <= 3.0:
        assert clip.padded_s == 0.0
        assert np.count_nonzero(clip.y) > 0.8 * clip.y.size


def test_steady_sound_before_a_limit_gives_a_clip_that_ends_before_it(tmp_path: Path) -> None:
    uri = write(tmp_path / "hum.wav", hum(3.0), SR)
    clip = clip_of(uri, Segment(1.0, 2.0, 1.7))
    assert not clip.is_onset
    assert clip.padded_s == 0.0
    assert clip.onset_s + RECIPE.clip.length_s - RECIPE.clip.lead_s <= 1.7 + 1e-9


def test_digital_zeros_are_silent(tmp_path: Path) -> None:
    y = recording_with([2.0], 3.0, SR)
    y[:SR] = 0.0
    uri = write(tmp_path / "muted.wav", y, SR)
    with pytest.raises(AudioError, match="only digital zeros") as caught:
        clip_of(uri, Segment(0.2, 0.8))
    assert caught.value.state == "silent"
    assert clip_of(uri, Segment(1.5, 2.5)).onset_s == pytest.approx(2.0, abs=0.003)
    with pytest.raises(AudioError, match="only digital zeros"):
        clip_of(write(tmp_path / "zeros.wav", np.zeros(9000, np.float32), 44_100))


def test_a_segment_after_the_end_is_short(tmp_path: Path) -> None:
    uri = write(tmp_path / "one.wav", recording_with([0.5], 1.0, SR), SR)
    for start_s in (1.0, 7.25):
        with pytest.raises(AudioError, match=f"begins at {start_s:g} s, the recording ends at 1 s") as caught:
            clip_of(uri, Segment(start_s, start_s + 1.0))
        assert caught.value.state == "short"
    assert clip_of(uri, Segment(0.3, 9.0)).onset_s == pytest.approx(0.5, abs=0.003)  # an end after the end is the end


@pytest.mark.parametrize("sr", [8_000, 12_000, 192_000])
@pytest.mark.parametrize("n_samples", [9, 50, 255, 256, 257, 1000])
def test_a_recording_shorter_than_a_clip_gives_one_clip(tmp_path: Path, sr: int, n_samples: int) -> None:
    clip = clip_of(write(tmp_path / "few.wav", noise(n_samples, 0, 0.1).astype(np.float32), sr))
    assert clip.y.shape == (RECIPE.n_samples,)
    n_sound = round(n_samples * SR / sr)
    # the resampler rounds the length, and its last samples may be zero
    assert abs(np.count_nonzero(clip.y) - n_sound) <= 2
    assert clip.padded_s > 0.3


def test_less_than_one_sample_is_short(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="fewer samples than one") as caught:
        clip_of(write(tmp_path / "click.wav", np.ones(3, np.float32), 192_000))
    assert caught.value.state == "short"


def test_a_row_without_segment_is_searched_so_far_and_no_further(tmp_path: Path) -> None:
    sr, late_s = 8_000, MAX_SEARCH_S + 5.0
    y = np.tile(hum(1.0, sr), round(late_s + 2))
    sound = shot(sr, 0)
    y[round(late_s * sr) : round(late_s * sr) + sound.size] += sound.astype(np.float32)
    uri = write(tmp_path / "long.wav", y, sr, "PCM_16")
    assert clip_of(uri).onset_s < MAX_SEARCH_S
    assert clip_of(uri, Segment(late_s - 1.0, late_s + 1.0)).onset_s == pytest.approx(late_s, abs=0.003)


def test_a_recording_that_breaks_off_gives_the_clips_before_the_break(tmp_path: Path) -> None:
    whole = Path(write(tmp_path / "whole.flac", recording_with([0.5, 3.5], 5.0, 22_050, level=0.01), 22_050, "PCM_16"))
    part = tmp_path / "part.flac"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with Recording(str(part)) as recording:
        clip = clip_of_segment(recording, Segment(0.4, 1.0), RECIPE)
        assert_same_clip(clip, clip_of(str(whole), Segment(0.4, 1.0)))
        with pytest.raises(AudioError, match="breaks off after") as caught:
            clip_of_segment(recording, Segment(3.4, 4.0), RECIPE)
        assert caught.value.state == "unreadable"
        assert recording.defect


# ---- real recordings


@pytest.mark.audio
def test_the_sound_of_live_fire_is_found_where_its_label_says(audio: Path) -> None:
    with (audio / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith("livefire/") and row["label"] == "1"]
    rows.sort(key=lambda row: row["path"])
    errors_s = []
    for path, same_file in itertools.groupby(rows, key=lambda row: row["path"]):
        with Recording(str(audio / path)) as recording:
            for row in same_file:
                start_s = float(row["start_s"])
                try:
                    clip = clip_of_segment(recording, Segment(start_s, float(row["end_s"])), RECIPE)
                except AudioError as error:
                    if error.state != "silent":  # the publisher muted some
                        raise
                    continue
                errors_s.append(clip.onset_s - (start_s + 0.1))
    assert len(errors_s) > 1000
    assert np.mean(np.abs(errors_s) <= 0.02) >= 0.97
