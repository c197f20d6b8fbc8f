"""The paper's table beside ours: all cells, none twice, and figures that add up."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import ParameterError, TrainingError
from gunshot.models.catalogue import MODELS
from gunshot.models.logistic import fit_logistic, logistic_scores, read_logistic
from gunshot.recipe import Recipe
from gunshot.reproduction import cells as cells_module
from gunshot.reproduction.cells import Cell, cell_uri, held_out_rows, plan_cells, read_cell, run_cell
from gunshot.reproduction.likeset import Drawn, draw_rows
from gunshot.reproduction.page import html_page, markdown_page, table_lines
from gunshot.reproduction.paper import PAPER, paper_figure
from gunshot.reproduction.table import gather, missing_cells, write_table
from gunshot.store.layout import StoreHeader
from gunshot.store.read import FeatureStore, open_store

Json = dict[str, Any]

FEW = tuple(cell for cell in plan_cells([0, 1], [1]) if cell.model == "logistic" or cell.seed == 0)
"""Both models, and two seeds of the quick one."""


def store_of(rows: Sequence[tuple[str, int | None, str, str]]) -> FeatureStore:
    """A store's table without its arrays: path, label, source and group of each row."""
    path, label, source, group = zip(*rows, strict=True)
    table = pa.table(
        {
            "path": path,
            "label": pa.array(label, pa.int8()),
            "source": source,
            "group": group,
            "state": ["ok"] * len(rows),
        }
    )
    return FeatureStore(StoreHeader("here", Recipe(), "digest", len(rows), 1024), table, ())


def many(
    n: int, label: int | None, source: str, per_group: int = 1, name: str = "x{}"
) -> list[tuple[str, int | None, str, str]]:
    return [(name.format(i), label, source, f"{source}-{label}-{i // per_group}") for i in range(n)]


@contextmanager
def quick() -> Iterator[None]:
    """In place of each training a regression on a few numbers: the same path, but no seconds for each."""

    def fit(_rule: Any, x: Any, y: Any, cell: Cell, _on_epoch: Any) -> Any:
        return fit_logistic(x.reshape(len(x), -1)[:, ::300], y, seed=cell.seed), ()

    def scorer(_model: str, content: bytes, _recipe: Recipe) -> Any:
        weights = read_logistic(content)
        return lambda inputs: logistic_scores(weights, inputs.reshape(len(inputs), -1)[:, ::300])

    with mock.patch.object(cells_module, "_fit", fit), mock.patch.object(cells_module, "scorer_of", scorer):
        yield


@pytest.fixture(scope="module")
def done(small_store: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Json]:
    """A store, a finished reproduction of it, and its table."""
    out = tmp_path_factory.mktemp("reproduction") / "out"
    with quick():
        for cell in FEW:
            run_cell(small_store, str(out), cell)
    return small_store, out, write_table(small_store, str(out), FEW)


