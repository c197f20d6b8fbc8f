"""Evaluation: rows keep their split, foreign stores give only what is new, and every figure can be counted again."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gunshot.division import SplitPlan, splits_of
from gunshot.errors import BundleError, StoreMismatchError, TrainingError
from gunshot.evaluate import (
    REPORTED_SPLITS,
    Evaluation,
    evaluate_bundle,
    evaluate_detections,
    model_names,
    write_evaluations,
)
from gunshot.evaluation.level import estimated_snr_db
from gunshot.evaluation.metrics import ClassificationMetrics
from gunshot.evaluation.reported import BaseRates
from gunshot.models.bundle import load_bundle
from gunshot.models.copies import copy_bundle
from gunshot.recipe import MelRule, Recipe
from gunshot.scoring.plan import ScoringBatch
from gunshot.scoring.results import write_batch
from gunshot.scoring.score import score_batch
from gunshot.scoring.targets import list_targets
from gunshot.store.read import open_store
from gunshot.training import train_model

Row = dict[str, Any]


@pytest.fixture(scope="module")
def evaluation(small_store: str, logistic_bundle: str) -> Evaluation:
    return evaluate_bundle(small_store, logistic_bundle)


def rows_of(evaluation: Evaluation, split: str) -> list[Row]:
    return [row for row in evaluation.predictions.to_pylist() if row["split"] == split]


def recount(rows: list[Row]) -> tuple[int, int, int, int]:
    """Gunshots called, gunshots missed, other sounds called, other sounds not called."""
    called = [(row["label"], row["called"]) for row in rows]
    return tuple(called.count(kind) for kind in ((1, True), (1, False), (0, True), (0, False)))


def counted(metrics: ClassificationMetrics) -> tuple[int, int, int, int]:
    return (
        metrics.true_positives, metrics.false_negatives, metrics.false_positives, metrics.true_negatives,
    )  # fmt: skip


class TestOnItsOwnStore:
    def test_every_usable_row_keeps_its_split(self, evaluation: Evaluation, small_store: str) -> None:
        store = open_store(small_store)
        splits = splits_of(store, SplitPlan())
        table = evaluation.predictions
        assert table.column("row").to_pylist() == store.usable.tolist()
        assert table.column("split").to_pylist() == splits[store.usable].tolist()

    def test_predictions_carry_the_rows_facts(self, evaluation: Evaluation, small_store: str) -> None:
        store = open_store(small_store)
        for name in ("path", "onset_s", "sound", "source", "group", "device", "label"):
            assert evaluation.predictions.column(name).to_pylist() == store.column(name)
        assert set(evaluation.predictions.column("model").to_pylist()) == {"logistic"}

    def test_scores_are_the_bundles(self, evaluation: Evaluation, small_store: str, logistic_bundle: str) -> None:
        store = open_store(small_store)
        expected = load_bundle(logistic_bundle).score(store.waveforms(store.usable))
        np.testing.assert_array_equal(evaluation.predictions.column("score").to_numpy(), expected)

    def test_figures_can_be_counted_again(self, evaluation: Evaluation) -> None:
        assert set(evaluation.metrics) == {"train", "validation", "test"}
        threshold = evaluation.bundle.operating_point.threshold
        for split, metrics in evaluation.metrics.items():
            rows = rows_of(evaluation, split)
            assert counted(metrics) == recount(rows)
            assert metrics.threshold == threshold
            assert all(row["called"] == (row["score"] >= threshold) for row in rows)
        assert sum(metrics.n for metrics in evaluation.metrics.values()) == evaluation.predictions.num_rows

    def test_a_score_on_the_threshold_is_called(
        self, evaluation: Evaluation, small_store: str, logistic_bundle: str, tmp_path: Path
    ) -> None:
        bundle = load_bundle(logistic_bundle)
        highest = max(rows_of(evaluation, "test"), key=lambda row: row["score"])
        point = replace(bundle.operating_point, name="on a score", threshold=highest["score"], guarantee=None)
        again = evaluate_bundle(small_store, copy_bundle(bundle, str(tmp_path / "b"), point).uri)
        assert [row["row"] for row in rows_of(again, "test") if row["called"]] == [highest["row"]]
        assert counted(again.metrics["test"]) == recount(rows_of(again, "test"))

    def test_validation_figures_are_those_of_the_operating_point(self, evaluation: Evaluation) -> None:
        point, metrics = evaluation.bundle.operating_point, evaluation.metrics["validation"]
        assert (metrics.recall, metrics.fpr) == (point.recall, point.fpr)
        assert metrics.as_dict() == evaluation.bundle.details["validation"]

    def test_sources_add_up_to_what_is_reported(self, evaluation: Evaluation) -> None:
        assert set(evaluation.by_source) == {"test/synthetic"}
        assert counted(evaluation.by_source["test/synthetic"]) == counted(evaluation.metrics["test"])

    def test_synthetic_sound_is_said_to_be(self, evaluation: Evaluation) -> None:
        assert evaluation.is_synthetic

    @pytest.mark.xdist_group("networks")
    def test_a_network_is_evaluated_alike(self, small_store: str, cnn_bundle: str) -> None:
        evaluation = evaluate_bundle(small_store, cnn_bundle)
        store = open_store(small_store)
        expected = load_bundle(cnn_bundle).score_inputs(store.log_mels(store.usable))
        np.testing.assert_array_equal(evaluation.predictions.column("score").to_numpy(), expected)
        assert counted(evaluation.metrics["test"]) == recount(rows_of(evaluation, "test"))

    def test_unseen_rows_are_reported_apart(self, small_store: str, tmp_path: Path) -> None:
        store = open_store(small_store)
        group = str(store.column("group")[0])
        plan = SplitPlan(assignments=((f"*/{group}_*", "unseen"),))
        train_model(small_store, "logistic", str(tmp_path / "b"), plan=plan)
        evaluation = evaluate_bundle(small_store, str(tmp_path / "b"))
        unseen = rows_of(evaluation, "unseen")
        assert {row["group"] for row in unseen} == {group}
        assert counted(evaluation.metrics["unseen"]) == recount(unseen)
        assert {"test/synthetic", "unseen/synthetic"} == set(evaluation.by_source)


class TestFigures:
    """What `gunshot.evaluation.reported` makes of the rows that are reported, and of no others."""

    def test_they_are_of_the_reported_splits_and_their_sources(self, evaluation: Evaluation) -> None:
        assert set(evaluation.figures) == set(evaluation.metrics) & set(REPORTED_SPLITS)
        assert set(evaluation.source_figures) == set(evaluation.by_source)
        for split, figures in evaluation.figures.items():
            assert counted(figures.metrics) == counted(evaluation.metrics[split]) == recount(rows_of(evaluation, split))
            missed = [row["row"] for row in rows_of(evaluation, split) if row["label"] == 1 and not row["called"]]
            assert sorted(it.row for it in figures.misses.worst) == missed

    def test_intervals_over_groups_are_of_the_reported_rows_alone(self, evaluation: Evaluation) -> None:
        over_groups = evaluation.metrics["test"].recall_over_groups
        assert over_groups is not None
        groups = {row["group"] for row in rows_of(evaluation, "test") if row["label"] == 1}
        assert over_groups.n_groups == len(groups)
        assert evaluation.metrics["train"].recall_over_groups is None

    def test_probabilities_are_those_of_the_calibration(self, evaluation: Evaluation) -> None:
        score, probability = (evaluation.predictions.column(name).to_numpy() for name in ("score", "probability"))
        np.testing.assert_array_equal(probability, evaluation.bundle.calibration.probability(score))
        assert all(figures.reliability.is_calibrated for figures in evaluation.figures.values())

    def test_levels_are_of_the_stored_waveforms_however_many_are_read_at_once(
        self, small_store: str, logistic_bundle: str, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = open_store(small_store)
        told = evaluation.predictions.column("snr_db").to_numpy(zero_copy_only=False)
        recipe = store.recipe
        expected = estimated_snr_db(store.waveforms(store.usable), recipe.sr_hz, recipe.lead_samples)
        np.testing.assert_array_equal(told, expected.astype(np.float32))
        monkeypatch.setattr("gunshot.evaluate.rows._CLIPS_AT_ONCE", 7)
        again = evaluate_bundle(small_store, logistic_bundle)
        assert again.predictions.column("snr_db").equals(evaluation.predictions.column("snr_db"))

    def test_an_unknown_level_is_null(
        self, logistic_bundle: str, tmp_path: Path, store_of_clips: Callable[..., str]
    ) -> None:
        y = np.random.default_rng(1).standard_normal((2, 6000)) * 0.1
        y[1, :600] = 0  # nothing was recorded before the onset
        other = evaluate_bundle(store_of_clips(tmp_path / "other", y, [0, 1]), logistic_bundle)
        assert [value is None for value in other.predictions.column("snr_db").to_pylist()] == [False, True]

    def test_false_alarms_a_day_follow_the_candidates(self, small_store: str, logistic_bundle: str) -> None:
        found = [
            evaluate_bundle(small_store, logistic_bundle, BaseRates(rate, (2.0,))).figures["test"].alarms
            for rate in (10.0, 30.0)
        ]
        for alarms in found:
            assert [it.shots_per_day for it in alarms.precision] == [2.0]
        limits = [alarms.interval for alarms in found]
        assert limits[0] is not None
        assert limits[1] is not None
        assert limits[0][1] > 0
        assert limits[1][1] == pytest.approx(3 * limits[0][1])

    def test_on_its_own_store_known_sounds_are_those_of_the_training_rows(self, evaluation: Evaluation) -> None:
        trained = {(row["sound"], row["label"]) for row in rows_of(evaluation, "train")}
        found = evaluation.figures["test"].open_set
        assert found is not None
        known = [row for row in rows_of(evaluation, "test") if (row["sound"], row["label"]) in trained]
        assert (0 if found.known is None else found.known.n) == len(known)
        assert evaluation.unseen_sources == []

    def test_on_another_store_known_sounds_are_not_known_but_a_new_source_is(
        self, logistic_bundle: str, tmp_path: Path, store_of_clips: Callable[..., str]
    ) -> None:
        y = np.random.default_rng(1).standard_normal((12, 6000)) * 0.1
        found = evaluate_bundle(store_of_clips(tmp_path / "other", y, [0, 1] * 6), logistic_bundle)
        assert found.figures["test"].open_set is None
        assert {(it.source, it.negatives) for it in found.unseen_sources} == {("made", "own"), ("made", "pooled")}
        written = found.as_dict()
        assert written["figures"]["test"]["open_set"] is None
        assert [it["source"] for it in written["sources_never_met"]] == ["made"] * len(found.unseen_sources)


class TestOnAnotherStore:
    def test_groups_it_was_trained_or_chosen_on_are_left_out(
        self, small_store: str, logistic_bundle: str, tmp_path: Path, store_of_clips: Callable[..., str]
    ) -> None:
        store = open_store(small_store)
        splits = splits_of(store, SplitPlan())
        group = np.asarray(store.column("group"))
        by_split = {split: str(group[splits == split][0]) for split in ("train", "validation", "test")}
        groups = [by_split["train"], by_split["validation"], by_split["test"], "new"] * 3
        y = np.random.default_rng(1).standard_normal((12, 6000)) * 0.1
        other = store_of_clips(tmp_path / "other", y, [0, 1] * 6, groups)
        evaluation = evaluate_bundle(other, logistic_bundle)
        assert set(evaluation.metrics) == {"test"}
        rows = evaluation.predictions.to_pylist()
        assert [row["row"] for row in rows] == [i for i, name in enumerate(groups) if name in {by_split["test"], "new"}]
        assert {row["split"] for row in rows} == {"test"}
        assert counted(evaluation.metrics["test"]) == recount(rows)
        assert not evaluation.is_synthetic

    def test_rows_without_label_or_clip_are_left_out(
        self, logistic_bundle: str, tmp_path: Path, store_of_clips: Callable[..., str]
    ) -> None:
        y = np.random.default_rng(1).standard_normal((6, 6000)) * 0.1
        state = ["ok", "silent", "ok", "short", "ok", "ok"]
        other = store_of_clips(tmp_path / "other", y, [1, 1, None, 0, None, 0], state=state)
        evaluation = evaluate_bundle(other, logistic_bundle)
        assert evaluation.predictions.column("row").to_pylist() == [0, 3, 5]

    def test_nothing_new_is_an_error(
        self, small_store: str, logistic_bundle: str, tmp_path: Path, store_of_clips: Callable[..., str]
    ) -> None:
        store = open_store(small_store)
        group = str(np.asarray(store.column("group"))[splits_of(store, SplitPlan()) == "train"][0])
        y = np.random.default_rng(1).standard_normal((4, 6000)) * 0.1
        for name, label, groups in (("seen", [0, 1, 0, 1], [group] * 4), ("unlabelled", [None] * 4, ["new"] * 4)):
            other = store_of_clips(tmp_path / name, y, label, groups)
            with pytest.raises(TrainingError, match=r"no labelled row that .* was not trained on; give other"):
                evaluate_bundle(other, logistic_bundle)

    def test_another_recipe_names_both_sides(
        self, small_corpus: Path, logistic_bundle: str, tmp_path: Path, preprocessed: Callable[..., str]
    ) -> None:
        recipe = Recipe(mel=MelRule(n_mels=32))
        some = tmp_path / "some"
        shutil.copytree(small_corpus / "gunshot", some / "gunshot", ignore=shutil.ignore_patterns("*_00[1-9]*"))
        other = preprocessed([some], tmp_path / "other", recipe)
        with pytest.raises(StoreMismatchError, match=f"recipe {recipe.digest}, but {Recipe().digest} is needed"):
            evaluate_bundle(other, logistic_bundle)

    @pytest.mark.parametrize("damage", [b"", b"not a table", None])
    def test_without_its_table_of_splits_nothing_is_reported(
        self, small_store: str, logistic_bundle: str, tmp_path: Path, damage: bytes | None
    ) -> None:
        bundle = Path(shutil.copytree(logistic_bundle, tmp_path / "b"))
        (bundle / "splits.parquet").unlink()
        if damage is not None:
            (bundle / "splits.parquet").write_bytes(damage)
        with pytest.raises(BundleError, match=r"splits\.parquet: which rows trained the model cannot be read"):
            evaluate_bundle(small_store, str(bundle))


class TestWhatIsWritten:
    def test_metrics_and_predictions(self, evaluation: Evaluation, small_store: str, tmp_path: Path) -> None:
        train_model(small_store, "logistic", str(tmp_path / "b"), max_fpr=0.4)
        other = evaluate_bundle(small_store, str(tmp_path / "b"))
        # two models of one kind would share a name; the second is given another here
        object.__setattr__(other.bundle, "name", "paper-cnn")
        written = write_evaluations(str(tmp_path / "out"), [evaluation, other], "logistic")
        metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
        assert metrics == json.loads(json.dumps(written))
        assert metrics["default"] == "logistic"
        assert metrics["synthetic"] is True
        assert set(metrics["models"]) == {"logistic", "paper-cnn"}
        for item in (evaluation, other):
            found = metrics["models"][item.bundle.name]
            assert found["digest"] == item.bundle.digest
            assert found["operating_point"] == item.bundle.operating_point.as_dict()
            for split in ("train", "validation", "test"):
                called = counted(item.metrics[split])
                assert found[split]["n"] == sum(called)
                assert found[split]["accuracy"] == (called[0] + called[3]) / sum(called)
                assert found[split]["recall"] == called[0] / (called[0] + called[1])
                assert found[split]["fnr"] == called[1] / (called[0] + called[1])
                assert found[split]["fpr"] == called[2] / (called[2] + called[3])
                assert found[split]["threshold"] == item.bundle.operating_point.threshold
            assert found["by_source"]["test/synthetic"] == found["test"]
        table = pq.read_table(tmp_path / "out" / "predictions.parquet")
        assert table.equals(pa.concat_tables([evaluation.predictions, other.predictions]))

    def test_two_models_of_one_kind_stay_two(self, evaluation: Evaluation, small_store: str, tmp_path: Path) -> None:
        point = replace(evaluation.bundle.operating_point, name="another", threshold=0.75, guarantee=None)
        other = evaluate_bundle(small_store, copy_bundle(evaluation.bundle, str(tmp_path / "b"), point).uri)
        names = [f"logistic {item.bundle.digest}" for item in (evaluation, other)]
        assert len(set(names)) == 2
        assert model_names([evaluation, other]) == names
        metrics = write_evaluations(str(tmp_path / "out"), [evaluation, other], names[0])
        assert {name: found["digest"] for name, found in metrics["models"].items()} == {
            name: item.bundle.digest for name, item in zip(names, (evaluation, other), strict=True)
        }
        table = pq.read_table(tmp_path / "out" / "predictions.parquet")
        assert table.column("model").to_pylist() == [name for name in names for _ in range(table.num_rows // 2)]

    def test_the_same_bundle_twice_is_one_model(self, evaluation: Evaluation, tmp_path: Path) -> None:
        assert model_names([evaluation, evaluation]) == ["logistic", "logistic"]
        write_evaluations(str(tmp_path), [evaluation, evaluation], "logistic")
        assert pq.read_table(tmp_path / "predictions.parquet").num_rows == evaluation.predictions.num_rows

    def test_the_same_evaluation_writes_the_same_bytes(self, evaluation: Evaluation, tmp_path: Path) -> None:
        for out in ("a", "b"):
            write_evaluations(str(tmp_path / out), [evaluation], "logistic")
        for name in ("metrics.json", "predictions.parquet"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, write_recording: Callable[..., Path], matched_bundle: str
) -> Path:
    """Two recordings with four shots, scored."""
    out = tmp_path_factory.mktemp("archive")
    write_recording(out / "audio" / "a.wav", 30, shots_s=[3, 9, 20], others_s=[14])
    write_recording(out / "audio" / "b.wav", 30, shots_s=[5], seed=1)
    batch = ScoringBatch("one", tuple(list_targets([str(out / "audio")])))
    score_batch(matched_bundle, load_bundle(matched_bundle).digest, str(out / "results"), batch)
    return out


class TestDetections:
    def test_events_are_found_and_hours_counted(self, results: Path, matched_bundle: str) -> None:
        digest = load_bundle(matched_bundle).digest
        a, b = (str(results / "audio" / name) for name in ("a.wav", "b.wav"))
        # 8.0 is not there, 9.0 and one in b are not known: a miss and two false alarms
        truth = {a: [3.0, 8.0, 20.2], b: []}
        metrics = evaluate_detections(str(results / "results"), truth, digest)
        assert (metrics.n_events, metrics.n_detections, metrics.n_matched) == (3, 4, 2)
        assert metrics.listening_s == pytest.approx(60)
        assert metrics.false_alarms_per_hour == pytest.approx(2 * 60)
        narrow = evaluate_detections(str(results / "results"), truth, digest, tolerance_s=0.1)
        assert narrow.n_matched == 1

    def test_recordings_nobody_knows_are_not_counted(self, results: Path, matched_bundle: str) -> None:
        digest = load_bundle(matched_bundle).digest
        truth = {str(results / "audio" / "b.wav"): [5.0]}
        metrics = evaluate_detections(str(results / "results"), truth, digest)
        assert (metrics.n_events, metrics.n_detections, metrics.listening_s) == (1, 1, 30)

    def test_another_models_detections_are_not_counted(self, results: Path) -> None:
        truth = {str(results / "audio" / "b.wav"): [5.0]}
        with pytest.raises(TrainingError, match="none of the 1 recordings with known events was scored"):
            evaluate_detections(str(results / "results"), truth, "0" * 16)

    def test_no_results_at_all(self, tmp_path: Path) -> None:
        write_batch(str(tmp_path), "empty", [], [])
        with pytest.raises(TrainingError, match="none of the 1 recordings"):
            evaluate_detections(str(tmp_path), {"a.wav": [1.0]}, "0" * 16)


def test_a_table_without_its_digest_is_of_another_store(small_store: str, logistic_bundle: str, tmp_path: Path) -> None:
    """Splits are taken row by row only from the very manifest they were made for; else by group."""
    bundle = Path(shutil.copytree(logistic_bundle, tmp_path / "b"))
    table = pq.read_table(io.BytesIO((bundle / "splits.parquet").read_bytes()))
    pq.write_table(table.replace_schema_metadata({"manifest_digest": "another"}), bundle / "splits.parquet")
    splits = splits_of(open_store(small_store), SplitPlan())
    evaluation = evaluate_bundle(small_store, str(bundle))
    assert evaluation.predictions.column("row").to_pylist() == np.flatnonzero(splits == "test").tolist()
