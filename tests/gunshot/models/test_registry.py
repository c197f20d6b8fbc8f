"""A registry holds versions that are whole, and says which is in use, whoever is killed when."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gunshot.errors import BundleError, LeaseError, ParameterError, RunError
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.models import promotion, registry
from gunshot.models.alias_log import append_entry, read_log
from gunshot.models.bundle import load_bundle, save_bundle
from gunshot.models.promotion import add_version, set_alias
from gunshot.models.registry import find_version, list_models, list_versions, resolve_model
from gunshot.recipe import Recipe
from gunshot.storage import lease, write_bytes

MakeBundle = Callable[[float], str]


@pytest.fixture
def make_bundle(
    tmp_path: Path,
    logistic_weights: Callable[..., bytes],
    operating_point: Callable[[float], OperatingPoint],
) -> MakeBundle:
    """Makes a small bundle; another threshold is another digest."""

    def make(threshold: float) -> str:
        uri = str(tmp_path / f"bundle-{threshold}")
        recipe = Recipe()
        save_bundle(
            uri, model="logistic", weights=logistic_weights(np.zeros(recipe.n_samples), [0.0]), recipe=recipe,
            operating_point=operating_point(threshold), details={}, splits=b"rows",
        )  # fmt: skip
        return uri

    return make


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "registry")


def versions(place: str, name: str = "street") -> list[str]:
    return [version.version for version in list_versions(place, name)]


class TestAdding:
    def test_a_version_is_the_bundle_byte_for_byte_and_the_challenger(
        self, place: str, make_bundle: MakeBundle
    ) -> None:
        uri = make_bundle(0.5)
        (Path(uri) / "MODEL_CARD.md").write_text("what it is")
        (Path(uri) / "work").mkdir()
        (Path(uri) / "work" / "checkpoint").write_text("not the bundle's")
        version, is_new = add_version(place, "street", uri, why="first")
        assert is_new
        assert (version.reference, version.aliases) == ("street@v0001", ("challenger",))
        copied = {path.name: path.read_bytes() for path in Path(version.uri).iterdir()}
        assert copied == {path.name: path.read_bytes() for path in Path(uri).iterdir() if path.is_file()}
        assert load_bundle(version.uri).digest == version.digest == load_bundle(uri).digest
        (entry,) = read_log(place, "street")
        assert (entry.alias, entry.version, entry.digest, entry.why) == (
            "challenger", "v0001", version.digest, "first",
        )  # fmt: skip
        assert "@" in entry.who
        assert entry.when.endswith("+00:00")

    def test_the_same_digest_is_added_once(self, place: str, make_bundle: MakeBundle) -> None:
        first, _ = add_version(place, "street", make_bundle(0.5))
        again, is_new = add_version(place, "street", first.uri)
        assert (again.version, is_new) == ("v0001", False)
        other, _ = add_version(place, "street", make_bundle(0.6))
        assert (other.version, versions(place)) == ("v0002", ["v0001", "v0002"])
        assert len(read_log(place, "street")) == 2

    def test_models_do_not_share_versions(self, place: str, make_bundle: MakeBundle) -> None:
        add_version(place, "street", make_bundle(0.5))
        add_version(place, "forest", make_bundle(0.5))
        assert list_models(place) == ["forest", "street"]

    @pytest.mark.parametrize("name", ["", "Street", "a/b", "a@b", "..", "field", "-x", "x" * 65])
    def test_a_name_that_cannot_be_told_from_an_address_is_refused(
        self, place: str, make_bundle: MakeBundle, name: str
    ) -> None:
        with pytest.raises(ParameterError, match="a model's name must be"):
            add_version(place, name, make_bundle(0.5))
        assert not Path(place).exists()

    def test_what_is_no_bundle_is_not_added(self, place: str, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="no model bundle"):
            add_version(place, "street", str(tmp_path / "nothing"))
        assert list_models(place) == []

    def test_two_cannot_change_one_model_at_once(self, place: str, make_bundle: MakeBundle) -> None:
        uri = make_bundle(0.5)
        with lease(f"{place}/street", length_s=0.4), pytest.raises(LeaseError, match="is being written by"):
            add_version(place, "street", uri)
        assert versions(place) == []


class TestKilled:
    def test_an_addition_killed_before_any_of_its_writes_changes_nothing_and_can_be_repeated(
        self, place: str, make_bundle: MakeBundle
    ) -> None:
        add_version(place, "street", make_bundle(0.4))
        set_alias(place, find_version(place, "street@v0001"), "champion", seen=None)
        second = make_bundle(0.6)
        writes = ["splits.parquet", "weights.npz", "model.json", "00000003.json"]
        places = [str(shutil.copytree(place, f"{place}-{name}")) for name in writes]
        done = subprocess.run(
            [sys.executable, "-c", _KILLED, second, *places], capture_output=True, text=True, check=False
        )
        assert done.stdout.split() == ["-9"] * len(writes), done.stderr
        for name, each in zip(writes, places, strict=True):
            whole = name == "00000003.json"  # the version is there, and nothing points to it
            assert versions(each) == (["v0001", "v0002"] if whole else ["v0001"])
            assert find_version(each, "street").version == "v0001"
            assert all("challenger" not in version.aliases for version in list_versions(each, "street"))
            version, is_new = add_version(each, "street", second)
            assert (version.reference, is_new, version.aliases) == ("street@v0002", not whole, ("challenger",))
            assert load_bundle(version.uri).operating_point.threshold == 0.6

    def test_temporary_files_and_foreign_ones_are_not_seen(self, place: str, make_bundle: MakeBundle) -> None:
        add_version(place, "street", make_bundle(0.5))
        root = Path(place) / "street"
        (root / "log" / ".00000002.json.abc.part").write_text('{"alias": "champ')
        (root / "log" / "notes.json").write_text("{}")
        (root / "v0002").mkdir()
        (root / "v0002" / "weights.npz").write_bytes(b"half")
        (root / "v0002" / ".model.json.xyz.part").write_text("{")
        (root / "vacation").mkdir()
        (Path(place) / "Not a model").mkdir()
        assert list_models(place) == ["street"]
        assert versions(place) == ["v0001"]
        added, _ = add_version(place, "street", make_bundle(0.6))
        assert added.version == "v0002"
        assert not list(Path(added.uri).glob(".*"))

    def test_the_number_of_a_version_that_was_removed_is_not_given_again(
        self, place: str, make_bundle: MakeBundle
    ) -> None:
        add_version(place, "street", make_bundle(0.4))
        second, _ = add_version(place, "street", make_bundle(0.5))
        shutil.rmtree(second.uri)
        third, _ = add_version(place, "street", make_bundle(0.6))
        assert versions(place) == ["v0001", "v0003"]
        assert third.aliases == ("challenger",)

    def test_a_damaged_model_json_is_listed_without_figures(self, place: str, make_bundle: MakeBundle) -> None:
        version, _ = add_version(place, "street", make_bundle(0.5))
        (Path(version.uri) / "model.json").write_text("{")
        (found,) = list_versions(place, "street")
        assert (found.version, found.digest, dict(found.details)) == ("v0001", "", {})

    def test_a_damaged_entry_of_the_log_is_told_by_name(self, place: str, make_bundle: MakeBundle) -> None:
        add_version(place, "street", make_bundle(0.5))
        (Path(place) / "street" / "log" / "00000001.json").write_text("{}")
        with pytest.raises(BundleError, match=r"00000001\.json: not an entry"):
            list_versions(place, "street")


_KILLED = """
import os, signal, sys
from gunshot.models import alias_log, promotion
from gunshot.storage import create_bytes, write_bytes

