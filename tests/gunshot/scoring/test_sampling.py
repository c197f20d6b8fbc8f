"""The sample from below the threshold: the same in every run, of known probability, and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.models.bundle import load_bundle
from gunshot.scoring.keys import USUAL_RULE
from gunshot.scoring.recording import score_recordings
from gunshot.scoring.results.schemas import table_of
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.sampling import estimated_misses, inclusions, sample_below
from gunshot.scoring.targets import list_targets

THRESHOLD = 0.5


def candidates(score: np.ndarray, inclusion: np.ndarray | float = 1.0) -> Any:
    inclusion = np.broadcast_to(inclusion, score.shape)
    rows = [
        {"path": "a", "uri": "a", "onset_s": float(i), "score": float(s), "inclusion": float(p), "model_digest": "m",
         "recipe_digest": "r"}
        for i, (s, p) in enumerate(zip(score, inclusion, strict=True))
    ]  # fmt: skip
    return table_of(rows, "candidates")


class TestFirstDraw:
    N = 4000
    ONSETS = np.arange(N) / 7
    SCORES = np.random.default_rng(0).random(N).astype(np.float32)

    def drawn(self, rule: ScoringRule, threshold: float = THRESHOLD, uri: str = "a") -> np.ndarray:
        return inclusions(uri, "1", None, self.ONSETS, self.SCORES, threshold, rule)

    def test_it_follows_from_recording_and_onset_alone(self) -> None:
        rule = ScoringRule(sample=0.1)
        whole = self.drawn(rule)
        some = np.flatnonzero(np.arange(self.N) % 3 == 0)
        apart = inclusions("a", "1", None, self.ONSETS[some], self.SCORES[some], THRESHOLD, rule)
        assert apart.tolist() == whole[some].tolist()
        assert self.drawn(rule, uri="b").tolist() != whole.tolist()

    @pytest.mark.parametrize("sample", [0.02, 0.3, 1.0])
    def test_as_many_are_drawn_as_the_probability_says(self, sample: float) -> None:
        kept = self.drawn(ScoringRule(sample=sample))
        below = self.SCORES < THRESHOLD
        assert not kept[~below].any()
        assert set(kept[below]) <= {0.0, sample}
        n_below, n_kept = below.sum(), (kept > 0).sum()
        assert abs(n_kept - sample * n_below) <= 4 * np.sqrt(n_below * sample * (1 - sample))

    def test_a_larger_sample_holds_the_smaller(self) -> None:
        small, large = (self.drawn(ScoringRule(sample=sample)) > 0 for sample in (0.05, 0.2))
        assert not (small & ~large).any()

    @pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
    def test_with_a_floor_the_threshold_changes_nothing(self, threshold: float) -> None:
        kept = self.drawn(ScoringRule(floor=0.4, sample=0.1), threshold)
        assert kept.tolist() == self.drawn(ScoringRule(floor=0.4, sample=0.1)).tolist()
        assert (kept[self.SCORES >= 0.4] == 1.0).all()
        assert set(kept[self.SCORES < 0.4]) == {0.0, 0.1}

    def test_it_is_a_rule_of_its_own_to_the_ledger_only_where_it_is(self) -> None:
        assert ScoringRule(sample=0.0).canonical == USUAL_RULE
        assert ScoringRule(sample=0.01).canonical == "channels=mix sample=0.01"
        with pytest.raises(ParameterError, match=r"--sample must be a probability in \[0, 1\]; got 2"):
            ScoringRule(sample=2)


class TestInRecordings:
    def test_the_candidates_that_are_kept_are_those_below_the_threshold(
        self, matched_bundle: str, write_recording: Any, tmp_path: Path
    ) -> None:
        bundle = load_bundle(matched_bundle)
        path = write_recording(tmp_path / "a.wav", 20, [2.0, 9.0], np.arange(3, 19, 1.3))
        targets = list_targets([str(path)])
        (whole,) = score_recordings(targets, bundle, ScoringRule(floor=0.0))
        (sampled,) = score_recordings(targets, bundle, ScoringRule(sample=0.5))
        (plain,) = score_recordings(targets, bundle)
        assert plain.candidates == []
        assert plain.detections == sampled.detections
        below = [row | {"inclusion": 0.5} for row in whole.candidates if row["score"] < THRESHOLD]
        assert 0 < len(sampled.candidates) < len(below)
        assert all(row in below for row in sampled.candidates)
        for found in (whole, sampled, plain):
            assert sum(found.row["score_counts"]) == found.row["n_candidates"] == len(whole.candidates)


class TestSampleBelow:
    @given(n=st.integers(0, 80), n_rows=st.integers(0, 120), seed=st.integers(0, 5))
    def test_rows_are_drawn_once_and_only_from_below(self, n: int, n_rows: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        table = candidates(rng.random(n_rows), rng.choice([0.1, 1.0], n_rows))
        below = {row["onset_s"] for row in table.to_pylist() if row["score"] < THRESHOLD}
        drawn = sample_below(table, THRESHOLD, n, seed)
        onsets = drawn.column("onset_s").to_pylist()
        assert len(set(onsets)) == len(onsets)
        assert set(onsets) <= below
        assert min(n, len(below)) <= len(onsets) <= max(n, 8)
        assert drawn.equals(sample_below(table, THRESHOLD, n, seed))

    def test_weights_add_up_to_what_they_stand_for(self) -> None:
        rng = np.random.default_rng(1)
        score, inclusion = rng.beta(0.3, 2, 3000), rng.choice([0.05, 1.0], 3000)
        table = candidates(score, inclusion)
        drawn = sample_below(table, THRESHOLD, 100)
        assert drawn.num_rows == 100
        stands_for = (1 / inclusion[score.astype(np.float32) < THRESHOLD]).sum()
        assert (1 / drawn.column("inclusion").to_numpy()).sum() == pytest.approx(stands_for)

    def test_a_negative_number_is_a_mistake(self) -> None:
        with pytest.raises(ParameterError, match="got -1"):
            sample_below(candidates(np.zeros(1)), THRESHOLD, -1)


class TestEstimate:
    def test_interval_covers_the_misses_in_repeated_draws(self) -> None:
        """Archives with known misses, both draws: the interval holds them as often as it says, the mean is right."""
        rng = np.random.default_rng(7)
        score = rng.beta(0.6, 2, 4000) * THRESHOLD
        is_shot = rng.random(4000) < 0.3 * (score / THRESHOLD) ** 2  # misses are denser near the threshold
        misses, covered, estimates = int(is_shot.sum()), 0, []
        for turn in range(150):
            kept = np.flatnonzero(rng.random(4000) < 0.5)
            drawn = sample_below(candidates(score[kept], 0.5), THRESHOLD, 200, seed=turn)
            labels = is_shot[kept[drawn.column("onset_s").to_numpy().astype(int)]]
            rows = [
                {"label": int(label), "inclusion": p}
                for label, p in zip(labels, drawn.column("inclusion").to_pylist(), strict=True)
            ]
            found = estimated_misses(rows)
            covered += found.low <= misses <= found.high
            estimates.append(found.misses)
        assert misses > 50
        assert covered >= 140  # 95% of 150, less chance
        assert np.mean(estimates) == pytest.approx(misses, abs=4 * np.std(estimates) / np.sqrt(150))

    def test_no_shot_found_is_not_no_shot_missed(self) -> None:
        found = estimated_misses([{"label": "0", "inclusion": "0.01"}] * 50)
        assert (found.misses, found.low) == (0.0, 0.0)
        assert found.high == pytest.approx(100 * 3.6889, rel=1e-4)  # -ln(0.025)

    def test_what_was_not_checked_is_taken_to_be_like_what_was(self) -> None:
        rows = [{"label": 1, "inclusion": 0.1}, {"label": 0, "inclusion": 0.1}, {"label": "", "inclusion": 0.1}] * 2
        found = estimated_misses(rows)
        assert (found.n_checked, found.n_shots) == (4, 2)
        assert found.misses == pytest.approx(30.0)

    @pytest.mark.parametrize(
        ("rows", "match"),
        [
            ([], "all are empty"),
            ([{"label": "", "inclusion": 0.1}], "at least one row; all are empty"),
            ([{"label": 1, "inclusion": 0.5}, {"label": "", "inclusion": 0.1}], "of those with inclusion 0.1"),
            ([{"label": "yes", "inclusion": 0.5}], "label must be 1 .* got 'yes'"),
        ],
    )
    def test_labels_that_do_not_suffice_are_told(self, rows: list[dict[str, Any]], match: str) -> None:
        with pytest.raises(ParameterError, match=match):
            estimated_misses(rows)
