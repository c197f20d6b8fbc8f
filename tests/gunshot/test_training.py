"""Training: only training rows are fitted, the threshold comes from validation rows, and a refusal writes nothing."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from gunshot import fitting
from gunshot.augment.chain import AugmentRule
from gunshot.augmentation import augment_partition, prepare_copies
from gunshot.division import SplitPlan, splits_of
from gunshot.errors import GunshotError, ParameterError, StoreError, StoreIncompleteError, TrainingError
from gunshot.evaluation.calibration import fit_calibration
from gunshot.evaluation.metrics import classification_metrics
from gunshot.evaluation.operating_point import choose_operating_point
from gunshot.fitting import read_inputs
from gunshot.models.batches import Batches
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.models.catalogue import MODELS
from gunshot.store.layout import commit_uri
from gunshot.store.read import FeatureStore, open_store
from gunshot.store.write import commit_store
from gunshot.training import row_weights, train_model

# the model is trained in both processes of a parallel run otherwise
NETWORKS = pytest.mark.xdist_group("networks")

Float32 = NDArray[np.float32]


def weights_digest(bundle: Bundle) -> str:
    """Of the weights alone; `Bundle.digest` is of the recipe too."""
    return str(bundle.details["weights"]["sha256"])


def labels_of(store: FeatureStore) -> NDArray[np.int8]:
    return np.asarray(store.column("label"), dtype=np.int8)


def make_copies(store: str, rows: Sequence[int] | NDArray[np.intp], out: Path, seed: int = 0) -> str:
    """A committed store of distorted copies of some rows."""
    header = prepare_copies(open_store(store), rows, str(out), AugmentRule(seed=seed))
    for partition in header.partitions:
        augment_partition(store, str(out), partition)
    commit_store(header)
    return str(out)


@pytest.fixture(scope="module")
def copies(small_store: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Copies of the training rows, as they are divided unless one says otherwise."""
    rows = np.flatnonzero(splits_of(open_store(small_store), SplitPlan()) == "train")
    return make_copies(small_store, rows, tmp_path_factory.mktemp("copies") / "c")


class TestSplits:
    def test_the_splits_tile_the_usable_rows_and_no_group_is_divided(self, small_store: str) -> None:
        store = open_store(small_store)
        splits = splits_of(store, SplitPlan())
        assert set(splits[store.usable]) == {"train", "validation", "test"}
        group = np.asarray(store.column("group"))
        assert all(len(set(splits[group == name])) == 1 for name in set(group))

    def test_rows_without_a_clip_are_in_no_split(
        self, tmp_path: Path, store_of_clips: Callable[..., str], clips: Callable[..., Any]
    ) -> None:
        y, label, group = clips(40)
        state = ["silent" if index % 7 == 0 else "short" if index % 5 == 0 else "ok" for index in range(40)]
        store = open_store(store_of_clips(tmp_path / "s", y, label, group, state))
        splits = splits_of(store, SplitPlan())
        assert [split == "" for split in splits] == [value == "silent" for value in state]

    def test_an_assignment_is_kept(self, small_store: str) -> None:
        store = open_store(small_store)
        group = str(store.column("group")[0])
        plan = SplitPlan(assignments=((f"*/{group}_*", "unseen"),))
        assert set(splits_of(store, plan)[np.asarray(store.column("group")) == group]) == {"unseen"}