def dying_at(number):
    left = [number]
    def before(write):
        def one(uri, content):
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return write(uri, content)
        return one
    promotion.write_bytes, alias_log.create_bytes = before(write_bytes), before(create_bytes)

for number, place in enumerate(sys.argv[2:]):
    child = os.fork()
    if child == 0:
        dying_at(number)
        promotion.add_version(place, "street", sys.argv[1])
        os._exit(0)
    print(-(os.waitpid(child, 0)[1] & 127))
"""


class TestAliases:
    def test_a_challenger_that_is_promoted_is_one_no_more(self, place: str, make_bundle: MakeBundle) -> None:
        for threshold in (0.4, 0.5, 0.6):
            add_version(place, "street", make_bundle(threshold))
        second, third = find_version(place, "street@v0002"), find_version(place, "street@challenger")
        assert third.version == "v0003"
        set_alias(place, second, "champion", seen=None)
        assert find_version(place, "street").version == find_version(place, "street@champion").version == "v0002"
        assert find_version(place, "street@challenger").version == "v0003"
        set_alias(place, third, "champion", "better in rain", seen="v0002", is_forced=True)
        assert find_version(place, "street").aliases == ("champion",)
        with pytest.raises(ParameterError, match="street has no challenger"):
            find_version(place, "street@challenger")
        entry = read_log(place, "street")[-1]
        assert (entry.previous, entry.previous_digest, entry.is_forced, entry.why) == (
            "v0002", second.digest, True, "better in rain",
        )  # fmt: skip

    def test_a_promotion_decided_on_another_champion_is_refused(self, place: str, make_bundle: MakeBundle) -> None:
        first, _ = add_version(place, "street", make_bundle(0.4))
        second, _ = add_version(place, "street", make_bundle(0.5))
        set_alias(place, second, "champion", seen=None)
        n_entries = len(read_log(place, "street"))
        with pytest.raises(RunError, match="is v0002 by now, not None"):
            set_alias(place, first, "champion", seen=None)
        assert len(read_log(place, "street")) == n_entries

    def test_of_two_entries_of_one_number_one_is_refused(
        self, place: str, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        version, _ = add_version(place, "street", make_bundle(0.4))
        from gunshot.models import alias_log

        monkeypatch.setattr(alias_log, "_log_uris", lambda *_: [])  # as if the first had not been seen
        with pytest.raises(OSError, match="written by another process"):
            append_entry(place, "street", "champion", "v0001", version.digest, "")

    def test_an_unknown_alias_is_refused(self, place: str, make_bundle: MakeBundle) -> None:
        version, _ = add_version(place, "street", make_bundle(0.4))
        with pytest.raises(ParameterError, match="alias must be one of champion, challenger"):
            set_alias(place, version, "best", seen=None)


class TestResolving:
    def test_names_of_the_registry(self, place: str, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
        version, _ = add_version(place, "street", make_bundle(0.4))
        for text in ("street@v0001", "street@challenger"):
            assert resolve_model(text, place) == version.uri
        with pytest.raises(ParameterError, match=r"street has no champion .*gunshot models promote street@v0001"):
            resolve_model("street", place)
        set_alias(place, version, "champion", seen=None)
        monkeypatch.setenv("GUNSHOT_REGISTRY", place)
        assert resolve_model("street") == resolve_model("street@champion") == version.uri
        with pytest.raises(ParameterError, match=r"no version or alias 'v0009' .*there: v0001"):
            resolve_model("street@v0009")
        with pytest.raises(ParameterError, match=r"no model 'forest' .*there: street"):
            resolve_model("forest")

    @pytest.mark.parametrize("text", ["s3://bucket/model", "a/b", "./field", "/abs/street@v0001", "Model", "../x"])
    def test_an_address_stays_as_it_is(self, place: str, text: str) -> None:
        assert resolve_model(text, place) == text

    def test_a_folder_with_a_bundle_comes_before_a_name(
        self, place: str, make_bundle: MakeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        version, _ = add_version(place, "street", make_bundle(0.4))
        set_alias(place, version, "champion", seen=None)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "street").mkdir()
        assert resolve_model("street", place) == version.uri
        (tmp_path / "street" / "model.json").write_text("{}")
        assert resolve_model("street", place) == "street"
        assert resolve_model("street@champion", place) == version.uri

    def test_without_a_registry_a_name_is_a_folder_and_an_alias_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("GUNSHOT_REGISTRY", raising=False)
        assert resolve_model("model") == "model"
        with pytest.raises(ParameterError, match="give --registry URI, or set GUNSHOT_REGISTRY"):
            resolve_model("street@champion")

    def test_the_shipped_model_is_found_in_the_package_or_said_to_be_missing(
        self, make_bundle: MakeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registry, "__file__", str(tmp_path / "registry.py"))
        with pytest.raises(BundleError, match="'field' is not part of this installation"):
            resolve_model("field")
        shutil.copytree(make_bundle(0.5), tmp_path / "shipped" / "field")
        assert load_bundle(resolve_model("field")).operating_point.threshold == 0.5


def test_a_registry_may_be_any_address(make_bundle: MakeBundle) -> None:
    place = "memory://registry"
    version, _ = add_version(place, "street", make_bundle(0.5))
    assert version.uri == "memory://registry/street/v0001"
    set_alias(place, version, "champion", seen=None)
    write_bytes(f"{place}/street/v0002/weights.npz", b"half")
    assert versions(place) == ["v0001"]
    assert json.loads(json.dumps(dict(find_version(place, "street").details)))["digest"] == version.digest
    assert promotion.add_version(place, "street", version.uri)[1] is False
