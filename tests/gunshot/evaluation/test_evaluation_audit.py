"""The audit finds what was planted and nothing else, and tells a model of the recorder from one of the sound."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit

from gunshot.errors import ParameterError, TrainingError
from gunshot.evaluation.audit import AuditReport, audit, audit_lines, rows_to_audit
from gunshot.evaluation.shortcuts import lead_only, shortcuts_of, without_onset
from gunshot.recipe import ClipRule, Recipe

RECIPE = Recipe()
SR, LEAD = RECIPE.sr_hz, RECIPE.lead_samples
N, ROWS_A_GROUP = 240, 6
TIME_S = (np.arange(RECIPE.n_samples) - LEAD) / SR

Float32 = NDArray[np.float32]


class Set(NamedTuple):
    """Clips and what is known of them; planted shortcuts change both."""

    y: Float32
    label: NDArray[np.int8]
    group: list[str]
    splits: NDArray[np.str_]
    sr: list[int | None]
    duration_s: list[float]

    @property
    def rows(self) -> pa.Table:
        return pa.table({"group": self.group, "sr": pa.array(self.sr, pa.int32()), "duration_s": self.duration_s})

    def audit(self, **options: Any) -> AuditReport:
        return audit(self.rows, self.y, self.label, self.splits, recipe=RECIPE, **options)


@lru_cache
def clean(seed: int = 0) -> Set:
    """Short tones over noise: 1 kHz is a gunshot, 2 kHz is not, and nothing else tells them apart."""
    rng = np.random.default_rng(seed)
    label = np.arange(N, dtype=np.int8) % 2
    tone = np.sin(2 * np.pi * np.where(label, 1000, 2000)[:, None] * TIME_S + rng.uniform(0, 6, (N, 1)))
    sound = np.where(TIME_S >= 0, np.exp(-np.maximum(TIME_S, 0) / 0.02), 0) * tone * rng.uniform(0.2, 0.8, (N, 1))
    y = sound + rng.standard_normal((N, RECIPE.n_samples)) * 3e-3
    group = [f"g{index // ROWS_A_GROUP}" for index in range(N)]
    splits = np.where(np.arange(N) // ROWS_A_GROUP % 2, "train", "validation")
    return Set(y.astype(np.float32), label, group, splits, rng.choice([12_000, 48_000], N).tolist(), [1.0] * N)


def hears_the_tone(y: Float32) -> Float32:
    """Scores as a good model would: by the sound."""
    power = np.abs(np.fft.rfft(y, axis=1)) ** 2
    low, high = (power[:, bin_ - 40 : bin_ + 40].sum(axis=1) for bin_ in (500, 1000))
    return np.asarray(expit(np.log((low + 1e-9) / (high + 1e-9))), dtype=np.float32)


def hears_the_floor(y: Float32) -> Float32:
    """Scores by the noise before the onset, as a model does that has learned the recorder."""
    level_db = 10 * np.log10(np.mean(np.square(y[:, :300]), axis=1) + 1e-12)
    return np.asarray(expit((level_db + 40) / 3), dtype=np.float32)


def shots(it: Set, change: Callable[[Float32, np.random.Generator], NDArray[Any]]) -> Set:
    y = it.y.copy()
    y[it.label == 1] = change(y[it.label == 1], np.random.default_rng(9))
    return it._replace(y=y)


def padded(y: Float32, _: np.random.Generator) -> Float32:
    y[:, -1200:] = 0.0
    return y


def silenced(y: Float32, rng: np.random.Generator) -> Float32:
    y[:, -1200:] = rng.standard_normal((len(y), 1200)) * 1e-6
    return y


def louder_floor(y: Float32, rng: np.random.Generator) -> NDArray[Any]:
    return y + rng.standard_normal(y.shape) * 0.02


def low_passed(y: Float32, _: np.random.Generator) -> NDArray[Any]:
    return np.asarray(scipy.signal.sosfilt(scipy.signal.butter(8, 3500, fs=SR, output="sos"), y, axis=1))


PLANTED: dict[str, Callable[[Set], Set]] = {
    "zero padding": lambda it: shots(it, padded),
    "trailing silence": lambda it: shots(it, silenced),
    "the noise floor": lambda it: shots(it, louder_floor),
    "the background's bandwidth": lambda it: shots(it, low_passed),
    "the level": lambda it: shots(it, lambda y, _: y * 0.05),
    "a constant offset": lambda it: shots(it, lambda y, _: y + 0.01),
    "the recording's sample rate": lambda it: it._replace(sr=[48_000 if label else 12_000 for label in it.label]),
    "the recording's duration": lambda it: it._replace(duration_s=[2.0 if label else 0.5 for label in it.label]),
}


@lru_cache
def heard(planted: str = "") -> AuditReport:
    """What a good model's audit says of the clean set, or of one with something planted."""
    it = PLANTED[planted](clean()) if planted else clean()
    return it.audit(score=hears_the_tone)


