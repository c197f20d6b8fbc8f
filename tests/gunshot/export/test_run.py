"""Exports as a whole: the same bytes twice, counts that add up, empty ones that are valid."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.export.run import ExportFormat, ExportSummary, export_results
from gunshot.export.selection import Filters
from gunshot.scoring.results import write_batch
from tests.gunshot.export.conftest import START, Row, detection_row, recording_row
from tests.gunshot.export.test_clips import write_sound

Results = Callable[..., str]

FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)


def accounted(summary: ExportSummary) -> int:
    return summary.n_written + sum(summary.filtered.values()) + sum(summary.left_out.values())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def scored(tmp_path: Path, results: Results) -> str:
    """Results of two recordings that are there and one that is gone."""
    found: list[Row] = []
    for name in ("a/x.wav", "b/x.wav"):
        path = write_sound(tmp_path / "archive" / name)
        times = [START + timedelta(seconds=second) for second in (1, 5)]
        found += [
            detection_row(name, second, uri=str(path), start_utc=time, score=score)
            for second, time, score in zip((1.0, 5.0), times, (0.6, 0.9), strict=True)
        ]
    return results([*found, detection_row("gone.wav")])


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_command_gives_the_same_bytes_and_counts_add_up(
    tmp_path: Path, scored: str, format: ExportFormat
) -> None:
    out = tmp_path / "out"
    first = export_results(scored, format, str(out), filters=Filters(min_score=0.7))
    before = contents(out)
    assert export_results(scored, format, str(out), filters=Filters(min_score=0.7)) == first
    assert contents(out) == before
    assert len(before) == first.n_objects
    assert first.n_others == 0
    assert accounted(first) == first.n_detections == 5
    assert first.filtered == {"score below 0.7": 2}
    record = json.loads(before["export.json"])
    assert record["n_written"] == first.n_written
    assert record["filters"]["min_score"] == 0.7
    assert " + 2 score below 0.7" in first.lines()[0]


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_scored_and_nothing_found_are_valid_and_said(
    tmp_path: Path, results: Results, format: ExportFormat
) -> None:
    uri = results([], [])
    empty = export_results(uri, format, str(tmp_path / "empty"))
    assert (empty.model, empty.n_detections, accounted(empty)) == ("", 0, 0)
    assert any("nothing has been scored" in line for line in empty.lines())
    results([], [recording_row("a.wav")])
    quiet = export_results(uri, format, str(tmp_path / "quiet"))
    assert (quiet.model, quiet.n_recordings, accounted(quiet)) == ("field-cnn", 1, 0)
    assert any("no detection is left to export" in line for line in quiet.lines())
    for name, content in contents(tmp_path / "quiet").items():
        if name.endswith("json"):
            json.loads(content)
        elif name.endswith(".csv"):
            (header, *rows) = csv.reader(content.decode().splitlines())
            assert len(header) > 5
            assert len(rows) == (name == "recordings.csv")


def test_files_of_the_same_name_do_not_meet(tmp_path: Path, scored: str) -> None:
    export_results(scored, "clips", str(tmp_path / "out"))
    assert set(contents(tmp_path / "out")) == {
        "a/x_000001.000s_0.600.wav", "a/x_000005.000s_0.900.wav", "b/x_000001.000s_0.600.wav",
        "b/x_000005.000s_0.900.wav", "index.csv", "export.json",
    }  # fmt: skip


def test_what_another_export_left_is_told_and_stays(tmp_path: Path, scored: str) -> None:
    out = tmp_path / "out"
    export_results(scored, "audacity", str(out))
    (out / "a" / "mine.txt").write_text("1\t2\tmine\n")
    summary = export_results(scored, "audacity", str(out), filters=Filters(min_score=0.95))
    assert (summary.n_written, summary.n_others) == (0, 4)
    assert any("4 other files in" in line for line in summary.lines())
    assert (out / "a" / "x.txt").is_file()


def test_dates_of_kaleidoscope_are_in_the_zone_that_was_named(tmp_path: Path, scored: str) -> None:
    for zone, hour in (("Africa/Douala", "19"), (None, "18")):
        export_results(scored, "kaleidoscope", str(tmp_path / "out"), time_zone=zone)
        with (tmp_path / "out" / "cluster.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["IN FILE"] == "x.wav"]
        assert {row["HOUR"] for row in rows} == {hour}
        assert json.loads((tmp_path / "out" / "export.json").read_text())["time_zone"] == (zone or "UTC")
    for zone in ("Nowhere/Atlantis", "", "/etc/passwd", "../x", "Africa"):
        with pytest.raises(ParameterError, match="--time-zone takes a name"):
            export_results(scored, "kaleidoscope", str(tmp_path / "out"), time_zone=zone)


names = st.lists(st.sampled_from(["..", ".", "", "a", "/", "x.wav", "X.wav", "\n", '"', "=", "é" * 200]), min_size=1)


@settings(max_examples=15)
@given(st.lists(names.map("/".join), min_size=1, max_size=3, unique=True))
def test_nothing_is_written_outside_the_folder(tmp_path_factory: pytest.TempPathFactory, paths: list[str]) -> None:
    folder = tmp_path_factory.mktemp("export")
    sound = write_sound(folder / "archive" / "sound.wav", duration_s=1)
    found = [detection_row(path, 0.25, uri=str(sound)) for path in paths]
    write_batch(str(folder / "results"), "one", found, [recording_row(path, uri=str(sound)) for path in paths])
    before = contents(folder)
    for format in FORMATS:
        summary = export_results(str(folder / "results"), format, str(folder / "out" / format))
        assert accounted(summary) == summary.n_detections == len(paths)
        assert len(contents(folder / "out" / format)) == summary.n_objects
    assert {name for name in contents(folder) if not name.startswith("out/")} == set(before)
