"""A bundle comes back as it was written, or not at all."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gunshot.clips import features
from gunshot.errors import BundleError, TransientStorageError
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.models import bundle as bundle_module
from gunshot.models.bundle import load_bundle, save_bundle, scorer_of
from gunshot.models.golden import GOLDEN_TOLERANCE, golden_clips
from gunshot.recipe import ClipRule, MelRule, Recipe
from gunshot.store.read import open_store

pytestmark = pytest.mark.xdist_group("networks")

Json = dict[str, Any]
Edit = Callable[[Path, Json], None]


@pytest.fixture
def bundle(matched_bundle: str, tmp_path: Path) -> Path:
    """A bundle of one's own, to damage."""
    return Path(shutil.copytree(matched_bundle, tmp_path / "bundle"))


@pytest.fixture
def network(cnn_bundle: str, tmp_path: Path) -> Path:
    """A network's bundle of one's own."""
    return Path(shutil.copytree(cnn_bundle, tmp_path / "network"))


def details_of(folder: Path) -> Json:
    details: Json = json.loads((folder / "model.json").read_text())
    return details


def put_weights(folder: Path, content: bytes, *, honest: bool) -> None:
    """Exchange the weights; an honest exchange says so in ``model.json``, so that only the content is wrong."""
    details = details_of(folder)
    (folder / details["weights"]["name"]).write_bytes(content)
    if honest:
        details["weights"]["sha256"] = hashlib.sha256(content).hexdigest()
        recipe = Recipe.model_validate(details["recipe"])
        calibration = json.dumps(details["calibration"], sort_keys=True)
        for point in details["operating_points"]:
            rest = f"{recipe.digest}{calibration}{point['threshold']!r}"
            details["digests"][point["name"]] = hashlib.sha256(content + rest.encode()).hexdigest()[:16]
        details["digest"] = details["digests"][details["default"]]
        (folder / "model.json").write_text(json.dumps(details))


def assert_one_line(error: pytest.ExceptionInfo[BundleError], folder: Path) -> None:
    message = str(error.value)
    assert "\n" not in message
    assert str(folder) in message