class TestLogistic:
    def test_scores_are_those_of_scikit_learn_on_the_training_rows(
        self, small_store: str, logistic_bundle: str
    ) -> None:
        store = open_store(small_store)
        train = np.flatnonzero(splits_of(store, SplitPlan()) == "train")
        everything = store.waveforms(store.usable)
        model = LogisticRegression(max_iter=200).fit(store.waveforms(train), labels_of(store)[train])
        np.testing.assert_allclose(
            load_bundle(logistic_bundle).score(everything), model.predict_proba(everything)[:, 1], atol=1e-6
        )

    def test_only_training_rows_are_fitted(
        self,
        small_store: str,
        logistic_bundle: str,
        store_with_values: Callable[..., str],
        tmp_path: Path,
    ) -> None:
        splits = splits_of(open_store(small_store), SplitPlan())
        poisoned = store_with_values(small_store, tmp_path / "held", np.flatnonzero(splits != "train"), 1e6)
        again = train_model(poisoned, "logistic", str(tmp_path / "b"))
        assert weights_digest(again) == weights_digest(load_bundle(logistic_bundle))
        # and the trap is real: one training row changed is another model
        poisoned = store_with_values(small_store, tmp_path / "train", np.flatnonzero(splits == "train")[:1], 0.5)
        assert weights_digest(train_model(poisoned, "logistic", str(tmp_path / "c"))) != weights_digest(again)

    def test_test_rows_change_nothing_at_all(
        self, small_store: str, logistic_bundle: str, store_with_values: Callable[..., str], tmp_path: Path
    ) -> None:
        rows = np.flatnonzero(splits_of(open_store(small_store), SplitPlan()) == "test")
        poisoned = store_with_values(small_store, tmp_path / "s", rows, float("nan"))
        there, here = load_bundle(logistic_bundle), train_model(poisoned, "logistic", str(tmp_path / "b"))
        assert here.operating_point == there.operating_point
        assert here.digest == there.digest
        assert here.details["validation"] == there.details["validation"]

    def test_the_threshold_is_chosen_on_validation_rows(self, small_store: str, tmp_path: Path) -> None:
        store = open_store(small_store)
        rows = np.flatnonzero(splits_of(store, SplitPlan()) == "validation")
        label = labels_of(store)[rows]
        for max_fpr in (0.0, 0.2, 0.5):
            bundle = train_model(small_store, "logistic", str(tmp_path / f"b{max_fpr}"), max_fpr=max_fpr)
            scores = bundle.score(store.waveforms(rows))
            point = bundle.operating_point
            expected = choose_operating_point(label, scores, name=point.name, split="validation", max_fpr=max_fpr)
            assert replace(point, note="", bound=None) == expected
            assert "the 2 groups of the validation rows can promise 77.6% at best" in point.note
            assert point.fpr <= max_fpr
            found = classification_metrics(label, scores, point.threshold)
            assert (point.recall, point.fpr, point.n_gunshots, point.n_others) == (
                found.recall, found.fpr, int(np.sum(label == 1)), int(np.sum(label == 0)),
            )  # fmt: skip
            assert bundle.details["validation"] == found.as_dict()

    def test_a_model_that_is_sure_of_everything_gets_the_strictest_threshold(
        self, small_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logistic_weights: Callable[..., bytes]
    ) -> None:
        """All others score exactly 1: no threshold keeps to the rate, which the operating point says."""
        certain = logistic_weights(np.zeros(6000), [100.0])
        monkeypatch.setattr(fitting, "fit_logistic", lambda x, y, seed: certain)
        point = train_model(small_store, "logistic", str(tmp_path / "b")).operating_point
        assert (point.threshold, point.fpr, point.recall) == (1.0, 1.0, 1.0)
        assert "the limit cannot be kept: too many other sounds score exactly 1" in point.note
        assert point.guarantee is None

    def test_a_second_training_is_the_same_model(self, small_store: str, logistic_bundle: str, tmp_path: Path) -> None:
        again = train_model(small_store, "logistic", str(tmp_path / "b"))
        first = load_bundle(logistic_bundle)
        assert again.digest == first.digest
        assert again.operating_point == first.operating_point

    def test_a_bundle_holds_several_operating_points_and_one_is_asked_for(
        self, small_store: str, logistic_bundle: str, tmp_path: Path
    ) -> None:
        usual = load_bundle(logistic_bundle)
        names = [point.name for point in usual.operating_points]
        assert names == ["fpr 0.2%", "miss 1%", "miss 5%", "10 a day", "100 a day"]
        asked = train_model(small_store, "logistic", str(tmp_path / "b"), operating_point="miss at most 5 %")
        assert asked.operating_point == usual.operating_points[2]
        assert [point.name for point in asked.operating_points] == ["miss 5%", "miss 1%", "10 a day", "100 a day"]
        assert weights_digest(asked) == weights_digest(usual)
        assert asked.digest != usual.digest
        with pytest.raises(ParameterError, match="operating point 'often' is none of the forms"):
            train_model(small_store, "logistic", str(tmp_path / "c"), operating_point="often")
        assert not (tmp_path / "c").exists()

    def test_the_validation_rows_lie_beside_the_weights(self, small_store: str, logistic_bundle: str) -> None:
        bundle, store = load_bundle(logistic_bundle), open_store(small_store)
        rows = np.flatnonzero(splits_of(store, SplitPlan()) == "validation")
        held = bundle.validation_rows()
        assert held is not None
        np.testing.assert_array_equal(held.label, labels_of(store)[rows])
        np.testing.assert_allclose(held.score, bundle.score(store.waveforms(rows)), atol=1e-6)
        assert held.group == tuple(np.asarray(store.column("group"))[rows].tolist())
        assert bundle.calibration == fit_calibration(held.label, held.score, group=held.group)

    def test_rows_split_at_random_promise_nothing(self, small_store: str, tmp_path: Path) -> None:
        bundle = train_model(small_store, "logistic", str(tmp_path / "b"), plan=SplitPlan("random"))
        assert {point.guarantee for point in bundle.operating_points} == {None}
        assert all("do not stand for groups to come" in point.note for point in bundle.operating_points)
        held = bundle.validation_rows()
        assert held is not None
        assert held.group is None


