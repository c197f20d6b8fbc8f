"""``gunshot models`` and ``--model``, as a user types them."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

import flows.evaluate
from flows.cli import cli
from gunshot import comparison
from gunshot.comparison import Comparison, LostShot, Pairs
from gunshot.errors import ParameterError, RunError
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.models.alias_log import read_log
from gunshot.models.bundle import save_bundle
from gunshot.models.registry import find_version
from gunshot.recipe import Recipe


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GUNSHOT_REGISTRY", str(tmp_path / "registry"))
    return str(tmp_path / "registry")


@pytest.fixture
def bundles(tmp_path: Path) -> list[str]:
    """Two models that differ in their threshold."""
    recipe, uris = Recipe(), []
    for threshold in (0.25, 0.75):
        buffer = io.BytesIO()
        np.savez(buffer, coefficients=np.zeros(recipe.n_samples), intercept=np.zeros(1))
        point = OperatingPoint(
            name="by hand", threshold=threshold, split="validation", recall=0.5, fpr=0.0, n_gunshots=4, n_others=4
        )
        uris.append(str(tmp_path / f"bundle{threshold}"))
        save_bundle(
            uris[-1], model="logistic", weights=buffer.getvalue(), recipe=recipe, operating_point=point, details={},
            splits=b"",
        )  # fmt: skip
    return uris


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["models", *words])


def said(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[tuple[str, ...]]]:
    """Lets each comparison end with so many lost shots; gives what was compared."""

    def lose(n_lost: int) -> list[tuple[str, ...]]:
        asked: list[tuple[str, ...]] = []

        def compare(store: str, first: str, second: str) -> Comparison:
            asked.append((store, first, second))
            shots, alarms = Pairs(5, 2, n_lost, 1), Pairs(20, 0, 0, 0)
            models = tuple({"uri": uri, "digest": "d", "threshold": 0.5} for uri in (first, second))
            lost = tuple(LostShot(f"{n:02d}.wav", "street", "9 mm", 1.5, (0.9, 0.2)) for n in range(n_lost))
            return Comparison(store, (models[0], models[1]), shots, alarms, {"street": (shots, alarms)}, lost)

        monkeypatch.setattr(comparison, "compare_bundles", compare)
        return asked

    return lose


def test_a_version_is_added_listed_promoted_and_shown(place: str, bundles: list[str]) -> None:
    assert "no models in" in run("list").output
    assert "street@v0001 (challenger) added" in run("add", "street", bundles[0], "--why", "first").output
    assert "street@v0001 (challenger) is there already" in run("add", "street", bundles[0]).output
    assert run("promote", "street@v0001").output == "street@v0001 is the champion (before: none)\n"
    assert said("promote", "street@v0001") == {"promoted": False, "entry": None, "comparison": None}
    run("add", "street", bundles[1])
    lines = run("list").output.splitlines()
    assert [line.split()[:2] for line in lines] == [["street@v0001", "champion"], ["street@v0002", "challenger"]]
    assert "threshold 0.7500  recall 0.500  false alarms 0.0000  (validation)" in lines[1]
    listed = said("list", "street")
    assert [(row["version"], row["aliases"], row["figures"]["threshold"]) for row in listed] == [
        ("v0001", ["champion"], 0.25), ("v0002", ["challenger"], 0.75),
    ]  # fmt: skip
    card = run("show", "street@challenger").output
    assert card.startswith(f"# logistic {listed[1]['digest']}\n")
    assert said("show", "street")["digest"] == listed[0]["digest"]


class TestPromotion:
    @pytest.fixture(autouse=True)
    def two_versions(self, place: str, bundles: list[str]) -> None:
        run("add", "street", bundles[0])
        run("promote", "street@v0001")
        run("add", "street", bundles[1])

    def test_the_challenger_is_held_against_the_champion(
        self, place: str, compared: Callable[[int], list[tuple[str, ...]]]
    ) -> None:
        asked = compared(0)
        result = run("promote", "street@challenger", "--store", "s.zarr", "--why", "two more shots")
        assert result.exit_code == 0, result.output
        assert asked == [("s.zarr", f"{place}/street/v0001", f"{place}/street/v0002")]
        assert result.output.endswith("street@v0002 is the champion (before: v0001)\n")
        entry = read_log(place, "street")[-1]
        assert (entry.version, entry.previous, entry.why, entry.is_forced) == (
            "v0002", "v0001", "two more shots", False,
        )  # fmt: skip

    def test_one_that_loses_shots_is_refused_with_their_paths_unless_forced(
        self, place: str, compared: Callable[[int], list[tuple[str, ...]]]
    ) -> None:
        compared(11)
        n_entries = len(read_log(place, "street"))
        refused = run("promote", "street@v0002", "--store", "s.zarr")
        assert isinstance(refused.exception, RunError)
        assert refused.output.count("lost: ") == 10
        assert "lost: 00.wav at 1.500 s (street: 9 mm), score 0.900 -> 0.200" in refused.output
        assert "... and 1 more" in refused.output
        assert len(read_log(place, "street")) == n_entries
        assert find_version(place, "street").version == "v0001"
        forced = said("promote", "street@v0002", "--store", "s.zarr", "--force")
        assert forced["promoted"]
        assert forced["entry"]["is_forced"]
        assert forced["comparison"]["shots"]["lost"] == 11
        assert find_version(place, "street").version == "v0002"

    def test_without_rows_to_compare_on_it_is_refused(self, place: str) -> None:
        result = run("promote", "street@v0002")
        assert isinstance(result.exception, ParameterError)
        assert "--store is needed" in str(result.exception)

    def test_two_bundles_are_compared_by_any_name(
        self, place: str, bundles: list[str], compared: Callable[[int], list[tuple[str, ...]]]
    ) -> None:
        asked = compared(1)
        result = run("compare", "street", bundles[1], "--store", "s.zarr")
        assert asked == [("s.zarr", f"{place}/street/v0001", bundles[1])]
        assert "McNemar's exact p: shots 1, false alarms 1" in result.output
        assert said("compare", "street", "street@v0002", "--store", "s.zarr")["lost_shots"][0]["path"] == "00.wav"


@pytest.mark.parametrize("words", [["list"], ["add", "street", "x"], ["promote", "street@v0001"]])
def test_what_needs_a_registry_says_how_to_give_one(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUNSHOT_REGISTRY", raising=False)
    result = run(*words)
    assert isinstance(result.exception, ParameterError)
    assert str(result.exception) == "no registry: give --registry URI, or set GUNSHOT_REGISTRY"


def test_a_model_of_the_registry_is_a_model_of_every_command(
    place: str, bundles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("add", "street", bundles[0])
    asked: list[list[str]] = []

    def evaluate(store: str, models: list[str], out: str, **_: Any) -> dict[str, Any]:
        asked.append(models)
        return {"models": {}, "synthetic": False}

    monkeypatch.setattr(flows.evaluate, "evaluate", evaluate)
    for text in ("street@v0001", bundles[0]):
        result = CliRunner().invoke(cli, ["evaluate", "--store", "s", "--model", text, "--out", "o"])
        assert result.exit_code == 0, result.output
    assert asked == [[f"{place}/street/v0001"], [bundles[0]]]
    unknown = CliRunner().invoke(cli, ["score", "x", "--model", "forest@champion", "--out", "o"])
    assert isinstance(unknown.exception, ParameterError)
    assert "no model 'forest' in the registry" in str(unknown.exception)


def test_a_damaged_version_is_listed_as_such(place: str, bundles: list[str]) -> None:
    run("add", "street", bundles[0])
    (Path(place) / "street" / "v0001" / "model.json").write_text("{")
    assert "model.json is damaged" in run("list").output
    shutil.rmtree(Path(place) / "street")
    assert "no models in" in run("list").output


def test_peers_needs_the_package_and_says_so(
    bundles: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    import pyarrow.parquet as pq
    import soundfile as sf

    sf.write(tmp_path / "a.wav", np.random.default_rng(0).normal(size=12_000) * 0.1, 12_000)
    (tmp_path / "labels.csv").write_text("path,label\na.wav,1\n")
    pq.write_table(pa.table({"group": ["g"], "split": ["train"]}), Path(bundles[0]) / "splits.parquet")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    words = ["peers", "--labels", str(tmp_path / "labels.csv"), "--model", bundles[0], "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, words)
    assert isinstance(result.exception, ParameterError)
    assert "pip install 'gunshot[peers]'" in str(result.exception)