class TestRoundTrip:
    def test_everything_comes_back(
        self,
        tmp_path: Path,
        logistic_weights: Callable[..., bytes],
        operating_point: Callable[[float], OperatingPoint],
    ) -> None:
        recipe = Recipe(clip=ClipRule(lead_s=0.1, length_s=0.4))
        weights = logistic_weights(np.random.default_rng(0).standard_normal(recipe.n_samples), [0.25])
        point = operating_point(0.625)
        saved = save_bundle(
            str(tmp_path / "b"), model="logistic", weights=weights, recipe=recipe, operating_point=point,
            details={"training": {"seed": 7}}, splits=b"a table",
        )  # fmt: skip
        loaded = load_bundle(str(tmp_path / "b"))
        assert (loaded.name, loaded.digest, loaded.recipe, loaded.operating_point) == (
            "logistic", saved.digest, recipe, point,
        )  # fmt: skip
        assert loaded.details["training"] == {"seed": 7}
        assert (tmp_path / "b" / "splits.parquet").read_bytes() == b"a table"
        assert (tmp_path / "b" / "weights.npz").read_bytes() == weights
        clips = golden_clips(recipe)
        np.testing.assert_array_equal(loaded.score(clips), scorer_of("logistic", weights, recipe)(clips))

    @pytest.mark.parametrize("which", ["logistic_bundle", "cnn_bundle"])
    def test_a_copied_folder_is_the_same_model(
        self, which: str, request: pytest.FixtureRequest, tmp_path: Path, small_store: str
    ) -> None:
        first = load_bundle(request.getfixturevalue(which))
        second = load_bundle(str(shutil.copytree(first.uri, tmp_path / "copy")))
        assert second.digest == first.digest
        store = open_store(small_store)
        rows = store.usable[:70]
        inputs = store.waveforms(rows) if first.input == "waveform" else store.log_mels(rows)
        np.testing.assert_array_equal(second.score_inputs(inputs), first.score_inputs(inputs))

    @pytest.mark.parametrize("which", ["logistic_bundle", "cnn_bundle"])
    def test_clips_and_what_the_store_holds_of_them_score_alike(
        self, which: str, request: pytest.FixtureRequest, small_store: str
    ) -> None:
        model = load_bundle(request.getfixturevalue(which))
        store = open_store(small_store)
        rows = store.usable[:20]
        inputs = store.waveforms(rows) if model.input == "waveform" else store.log_mels(rows)
        scores = model.score_inputs(inputs)
        assert np.ptp(scores) > 0
        np.testing.assert_allclose(model.score(store.waveforms(rows)), scores, atol=1e-6)

    @pytest.mark.parametrize("which", ["logistic_bundle", "cnn_bundle"])
    def test_nothing_scores_nothing(self, which: str, request: pytest.FixtureRequest) -> None:
        model = load_bundle(request.getfixturevalue(which))
        empty = np.empty((0, model.recipe.n_samples), dtype=np.float32)
        assert model.score(empty).shape == (0,)
        assert model.score_inputs(np.empty((0, *model.recipe.mel_shape), dtype=np.float32)).shape == (0,)

    def test_the_digest_tells_weights_and_recipe_apart(
        self,
        tmp_path: Path,
        logistic_weights: Callable[..., bytes],
        operating_point: Callable[[float], OperatingPoint],
    ) -> None:
        point = operating_point(0.5)

        def digest(value: float, recipe: Recipe) -> str:
            weights = logistic_weights(np.full(recipe.n_samples, value), [0.0])
            out = str(tmp_path / f"{value}{recipe.digest}")
            return save_bundle(
                out, model="logistic", weights=weights, recipe=recipe, operating_point=point, details={}, splits=b""
            ).digest

        other = Recipe(mel=MelRule(n_mels=32))
        assert len({digest(0.0, Recipe()), digest(0.1, Recipe()), digest(0.0, other)}) == 3
        assert digest(0.0, Recipe()) == digest(0.0, Recipe())

    def test_scoring_with_a_network_needs_no_tensorflow(self, cnn_bundle: str) -> None:
        code = (
            "import sys, numpy as np; from gunshot.models.bundle import load_bundle; "
            f"print(float(load_bundle({cnn_bundle!r}).score(np.zeros((1, 6000), np.float32))[0])); "
            "found = {name.partition('.')[0] for name in sys.modules}; "
            "print(sorted(found & {'tensorflow', 'keras', 'prefect', 'dask'}))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        score, heavy = done.stdout.splitlines()
        assert 0 <= float(score) <= 1
        assert heavy == "[]"
        assert done.stderr == ""  # what the native library greets with is kept from the user


class TestGoldenClips:
    def test_they_are_the_same_each_time_and_differ_from_each_other(self) -> None:
        clips = golden_clips(Recipe())
        np.testing.assert_array_equal(clips, golden_clips(Recipe()))
        assert clips.shape == (8, 6000)
        assert clips.dtype == np.float32
        assert np.abs(clips).max() <= 1
        assert len({clip.tobytes() for clip in clips}) == 8

    def test_they_begin_where_the_recipes_clips_do(self) -> None:
        for recipe in (Recipe(), Recipe(clip=ClipRule(lead_s=0.2, length_s=0.6))):
            clips = golden_clips(recipe)
            lead = recipe.lead_samples
            assert np.abs(clips[:, :lead]).max() < 0.01
            assert np.abs(clips[0, lead : lead + 48]).max() > 0.1


class TestTampering:
    @pytest.mark.parametrize("model", ["bundle", "network"])
    def test_changed_weights(self, model: str, request: pytest.FixtureRequest) -> None:
        folder: Path = request.getfixturevalue(model)
        path = folder / details_of(folder)["weights"]["name"]
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(BundleError, match=r"weights are not those that model\.json was written with") as error:
            load_bundle(str(folder))
        assert_one_line(error, folder)

    @pytest.mark.parametrize(
        "content", [pickle.dumps({"a": [1]}), b"garbage" * 50, b""], ids=["pickle", "garbage", "empty"]
    )
    @pytest.mark.parametrize("honest", [False, True])
    @pytest.mark.parametrize("model", ["bundle", "network"])
    def test_weights_exchanged_for_something_else(
        self, model: str, honest: bool, content: bytes, request: pytest.FixtureRequest
    ) -> None:
        folder: Path = request.getfixturevalue(model)
        put_weights(folder, content, honest=honest)
        with pytest.raises(BundleError, match=r"not an exported network|not those") as error:
            load_bundle(str(folder))
        assert_one_line(error, folder)

    def test_weights_for_clips_of_another_length(self, bundle: Path, logistic_weights: Callable[..., bytes]) -> None:
        put_weights(bundle, logistic_weights(np.zeros(5999), [0.0]), honest=True)
        with pytest.raises(BundleError, match="for 5999 samples, the recipe's clips have 6000") as error:
            load_bundle(str(bundle))
        assert_one_line(error, bundle)

    def test_a_network_of_another_input_shape(self, network: Path) -> None:
        from gunshot.models.fit import _export
        from gunshot.models.networks import small_cnn

        put_weights(network, _export(small_cnn((40, 44))), honest=True)
        with pytest.raises(BundleError, match=r"input is \(40, 44\), the recipe's clips are \(40, 43\)") as error:
            load_bundle(str(network))
        assert_one_line(error, network)

    @pytest.mark.parametrize("model", ["bundle", "network"])
    def test_other_weights_of_the_right_shape(
        self, model: str, request: pytest.FixtureRequest, logistic_weights: Callable[..., bytes]
    ) -> None:
        """Nothing but the golden scores can tell."""
        folder: Path = request.getfixturevalue(model)
        if model == "bundle":
            other = logistic_weights(np.full(6000, 0.01), [0.0])
        else:
            from gunshot.models.fit import _export
            from gunshot.models.networks import small_cnn

            other = _export(small_cnn((40, 43)))
        put_weights(folder, other, honest=True)
        with pytest.raises(BundleError, match="golden scores differ by") as error:
            load_bundle(str(folder))
        assert_one_line(error, folder)

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(lambda whole: whole[: len(whole) // 2], id="truncated"),
            pytest.param(lambda whole: b"", id="empty"),
            pytest.param(lambda whole: b"not JSON", id="words"),
            pytest.param(lambda whole: b"\xff\xfe\x00\x01", id="bytes"),
            pytest.param(lambda whole: b"[1, 2]", id="a list"),
            pytest.param(lambda whole: b'"text"', id="a text"),
            pytest.param(lambda whole: b"null", id="null"),
            pytest.param(lambda whole: b"[" * 100_000, id="nested without end"),
        ],
    )
    def test_model_json_that_is_none(self, bundle: Path, content: Callable[[bytes], bytes]) -> None:
        path = bundle / "model.json"
        path.write_bytes(content(path.read_bytes()))
        with pytest.raises(BundleError, match=r"model\.json is damaged .*; train again") as error:
            load_bundle(str(bundle))
        assert_one_line(error, bundle)

    @pytest.mark.parametrize(
        "name",
        [
            "format",
            "model",
            "digest",
            "recipe",
            "recipe_digest",
            "weights",
            "default",
            "operating_points",
            "digests",
            "calibration",
            "golden_scores",
        ],
    )
    def test_a_missing_entry(self, bundle: Path, name: str) -> None:
        details = details_of(bundle)
        del details[name]
        (bundle / "model.json").write_text(json.dumps(details))
        with pytest.raises(BundleError) as error:
            load_bundle(str(bundle))
        assert_one_line(error, bundle)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"format": "gunshot-bundle/99"}, "this version reads 'gunshot-bundle/2'"),
            (
                {"format": "gunshot-bundle/1"},
                "'gunshot-bundle/1', .* this version reads 'gunshot-bundle/2' .*train again",
            ),
            ({"model": "resnet"}, "with one of logistic, paper-cnn, small-cnn"),
            ({"model": ["logistic"]}, "damaged"),
            ({"model": "small-cnn"}, "weights.tflite: it does not exist"),
            ({"digest": "0" * 16}, "digest does not fit its weights, recipe, calibration and thresholds"),
            ({"recipe_digest": "0" * 16}, "made by another version of the clip code"),
            ({"recipe": {"sr_hz": 16_000}}, "made by another version of the clip code"),
            ({"recipe": {"sr_hz": 1}}, "damaged"),
            ({"recipe": {"sr_hz": 12_000, "colour": "red"}}, "damaged"),
            ({"recipe": []}, "damaged"),
            ({"weights": []}, "damaged"),
            ({"operating_points": [{}]}, "damaged"),
            ({"operating_points": []}, "damaged .* default 'by hand' is none of"),
            ({"operating_points": None}, "damaged"),
            ({"default": "miss 1%"}, "damaged .* default 'miss 1%' is none of the operating points by hand"),
            ({"digests": {}}, "digest does not fit"),
            ({"calibration": {}}, "damaged"),
            ({"calibration": None}, "damaged"),
            ({"golden_scores": [0.5] * 8}, "golden scores differ by"),
            ({"golden_scores": [float("nan")] * 8}, "golden scores differ by"),
            ({"golden_scores": [0.0] * 7}, "7 golden scores, 8 expected"),
            ({"golden_scores": ["much"] * 8}, "damaged"),
            ({"golden_scores": [[0.0], [0.0, 1.0]]}, "damaged"),
            ({"golden_scores": None}, "golden scores"),
        ],
    )
    def test_a_changed_entry(self, bundle: Path, edit_json: Edit, changes: Json, message: str) -> None:
        edit_json(bundle / "model.json", changes)
        with pytest.raises(BundleError, match=message) as error:
            load_bundle(str(bundle))
        assert_one_line(error, bundle)

    @pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan"), "high", None])
    def test_a_threshold_that_cannot_be(self, bundle: Path, edit_json: Edit, threshold: object) -> None:
        (point,) = details_of(bundle)["operating_points"]
        edit_json(bundle / "model.json", {"operating_points": [point | {"threshold": threshold}]})
        with pytest.raises(BundleError, match="damaged") as error:
            load_bundle(str(bundle))
        assert_one_line(error, bundle)

    def test_a_threshold_changed_by_hand(self, bundle: Path, edit_json: Edit) -> None:
        # it would find other detections under the name of those that the ledger holds
        (point,) = details_of(bundle)["operating_points"]
        changed = point | {"threshold": point["threshold"] / 2}
        edit_json(bundle / "model.json", {"operating_points": [changed]})
        with pytest.raises(BundleError, match="does not fit its weights, recipe, calibration and thresholds") as error:
            load_bundle(str(bundle))
        assert_one_line(error, bundle)
        # nor that of a point which is not the default
        edit_json(bundle / "model.json", {"operating_points": [point, changed | {"name": "other"}]})
        with pytest.raises(BundleError, match="does not fit its weights, recipe, calibration and thresholds"):
            load_bundle(str(bundle))

    def test_a_calibration_changed_by_hand(self, bundle: Path, edit_json: Edit) -> None:
        curve = details_of(bundle)["calibration"] | {"method": "platt", "slope": 2.0}
        edit_json(bundle / "model.json", {"calibration": curve})
        with pytest.raises(BundleError, match="does not fit its weights, recipe, calibration and thresholds"):
            load_bundle(str(bundle))
        edit_json(bundle / "model.json", {"calibration": curve | {"slope": -1.0}})
        with pytest.raises(BundleError, match=r"damaged .*a calibration must rise"):
            load_bundle(str(bundle))

    def test_a_guarantee_that_its_bound_does_not_keep(self, bundle: Path, edit_json: Edit) -> None:
        (point,) = details_of(bundle)["operating_points"]
        edit_json(bundle / "model.json", {"operating_points": [point | {"guarantee": "never misses"}]})
        with pytest.raises(BundleError, match=r"damaged .*guarantee 'never misses' has no bound that holds") as error:
            load_bundle(str(bundle))
        assert_one_line(error, bundle)

    @pytest.mark.parametrize("change", [GOLDEN_TOLERANCE / 2, 2 * GOLDEN_TOLERANCE])
    def test_golden_scores_within_the_tolerance_pass(self, network: Path, edit_json: Edit, change: float) -> None:
        golden = details_of(network)["golden_scores"]
        edit_json(network / "model.json", {"golden_scores": [golden[0] + change, *golden[1:]]})
        if change < GOLDEN_TOLERANCE:
            load_bundle(str(network))
        else:
            with pytest.raises(BundleError, match=r"differ by 0\.002 \(allowed 0\.001\)"):
                load_bundle(str(network))

    def test_features_that_changed_on_this_machine(self, cnn_bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bundle_module, "features", lambda clips, recipe: features(clips, recipe)[:, ::-1])
        with pytest.raises(BundleError, match="features or runtime have changed on this machine"):
            load_bundle(cnn_bundle)

    @pytest.mark.parametrize("name", ["model.json", "weights.npz"])
    def test_a_missing_file(self, bundle: Path, name: str) -> None:
        (bundle / name).unlink()
        with pytest.raises(BundleError, match=r"no model bundle at .*does not exist") as error:
            load_bundle(str(bundle))
        assert_one_line(error, bundle)

    def test_no_bundle_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        for place in (tmp_path, tmp_path / "nothing", tmp_path / "file"):
            with pytest.raises(BundleError, match="no model bundle at") as error:
                load_bundle(str(place))
            assert_one_line(error, place)