class TestShortcuts:
    @pytest.mark.parametrize("seed", range(2))
    def test_a_clean_set_raises_no_warning(self, seed: int) -> None:
        report = clean(seed).audit(score=hears_the_tone)
        assert report.warnings == ()
        assert report.sounds[0].auc > 0.99
        assert not any(figure.is_close for figure in (*report.shortcuts, *report.sounds))

    @pytest.mark.parametrize("what", PLANTED)
    def test_what_is_planted_is_found(self, what: str) -> None:
        report = heard(what)
        found = {figure.what: figure for figure in report.shortcuts}
        assert found[what].auc > 0.95
        assert found[what].is_close
        assert any(f"From {what} alone" in sentence for sentence in report.warnings)

    def test_only_what_is_planted_is_found(self) -> None:
        report = heard("a constant offset")
        assert [figure.what for figure in report.shortcuts if figure.is_close and "together" not in figure.what] == [
            "a constant offset"
        ]
        assert len(report.warnings) == 1

    def test_a_shortcut_of_the_header_is_not_counted_to_the_clip(self) -> None:
        report = heard("the recording's sample rate")
        found = {figure.name: figure.auc for figure in report.shortcuts}
        assert found["together"] > 0.95
        assert found["together_in_clip"] < 0.75

    def test_several_weak_ones_are_found_together(self) -> None:
        """Half of the shots are padded, the other half is offset: neither alone comes near."""
        it = clean()
        half = np.arange(N) % 4 == 1
        y = it.y.copy()
        y[half, -1200:] = 0.0
        y[(it.label == 1) & ~half] += 0.01
        report = it._replace(y=y).audit(score=hears_the_tone)
        found = {figure.name: figure for figure in report.shortcuts}
        assert max(found["zero_padding"].auc, found["offset"].auc) < 0.9 < found["together_in_clip"].auc
        assert [sentence for sentence in report.warnings if "offset together" in sentence]

    def test_what_a_model_that_is_no_better_reaches_is_close(self) -> None:
        """A shortcut is held against the model's own figure, not against a fixed one."""
        rng = np.random.default_rng(1)
        longer_s = 10 + 1.5 * clean().label + rng.standard_normal(N)
        it = clean()._replace(duration_s=longer_s.tolist())
        duration = {figure.name: figure for figure in it.audit(score=hears_the_tone).shortcuts}["duration"]
        assert 0.75 < duration.auc < 0.9
        assert not duration.is_close
        poor = it.audit(score=lambda y: np.clip(hears_the_tone(y) / 4 + rng.uniform(0, 0.7, len(y)), 0, 1))
        assert poor.sounds[0].auc < duration.auc + 0.1
        assert {figure.name: figure for figure in poor.shortcuts}["duration"].is_close

    def test_a_few_rows_are_no_evidence(self) -> None:
        """Two groups on each side: whatever is reached there may be chance."""
        it = PLANTED["zero padding"](clean())
        some = np.flatnonzero(np.isin(it.group, ["g0", "g1", "g2", "g3"]))
        few = Set(
            it.y[some],
            it.label[some],
            [it.group[i] for i in some],
            it.splits[some],
            [None] * some.size,
            [1.0] * some.size,
        )
        assert few.audit().warnings == ()

    def test_unknown_rates_are_no_error(self) -> None:
        report = clean()._replace(sr=[None] * N).audit()
        assert {figure.name: figure.auc for figure in report.shortcuts}["sample_rate"] == 0.5

    def test_silent_clips_are_no_error(self) -> None:
        it = clean()
        y = it.y.copy()
        y[::7] = 0.0
        assert all(np.isfinite(figure.auc) for figure in it._replace(y=y).audit(score=hears_the_tone).shortcuts)

    def test_values_are_physical(self) -> None:
        y = np.zeros((2, RECIPE.n_samples), dtype=np.float32)
        y[0, 1200:4800] = np.random.default_rng(0).standard_normal(3600) * 0.1
        y[1] = np.where(np.arange(RECIPE.n_samples) % 2, 0.35, 0.15)
        rows = pa.table({"sr": [12_000, 48_000], "duration_s": [1.0, 2.0]})
        found = {it.name: it.columns for it in shortcuts_of(rows, y, RECIPE)}
        np.testing.assert_allclose(found["zero_padding"][0], [0.1, 0.1])
        np.testing.assert_allclose(found["trailing_silence"][:, 0], [0.1, 0.0])
        assert found["noise_floor"][0, 0] == pytest.approx(-20, abs=3)
        np.testing.assert_allclose(found["level"][1], -20.0, atol=1e-4)
        np.testing.assert_allclose(found["offset"][1], 0.25, rtol=1e-6)
        assert 5800 < found["bandwidth"][0, 0] <= 6000