class TestDraw:
    LIKE = (
        many(900, 1, "livefire", 6) + many(2000, 0, "livefire", 6) + many(20, 1, "close-up")
        + many(291, 0, "free-firearm-sfx", 9) + many(66, 0, "minetest-sounds") + many(400, 0, "esc10")
        + many(300, 0, "urbansound8k")
    )  # fmt: skip

    def test_as_many_as_the_paper(self) -> None:
        drawn = draw_rows(store_of(self.LIKE), 0)
        assert Counter(drawn.label.tolist()) == {1: 615, 0: 612}
        assert drawn.kind == "like"
        assert np.all(np.diff(drawn.rows) > 0)

    def test_live_fire_against_sharp_impulses_and_other_sounds(self) -> None:
        sets = draw_rows(store_of(self.LIKE), 0).as_dict()
        assert sets["gunshots"]["sources"] == {"livefire": 615}
        assert sets["others"]["sources"] == {"free-firearm-sfx": 291, "minetest-sounds": 66, "esc10": 255}

    def test_seeds_draw_differently_and_alike(self) -> None:
        store = store_of(self.LIKE)
        np.testing.assert_array_equal(draw_rows(store, 3).rows, draw_rows(store, 3).rows)
        assert not np.array_equal(draw_rows(store, 3).rows, draw_rows(store, 4).rows)

    def test_the_papers_own_sets_are_taken_where_they_are_there(self) -> None:
        nij = [(f"nij/IP_{i // 6:03d}A_S{i % 6:02d}.wav", 1, "nij", f"{i // 6:03d}A") for i in range(700)]
        pops = [(f"pops/{50001010800 + i}.wav", 0, "pops", f"{i}") for i in range(620)]
        drawn = draw_rows(store_of(self.LIKE + nij + pops), 0)
        assert drawn.kind == "published"
        assert set(drawn.source) == {"nij", "pops"}
        assert Counter(drawn.label.tolist()) == {1: 615, 0: 612}

    def test_names_alone_do_not_make_them(self) -> None:
        """NIJ names with bag pops missing, or with the other label, are rows like any other."""
        nij = [(f"IP_{i:03d}A_S01.wav", 1, "nij", f"{i}") for i in range(700)]
        assert draw_rows(store_of(nij + many(700, 0, "b")), 0).kind == "like"
        swapped = [(f"{i + 10**10}.wav", 1, "a", f"{i}") for i in range(700)] + many(9, 0, "b", name="IP_00{}A_S01.wav")
        assert draw_rows(store_of(swapped), 0).kind == "like"

    def test_held_out_sources_come_last(self) -> None:
        drawn = draw_rows(store_of(many(700, 1, "livefire") + many(600, 0, "esc10") + many(90, 0, "urbansound8k")), 0)
        assert drawn.as_dict()["others"]["sources"] == {"esc10": 600, "urbansound8k": 12}

    @given(st.integers(3, 900), st.integers(3, 900), st.integers(0, 9))
    def test_a_smaller_store_keeps_the_papers_proportion(self, n_shots: int, n_others: int, seed: int) -> None:
        drawn = draw_rows(store_of(many(n_shots, 1, "a") + many(n_others, 0, "b") + many(5, None, "c")), seed)
        shots, others = int(np.sum(drawn.label == 1)), int(np.sum(drawn.label == 0))
        assert shots <= min(n_shots, 615)
        assert others <= min(n_others, 612)
        assert abs(shots - others) <= 4
        assert shots in (n_shots, 615) or others in (n_others, 612)

    def test_too_few_are_an_error(self) -> None:
        with pytest.raises(TrainingError, match="3 labelled gunshots and 3 other sounds; one class has 2; preprocess"):
            draw_rows(store_of(many(2, 1, "a") + many(9, 0, "b")), 0)


class TestSplit:
    DRAWN = draw_rows(store_of(TestDraw.LIKE), 0)

    @pytest.mark.parametrize("by", ["random", "group"])
    @pytest.mark.parametrize("seed", [0, 1])
    def test_a_fifth_is_the_test(self, by: Any, seed: int) -> None:
        is_test = held_out_rows(self.DRAWN, by, seed)
        assert is_test.mean() == pytest.approx(0.2, abs=0.02)
        assert set(self.DRAWN.label[is_test].tolist()) == {0, 1}

    @settings(max_examples=20)
    @given(st.integers(0, 99), st.integers(2, 9))
    def test_by_group_no_group_is_divided(self, seed: int, per_group: int) -> None:
        rows = many(60, 1, "a", per_group) + many(60, 0, "b", per_group)
        drawn = draw_rows(store_of(rows), seed)
        is_test = held_out_rows(drawn, "group", seed)
        group = np.asarray(drawn.group)
        assert not set(group[is_test]) & set(group[~is_test])
        assert is_test.any()

    def test_at_random_groups_are_divided(self) -> None:
        is_test = held_out_rows(self.DRAWN, "random", 0)
        group = np.asarray(self.DRAWN.group)
        assert set(group[is_test]) & set(group[~is_test])


