"""``gunshot export``: one line for a user's mistake, counts for a person and for a machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.cli import main
from gunshot.scoring.results import write_batch
from tests.gunshot.export.conftest import detection_row, recording_row


@pytest.fixture
def results(tmp_path: Path) -> str:
    found = [detection_row("a.wav"), detection_row("b.wav", 3.0, score=0.95)]
    write_batch(str(tmp_path / "results"), "one", found, [recording_row("a.wav"), recording_row("b.wav")])
    return str(tmp_path / "results")


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["gunshot", "export", *words])
    try:
        main()
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def test_a_person_and_a_machine_are_told_the_same(
    results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--results", results, "--format", "raven", "--out", str(tmp_path / "out"), "--min-score", "0.9"]
    assert run(monkeypatch, *words) == 0
    assert capsys.readouterr().out.startswith("2 detections = 1 written + 1 score below 0.9\n")
    assert run(monkeypatch, *words, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["n_detections"], summary["n_written"], summary["filtered"]) == (2, 1, {"score below 0.9": 1})


def test_what_a_format_cannot_show_is_told_at_the_error_stream(
    results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--results", results, "--format", "geojson", "--out", str(tmp_path / "out")) == 0
    assert "left out: 2 detections, place not known" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--results", "nowhere"], 1, "no results at nowhere: give the folder or prefix"),
        (["--model", "paper"], 2, "--model paper is none of those in"),
        (["--since", "dusk"], 2, "--since takes a time in UTC"),
        (["--since", "2026-11-23", "--until", "2026-11-23T00:00Z"], 2, "nothing lies between --since 2026-11-23 and"),
        (["--time-zone", "Atlantis"], 2, "--time-zone takes a name such as Africa/Douala, not 'Atlantis'"),
        (["--min-score", "2"], 2, "--min-score"),
        (["--format", "xlsx"], 2, "--format"),
        (["--format", "clips", "--context-s", "-1"], 2, "--context-s is between 0 and 3600 seconds, not -1"),
    ],
)
def test_a_mistake_is_one_line(
    results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    words: list[str], code: int, says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    whole = ["--results", results, "--format", "csv", "--out", str(tmp_path / "out"), *words]
    assert run(monkeypatch, *whole) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert says in captured.err