@pytest.mark.parametrize("which", ["logistic_bundle", "cnn_bundle"])
def test_no_pickle_is_ever_loaded(which: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = request.getfixturevalue(which)
    loads: list[Any] = []

    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("a pickle was loaded")

    def watched(*args: Any, _load: Any = np.load, **options: Any) -> Any:
        loads.append(options.get("allow_pickle"))
        return _load(*args, **options)

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(np, "load", watched)
    loaded = load_bundle(uri)
    assert loaded.score(golden_clips(loaded.recipe)).shape == (8,)
    assert loads == ([False] if which == "logistic_bundle" else [])


class TestWriting:
    def test_model_json_comes_last(self, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run that is killed before the end leaves no bundle that loads."""
        loaded = load_bundle(str(bundle))
        written: list[str] = []

        def killed(uri: str, content: bytes, _write: Any = bundle_module.write_bytes) -> None:
            written.append(uri.rpartition("/")[2])
            if uri.endswith("model.json"):
                raise KeyboardInterrupt
            _write(uri, content)

        monkeypatch.setattr(bundle_module, "write_bytes", killed)
        out = tmp_path / "out"
        with pytest.raises(KeyboardInterrupt):
            save_bundle(
                str(out), model="logistic", weights=(bundle / "weights.npz").read_bytes(), recipe=loaded.recipe,
                operating_point=loaded.operating_point, details={}, splits=b"",
            )  # fmt: skip
        assert written[-1] == "model.json"
        with pytest.raises(BundleError, match="no model bundle at"):
            load_bundle(str(out))

    def test_a_half_written_bundle_over_an_old_one_is_an_error(
        self, bundle: Path, logistic_weights: Callable[..., bytes]
    ) -> None:
        (bundle / "weights.npz").write_bytes(logistic_weights(np.ones(6000), [0.0]))  # killed after the weights
        with pytest.raises(BundleError, match="copy the bundle again"):
            load_bundle(str(bundle))

    def test_weights_that_are_none_write_nothing(
        self, tmp_path: Path, operating_point: Callable[[float], OperatingPoint]
    ) -> None:
        with pytest.raises(BundleError):
            save_bundle(
                str(tmp_path / "out"), model="logistic", weights=b"x", recipe=Recipe(),
                operating_point=operating_point(0.5), details={}, splits=b"",
            )  # fmt: skip
        assert not (tmp_path / "out").exists()


def test_a_store_that_does_not_answer_is_no_damaged_bundle(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only transient errors are tried again, so they must stay what they are."""

    def fail(uri: str) -> bytes:
        raise TransientStorageError(f"cannot read {uri}: timed out")

    monkeypatch.setattr(bundle_module, "read_bytes", fail)
    with pytest.raises(TransientStorageError):
        load_bundle(str(bundle))