class TestPlan:
    def test_every_cell_of_the_paper_is_planned(self) -> None:
        cells = plan_cells()
        assert len(cells) == len(set(cells)) == 3 * 2 * 2 * 3
        assert {(it.model, it.data, it.epochs) for it in cells} == {(it.model, it.data, it.epochs) for it in PAPER}
        assert {(it.split, it.seed) for it in cells} == {(by, seed) for by in ("random", "group") for seed in (0, 1, 2)}
        assert len({it.name for it in cells}) == len(cells)

    def test_the_plan_stays_below_the_tasks_of_a_run(self) -> None:
        with pytest.raises(ParameterError, match="408 trainings, more than 400"):
            plan_cells(range(34))

    @pytest.mark.parametrize(
        ("seeds", "epochs", "match"),
        [
            ([], [14], "--seeds must be different whole numbers of 0 or more; got 'none'"),
            ([1, 1], [14], "--seeds .* got '1,1'"),
            ([-1], [14], "--seeds .* got '-1'"),
            ([2**32], [14], "--seeds"),
            ([0], [0, 14], "--epochs must be different whole numbers of 1 or more; got '0,14'"),
        ],
    )
    def test_mistakes_are_told(self, seeds: list[int], epochs: list[int], match: str) -> None:
        with pytest.raises(ParameterError, match=match):
            plan_cells(seeds, epochs)


class TestPaper:
    def test_figures_are_whole_rows_of_246(self) -> None:
        """What the module says of the paper's own figures: rounded or cut off, each is a number of rows."""
        for figure in PAPER:
            for accuracy in figure.accuracy:
                rows = [n for n in range(247) if 0 <= round(accuracy * 1000) - int(n / 246 * 1000 + 1e-9) <= 1]
                assert rows, accuracy
        printed = next(it for it in PAPER if it.confusion)
        assert round((246 - sum(printed.confusion.values())) / 246, 3) - printed.accuracy[1] == pytest.approx(0.001)

    def test_the_best_cell(self) -> None:
        found = paper_figure("paper-cnn", "original", 30)
        assert found is not None
        assert found.accuracy == (0.996,)
        assert paper_figure("paper-cnn", "original", 15) is None