class TestTheModelsOwn:
    def test_a_model_of_the_sound_is_lost_without_it(self) -> None:
        intact, cut, lead = heard().sounds
        assert (intact.name, cut.name, lead.name) == ("intact", "without_onset", "lead")
        assert intact.auc > 0.99
        assert cut.auc < intact.auc - 0.2
        assert abs(lead.auc - 0.5) < 0.2

    def test_a_model_of_the_recorder_is_caught(self) -> None:
        report = PLANTED["the noise floor"](clean()).audit(score=hears_the_floor)
        intact, cut, lead = report.sounds
        assert min(intact.auc, cut.auc, lead.auc) > 0.99
        assert cut.is_close
        assert lead.is_close
        assert any("what was before the onset" in sentence for sentence in report.warnings)
        assert any("hardly needs the sound" in sentence for sentence in report.warnings)

    def test_without_a_lead_only_the_lead_is_left_out(self) -> None:
        it = clean()
        recipe = Recipe(clip=ClipRule(lead_s=0.0))
        report = audit(it.rows, it.y, it.label, it.splits, recipe=recipe, score=hears_the_tone)
        assert [figure.name for figure in report.sounds] == ["intact", "without_onset"]

    def test_balanced_accuracy_is_at_the_models_threshold(self) -> None:
        never = clean().audit(score=hears_the_tone, threshold=1.1)
        assert never.sounds[0].balanced_accuracy == 0.5
        assert heard().sounds[0].balanced_accuracy > 0.98
        assert never.sounds[0].auc == heard().sounds[0].auc

    @given(st.integers(0, 2**32 - 1))
    def test_the_lead_knows_nothing_of_the_sound(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        y = rng.standard_normal((2, RECIPE.n_samples)).astype(np.float32)
        y[1, :LEAD] = y[0, :LEAD]
        found = lead_only(y, RECIPE)
        assert found is not None
        np.testing.assert_array_equal(found[0], found[1])
        assert found.shape == y.shape
        assert set(found[0].tolist()) <= set(y[0, :LEAD].tolist())

    @given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.3))
    def test_only_the_loudest_part_is_replaced(self, seed: int, at_s: float) -> None:
        rng = np.random.default_rng(seed)
        y = (rng.standard_normal((1, RECIPE.n_samples)) * 1e-3).astype(np.float32)
        first = round(at_s * SR)
        y[0, first : first + 1200] += rng.standard_normal(1200).astype(np.float32)
        found = without_onset(y, RECIPE)
        assert np.abs(found).max() < 0.01 < np.abs(y).max()
        changed = np.flatnonzero(found[0] != y[0])
        assert changed[-1] - changed[0] < 0.16 * SR

    def test_padding_does_not_fill_the_hole(self) -> None:
        y = np.random.default_rng(0).standard_normal((1, RECIPE.n_samples)).astype(np.float32) * 1e-3
        y[0, LEAD : LEAD + 600] *= 1000
        y[0, -1500:] = 0.0
        found = without_onset(y, RECIPE)
        assert np.all(np.any(found[0, LEAD : LEAD + 600].reshape(-1, 60) != 0, axis=1))