class TestRowWeights:
    """What each row counts in a network's loss."""

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abc")), min_size=1, max_size=60))
    def test_classes_count_the_same_and_sources_by_the_root_of_their_rows(self, rows: list[tuple[int, str]]) -> None:
        label = np.asarray([row[0] for row in rows], dtype=np.int8)
        source = np.asarray([row[1] for row in rows])
        weight = row_weights(label, source)
        assert weight.dtype == np.float32
        assert weight.mean() == pytest.approx(1, rel=1e-5)
        sums = [weight[label == value].sum() for value in np.unique(label)]
        assert sums == pytest.approx([len(rows) / len(sums)] * len(sums), rel=1e-5)
        for value in np.unique(label):
            of_class = label == value
            roots = {name: np.sqrt(np.sum(source[of_class] == name)) for name in np.unique(source[of_class])}
            for name, root in roots.items():
                share = weight[of_class & (source == name)].sum() / weight[of_class].sum()
                assert share == pytest.approx(root / sum(roots.values()), rel=1e-5)

    def test_equal_rows_of_one_source_all_count_one(self) -> None:
        np.testing.assert_allclose(row_weights(np.asarray([0, 1, 1, 0], np.int8), np.asarray(["a"] * 4)), 1.0)

    def test_synthetic_shots_count_less_beside_real_ones(self) -> None:
        """As long as there are real ones: alone they count as any, and other sounds do always."""
        label = np.repeat(np.int8([1, 0]), 60)
        source = np.tile(np.repeat(["field", "synthetic"], 30), 2)
        weight = row_weights(label, source)
        of_field, of_synthetic, *others = weight.reshape(4, 30).mean(axis=1)
        assert of_synthetic == pytest.approx(0.4 * of_field, rel=1e-5)
        assert others == pytest.approx([1, 1], rel=1e-5)
        np.testing.assert_allclose(row_weights(label, np.full(120, "synthetic")), 1.0, rtol=1e-6)