class TestCells:
    def test_all_cells_are_there(self, done: tuple[str, Path, Json]) -> None:
        store, out, table = done
        assert missing_cells(open_store(store), str(out), FEW) == ()
        assert len(list((out / "cells").iterdir())) == len(FEW) == 12
        found = {(it["model"], it["data"], it["split"], it["epochs"]) for it in table["lines"]}
        assert found == {(it.model, it.data, it.split, it.epochs) for it in FEW}
        assert sum(len(it["runs"]) for it in table["lines"]) == len(FEW)

    def test_confusion_matrices_add_up_to_the_test_rows(self, done: tuple[str, Path, Json]) -> None:
        for line in done[2]["lines"]:
            for run in line["runs"]:
                assert sum(run["confusion"].values()) == run["test"]
                right = run["confusion"]["tn"] + run["confusion"]["tp"]
                assert run["accuracy"] == pytest.approx(right / run["test"])
            for name, n in line["confusion"].items():
                assert n == sum(run["confusion"][name] for run in line["runs"])

    def test_training_rows_are_doubled(self, done: tuple[str, Path, Json]) -> None:
        by_key = {(it["model"], it["split"], it["data"]): it["runs"][0] for it in done[2]["lines"]}
        for (model, split, data), run in by_key.items():
            if data == "augmented":
                assert run["train"] == 2 * by_key[model, split, "original"]["train"]
                assert run["test"] == by_key[model, split, "original"]["test"]

    def test_only_random_splits_share_groups(self, done: tuple[str, Path, Json]) -> None:
        for line in done[2]["lines"]:
            shared = [run["test_rows_of_shared_groups"] for run in line["runs"]]
            assert all(shared) if line["split"] == "random" else not any(shared)

    def test_a_rerun_trains_nothing(self, done: tuple[str, Path, Json]) -> None:
        store, out, table = done
        before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (out / "cells").iterdir()}
        with mock.patch.object(cells_module, "_fit", side_effect=AssertionError("trained again")):
            for cell in FEW:
                run_cell(store, str(out), cell)
        assert write_table(store, str(out), FEW) == table
        assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (out / "cells").iterdir()}

    def test_a_killed_run_goes_on_where_it_ended(self, done: tuple[str, Path, Json], tmp_path: Path) -> None:
        store, out, table = done
        shutil.copytree(out, tmp_path / "out")
        gone = [cell for cell in FEW if cell.model == "logistic"][2]
        Path(cell_uri(open_store(store), str(tmp_path / "out"), gone)).unlink()
        assert missing_cells(open_store(store), str(tmp_path / "out"), FEW) == (gone,)
        with pytest.raises(ValueError, match="1 cells are not finished"):
            write_table(store, str(tmp_path / "out"), FEW)
        with quick():
            run_cell(store, str(tmp_path / "out"), gone)
        again = write_table(store, str(tmp_path / "out"), FEW)
        assert again["lines"] == table["lines"]

    def test_the_same_seed_gives_the_same_numbers(self, done: tuple[str, Path, Json], tmp_path: Path) -> None:
        store, out, _ = done
        for cell in (FEW[0], FEW[-1]):
            with quick():
                first, again = (run_cell(store, str(folder), cell) for folder in (out, tmp_path))
            for name in ("set", "rows", "metrics", "history"):
                assert first[name] == again[name]

    def test_seeds_differ(self, done: tuple[str, Path, Json]) -> None:
        store = open_store(done[0])
        drawn = draw_rows(store, 0)
        assert not np.array_equal(held_out_rows(drawn, "random", 0), held_out_rows(drawn, "random", 1))

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "another"}'])
    def test_what_is_no_cell_is_trained_anew(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "cell.json").write_text(content)
        assert read_cell(str(tmp_path / "cell.json")) is None

    def test_a_cell_of_another_store_rule_or_parameter_is_not_taken(self, done: tuple[str, Path, Json]) -> None:
        store = open_store(done[0])
        cell = Cell("paper-cnn", "original", "random", 1, 0)
        here = cell_uri(store, "out", cell)
        others = [cell_uri(store, "out", replace(cell, seed=1)), cell_uri(store, "out", replace(cell, epochs=2))]
        others.append(cell_uri(replace(store, header=replace(store.header, manifest_digest="x")), "out", cell))
        recipe = Recipe(sr_hz=16_000)
        others.append(cell_uri(replace(store, header=replace(store.header, recipe=recipe)), "out", cell))
        with mock.patch.dict(MODELS, {"paper-cnn": replace(MODELS["paper-cnn"], learning_rate=0.5)}):
            others.append(cell_uri(store, "out", cell))
        assert len({here, *others}) == 6
        assert cell_uri(store, "out", cell) == here

    def test_nothing_of_the_test_rows_reaches_the_fit(self, done: tuple[str, Path, Json], tmp_path: Path) -> None:
        store = open_store(done[0])
        seen: list[np.ndarray[Any, Any]] = []

        def fit(rule: Any, train: Any, watched: Any, **_: Any) -> Any:
            seen.extend([train.x, watched.x])
            raise KeyboardInterrupt

        cell = Cell("paper-cnn", "original", "group", 1, 5)
        with (
            mock.patch("gunshot.models.fit.fit_network", autospec=True, side_effect=fit),
            pytest.raises(KeyboardInterrupt),
        ):
            run_cell(done[0], str(tmp_path), cell)
        drawn = draw_rows(store, 5)
        held = {clip.tobytes() for clip in store.log_mels(drawn.rows[held_out_rows(drawn, "group", 5)])}
        assert not held & {clip.tobytes() for inputs in seen for clip in inputs}
        assert not list(tmp_path.rglob("*.json"))


