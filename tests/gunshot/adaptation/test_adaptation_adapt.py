"""The verb, from a bundle and a table to a bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import pytest

from gunshot.adaptation import adapt as verb
from gunshot.adaptation.adapt import adapt_model, between, check_parameters
from gunshot.adaptation.checks import Change
from gunshot.adaptation.held import read_held
from gunshot.adaptation.kept import SUSPECTS_NAME, Adaptation
from gunshot.adaptation.site import read_site
from gunshot.errors import BundleError, ParameterError, RunError, TrainingError
from gunshot.models.bundle import load_bundle
from gunshot.synthetic import write_corpus
from gunshot.synthetic.audiofiles import AudioFormat

NOT_MORE_THAN_ALL = 1.0


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    """A few steps and clips: what an adaptation does, not how well."""
    with mock.patch.multiple(verb, _N_REHEARSED=8, _N_CHECKED=24, N_BATCHES=3):
        yield


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    """12 shots and 12 others in six scenes that nobody has met."""
    out = tmp_path_factory.mktemp("site")
    return str(
        write_corpus(
            out, n_gunshots=12, n_others=12, n_groups=6, seed=77, formats=[AudioFormat("WAV", "PCM_16", 12_000)]
        )
    )


class Run(NamedTuple):
    """An adaptation and where it began."""

    done: Adaptation
    parent: str
    out: Path


@pytest.fixture(scope="module")
def run(
    cnn_bundle: str,
    small_store: str,
    site: str,
    tmp_path_factory: pytest.TempPathFactory,
    write_recording: Callable[..., Path],
) -> Run:
    folder = tmp_path_factory.mktemp("adapted")
    for number in range(4):
        write_recording(folder / "night" / f"{number}.wav", 10.0, [], [2.0, 4.0, 6.0, 8.0], seed=number)
    out = folder / "model"
    done = adapt_model(
        cnn_bundle, site, str(out), background=[str(folder / "night")], store=small_store,
        may_lose=NOT_MORE_THAN_ALL, seed=1,
    )  # fmt: skip
    return Run(done, cnn_bundle, out)


@pytest.mark.slow
class TestAdaptModel:
    def test_the_bundle_is_another_model_and_says_where_it_came_from(self, run: Run) -> None:
        parent, bundle = load_bundle(run.parent), load_bundle(str(run.out))
        assert bundle.digest == run.done.digest != parent.digest == run.done.parent
        assert bundle.details["weights"] != parent.details["weights"]
        about = bundle.details["adaptation"]
        assert about["parent"]["digest"] == parent.digest
        assert about["step"] == run.done.step == 1.0
        assert about["n_draws"] == 3 * 64
        assert about["site"]["n_shots"] == about["site"]["n_others"] == 12
        assert bundle.details["training"]["manifest_digest"] == parent.details["training"]["manifest_digest"]

    def test_the_parent_is_untouched_and_the_new_one_can_be_adapted_again(
        self, run: Run, site: str, tmp_path: Path
    ) -> None:
        again = adapt_model(str(run.out), site, str(tmp_path / "again"), may_lose=NOT_MORE_THAN_ALL)
        details = load_bundle(str(tmp_path / "again")).details
        assert again.parent == run.done.digest
        assert details["adaptation"]["parent"]["adaptation"]["parent"]["digest"] == load_bundle(run.parent).digest

    def test_the_threshold_keeps_to_the_limit_on_the_background_that_fitted_nothing(self, run: Run) -> None:
        point = load_bundle(str(run.out)).operating_point
        assert point.name == "site 10 a day"
        assert run.done.alarms_a_day is not None
        assert run.done.alarms_a_day[1] <= 10.0
        assert run.done.thresholds == (load_bundle(run.parent).operating_point.threshold, point.threshold)

    def test_groups_of_the_site_have_trained_or_checked_it(self, run: Run, site: str) -> None:
        known = pq.read_table(run.out / "splits.parquet").to_pydict()
        split = dict(zip(known["group"], known["split"], strict=True))
        rows = read_site(site, load_bundle(str(run.out)).recipe)
        mine = {split[group] for group in np.unique(rows.group)}
        assert mine == {"train", "validation"}
        before = set(pq.read_table(Path(run.parent) / "splits.parquet").column("group").to_pylist())
        assert before <= set(split)

    def test_every_set_is_compared_and_told(self, run: Run) -> None:
        assert {change.rows for change in run.done.changes} == {"synthetic", "held out", "site"}
        text = "\n".join(run.done.lines())
        for change in run.done.changes:
            assert f"{change.rows}/{change.source}" in text
        assert f"{run.done.parent} -> {run.done.digest}" in text
        fitted = run.done.n_shots + run.done.n_others - run.done.n_checking
        assert f"{fitted} fitted + {run.done.n_checking} checking" in text
        json.dumps(run.done.as_dict())

    def test_the_same_seed_gives_the_same_bundle(self, run: Run, site: str, tmp_path: Path) -> None:
        digests = [
            adapt_model(run.parent, site, str(tmp_path / name), may_lose=1.0, seed=seed).digest
            for name, seed in (("a", 5), ("b", 5), ("c", 6))
        ]
        assert digests[0] == digests[1] != digests[2]

    def test_the_bundle_alone_is_enough_and_few_groups_are_all_fitted(
        self, run: Run, site: str, tmp_path: Path
    ) -> None:
        lines = Path(site).read_text().splitlines()
        shots = [line for line in lines[1:] if ",1," in line and ("scene000" in line or "scene001" in line)]
        few = Path(site).with_name("few.csv")
        few.write_text("\n".join([lines[0], *shots]) + "\n")
        done = adapt_model(run.parent, str(few), str(tmp_path / "out"), may_lose=1.0)
        assert (done.n_others, done.n_checking) == (0, 0)
        assert {change.rows for change in done.changes} == {"synthetic"}
        assert "what it finds here is not checked" in "\n".join(done.lines())
        parent = load_bundle(run.parent)
        assert load_bundle(str(tmp_path / "out")).operating_point.name == parent.operating_point.name

    def test_a_broken_bound_takes_a_smaller_step(self, run: Run, site: str, tmp_path: Path) -> None:
        def judge(changes: tuple[Change, ...], may_lose: float) -> Change | None:
            tried.append(changes)
            return changes[0] if len(tried) < 3 else None

        tried: list[tuple[Change, ...]] = []
        with mock.patch.object(verb, "worst_broken", judge):
            done = adapt_model(run.parent, site, str(tmp_path / "out"))
        assert done.step == verb.STEPS[2]
        assert len(done.refused) == 2
        assert done.refused[0].startswith("step 1: synthetic/synthetic")
        # it is the network between: as far from the old weights as the step says
        old, new = (self._weights(uri) for uri in (run.parent, str(tmp_path / "out")))
        full = adapt_model(run.parent, site, str(tmp_path / "full"), may_lose=1.0)
        for a, b, c in zip(old, new, self._weights(full.bundle), strict=True):
            np.testing.assert_allclose(b, a + done.step * (c - a), atol=1e-5)

    @staticmethod
    def _weights(uri: str) -> list[Any]:
        from gunshot.models.fit import read_weights

        return read_weights(load_bundle(uri).network())

    def test_where_no_step_keeps_the_bounds_nothing_is_written(self, run: Run, site: str, tmp_path: Path) -> None:
        with (
            mock.patch.object(verb, "worst_broken", lambda changes, may_lose: changes[0]),
            pytest.raises(RunError, match=r"not adapted, and nothing written: no step .*--may-lose 0.01; step 0.125"),
        ):
            adapt_model(run.parent, site, str(tmp_path / "out"))
        assert not (tmp_path / "out").exists()

    def test_suspects_lie_beside_the_bundle(
        self, run: Run, site: str, tmp_path: Path, write_recording: Callable[..., Path]
    ) -> None:
        path = write_recording(tmp_path / "night.wav", 20.0, [], [2.0, 5.0, 12.0, 15.0])
        for likely, expected in ((0.0, True), (1.1, False)):  # everything is one, then nothing
            with mock.patch("gunshot.adaptation.site.min", lambda *_, value=likely: value, create=True):
                done = adapt_model(run.parent, site, str(tmp_path / "out"), background=[str(path)], may_lose=1.0)
            assert (done.n_suspects > 0) is expected
            assert (tmp_path / "out" / SUSPECTS_NAME).exists() is expected


@pytest.mark.slow
class TestHeld:
    def test_rows_of_the_site_are_neither_rehearsed_nor_checked(
        self, cnn_bundle: str, small_store: str, small_corpus: Path, site: str
    ) -> None:
        bundle = load_bundle(cnn_bundle)
        everything = read_held(small_store, bundle, read_site(site, bundle.recipe), 0)
        own = read_site(str(small_corpus / "labels.csv"), bundle.recipe)
        with pytest.raises(TrainingError, match="no training rows of both classes"):
            read_held(small_store, bundle, own, 0)
        assert set(everything.rehearsed_label.tolist()) == {0, 1}
        known = pq.read_table(Path(cnn_bundle) / "splits.parquet").to_pydict()
        trained = {g for g, s in zip(known["group"], known["split"], strict=True) if s == "train"}
        assert not trained & set(everything.group.tolist())
        assert set(everything.split.tolist()) == {"validation", "test"}

    def test_a_bundle_without_splits_is_an_error(
        self, cnn_bundle: str, small_store: str, site: str, tmp_path: Path
    ) -> None:
        shutil.copytree(cnn_bundle, tmp_path / "b")
        (tmp_path / "b" / "splits.parquet").unlink()
        with pytest.raises(BundleError, match="which rows trained the model cannot be read"):
            adapt_model(str(tmp_path / "b"), site, str(tmp_path / "out"), store=small_store)


class TestMistakes:
    def test_a_model_without_network_is_refused(self, matched_bundle: str, site: str, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="logistic is no network and cannot be adapted"):
            adapt_model(matched_bundle, site, str(tmp_path / "out"))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"out": "m/"}, "is the model's own folder"),
            ({"may_lose": 1.5}, r"--may-lose must lie in \[0, 1\]; got 1.5"),
            ({"may_lose": float("nan")}, r"--may-lose must lie in \[0, 1\]"),
            ({"seed": -1}, "--seed must be 0 or more"),
            ({"operating_point": "often"}, "none of the forms"),
        ],
    )
    def test_parameters_are_checked_first(self, change: dict[str, Any], message: str) -> None:
        given = {"model": "m", "out": "o", "operating_point": None, "may_lose": 0.01, "seed": 0} | change
        with pytest.raises(ParameterError, match=message):
            check_parameters(**given)

    def test_between_ends_at_both_networks(self) -> None:
        old, new = [np.zeros(3, np.float32)], [np.ones(3, np.float32)]
        assert between(old, new, 0.0)[0].tolist() == [0, 0, 0]
        assert between(old, new, 0.25)[0].tolist() == [0.25, 0.25, 0.25]
        assert between(old, new, 1.0)[0].dtype == np.float32
