"""A bundle's operating points: held, asked for, chosen anew, and copied with another default."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gunshot.errors import BundleError, ParameterError
from gunshot.evaluation.calibration import Calibration, fit_calibration
from gunshot.evaluation.choice import ScoredRows, choose_point, choose_points
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.evaluation.rules import DEFAULT_RULES, PointRule, parse_rule
from gunshot.evaluation.site_threshold import refit_threshold
from gunshot.models.bundle import Bundle, load_bundle, save_bundle
from gunshot.models.copies import copy_bundle
from gunshot.models.golden import golden_clips
from gunshot.models.points import read_rows, rows_table
from gunshot.recipe import Recipe

RULES = (PointRule("fpr", 0.002), *DEFAULT_RULES)
NAMES = ["fpr 0.2%", "miss 1%", "miss 5%", "10 a day", "100 a day"]


@pytest.fixture(scope="module")
def rows() -> ScoredRows:
    """Two hundred groups of each class, which a model tells apart fairly well."""
    rng = np.random.default_rng(0)
    score = np.concatenate([rng.beta(6, 1, 200), rng.beta(1, 6, 200)]).astype(np.float32)
    label = np.repeat([1, 0], 200).astype(np.int8)
    return ScoredRows(label, score, tuple(f"g{number}" for number in range(400)))


@pytest.fixture(scope="module")
def saved(rows: ScoredRows, logistic_weights: Callable[..., bytes], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    recipe = Recipe()
    weights = logistic_weights(np.random.default_rng(1).standard_normal(recipe.n_samples), [0.1])
    points = choose_points(rows, RULES)
    return save_bundle(
        str(tmp_path_factory.mktemp("models") / "m"), model="logistic", weights=weights, recipe=recipe,
        operating_point=points[0], operating_points=points, details={"training": {"seed": 3}}, splits=b"a table",
        calibration=fit_calibration(rows.label, rows.score, group=rows.group), validation=rows,
    )  # fmt: skip


class TestHeld:
    def test_all_come_back_as_they_were_chosen(self, saved: Bundle, rows: ScoredRows) -> None:
        loaded = load_bundle(saved.uri)
        assert loaded.operating_points == choose_points(rows, RULES)
        assert [point.name for point in loaded.operating_points] == NAMES
        assert loaded.operating_point == loaded.operating_points[0]
        assert loaded.calibration == fit_calibration(rows.label, rows.score, group=rows.group)
        assert {point.name for point in loaded.operating_points if point.guarantee} == {"miss 5%"}

    def test_model_json_holds_plain_values(self, saved: Bundle) -> None:
        details = json.loads(Path(saved.uri, "model.json").read_text())
        assert details["format"] == "gunshot-bundle/2"
        assert details["default"] == "fpr 0.2%"
        assert [point["name"] for point in details["operating_points"]] == list(details["digests"]) == NAMES
        assert details["digests"]["fpr 0.2%"] == details["digest"] == saved.digest
        assert details["calibration"]["method"] == "platt"
        assert {path.name for path in Path(saved.uri).iterdir()} == {
            "model.json", "weights.npz", "splits.parquet", "validation.parquet",
        }  # fmt: skip

    def test_the_validation_rows_come_back(self, saved: Bundle, rows: ScoredRows) -> None:
        held = saved.validation_rows()
        assert held is not None
        np.testing.assert_array_equal(held.label, rows.label)
        np.testing.assert_array_equal(held.score, rows.score)
        assert (held.group, held.split) == (rows.group, "validation")
        apart = read_rows(rows_table(ScoredRows(rows.label, rows.score, None, "elsewhere")))
        assert (apart.group, apart.split) == (None, "elsewhere")

    def test_a_hand_made_bundle_has_one_point_and_the_score_for_probability(self, matched_bundle: str) -> None:
        bundle = load_bundle(matched_bundle)
        assert bundle.operating_points == (bundle.operating_point,)
        assert bundle.calibration == Calibration.none()
        assert bundle.validation_rows() is None


class TestAskedFor:
    @pytest.mark.parametrize("text", ["miss 1%", "miss at most 0.01", "MISS 1 %"])
    def test_by_name_or_another_way_to_say_it(self, saved: Bundle, text: str) -> None:
        bundle = load_bundle(saved.uri, text)
        assert bundle.operating_point == saved.operating_points[1]
        assert bundle.operating_points == saved.operating_points

    @pytest.mark.parametrize("text", ["miss 2%", "fpr 5%", "25 a day at 60 an hour", "0.7"])
    def test_what_it_does_not_hold_is_chosen_on_its_rows(self, saved: Bundle, rows: ScoredRows, text: str) -> None:
        bundle = load_bundle(saved.uri, text)
        assert bundle.operating_point == choose_point(rows, parse_rule(text))
        assert bundle.operating_points == saved.operating_points

    def test_another_threshold_is_another_model_and_scores_the_same(self, saved: Bundle) -> None:
        bundles = [load_bundle(saved.uri, text) for text in (*NAMES, "miss 2%", "0.7")]
        thresholds = {bundle.operating_point.threshold for bundle in bundles}
        assert len({bundle.digest for bundle in bundles}) == len(thresholds) >= 5
        assert bundles[0].digest == saved.digest == load_bundle(saved.uri).digest
        assert load_bundle(saved.uri, "0.7").digest == load_bundle(saved.uri, "threshold 0.70").digest
        clips = golden_clips(saved.recipe)
        for bundle in bundles:
            np.testing.assert_array_equal(bundle.score(clips), saved.score(clips))

    def test_a_text_that_says_nothing(self, saved: Bundle) -> None:
        with pytest.raises(
            ParameterError, match=r"'often' is none of the forms .* holds 'fpr 0.2%', 'miss 1%'"
        ) as error:
            load_bundle(saved.uri, "often")
        assert "\n" not in str(error.value)

    def test_rows_that_are_not_there(self, matched_bundle: str) -> None:
        assert load_bundle(matched_bundle, "by hand").digest == load_bundle(matched_bundle).digest
        with pytest.raises(BundleError, match="no rows to choose operating point 'miss 2%' on; it holds 'by hand'"):
            load_bundle(matched_bundle, "miss 2%")

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda path: path.unlink(), "validation.parquet cannot be read"),
            (lambda path: path.write_bytes(path.read_bytes()[:-40]), "validation.parquet is not what model.json was"),
            (lambda path: path.write_bytes(b"no table"), "validation.parquet is not what model.json was written with"),
        ],
    )
    def test_rows_that_are_damaged(
        self, saved: Bundle, tmp_path: Path, damage: Callable[[Path], Any], message: str
    ) -> None:
        folder = Path(shutil.copytree(saved.uri, tmp_path / "m"))
        damage(folder / "validation.parquet")
        assert load_bundle(str(folder), "miss 1%").operating_point.name == "miss 1%"  # they are not needed for that
        with pytest.raises(BundleError, match=f"{message}.*; copy the bundle again") as error:
            load_bundle(str(folder), "miss 2%")
        assert str(folder) in str(error.value)

    @pytest.mark.parametrize("content", [b"no table", b"PAR1" + b"x" * 40 + b"PAR1", b""])
    def test_rows_that_never_were_a_table(self, saved: Bundle, tmp_path: Path, content: bytes) -> None:
        folder = Path(shutil.copytree(saved.uri, tmp_path / "m"))
        (folder / "validation.parquet").write_bytes(content)
        details = json.loads((folder / "model.json").read_text())
        details["validation_rows"]["sha256"] = hashlib.sha256(content).hexdigest()
        (folder / "model.json").write_text(json.dumps(details))
        with pytest.raises(BundleError, match=r"validation\.parquet cannot be read .*; copy the bundle again"):
            load_bundle(str(folder), "miss 2%")


class TestCopy:
    def test_a_copy_with_a_sites_threshold(self, saved: Bundle, rows: ScoredRows, tmp_path: Path) -> None:
        background = np.random.default_rng(2).beta(1, 8, 5000)
        point = refit_threshold(background, 48.0, 10.0, rows)
        copy = copy_bundle(saved, str(tmp_path / "site"), point)
        loaded = load_bundle(str(tmp_path / "site"))
        assert loaded.operating_point == copy.operating_point == point
        assert point.guarantee is not None
        assert [found.name for found in loaded.operating_points] == ["site 10 a day", *NAMES]
        assert loaded.digest != saved.digest
        assert load_bundle(loaded.uri, "fpr 0.2%").digest == saved.digest
        assert loaded.details["training"] == {"seed": 3}
        assert loaded.calibration == saved.calibration
        for name in ("weights.npz", "splits.parquet", "validation.parquet"):
            assert Path(loaded.uri, name).read_bytes() == Path(saved.uri, name).read_bytes()

    def test_a_copy_of_a_copy_replaces_the_point_of_its_name(
        self, saved: Bundle, rows: ScoredRows, tmp_path: Path
    ) -> None:
        first = copy_bundle(saved, str(tmp_path / "a"), refit_threshold([0.5] * 100, 48.0, 10.0, rows))
        second = copy_bundle(first, str(tmp_path / "b"), refit_threshold([0.8] * 100, 48.0, 10.0, rows))
        assert [point.name for point in second.operating_points] == ["site 10 a day", *NAMES]
        assert second.operating_point.threshold > first.operating_point.threshold

    def test_a_hand_made_bundle_is_copied_too(
        self, matched_bundle: str, operating_point: Callable[[float], OperatingPoint], tmp_path: Path
    ) -> None:
        copy = copy_bundle(load_bundle(matched_bundle), str(tmp_path / "m"), operating_point(0.25))
        assert copy.operating_point.threshold == 0.25
        assert copy.operating_points == (copy.operating_point,)

    def test_it_never_overwrites_its_source(self, saved: Bundle) -> None:
        before = Path(saved.uri, "model.json").read_bytes()
        with pytest.raises(BundleError, match="needs a folder of its own"):
            copy_bundle(saved, saved.uri + "/", saved.operating_points[1])
        assert Path(saved.uri, "model.json").read_bytes() == before

    def test_a_source_that_was_trained_anew_meanwhile(
        self, saved: Bundle, tmp_path: Path, logistic_weights: Callable[..., bytes]
    ) -> None:
        folder = Path(shutil.copytree(saved.uri, tmp_path / "m"))
        bundle = load_bundle(str(folder))
        (folder / "weights.npz").write_bytes(logistic_weights(np.zeros(6000), [0.0]))
        with pytest.raises(BundleError, match="the weights have changed since they were loaded"):
            copy_bundle(bundle, str(tmp_path / "copy"), bundle.operating_point)
        assert not (tmp_path / "copy").exists()
