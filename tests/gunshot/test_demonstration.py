"""What the demonstration is made of."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import soundfile as sf

from gunshot import demonstration
from gunshot.demonstration import REAL_ASSIGNMENTS, held_out_archive, make_archive, make_corpus
from gunshot.evaluate import Evaluation
from gunshot.manifest.sources import build_manifest
from gunshot.split import parse_assignment
from gunshot.store.read import FeatureStore


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demonstration of a few seconds."""
    sizes = {
        "_N_GUNSHOTS": 4,
        "_N_OTHERS": 3,
        "_N_RECORDINGS": 2,
        "_RECORDING_S": 20.0,
        "_N_PLANTED": 5,
        "_N_CONFUSERS": 4,
    }
    for name, value in sizes.items():
        monkeypatch.setattr(demonstration, name, value)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("small")
class TestCorpus:
    def test_it_has_a_label_table_of_its_files(self, tmp_path: Path) -> None:
        folder = make_corpus(tmp_path / "c", 0)
        manifest = build_manifest([str(folder)])
        assert manifest.column("label").to_pylist().count(1) == 4
        assert manifest.column("label").to_pylist().count(0) == 3
        assert set(manifest.column("state").to_pylist()) == {"ok"}

    def test_what_an_earlier_one_left_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "c" / "gunshot").mkdir(parents=True)
        (tmp_path / "c" / "gunshot" / "old.wav").touch()
        first = contents(make_corpus(tmp_path / "c", 0))
        assert "gunshot/old.wav" not in first
        assert contents(make_corpus(tmp_path / "c", 0)) == first
        assert contents(make_corpus(tmp_path / "c", 1)) != first


@pytest.mark.usefixtures("small")
class TestArchive:
    def test_its_truth_is_every_shot_and_no_other_sound(self, tmp_path: Path) -> None:
        folder, truth = make_archive(tmp_path / "a", 0)
        assert set(truth) == {str(path) for path in folder.iterdir() if path.suffix == ".WAV"}
        assert len(truth) == 2
        with (folder / "truth.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert sorted(time for times in truth.values() for time in times) == sorted(
            float(row["time_s"]) for row in rows if row["label"] == "1"
        )
        assert sum(map(len, truth.values())) == 5
        assert len(rows) == 9
        for uri, times in truth.items():
            assert all(0 < time_s < sf.info(uri).duration for time_s in times)

    def test_a_recording_without_a_shot_is_known_to_have_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(demonstration, "_N_PLANTED", 0)
        _, truth = make_archive(tmp_path / "a", 0)
        assert list(truth.values()) == [[], []]

    def test_it_is_made_anew(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "old.WAV").touch()
        folder, truth = make_archive(tmp_path / "a", 0)
        assert not (folder / "old.WAV").exists()
        assert make_archive(tmp_path / "a", 0)[1] == truth
        assert make_archive(tmp_path / "a", 1)[1] != truth


def rows_of(*rows: tuple[str, int | None, float | None, str, str]) -> tuple[Any, Any]:
    """A store's rows and an evaluation of them: (uri, label, start_s, state, split) each; onset at 7 s and the row."""
    table = pa.table(
        {
            "uri": [row[0] for row in rows],
            "label": [row[1] for row in rows],
            "start_s": pa.array([row[2] for row in rows], pa.float64()),
            "onset_s": [7.0 + index for index in range(len(rows))],
            "state": [row[3] for row in rows],
        }
    )
    usable = [index for index, row in enumerate(rows) if row[3] == "ok"]
    predictions = pa.table({"row": usable, "split": [rows[index][4] for index in usable]})
    bundle: Any = None
    header: Any = None
    return FeatureStore(header, table, ()), Evaluation(bundle, predictions, {}, {}, False)


class TestHeldOutArchive:
    def test_only_recordings_of_test_rows_alone(self) -> None:
        store, evaluation = rows_of(
            ("b", 1, 0.5, "ok", "test"), ("b", 0, 3.0, "ok", "test"), ("a", 1, 1.0, "ok", "test"),
            ("c", 1, 1.0, "ok", "train"), ("c", 0, 2.0, "ok", "test"), ("d", 0, 1.0, "ok", "unseen"),
        )  # fmt: skip
        uris, truth = held_out_archive(store, evaluation)
        assert list(uris) == ["a", "b"]
        assert truth == {"a": [9.0], "b": [7.0]}

    def test_a_whole_file_may_hold_more_shots_than_its_label_says(self) -> None:
        store, evaluation = rows_of(("a", 1, None, "ok", "test"), ("b", 0, None, "ok", "test"))
        uris, truth = held_out_archive(store, evaluation)
        assert list(uris) == ["a", "b"]
        assert truth == {"b": []}

    def test_rows_without_a_clip_do_not_count(self) -> None:
        store, evaluation = rows_of(
            ("a", 1, 1.0, "ok", "test"), ("a", 1, 4.0, "silent", ""), ("b", 1, 1.0, "empty", "")
        )
        uris, truth = held_out_archive(store, evaluation)
        assert (list(uris), truth) == (["a"], {"a": [7.0]})

    def test_nothing_held_out_is_nothing(self) -> None:
        store, evaluation = rows_of(("a", 1, 1.0, "ok", "train"))
        assert held_out_archive(store, evaluation) == ([], {})


def test_assignments_of_known_collections_are_well_formed() -> None:
    assert {parse_assignment(text)[1] for text in REAL_ASSIGNMENTS} == {"train", "validation", "test", "unseen"}


def test_the_street_is_never_trained_or_chosen_on() -> None:
    """Its clips are licensed for non-commercial use, and show what a model does elsewhere."""
    from fnmatch import fnmatchcase

    for path in ("street-validation/dog_bark/1-2-3-4.flac", "street-test/gun_shot/9-6-0-0.flac"):
        first = next(split for glob, split in map(parse_assignment, REAL_ASSIGNMENTS) if fnmatchcase(path, glob))
        assert first == "unseen"