class TestSplitGap:
    def leaky(self) -> Set:
        """Every group is one recording, cut many times; what it is has nothing to do with what it sounds like."""
        rng = np.random.default_rng(3)
        takes = rng.standard_normal((N // ROWS_A_GROUP, RECIPE.n_samples)) * 0.1
        y = np.repeat(takes, ROWS_A_GROUP, axis=0) + rng.standard_normal((N, RECIPE.n_samples)) * 1e-3
        label = np.repeat(rng.permutation(np.arange(N // ROWS_A_GROUP) % 2), ROWS_A_GROUP).astype(np.int8)
        return clean()._replace(y=y.astype(np.float32), label=label)

    def test_leakage_is_a_number_and_a_warning(self) -> None:
        report = self.leaky().audit()
        assert report.split_gap is not None
        assert report.split_gap.random_auc > 0.95
        assert report.split_gap.grouped_auc < 0.75
        assert any("figures of a random split are too good" in sentence for sentence in report.warnings)

    def test_a_clean_set_has_none(self) -> None:
        gap = heard().split_gap
        assert gap is not None
        assert abs(gap.random_auc - gap.grouped_auc) < 0.02
        assert (gap.n_rows, gap.n_groups) == (N, N // ROWS_A_GROUP)

    def test_the_models_own_figures_are_told_first(self) -> None:
        report = clean().audit(own={"random": 0.99, "grouped": 0.9})
        assert report.warnings == (
            "The model reaches an AUC of 0.990 where rows are split at random but 0.900 where they are split by group: "
            "figures of a random split are too good by what it remembers of recordings.",
        )

    def test_one_group_gives_none(self) -> None:
        it = clean()
        assert it._replace(group=["one"] * N).audit().split_gap is None

    def test_spectrograms_may_be_given(self) -> None:
        from gunshot.clips import features

        it = clean()
        assert it.audit(log_mels=features(it.y, RECIPE)).split_gap == heard().split_gap


class TestReport:
    def test_the_same_seed_gives_the_same_report(self) -> None:
        assert clean().audit(score=hears_the_tone) == heard()

    def test_figures_are_plain_data(self) -> None:
        report = heard("zero padding")
        figures = json.loads(json.dumps(report.as_dict(), allow_nan=False))
        assert figures["warnings"] == list(report.warnings)
        assert (figures["n_train"], figures["n_judged"], figures["judged"]) == (N // 2, N // 2, "validation")

    def test_words(self) -> None:
        sentences, rows = audit_lines(json.loads(json.dumps(heard().as_dict())))
        assert sentences[0].startswith("No shortcut that was looked for comes close")
        assert "split by group" in sentences[1]
        assert len(rows) == 3 + 8 + 2
        assert {row[3] for row in rows} == {""}
        planted = heard("zero padding")
        sentences, rows = audit_lines(planted.as_dict())
        assert sentences[0] == planted.warnings[0]
        assert ("zero padding", "1.000", "1.000", "close") in rows


class TestRows:
    def test_test_rows_change_nothing(self) -> None:
        it = clean()
        extra = it._replace(
            y=np.concatenate([it.y, np.zeros_like(it.y[:6])]), label=np.r_[it.label, it.label[:6]],
            group=it.group + ["g999"] * 6, splits=np.r_[it.splits, ["test"] * 3, [""] * 3],
            sr=it.sr + [8000] * 6, duration_s=it.duration_s + [9.0] * 6,
        )  # fmt: skip
        assert extra.audit(score=hears_the_tone) == heard()

    def test_the_judged_split_can_be_named(self) -> None:
        it = clean()
        renamed = it._replace(splits=np.where(it.splits == "validation", "test", it.splits))
        assert renamed.audit(judged="test", score=hears_the_tone).shortcuts == heard().shortcuts

    def test_a_choice_is_bounded_and_of_the_two_splits(self) -> None:
        splits = np.asarray(["train"] * 900 + ["validation"] * 300 + ["test"] * 300 + [""] * 10)
        rows = rows_to_audit(splits, most=300, seed=1)
        assert rows.size == 300
        assert np.sum(splits[rows] == "validation") == 100
        assert set(splits[rows].tolist()) == {"train", "validation"}
        assert np.all(np.diff(rows) > 0)
        np.testing.assert_array_equal(rows, rows_to_audit(splits, most=300, seed=1))
        assert not np.array_equal(rows, rows_to_audit(splits, most=300, seed=2))
        assert rows_to_audit(splits).size == 1200

    def test_columns_of_different_length_are_refused(self) -> None:
        it = clean()
        with pytest.raises(ParameterError, match="one entry a clip each; got 240, 239, 240 and 240"):
            audit(it.rows, it.y[:-1], it.label, it.splits, recipe=RECIPE)

    @pytest.mark.parametrize("split", ["train", "validation"])
    def test_a_missing_class_is_an_error(self, split: str) -> None:
        it = clean()
        splits = np.where((it.splits == split) & (it.label == 1), "test", it.splits)
        with pytest.raises(TrainingError, match=f"both classes among the {split} rows"):
            it._replace(splits=splits).audit()
