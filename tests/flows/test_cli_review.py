"""``gunshot review``: a mistake is one line with what to do; else a page, which is asked, and the end by Ctrl+C."""

from __future__ import annotations

import csv
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gunshot.review.decision_log import read_decisions
from gunshot.scoring.results import write_batch
from tests.gunshot.export.conftest import recording_row
from tests.review.conftest import make_results
from tests.review.pages import OURS, reviewing

Gunshot = Callable[..., Any]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with results, others without a detection, and what looks like results of nothing; the current one."""
    make_results(tmp_path)
    (tmp_path / "results" / "review" / "sample.csv").rename(tmp_path / "sample.csv")
    write_batch(str(tmp_path / "quiet"), "one", [], [recording_row("a.wav", n_detections=0)])
    (tmp_path / "empty" / "recordings").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("words", "code", "says"), [
    ([], 2, "give the results once: gunshot review RESULTS; see 'gunshot review --help'"),
    (["results", "--results", "results"], 2, "give the results once"),
    (["nowhere"], 1, "no results at nowhere: give the folder or prefix that was --out of gunshot score"),
    (["archive"], 1, "no results at archive: give the folder"),
    (["empty"], 2, "nothing has been scored into empty yet: run gunshot score INPUT --out empty first"),
    (["quiet"], 2, "nothing to review in quiet: no detection, and no sample .* or with --sample 0.01"),
    (["results", "--order", "sample"], 2, "results holds no sample from below the threshold; score with --sample 0.01"),
    (["results", "--order", "loudest"], 2, "'--order': 'loudest' is not one of 'likeliest', 'uncertain', 'sample'"),
    (["results", "--model", "paper"], 2, "--model paper is none of those in results: field-cnn"),
    (["results", "--archive", "nowhere"], 1, "--archive nowhere does not exist: give the folder or prefix"),
    (["results", "--who", ""], 2, "--who takes a name of 1 to 60 characters; got '': say who decides"),
    (["results", "--port", "70000"], 2, "'--port': 70000 is not in the range"),
    (["results", "--host", "192.0.2.1"], 2, "cannot listen on --port 8765 of --host 192.0.2.1 .* of this machine"),
])  # fmt: skip
def test_a_mistake_is_one_line(gunshot: Gunshot, place: Path, words: list[str], code: int, says: str) -> None:
    before = sorted(place.rglob("*"))
    ended = gunshot("review", "--no-browser", *words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1)
    assert re.search(says, ended.err), ended.err
    assert sorted(place.rglob("*")) == before


def test_a_port_in_use_is_told_with_what_to_do(gunshot: Gunshot, place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = gunshot("review", "results", "--no-browser", "--port", str(port))
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert (
        f"cannot listen on --port {port} of --host 127.0.0.1 (Address already in use); give another port" in ended.err
    )


def test_an_account_without_a_name_is_asked_for_one(
    gunshot: Gunshot, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)  # as in a container that was given a number
    ended = gunshot("review", "results", "--no-browser", "--port", "0")
    assert (ended.code, ended.err) == (2, "gunshot: this account has no name: say who decides with --who NAME\n")


def test_the_page_serves_what_it_promises_and_ctrl_c_ends_it_at_once(place: Path) -> None:
    (place / "sample.csv").rename(place / "results" / "review" / "sample.csv")
    (place / "archive").rename(place / "disk")
    words = ("--who", "Anna", "--order", "uncertain", "--archive", "disk")
    with reviewing("results", *words, cwd=place) as page:
        assert page.said[0] == "30 detections and 12 sounds of the sample to review, by Anna"
        assert page.said[1].endswith("/ (Ctrl+C ends it; decisions are kept as they are made)")
        assert "<title>" in page.client.get("/").text
        start = page.start()
        assert (start["who"], start["order"]) == ("Anna", "uncertain")
        assert start["orders"] == {"likeliest": 30, "uncertain": 30, "sample": 12}
        row = page.client.get("/api/queue", params={"limit": 1}).json()["rows"][0]
        assert page.client.get(f"/sound/{row['number']}").content[:4] == b"RIFF"
        assert page.client.get(f"/picture/{row['number']}").content[1:4] == b"PNG"
        answer = page.decide(start["version"], row["number"], "gunshot", **{"class": "rifle"})
        assert answer.json()["progress"]["done"] == 1
        page.client.post("/api/classes", json={"classes": ["AK"]}, headers=OURS)
        assert page.interrupt() == (0, "")
    (made,) = read_decisions(str(place / "results"))
    assert (made.who, made.label, made.kind, made.path) == ("Anna", "gunshot", "rifle", row["path"])
    assert json.loads((place / "results/review/classes/Anna.json").read_text()) == ["AK"]
    with reviewing("results", *words, cwd=place) as page:
        assert page.client.get("/api/progress").json()["done"] == 1


def test_what_was_decided_is_a_table_and_figures_and_moved_recordings_are_asked_for(
    gunshot: Gunshot, place: Path
) -> None:
    ended = gunshot("results", "labels", "results", "--out", "labels.csv")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "nobody has decided anything in results: run gunshot review results first" in ended.err
    with reviewing("results", "--who", "Anna", cwd=place) as page:
        version = page.start()["version"]
        for number in range(4):
            assert page.decide(version, number, "not" if number else "gunshot").status_code == 200
        assert page.interrupt() == (0, "")
    ended = gunshot("results", "labels", "results", "--out", "labels.csv", "--archive", "nowhere")
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert not (place / "labels.csv").exists()
    ended = gunshot("results", "labels", "results", "--out", "labels.csv", "--archive", "archive")
    assert ended.out.startswith("4 sounds decided = 1 gunshot + 3 not + 0 unsure")
    with (place / "labels.csv").open(newline="") as file:
        assert {Path(row["path"]).parent for row in csv.DictReader(file)} == {place / "archive" / "site0"}
    assert json.loads(gunshot("results", "service", "results", "--json").out)["n_reviewed"] == 4
