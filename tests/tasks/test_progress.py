"""A bar on a terminal, lines with rate and time left elsewhere; every loop of a command is heard."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli import cli
from gunshot.progress import shown_by, steps
from tasks.progress import briefly, how_far, progress, to_place
from tests.review.conftest import make_results
from tests.tasks.conftest import Clock

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("done", "total", "elapsed_s", "says"),
    [
        (31, 100, 31.0, "31 of 100 clips after 31 s, 1.0/s, about 69 s left"),
        (2000, 100_000, 31.0, "2000 of 100000 clips after 31 s, 65/s, about 25 min left"),
        (1, 500, 40.0, "1 of 500 clips after 40 s, 40 s each, about 5.5 h left"),
        (7, None, 31.0, "7 clips after 31 s, 4 s each"),
        (0, 9, 31.0, "0 of 9 clips after 31 s"),
        (9, 9, 31.0, "9 of 9 clips after 31 s, 3 s each"),
    ],
)
def test_rate_and_time_left_are_said(done: int, total: int | None, elapsed_s: float, says: str) -> None:
    assert how_far(done, total, elapsed_s, "clips") == says


def test_lines_come_every_half_minute_and_at_the_end(capsys: Capture, clock: Clock) -> None:
    with progress("cut", 100, "clips") as advance:
        for _ in range(100):
            clock.now_s += 1.0
            advance(note="3 found")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "cut          31 of 100 clips after 31 s, 1.0/s, about 69 s left  3 found",
        "cut          62 of 100 clips after 62 s, 1.0/s, about 38 s left  3 found",
        "cut          93 of 100 clips after 93 s, 1.0/s, about 7 s left  3 found",
        "cut          100 clips in 100.0 s",
    ]


@pytest.mark.parametrize(("took_s", "n_lines"), [(9.0, 0), (11.0, 1)])
def test_what_is_brief_says_nothing(capsys: Capture, clock: Clock, took_s: float, n_lines: int) -> None:
    with shown_by(briefly):
        for _ in steps(range(3), "read", "objects", 3):
            clock.now_s += took_s / 3
    assert len(capsys.readouterr().err.splitlines()) == n_lines


def test_an_unknown_total_is_no_silence(capsys: Capture, clock: Clock) -> None:
    with progress("onsets", None, "files") as advance:
        clock.now_s += 40
        advance(8)
    assert capsys.readouterr().err.splitlines()[0] == "onsets       8 files after 40 s, 5 s each"


def test_places_are_told_as_steps(capsys: Capture, clock: Clock) -> None:
    with progress("fetch", None, "kB") as advance:
        moved = to_place(advance)
        moved(10, 40)
        clock.now_s += 31
        moved(20, 40)
        moved(40, 40)
    assert capsys.readouterr().err.splitlines() == [
        "fetch        20 of 40 kB after 31 s, 0.6/s, about 31 s left",
        "fetch        40 kB in 31.0 s",
    ]


def test_a_terminal_gets_a_bar_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with progress("preprocess", 20, "clips") as advance:
        advance(10)
        advance(10)
    error = capsys.readouterr().err
    assert "20/20" in error
    assert "/s" in error
    assert "0:00:0" in error
    assert "clips in" not in error


def test_it_brings_no_orchestrator() -> None:
    code = "import sys, tasks.progress; sys.exit('prefect' in sys.modules or 'distributed' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.fixture
def place(tmp_path: Path) -> Path:
    make_results(tmp_path / "place", 2, 3)
    return tmp_path / "place"


LONG = {
    "make": ("synthesize", "corpus", "--out", "{out}/c", "--gunshots", "2", "--others", "2"),
    "recordings": (
        "synthesize", "archive", "--out", "{out}/a", "--recordings", "1", "--duration-s", "20", "--shots", "2",
        "--confusers", "2",
    ),
    "manifest": ("manifest", "{place}/archive", "--out", "{out}/m.parquet"),
    "listen": ("models", "refit", "field", "--background", "{place}/archive", "--out", "{out}/r"),
    "compact": ("results", "compact", "{place}/results"),
    "verify": ("results", "verify", "{place}/results", "--repair"),
    "cut": ("report", "{place}/results", "--out", "{out}/r.html"),
    "clips": ("export", "--results", "{place}/results", "--format", "clips", "--out", "{out}/e"),
}  # fmt: skip
"""Commands that take long on much and have no flow, by a word of what they say."""


@pytest.mark.parametrize("word", LONG)
def test_every_long_command_tells_how_far_it_is(
    word: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("tasks.progress._BRIEF_S", 0.0)
    words = [part.format(out=tmp_path, place=place) for part in LONG[word]]
    cli.main(words, prog_name="gunshot", standalone_mode=False)
    lines = [line for line in capsys.readouterr().err.splitlines() if re.search(r"\d+ [a-z ]+ in \d+\.\d s$", line)]
    assert any(word in line for line in lines), lines
