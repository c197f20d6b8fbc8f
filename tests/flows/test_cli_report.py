"""``gunshot report``: one page that says what its summary does; a mistake is one line with what to do, and no page."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gunshot.review.queue import load_queue
from gunshot.review.session import ReviewSession
from gunshot.scoring.results import write_batch
from tests.gunshot.export.conftest import recording_row
from tests.review.conftest import make_results

Gunshot = Callable[..., Any]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with results, others without a detection, and what looks like results of nothing; the current one."""
    make_results(tmp_path)
    write_batch(str(tmp_path / "quiet"), "one", [], [recording_row("a.wav", n_detections=0)])
    (tmp_path / "empty" / "recordings").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("words", "code", "says"), [
    (["nowhere"], 1, "no results at nowhere: give the folder or prefix that was --out of gunshot score"),
    (["empty"], 2, "nothing has been scored into empty yet: run gunshot score INPUT --out empty first"),
    (["results", "--model", "paper"], 2, "--model paper is none of those in results: field-cnn"),
    (["results", "--since", "dusk"], 2, "--since takes a time in UTC such as 2026-11-22 .* not 'dusk'"),
    (["results", "--until", "2026-13-01"], 2, "--until takes a time in UTC"),
    (["results", "--since", "2026-12-01", "--until", "2026-11-01"], 2,
     "nothing lies between --since 2026-12-01 and --until 2026-11-01: the first must be before the other"),
    (["results", "--since", "2030-01-01"], 2,
     r"no recording begins in this time; they begin from 2026-11-22T18:00\+00:00 to 2026-11-23T18:01\+00:00: "),
    (["quiet", "--since", "2026-01-01"], 2, "no recording's start is known, so --since and --until find none"),
    (["results", "--archive", "nowhere"], 1, "--archive nowhere does not exist: give the folder or prefix"),
    (["results", "--examples", "-1"], 2, "'--examples': -1 is not in the range"),
    (["results", "--out", "archive"], 1, "cannot write archive: it is a folder; give the address of a file"),
    (["results", "--out", "sound.wav/x.html"], 1, "cannot write sound.wav/x.html: a file stands where a folder is"),
])  # fmt: skip
def test_a_mistake_is_one_line_and_leaves_nothing(
    gunshot: Gunshot, place: Path, words: list[str], code: int, says: str
) -> None:
    (place / "sound.wav").touch()
    before = sorted(place.rglob("*"))
    ended = gunshot("report", *([] if "--out" in words else ["--out", "page.html"]), *words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1)
    assert re.search(says, ended.err), ended.err
    assert sorted(place.rglob("*")) == before


def test_no_address_for_the_page_is_bad_usage(gunshot: Gunshot, place: Path) -> None:
    ended = gunshot("report", "results")
    assert (ended.code, ended.err) == (2, "gunshot: Missing option '--out'; see 'gunshot report --help'\n")


def test_a_person_and_a_machine_are_told_what_the_page_holds(gunshot: Gunshot, place: Path) -> None:
    review = ReviewSession("results", load_queue("results"), "Anna")
    for number in range(3):
        review.decide(number, "not")
    words = ("report", "results", "--title", "Shots <in> November", "--examples", "2")
    ended = gunshot(*words, "--out", "one.html", "--json")
    assert (ended.code, ended.err) == (0, "")
    summary = json.loads(ended.out)
    page = (place / "one.html").read_text()
    assert summary["report"] == "one.html"
    assert summary["size_bytes"] == (place / "one.html").stat().st_size
    assert (summary["n_detections"], summary["n_left_out"], summary["n_examples"]) == (27, 3, 2)
    assert "Shots &lt;in&gt; November" in page
    sounds = re.findall(r'src="data:audio/flac;base64,([^"]+)"', page)
    assert [base64.b64decode(sound)[:4] for sound in sounds] == [b"fLaC"] * 2
    told = gunshot(*words, "--out", "deeper/two.html").out.splitlines()
    assert told[0] == f"{summary['n_incidents']} incidents of 27 detections; 3 reviewed as no gunshots are left out"
    assert told[1] == "2 with picture and sound"
    assert re.fullmatch(r"report: deeper/two\.html \(\d\.\d MB\)", told[2])
    assert (place / "deeper" / "two.html").read_text() == page


def test_a_part_of_the_season_and_a_quiet_one_are_pages_too(gunshot: Gunshot, place: Path) -> None:
    ended = gunshot("report", "results", "--out", "night.html", "--until", "2026-11-23", "--examples", "0", "--json")
    assert (ended.code, json.loads(ended.out)["n_detections"]) == (0, 20)
    ended = gunshot("report", "quiet", "--out", "quiet.html")
    assert (ended.code, ended.out.splitlines()[0]) == (0, "0 incidents of 0 detections")
    assert (place / "quiet.html").read_text().startswith("<!DOCTYPE html>")


def test_recordings_that_have_moved_are_asked_for_and_found(gunshot: Gunshot, place: Path) -> None:
    (place / "archive").rename(place / "disk")
    told = gunshot("report", "results", "--out", "page.html", "--examples", "5").out.splitlines()
    assert (
        told[1] == "0 with picture and sound; 30 cannot be read any more: give --archive if the recordings have moved"
    )
    told = gunshot("report", "results", "--out", "page.html", "--examples", "5", "--archive", "disk").out.splitlines()
    assert told[1] == "5 with picture and sound"