class TestTable:
    def test_the_papers_figures_stand_beside_ours(self, done: tuple[str, Path, Json]) -> None:
        line = next(it for it in done[2]["lines"] if it["model"] == "logistic" and it["data"] == "original")
        assert line["paper"]["accuracy"] == [0.561, 0.597]
        assert line["paper"]["confusion"] == {"fp": 86, "fn": 13}
        accuracies = [run["accuracy"] for run in line["runs"]]
        assert line["accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
        assert line["accuracy"]["spread"] == pytest.approx(np.std(accuracies, ddof=1))
        low, high = line["accuracy"]["interval"]
        assert low <= line["accuracy"]["mean"] <= high

    def test_one_run_has_no_spread(self, done: tuple[str, Path, Json]) -> None:
        line = next(it for it in done[2]["lines"] if it["model"] == "paper-cnn")
        assert line["accuracy"]["spread"] is None

    def test_leakage_is_random_less_grouped(self, done: tuple[str, Path, Json]) -> None:
        mean = {(it["model"], it["data"], it["split"]): it["accuracy"]["mean"] for it in done[2]["lines"]}
        assert len(done[2]["leakage"]) == 4
        for it in done[2]["leakage"]:
            key = it["model"], it["data"]
            assert it["leakage"] == pytest.approx(mean[*key, "random"] - mean[*key, "group"])

    def test_pages_are_written_and_say_what_this_is(self, done: tuple[str, Path, Json]) -> None:
        _, out, table = done
        assert json.loads((out / "table.json").read_text()) == json.loads(json.dumps(table))
        pages = [(out / "table.md").read_text(), (out / "table.html").read_text(), "\n".join(table_lines(table))]
        for page in pages:
            assert "like set, not the paper" in page
            assert "synthetic sound: no figure here is accuracy on real recordings" in page
            assert "0.561 (abstract), 0.597 (results)" in page
        for page in pages[:2]:
            assert "no validation set" in page
            assert "Confusion matrices" in page
            assert f"Adam at {MODELS['paper-cnn'].learning_rate:g}" in page
            assert "20 dB below each clip" in page

    def test_published_sets_are_called_so(self, done: tuple[str, Path, Json]) -> None:
        table = done[2] | {"kind": "published", "synthetic": False}
        assert "like set" not in markdown_page(table)
        assert "named as the paper's own sets are" in markdown_page(table)

    def test_names_are_escaped(self, done: tuple[str, Path, Json]) -> None:
        table = json.loads(json.dumps(done[2]))
        table["store"]["uri"] = "<script>alert(1)</script>"
        assert "<script>" not in html_page(table)
        assert "http:" not in html_page(table)
        assert "https:" not in html_page(table)

    def test_other_epochs_have_no_figure_of_the_paper(self, done: tuple[str, Path, Json]) -> None:
        assert all(it["paper"] is None for it in done[2]["lines"] if it["model"] == "paper-cnn")

    def test_gathering_reads_nothing_but_what_it_is_given(self, done: tuple[str, Path, Json]) -> None:
        store = open_store(done[0])
        found = [run_cell(done[0], str(done[1]), cell) for cell in FEW]
        table = gather(replace(store, header=replace(store.header, uri="/not/there")), FEW, found)
        assert table["lines"] == done[2]["lines"]


def test_small_sets_can_be_reproduced_too(tmp_path: Path, store_of_clips: Callable[..., str]) -> None:
    """A dozen clips of each class: enough to try the command."""
    y = np.random.default_rng(0).standard_normal((24, 6000)).astype(np.float32) * 0.1
    store = store_of_clips(
        tmp_path / "store", y, [index % 2 for index in range(24)], [f"g{index // 4}" for index in range(24)]
    )
    figures = run_cell(store, str(tmp_path / "out"), Cell("logistic", "augmented", "group", None, 0))
    assert figures["rows"]["train"] + 2 * figures["rows"]["test"] == 48
    assert isinstance(draw_rows(open_store(store), 0), Drawn)


@pytest.mark.slow
def test_the_network_itself_is_trained(small_store: str, tmp_path: Path) -> None:
    """The paper's network, both kinds of training rows: it learns, and a second training gives the same figures."""
    for data in ("original", "augmented"):
        cell = Cell("paper-cnn", data, "random", 2, 0)
        epochs: list[Any] = []
        first = run_cell(small_store, str(tmp_path / "a"), cell, epochs.append)
        assert [epoch.number for epoch in epochs] == [1, 2] == [epoch["number"] for epoch in first["history"]]
        assert first["history"][1]["loss"] < first["history"][0]["loss"]
        assert first["metrics"]["n"] == first["rows"]["test"]
        if data == "original":
            again = run_cell(small_store, str(tmp_path / "b"), cell)
            assert all(again[name] == first[name] for name in ("set", "rows", "metrics", "history"))
