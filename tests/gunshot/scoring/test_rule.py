"""What of a recording is scored: channels, sliding clips, candidates; and clips of many recordings scored together."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gunshot.audio.decode import Recording
from gunshot.errors import ParameterError
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.models.golden import golden_clips
from gunshot.models.runtime import BATCH
from gunshot.scoring.detections import ECHO_DB, ECHO_S, level_db, merge_clips, merge_sliding
from gunshot.scoring.gate import slide_samples, stream_candidates
from gunshot.scoring.pool import ClipPool, PooledScores
from gunshot.scoring.recording import score_recording, score_recordings
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.targets import Target, list_targets

Write = Callable[..., Path]
Row = dict[str, Any]


@pytest.fixture(scope="module")
def matched(matched_bundle: str) -> Bundle:
    return load_bundle(matched_bundle)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, write_recording: Write) -> Path:
    """Recordings with shots and other sounds, of several lengths, some of them of no use."""
    out = tmp_path_factory.mktemp("several")
    for number in range(6):
        write_recording(out / f"{number}.wav", 3 + 4 * number, [1.0, 1.5], np.arange(2.5, 2 + 4 * number), seed=number)
    (out / "1-words.wav").write_text("no sound " * 40)
    sf.write(out / "2-zeros.wav", np.zeros(30_000), 12_000)
    y, _ = sf.read(out / "4.wav")
    y[-1] = np.nan
    sf.write(out / "4-nan.wav", y, 12_000, subtype="FLOAT")
    return out


@pytest.fixture(scope="module")
def stereo(tmp_path_factory: pytest.TempPathFactory, write_recording: Write) -> Path:
    """A shot at 2 s on the left, one at 5 s on the right."""
    out = tmp_path_factory.mktemp("stereo")
    left, right = (
        sf.read(write_recording(out / "parts" / f"{n}.wav", 8, [t], seed=n))[0] for n, t in enumerate([2.0, 5.0])
    )
    sf.write(out / "stereo.wav", np.stack([left, right], axis=1), 12_000)
    return out / "stereo.wav"


def scored(path: Path, bundle: Bundle, rule: ScoringRule, **more: Any) -> Any:
    (found,) = score_recordings(list_targets([str(path)]), bundle, rule, **more)
    return found


class TestRule:
    @pytest.mark.parametrize("channels", ["", "all", "-1", "01", "1.0", "²"])
    def test_channels_that_cannot_be_are_the_users_mistake(self, channels: str) -> None:
        with pytest.raises(ParameterError, match="--channels must be mix, each or the number of a channel"):
            ScoringRule(channels=channels)

    @pytest.mark.parametrize("floor", [-0.1, 1.1, float("nan")])
    def test_a_floor_is_a_score(self, floor: float) -> None:
        with pytest.raises(ParameterError, match=r"--keep-candidates must be a score in \[0, 1\]"):
            ScoringRule(floor=floor)

    def test_rules_that_differ_have_other_texts(self) -> None:
        rules = [
            ScoringRule(*values)
            for values in itertools.product(["mix", "each", "0", "1"], [False, True], [None, 0.0, 0.1, 0.10000001])
        ]
        assert len({rule.canonical for rule in rules}) == len(rules)
        assert ScoringRule(floor=0).canonical == ScoringRule(floor=0.0).canonical


class TestTogether:
    def test_recordings_scored_together_are_those_scored_alone(self, folder: Path, matched: Bundle) -> None:
        targets = list_targets([str(folder)])
        together = list(score_recordings(targets, matched))
        assert [one.row["path"] for one in together] == [target.path for target in targets]
        for target, one in zip(targets, together, strict=True):
            assert (one.row, one.detections) == score_recording(target, matched)
        assert {one.row["state"] for one in together} == {"ok", "silent", "unreadable"}
        assert sum(one.row["n_candidates"] for one in together) > BATCH

    def test_a_network_gives_a_clip_the_same_score_beside_any_others(self, cnn_bundle: str) -> None:
        bundle = load_bundle(cnn_bundle)
        rng = np.random.default_rng(0)
        clips = golden_clips(bundle.recipe)[rng.integers(0, 8, 150)] * rng.uniform(0.1, 2, (150, 1)).astype(np.float32)
        alone = np.concatenate([bundle.score(clip[None]) for clip in clips])
        np.testing.assert_array_equal(bundle.score(clips), alone)

    @settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(sizes=st.lists(st.integers(0, 150), min_size=1, max_size=12), dropped=st.sets(st.integers(0, 11)))
    def test_each_clip_gets_its_own_score_in_full_batches(
        self, matched: Bundle, sizes: list[int], dropped: set[int]
    ) -> None:
        calls: list[int] = []

        def first_samples(inputs: Any) -> Any:
            calls.append(len(inputs))
            return inputs[:, 0].copy()

        pool = ClipPool(replace(matched, scorer=first_samples))
        held = [PooledScores() for _ in sizes]
        numbers = np.arange(sum(sizes), dtype=np.float32)
        parts = np.split(numbers, np.cumsum(sizes)[:-1])
        for index, part in enumerate(parts):
            pool.add(held[index], np.repeat(part[:, None], 3, axis=1))
            if index in dropped:
                pool.drop(held[index])
        pool.finish()
        assert all(size == BATCH for size in calls[:-1])
        for index, part in enumerate(parts):
            assert held[index].n_waiting == 0
            if index not in dropped:
                np.testing.assert_array_equal(held[index].joined(), part)

    def test_results_come_while_later_recordings_are_still_to_be_read(self, folder: Path, matched: Bundle) -> None:
        taken: list[Target] = []

        def listed() -> Any:
            for target in [*list_targets([str(folder / "5.wav")])] * 40:
                taken.append(target)
                yield target

        next(score_recordings(listed(), matched))
        assert len(taken) < 40


class TestChannels:
    def test_each_channel_is_scored_by_itself(self, stereo: Path, matched: Bundle) -> None:
        found = scored(stereo, matched, ScoringRule(channels="each"))
        assert [(d["channel"], round(d["start_s"], 2)) for d in found.detections] == [(0, 2.0), (1, 5.0)]
        for channel, detection in enumerate(found.detections):
            one = scored(stereo, matched, ScoringRule(channels=str(channel)))
            assert one.detections == [detection]
            alone = scored(stereo.parent / "parts" / f"{channel}.wav", matched, ScoringRule())
            assert [d["start_s"] for d in alone.detections] == [detection["start_s"]]
            assert alone.detections[0]["channel"] is None
        parts = [scored(stereo, matched, ScoringRule(channels=c)).row["n_candidates"] for c in ("0", "1")]
        assert found.row["n_candidates"] == sum(parts)
        assert found.row["rule"] == "channels=each"

    def test_a_channel_that_is_not_there_is_a_row(self, stereo: Path, matched: Bundle) -> None:
        found = scored(stereo, matched, ScoringRule(channels="2"))
        assert (found.row["state"], found.detections) == ("unreadable", [])
        assert "has no channel 2: 2 channels, counted from 0" in found.row["reason"]

    @pytest.mark.parametrize("block_s", [0.21, 3.0])
    def test_blocks_change_nothing(self, stereo: Path, matched: Bundle, block_s: float) -> None:
        for rule in (ScoringRule("each", floor=0.0), ScoringRule("each", exhaustive=True, floor=0.0)):
            assert scored(stereo, matched, rule, block_s=block_s) == scored(stereo, matched, rule)

    def test_who_listens_hears_all_channels_of_all_blocks(self, stereo: Path, matched: Bundle) -> None:
        heard: list[Any] = []
        with Recording(str(stereo)) as recording:
            for _ in stream_candidates(recording, matched.recipe, block_s=1.0, listen=heard.append):
                pass
        np.testing.assert_array_equal(np.concatenate(heard), sf.read(stereo, dtype="float32")[0])


class TestExhaustive:
    def test_clips_slide_over_all_sound_and_over_nothing_else(self, matched: Bundle, tmp_path: Path) -> None:
        y = np.zeros(60_000)
        y[12_000:30_001] = 0.01
        sf.write(tmp_path / "part.wav", y, 12_000, subtype="FLOAT")
        with Recording(str(tmp_path / "part.wav")) as recording:
            parts = list(stream_candidates(recording, matched.recipe, rule=ScoringRule(exhaustive=True), block_s=0.7))
        onset_s = np.concatenate([part.onset_s for part in parts])
        recipe = matched.recipe
        onset = np.round(onset_s * recipe.sr_hz).astype(int)
        assert (np.diff(onset) == slide_samples(recipe)).all()
        first, stop = onset[0] - recipe.lead_samples, onset[-1] - recipe.lead_samples + recipe.n_samples
        assert first <= 12_000 < first + recipe.n_samples
        assert 30_001 <= stop <= 30_001 + recipe.n_samples

    def test_shots_on_the_grid_are_found_once(self, matched: Bundle, tmp_path: Path, write_recording: Write) -> None:
        path = write_recording(tmp_path / "grid.wav", 9, [2.0, 5.5])
        found = scored(path, matched, ScoringRule(exhaustive=True))
        assert [(d["start_s"], d["n_shots"]) for d in found.detections] == [(2.0, 1), (5.5, 1)]

    @settings(deadline=None)
    @given(scores=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60), threshold=st.floats(0, 1))
    def test_of_overlapping_clips_the_best_counts(self, scores: list[float], threshold: float) -> None:
        score = np.array(scores, dtype=np.float32)
        onset_s = np.arange(score.size) * 0.125
        found = merge_sliding(onset_s, score, threshold, 0.45, step_s=0.125)
        assert bool(found) == bool((score >= threshold).any())
        if found:
            assert max(d.score for d in found) == score.max()
        shots = np.array([shot for d in found for shot in d.shots_s])
        assert (np.diff(shots) > 3 * 0.125).all()


class TestCandidates:
    def test_all_from_the_floor_on_are_kept(self, folder: Path, matched: Bundle) -> None:
        everything = scored(folder / "5.wav", matched, ScoringRule(floor=0.0))
        assert len(everything.candidates) == everything.row["n_candidates"] > 10
        some = scored(folder / "5.wav", matched, ScoringRule(floor=0.5))
        assert some.candidates == [row for row in everything.candidates if row["score"] >= 0.5]
        assert 0 < len(some.candidates) < len(everything.candidates)
        assert some.detections == scored(folder / "5.wav", matched, ScoringRule()).detections
        assert scored(folder / "5.wav", matched, ScoringRule()).candidates == []


class TestEchoes:
    def test_a_weaker_onset_soon_after_a_shot_is_its_echo(self) -> None:
        times, score = np.array([1.0, 1.4, 1.8, 2.6]), np.ones(4, dtype=np.float32)
        for below, expected in ((ECHO_DB, (1.0, 2.6)), (ECHO_DB - 0.1, (1.0, 1.4, 1.8, 2.6))):
            level = np.array([-20.0, -20.0 - below, -20.0 - below, -20.0 - below], dtype=np.float32)
            (found,) = merge_clips(times, score, 0.5, 0.45, level_db=level)
            assert found.shots_s == expected
            assert found.end_s == pytest.approx(3.05)  # the detection lasts as long, whatever is counted

    @settings(deadline=None)
    @given(
        clips=st.lists(
            st.tuples(st.floats(0.01, 2.0), st.floats(0, 1, width=32), st.floats(-90, 0, width=32)), max_size=40
        ),
        gain_db=st.integers(-40, 40),
    )
    def test_levels_only_take_shots_away_and_their_scale_is_of_no_account(
        self, clips: list[tuple[float, float, float]], gain_db: int
    ) -> None:
        gaps, scores, levels = (np.array(list(values)) for values in zip(*clips, strict=True)) if clips else [[]] * 3
        onset_s, score = np.cumsum(gaps, dtype=np.float64), np.array(scores, dtype=np.float32)
        level = np.round(np.array(levels, dtype=np.float32) * 8) / 8  # sums stay exact
        plain = merge_clips(onset_s, score, 0.5, 0.45)
        told = merge_clips(onset_s, score, 0.5, 0.45, level_db=level)
        assert told == merge_clips(onset_s, score, 0.5, 0.45, level_db=level + np.float32(gain_db))
        assert [(d.start_s, d.end_s, d.score) for d in told] == [(d.start_s, d.end_s, d.score) for d in plain]
        loud = dict(zip(onset_s.tolist(), level.tolist(), strict=True))
        for one in told:
            assert one.shots_s[0] == one.start_s
            for earlier, later in itertools.combinations(one.shots_s, 2):
                assert later - earlier > ECHO_S or loud[later] > loud[earlier] - ECHO_DB

    def test_a_level_is_the_power_after_the_onset(self, matched: Bundle) -> None:
        clips = np.zeros((2, matched.recipe.n_samples), dtype=np.float32)
        clips[0, matched.recipe.lead_samples :] = 0.1
        clips[1, : matched.recipe.lead_samples] = 1.0
        assert level_db(clips, matched.recipe) == pytest.approx([-20.0, -120.0], abs=1e-3)
