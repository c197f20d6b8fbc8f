"""The two tables of results: a ledger that forgets nothing and shows nothing half done."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import StorageError
from gunshot.scoring.keys import Provenance
from gunshot.scoring.results import (
    DETECTION_SCHEMA,
    RECORDING_SCHEMA,
    done_keys,
    read_table,
    write_batch,
    write_csv,
)

Row = dict[str, Any]

PROVENANCE = {
    "threshold": 0.5,
    "model": "logistic",
    "model_digest": "m" * 16,
    "recipe_digest": "r" * 16,
    "rule": "channels=mix",
}
PLACE = {"time_uncertainty_s": None, "site": "", "recorder": "", "latitude": None, "longitude": None}
WITH = Provenance("m" * 16, "r" * 16)
START = datetime(2026, 11, 22, 18, 0, 0, 250_000, tzinfo=UTC)


def recording(path: str, **values: Any) -> Row:
    return {
        "path": path, "uri": f"/archive/{path}", "size": 1000, "etag": "1", "state": "ok", "reason": "",
        "n_tries": 0, "sr": 12_000, "n_channels": 1, "duration_s": 60.0,
        "read_s": 60.0, "silent_s": 0.0, "clipped_s": 0.0, "start_utc": None,
        "time_source": "not known", **PLACE, "n_candidates": 7, "n_detections": 1,
        "score_counts": [7] + [0] * 19, **PROVENANCE, "run_id": "", **values,
    }  # fmt: skip


def detection(path: str, start_s: float = 1.0, **values: Any) -> Row:
    return {
        "path": path, "uri": f"/archive/{path}", "etag": "1", "channel": None, "start_s": start_s,
        "end_s": start_s + 0.45, "start_utc": None, "time_source": "not known", **PLACE, "n_shots": 1,
        "shots_s": [start_s], "score": 0.75, "probability": 0.5, **PROVENANCE, **values,
    }  # fmt: skip


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_nothing_scored_is_an_empty_table(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert read_table(str(folder), "recordings").schema.equals(RECORDING_SCHEMA)
        assert read_table(str(folder), "detections").schema.equals(DETECTION_SCHEMA)
        assert read_table(str(folder), "recordings").num_rows == 0
        assert done_keys(str(folder), WITH).size == 0


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    row, found = recording("a.wav", start_utc=START), detection("a.wav", shots_s=[1.0, 1.25], n_shots=2)
    write_batch(str(tmp_path), "one", [found], [row])
    assert read_table(str(tmp_path), "recordings").to_pylist() == [row]
    assert read_table(str(tmp_path), "detections").to_pylist() == [found]


def test_detections_of_before_there_were_probabilities_are_read(tmp_path: Path) -> None:
    write_batch(str(tmp_path), "old", [detection("a.wav")], [recording("a.wav")])
    write_batch(str(tmp_path), "new", [detection("b.wav", probability=0.25)], [recording("b.wav")])
    path = tmp_path / "detections" / "old.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["probability"]), path)
    table = read_table(str(tmp_path), "detections")
    assert table.schema.equals(DETECTION_SCHEMA)
    assert table.column("probability").to_pylist() == [None, 0.25]
    write_csv(str(tmp_path), "detections")
    assert [row["probability"] for row in cells(tmp_path / "detections.csv")] == ["", "0.25"]


def test_tables_of_something_else_are_one_error(tmp_path: Path) -> None:
    write_batch(str(tmp_path), "one", [detection("a.wav")], [recording("a.wav")])
    path = tmp_path / "detections" / "one.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["score", "uri"]), path)
    with pytest.raises(StorageError, match="detections without score, uri: not results of this program"):
        read_table(str(tmp_path), "detections")


def test_a_batch_without_detections_has_both_objects(tmp_path: Path) -> None:
    write_batch(str(tmp_path), "one", [], [recording("a.wav", n_detections=0)])
    assert read_table(str(tmp_path), "detections").num_rows == 0
    assert (tmp_path / "detections" / "one.parquet").is_file()


def test_detections_are_written_before_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gunshot.scoring.results import tables

    written: list[str] = []
    monkeypatch.setattr(tables, "write_bytes", lambda uri, content: written.append(uri.removeprefix(str(tmp_path))))
    write_batch(str(tmp_path), "one", [], [])
    assert written == ["/detections/one.parquet", "/recordings/one.parquet"]


def test_rows_are_sorted_by_recording_and_time_whatever_the_batches(tmp_path: Path) -> None:
    write_batch(str(tmp_path), "a", [detection("z.wav", 5), detection("z.wav", 2)], [recording("z.wav")])
    write_batch(
        str(tmp_path), "b", [detection("b.wav", 9), detection("a.wav", 11)], [recording("b.wav"), recording("a.wav")]
    )
    assert read_table(str(tmp_path), "recordings").column("path").to_pylist() == ["a.wav", "b.wav", "z.wav"]
    table = read_table(str(tmp_path), "detections")
    assert list(zip(*(table.column(name).to_pylist() for name in ("path", "start_s")), strict=True)) == [
        ("a.wav", 11), ("b.wav", 9), ("z.wav", 2), ("z.wav", 5),
    ]  # fmt: skip


def test_the_same_batch_written_twice_is_the_same_bytes_once(tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        write_batch(str(tmp_path), "one", [detection("a.wav")], [recording("a.wav")])
        contents.append({path: path.read_bytes() for path in sorted(tmp_path.rglob("*.parquet"))})
    assert contents[0] == contents[1]
    assert read_table(str(tmp_path), "recordings").num_rows == 1


def test_detections_without_their_ledger_are_not_shown(tmp_path: Path) -> None:
    """A run was killed between the two writes of the second batch."""
    write_batch(str(tmp_path), "one", [detection("a.wav")], [recording("a.wav")])
    write_batch(str(tmp_path), "two", [detection("b.wav")], [recording("b.wav")])
    (tmp_path / "recordings" / "two.parquet").unlink()
    assert read_table(str(tmp_path), "detections").column("path").to_pylist() == ["a.wav"]
    assert done_keys(str(tmp_path), WITH).tolist() == WITH.keys(["/archive/a.wav"], ["1"]).tolist()
    write_csv(str(tmp_path), "detections")
    assert [row["path"] for row in cells(tmp_path / "detections.csv")] == ["a.wav"]


def test_a_ledger_without_detections_is_still_a_ledger(tmp_path: Path) -> None:
    write_batch(str(tmp_path), "one", [detection("a.wav")], [recording("a.wav")])
    (tmp_path / "detections" / "one.parquet").unlink()
    assert read_table(str(tmp_path), "detections").num_rows == 0
    assert done_keys(str(tmp_path), WITH).size == 1


def test_done_is_told_by_file_content_model_and_recipe(tmp_path: Path) -> None:
    rows = [
        recording("a.wav"),
        recording("a.wav", etag="2"),
        recording("a.wav", model_digest="n" * 16),
        recording("a.wav", recipe_digest="s" * 16),
        recording("a.wav", rule="channels=each"),
        recording("b.wav", state="unreadable", reason="no decoder takes it"),
        recording("c.wav", state="gone", reason="it was listed, but was not there any more"),
        recording("d.wav", state="changed", reason="it was written to"),
    ]
    write_batch(str(tmp_path), "one", [], rows)
    ours = WITH.keys(["/archive/a.wav", "/archive/a.wav", "/archive/b.wav"], ["1", "2", "1"])
    assert done_keys(str(tmp_path), WITH).tolist() == sorted(ours.tolist())
    for other in (Provenance("n" * 16, "r" * 16), Provenance("m" * 16, "s" * 16), replace(WITH, rule="channels=each")):
        assert done_keys(str(tmp_path), other).tolist() == other.keys(["/archive/a.wav"], ["1"]).tolist()


@pytest.mark.parametrize("kind", ["detections", "recordings"])
def test_a_value_of_another_type_is_not_written(tmp_path: Path, kind: str) -> None:
    wrong = {"detections": ([detection("a.wav", n_shots="many")], []), "recordings": ([], [recording("a", size="big")])}
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        write_batch(str(tmp_path), "one", *wrong[kind])
    assert not (tmp_path / "recordings").exists()


class TestCsv:
    def check_equal(self, folder: Path, kind: Any) -> None:
        """Every cell says what the table does."""
        assert write_csv(str(folder), kind) == f"{folder}/{kind}.csv"
        table = read_table(str(folder), kind)
        found = cells(folder / f"{kind}.csv")
        assert len(found) == table.num_rows
        for cell, row in zip(found, table.to_pylist(), strict=True):
            assert list(cell) == table.column_names
            for name, value in row.items():
                text = cell[name]
                if value is None:
                    assert text == ""
                elif isinstance(value, float):
                    assert float(text) == value
                elif isinstance(value, datetime):
                    assert datetime.fromisoformat(text) == value
                elif isinstance(value, list):
                    assert [float(item) for item in text.split()] == pytest.approx(value, abs=1e-4)
                else:
                    assert text.removeprefix("'") == str(value)

    def test_it_equals_the_tables(self, tmp_path: Path) -> None:
        write_batch(
            str(tmp_path), "one",
            [detection("a, b.wav", 1 / 3, score=0.1, shots_s=[1 / 3, 0.5], start_utc=START), detection('q"uote.wav')],
            [recording("a, b.wav", start_utc=START), recording('q"uote.wav'), recording("ü\n.wav", sr=None)],
        )  # fmt: skip
        for kind in ("detections", "recordings"):
            self.check_equal(tmp_path, kind)

    @settings(deadline=None, max_examples=40)
    @given(
        paths=st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1), max_size=5
        ),
        start_s=st.floats(0, 1e6),
    )
    def test_it_equals_the_tables_whatever_files_are_called(
        self, tmp_path_factory: pytest.TempPathFactory, paths: list[str], start_s: float
    ) -> None:
        folder = tmp_path_factory.mktemp("results")
        # a name that begins with an apostrophe cannot be told from one that was given it
        paths = [path for path in paths if not path.startswith("'")]
        write_batch(str(folder), "one", [detection(p, start_s) for p in paths], [recording(p) for p in paths])
        for kind in ("detections", "recordings"):
            self.check_equal(folder, kind)

    def test_an_empty_table_has_its_header(self, tmp_path: Path) -> None:
        write_csv(str(tmp_path), "recordings")
        assert (tmp_path / "recordings.csv").read_text().strip() == ",".join(RECORDING_SCHEMA.names)

    @pytest.mark.parametrize("name", ["=1+1.wav", "+1.wav", "-1.wav", "@SUM(A1).wav", "\t=1.wav", "\r=1.wav"])
    def test_a_file_name_is_never_a_formula(self, tmp_path: Path, name: str) -> None:
        write_batch(str(tmp_path), "one", [detection(name)], [recording(name, reason=name)])
        for kind in ("detections", "recordings"):
            write_csv(str(tmp_path), kind)
            (row,) = cells(tmp_path / f"{kind}.csv")
            assert row["path"] == "'" + name
            assert not any(cell[:1] in set("=+-@\t\r") for cell in row.values())

    def test_it_is_overwritten_by_what_is_there_now(self, tmp_path: Path) -> None:
        write_batch(str(tmp_path), "one", [], [recording("a.wav")])
        write_csv(str(tmp_path), "recordings")
        write_batch(str(tmp_path), "two", [], [recording("b.wav")])
        write_csv(str(tmp_path), "recordings")
        assert [row["path"] for row in cells(tmp_path / "recordings.csv")] == ["a.wav", "b.wav"]


def test_objects_can_be_read_by_anyone(tmp_path: Path) -> None:
    """Plain Parquet with the documented columns; no other tool needs this project."""
    write_batch(str(tmp_path), "one", [detection("a.wav")], [recording("a.wav")])
    schemas: dict[str, Callable[[], Any]] = {
        "detections": lambda: DETECTION_SCHEMA, "recordings": lambda: RECORDING_SCHEMA,
    }  # fmt: skip
    for kind, schema in schemas.items():
        assert pq.read_schema(tmp_path / kind / "one.parquet").equals(schema())