def _same_rows(batches: Batches, x: Any, y: Any, weight: Any) -> None:
    """An epoch holds every row once, in whatever order, with its label and weight."""
    found = [np.concatenate(parts) for parts in zip(*batches.epoch(0), strict=True)]
    assert len(found[0]) == len(x)
    for mine, theirs in zip(_sorted(*found), _sorted(x, y, weight), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def _sorted(x: Any, y: Any, weight: Any) -> tuple[Any, Any, Any]:
    order = np.lexsort((weight, y, *x.reshape(len(x), -1)[:, :50].T))
    return x[order], np.asarray(y, np.float32)[order], np.asarray(weight, np.float32)[order]


class TestNetwork:
    @NETWORKS
    def test_training_rows_and_their_copies_reach_the_network_with_their_weights(
        self, small_store: str, cnn_bundle: str, copies: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from gunshot.models import fit

        told: dict[str, Any] = {}

        def watched(rule: Any, train: Any, validation: Any, **options: Any) -> fit.Fit:
            told.update(rule=rule, train=train, validation=validation, **options)
            return fit.Fit(Path(cnn_bundle, "weights.tflite").read_bytes(), b"", (), 1)

        monkeypatch.setattr(fit, "fit_network", watched)
        train_model(small_store, "small-cnn", str(tmp_path / "b"), copies=[copies], seed=5)
        store = open_store(small_store)
        splits, label = splits_of(store, SplitPlan()), labels_of(store)
        train, validation = np.flatnonzero(splits == "train"), np.flatnonzero(splits == "validation")
        both = np.concatenate([store.log_mels(train), open_store(copies).log_mels(np.arange(len(train)))])
        source = np.asarray(store.column("source"))[train]
        weight = row_weights(np.concatenate([label[train]] * 2), np.concatenate([source] * 2))
        _same_rows(told["train"], both, np.concatenate([label[train]] * 2), weight)
        _same_rows(told["validation"], store.log_mels(validation), label[validation], np.ones(len(validation)))
        assert (told["rule"].name, told["epochs"], told["seed"]) == ("small-cnn", MODELS["small-cnn"].epochs, 5)

    @NETWORKS
    def test_only_training_rows_make_the_weights_of_a_seed(
        self,
        small_store: str,
        cnn_bundle: str,
        store_with_values: Callable[..., str],
        tmp_path: Path,
    ) -> None:
        """Trained a second time, with absurd numbers in all other rows: the same weights to the last bit."""
        splits = splits_of(open_store(small_store), SplitPlan())
        poisoned = store_with_values(small_store, tmp_path / "s", np.flatnonzero(splits != "train"), 1e6)
        again = train_model(poisoned, "small-cnn", str(tmp_path / "b"), epochs=2)
        assert weights_digest(again) == weights_digest(load_bundle(cnn_bundle))

    @pytest.mark.slow
    @NETWORKS
    def test_another_seed_makes_other_weights(self, small_store: str, cnn_bundle: str, tmp_path: Path) -> None:
        other = train_model(small_store, "small-cnn", str(tmp_path / "b"), epochs=2, seed=1)
        first = load_bundle(cnn_bundle)
        assert weights_digest(other) != weights_digest(first)
        assert other.details["training"]["rows"] == first.details["training"]["rows"]  # the split has its own seed

    @NETWORKS
    def test_every_epoch_is_recorded(self, cnn_bundle: str) -> None:
        history = load_bundle(cnn_bundle).details["training"]["history"]
        assert [epoch["number"] for epoch in history] == [1, 2]
        assert set(history[0]) == {"number", "loss", "accuracy", "validation_loss", "validation_accuracy"}

    @NETWORKS
    @pytest.mark.slow
    def test_two_processes_train_the_same_network(self, small_store: str, tmp_path: Path) -> None:
        digests = []
        for number in range(2):
            code = (
                "from gunshot.training import train_model; "
                f"bundle = train_model({small_store!r}, 'small-cnn', {str(tmp_path / str(number))!r}, epochs=2); "
                "print(bundle.details['weights']['sha256'], bundle.operating_point.threshold)"
            )
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            digests.append(done.stdout)
        assert digests[0] == digests[1]
        assert len(digests[0].split()) == 2


class TestCopies:
    def test_copies_are_fitted_beside_the_originals(self, small_store: str, copies: str, tmp_path: Path) -> None:
        bundle = train_model(small_store, "logistic", str(tmp_path / "b"), copies=[copies])
        store = open_store(small_store)
        train = np.flatnonzero(splits_of(store, SplitPlan()) == "train")
        copied = open_store(copies)
        x = np.concatenate([store.waveforms(train), copied.waveforms(copied.usable)])
        y = np.concatenate([labels_of(store)[train]] * 2)
        expected = LogisticRegression(max_iter=200).fit(x, y).predict_proba(x)[:, 1]
        np.testing.assert_allclose(bundle.score(x), expected, atol=1e-6)
        assert bundle.details["training"]["copies"] == len(train)

    def test_copies_of_rows_that_are_not_trained_on_are_refused(
        self, small_store: str, copies: str, tmp_path: Path
    ) -> None:
        """The same copies, but another split: some of them are now of test rows."""
        store = open_store(small_store)
        plan = SplitPlan(seed=1)
        before, now = (splits_of(store, SplitPlan()) == "train", splits_of(store, plan) == "train")
        foreign = int(np.sum(before & ~now))
        assert foreign
        with pytest.raises(TrainingError, match=f"{foreign} copies .* does not train on; remove it and run again"):
            train_model(small_store, "logistic", str(tmp_path / "b"), copies=[copies], plan=plan)
        assert not (tmp_path / "b").exists()

    def test_copies_of_another_store_are_refused(
        self, small_store: str, tmp_path: Path, store_of_clips: Callable[..., str], clips: Callable[..., Any]
    ) -> None:
        other = store_of_clips(tmp_path / "other", *clips(40))
        rows = np.flatnonzero(splits_of(open_store(other), SplitPlan()) == "train")
        foreign = make_copies(other, rows, tmp_path / "copies")
        with pytest.raises(TrainingError, match=r"holds copies of another store than .*; remove it and run again"):
            train_model(small_store, "logistic", str(tmp_path / "b"), copies=[foreign])
        assert not (tmp_path / "b").exists()

    def test_a_store_of_recordings_is_no_store_of_copies(self, small_store: str, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match="copies of another store"):
            train_model(small_store, "logistic", str(tmp_path / "b"), copies=[small_store])

    def test_copies_that_are_not_finished_are_refused(self, small_store: str, tmp_path: Path) -> None:
        rows = np.flatnonzero(splits_of(open_store(small_store), SplitPlan()) == "train")
        prepare_copies(open_store(small_store), rows, str(tmp_path / "c"), AugmentRule())
        with pytest.raises(StoreIncompleteError):
            train_model(small_store, "logistic", str(tmp_path / "b"), copies=[str(tmp_path / "c")])
        assert not (tmp_path / "b").exists()

    def test_copies_with_nan_are_refused(
        self, small_store: str, copies: str, store_with_values: Callable[..., str], tmp_path: Path
    ) -> None:
        bad = store_with_values(copies, tmp_path / "c", np.asarray([3, 5]), float("nan"))
        with pytest.raises(TrainingError, match="2 training rows hold values that are not finite"):
            train_model(small_store, "logistic", str(tmp_path / "b"), copies=[bad])


Clips = tuple[Float32, list[int | None], list[str]]


@pytest.fixture(scope="module")
def clips() -> Callable[..., Clips]:
    """Makes quiet noise, labelled in turn, four rows a group."""

    def make(n_rows: int, n_groups: int | None = None) -> Clips:
        y = np.random.default_rng(2).standard_normal((n_rows, 6000)).astype(np.float32) * 0.1
        group = [f"g{index // 2 % (n_groups or n_rows // 4)}" for index in range(n_rows)]
        return y, [index % 2 for index in range(n_rows)], group

    return make


class TestRefusals:
    """Each is one error that says what to do, and nothing is written."""

    def refused(
        self, store: str, out: Path, match: str, kind: type[GunshotError] = TrainingError, **options: Any
    ) -> None:
        with pytest.raises(kind, match=match) as error:
            train_model(store, "logistic", str(out), **options)
        assert "\n" not in str(error.value)
        assert re.search("; |: ", str(error.value))  # a remedy follows
        assert not out.exists()

    def test_no_labels(self, tmp_path: Path, store_of_clips: Callable[..., str], clips: Callable[..., Clips]) -> None:
        y, label, group = clips(12)
        nobody = store_of_clips(tmp_path / "a", y, [None] * 12, group)
        self.refused(nobody, tmp_path / "b", r"12 of 12 usable rows carry no label; .* give --labels CSV")
        some = store_of_clips(tmp_path / "c", y, [None, *label[1:]], group)
        self.refused(some, tmp_path / "b", r"1 of 12 usable rows carry no label")

    def test_no_usable_row(
        self, tmp_path: Path, store_of_clips: Callable[..., str], clips: Callable[..., Clips]
    ) -> None:
        y, label, group = clips(8)
        self.refused(store_of_clips(tmp_path / "a", y, label, group, ["silent"] * 8), tmp_path / "b", "0 of 0 usable")

    @pytest.mark.parametrize("only", [0, 1])
    def test_one_class_is_missing(
        self, tmp_path: Path, store_of_clips: Callable[..., str], clips: Callable[..., Clips], only: int
    ) -> None:
        y, _, group = clips(40)
        missing = "other sounds" if only else "gunshots"
        self.refused(
            store_of_clips(tmp_path / "a", y, [only] * 40, group), tmp_path / "b",
            f"no {missing} in the train split; give more groups",
        )  # fmt: skip

    def test_too_few_groups(
        self, tmp_path: Path, store_of_clips: Callable[..., str], clips: Callable[..., Clips]
    ) -> None:
        store = store_of_clips(tmp_path / "a", *clips(24, n_groups=1))
        self.refused(store, tmp_path / "b", "groups of each class.*--split random")
        store = store_of_clips(tmp_path / "c", *clips(24, n_groups=2))
        self.refused(store, tmp_path / "b", "groups of each class.*--split random")

    def test_random_splits_need_no_groups(
        self, tmp_path: Path, store_of_clips: Callable[..., str], clips: Callable[..., Clips]
    ) -> None:
        store = store_of_clips(tmp_path / "a", *clips(24, n_groups=1))
        bundle = train_model(store, "logistic", str(tmp_path / "b"), plan=SplitPlan("random"))
        assert sum(bundle.details["training"]["rows"].values()) == 24

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_numbers_that_are_not_finite(
        self, small_store: str, store_with_values: Callable[..., str], tmp_path: Path, value: float
    ) -> None:
        rows = np.flatnonzero(splits_of(open_store(small_store), SplitPlan()) == "train")[:3]
        bad = store_with_values(small_store, tmp_path / "s", rows, value)
        self.refused(bad, tmp_path / "b", "3 training rows hold values that are not finite; preprocess into a new")

    def test_validation_rows_that_are_not_finite(
        self, small_store: str, store_with_values: Callable[..., str], tmp_path: Path
    ) -> None:
        rows = np.flatnonzero(splits_of(open_store(small_store), SplitPlan()) == "validation")[:1]
        bad = store_with_values(small_store, tmp_path / "s", rows, float("nan"))
        self.refused(bad, tmp_path / "b", "finite", GunshotError)

    def test_an_assignment_that_divides_a_group(self, small_store: str, tmp_path: Path) -> None:
        plan = SplitPlan(assignments=(("gunshot/*", "train"), ("other/*", "test")))
        self.refused(small_store, tmp_path / "b", "--assign puts 12 groups into more than one split", plan=plan)

    def test_an_assignment_that_leaves_a_split_empty(self, small_store: str, tmp_path: Path) -> None:
        plan = SplitPlan(assignments=(("*", "train"),))
        self.refused(small_store, tmp_path / "b", "no gunshots in the validation split", plan=plan)

    def test_no_store(self, tmp_path: Path) -> None:
        self.refused(str(tmp_path / "nothing"), tmp_path / "b", "no feature store at .*gunshot preprocess", StoreError)

    def test_a_store_that_is_not_committed(
        self, tmp_path: Path, store_of_clips: Callable[..., str], clips: Callable[..., Clips]
    ) -> None:
        store = store_of_clips(tmp_path / "a", *clips(8))
        Path(commit_uri(store)).unlink()
        self.refused(store, tmp_path / "b", "not committed.*run 'gunshot preprocess' again", StoreIncompleteError)

    def test_an_unknown_model(self, small_store: str, tmp_path: Path) -> None:
        with pytest.raises(ParameterError, match="--model must be one of"):
            train_model(small_store, "resnet", str(tmp_path / "b"))


class TestWhatIsRecorded:
    def test_the_bundle_says_what_it_was_trained_on(self, small_store: str, logistic_bundle: str) -> None:
        store = open_store(small_store)
        splits = splits_of(store, SplitPlan())
        details = load_bundle(logistic_bundle).details
        record = details["training"]
        assert record["rows"] == {name: int(np.sum(splits == name)) for name in ("train", "validation", "test")}
        assert record["manifest_digest"] == store.header.manifest_digest
        assert record["split"] == {"by": "group", "assignments": [], "seed": 0, "keep": None}
        assert list(record["rows_by_source"]) == ["synthetic"]
        assert record["licenses"] == {"synthetic": ["CC0 1.0 (synthetic)"]}
        assert (record["copies"], record["history"], record["seed"]) == (0, [], 0)
        assert {"python", "gunshot", "numpy", "keras", "ai-edge-litert"} <= set(details["versions"])

    def test_every_rows_split_is_kept_beside_the_weights(self, small_store: str, logistic_bundle: str) -> None:
        store = open_store(small_store)
        content = Path(logistic_bundle, "splits.parquet").read_bytes()
        table = pq.read_table(io.BytesIO(content))
        assert table.column("split").to_pylist() == splits_of(store, SplitPlan()).tolist()
        assert table.column("group").to_pylist() == store.column("group")
        assert table.schema.metadata[b"manifest_digest"] == store.header.manifest_digest.encode()

    def test_the_digest_follows_from_weights_recipe_calibration_and_threshold(self, logistic_bundle: str) -> None:
        bundle = load_bundle(logistic_bundle)
        weights = Path(logistic_bundle, "weights.npz").read_bytes()
        calibration = json.dumps(bundle.calibration.as_dict(), sort_keys=True)
        rest = f"{bundle.recipe.digest}{calibration}{bundle.operating_point.threshold!r}"
        assert bundle.digest == hashlib.sha256(weights + rest.encode()).hexdigest()[:16]


def test_a_model_reads_what_its_rule_says(small_store: str) -> None:
    store = open_store(small_store)
    rows = [5, 0, 64]
    np.testing.assert_array_equal(read_inputs(store, rows, MODELS["logistic"]), store.waveforms(rows))
    np.testing.assert_array_equal(read_inputs(store, rows, MODELS["small-cnn"]), store.log_mels(rows))
    np.testing.assert_array_equal(
        read_inputs(store, rows, replace(MODELS["paper-cnn"], input="waveform")), store.waveforms(rows)
    )
