"""``gunshot reproduce``: one table, one task a training, and nothing trained twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from gunshot.manifest.sources import build_manifest
from gunshot.models.logistic import fit_logistic, logistic_scores, read_logistic
from gunshot.preprocess.partition import preprocess_partition
from gunshot.recipe import Recipe
from gunshot.reproduction import cells
from gunshot.store.layout import prepare_store
from gunshot.store.write import commit_store

Gunshot = Callable[..., Any]


@pytest.fixture(scope="module")
def store(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    header = prepare_store(str(tmp_path_factory.mktemp("store") / "s"), build_manifest([str(labelled)]), Recipe())
    for partition in header.partitions:
        preprocess_partition(header.uri, partition)
    commit_store(header)
    return header.uri


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """A regression on a few numbers in place of each training; counts what is trained."""
    trained: Counter[str] = Counter()

    def fit(_rule: Any, x: Any, y: Any, cell: cells.Cell, _on_epoch: Any) -> Any:
        trained[cell.name] += 1
        return fit_logistic(x.reshape(len(x), -1)[:, ::300], y, seed=cell.seed), ()

    def scorer(_model: str, content: bytes, _recipe: Recipe) -> Any:
        weights = read_logistic(content)
        return lambda inputs: logistic_scores(weights, inputs.reshape(len(inputs), -1)[:, ::300])

    monkeypatch.setattr(cells, "_fit", fit)
    monkeypatch.setattr(cells, "scorer_of", scorer)
    return trained


@pytest.fixture
def plain_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow as a plain function: what it does is the same, without a server."""
    import flows.reproduce

    for name in ("reproduce", "train_cell"):
        monkeypatch.setattr(flows.reproduce, name, vars(flows.reproduce)[name].fn)


@pytest.mark.usefixtures("plain_flow")
class TestCommand:
    def test_the_table_is_written_and_a_rerun_trains_nothing(
        self, gunshot: Gunshot, store: str, no_network: Counter[str], tmp_path: Path
    ) -> None:
        words = ["reproduce", "--store", store, "--out", tmp_path / "out", "--seeds", "0,1", "--epochs", "2"]
        first = gunshot(*words)
        assert first.code == 0, first.err
        assert set(no_network.values()) == {1}
        assert len(no_network) == 16
        assert "16 of 16 trainings" in first.err
        assert "like set, not the paper's data" in first.out
        assert {"table.json", "table.md", "table.html", "cells"} == {path.name for path in (tmp_path / "out").iterdir()}
        before = (tmp_path / "out" / "table.json").read_bytes()
        again = gunshot(*words, "--json")
        assert sum(no_network.values()) == 16
        assert "16 of 16 trainings are there already" in again.err
        assert json.loads(again.out) == json.loads(before)
        assert (tmp_path / "out" / "table.json").read_bytes() == before

    def test_another_seed_trains_only_its_own(
        self, gunshot: Gunshot, store: str, no_network: Counter[str], tmp_path: Path
    ) -> None:
        words = ["reproduce", "--store", store, "--out", tmp_path / "out", "--epochs", "1", "--seeds"]
        assert gunshot(*words, "0").code == 0
        assert gunshot(*words, "0,4").code == 0
        assert set(no_network.values()) == {1}
        assert {name.rpartition("-")[2] for name in no_network} == {"0", "4"}

    def test_a_killed_run_goes_on(
        self, gunshot: Gunshot, store: str, no_network: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = cells._fit

        def killed(rule: Any, x: Any, y: Any, cell: cells.Cell, on_epoch: Any) -> Any:
            if sum(no_network.values()) == 5:
                raise KeyboardInterrupt
            return whole(rule, x, y, cell, on_epoch)

        words = ["reproduce", "--store", store, "--out", tmp_path / "out", "--epochs", "1", "--seeds", "0"]
        with monkeypatch.context() as patched:
            patched.setattr(cells, "_fit", killed)
            assert gunshot(*words).code == 130
        assert not (tmp_path / "out" / "table.json").exists()
        assert gunshot(*words).code == 0
        assert set(no_network.values()) == {1}

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--seeds", "a"], "'a' is not a list of whole numbers; write them as 0,1,2"),
            (["--seeds", "1,1"], "--seeds must be different whole numbers of 0 or more; got '1,1'"),
            (["--epochs", "0"], "--epochs must be different whole numbers of 1 or more; got '0'"),
        ],
    )
    def test_mistakes_are_one_line(
        self, gunshot: Gunshot, store: str, tmp_path: Path, options: list[str], said: str
    ) -> None:
        ended = gunshot("reproduce", "--store", store, "--out", tmp_path / "out", *options)
        assert ended.code == 2
        assert said in ended.err
        assert len(ended.err.splitlines()) == 1
        assert not (tmp_path / "out").exists()

    def test_a_store_that_is_not_there(self, gunshot: Gunshot, tmp_path: Path) -> None:
        ended = gunshot("reproduce", "--store", tmp_path / "nothing", "--out", tmp_path / "out")
        assert ended.code == 2
        assert "no feature store" in ended.err


def test_defaults_are_those_of_the_paper_and_the_flow() -> None:
    from flows.commands.reproduce import reproduce

    values = reproduce.make_context("reproduce", ["--store", "s", "--out", "o"]).params
    assert (tuple(values["seeds"]), tuple(values["epochs"])) == (cells.SEEDS, cells.EPOCHS)


@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
@pytest.mark.usefixtures("prefect_server")
def test_one_task_run_a_training(store: str, no_network: Counter[str], tmp_path: Path) -> None:
    from prefect import get_client

    from flows.reproduce import reproduce

    async def count() -> int:
        async with get_client() as client:
            return len([run for run in await client.read_task_runs() if run.name in no_network])

    with mock.patch("sys.stderr"):
        table = reproduce(store, str(tmp_path), seeds=[0], epochs=[1])
    assert len(table["lines"]) == 8 == len(no_network)
    assert asyncio.run(count()) == 8
