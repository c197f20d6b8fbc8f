"""What a team gets each morning: two nights scored by the flow on a server, its artifacts and files, a backfill."""

from __future__ import annotations

import asyncio
import base64
import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from gunshot.manifest.labels import read_labels
from gunshot.scoring.results import read_table

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]

Gunshot = Callable[..., Any]
Json = dict[str, Any]


def newest(key: str) -> Any:
    """What the server's newest artifact of a key holds."""
    from prefect.client.orchestration import get_client

    async def ask() -> Any:
        async with get_client() as client:
            return await client.read_artifacts(limit=200)

    found = [artifact for artifact in asyncio.run(ask()) if artifact.key == key]
    data = max(found, key=lambda artifact: artifact.created).data
    return json.loads(data) if data.startswith("[") else data


def run_names() -> set[str]:
    from prefect.client.orchestration import get_client

    async def ask() -> Any:
        async with get_client() as client:
            return await client.read_flow_runs(limit=200)

    return {run.name for run in asyncio.run(ask())}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, write_noise: Callable[..., Path]) -> Path:
    """Two nights of one site, a recording that nobody knows the time of, and one that is none."""
    out = tmp_path_factory.mktemp("nights")
    for number, name in enumerate(("20261122_190000", "20261123_020000", "20261123_190000", "when")):
        write_noise(out / "archive" / f"{name}.wav", duration_s=6.0, seed=number)
    (out / "archive" / "20261123_200000.wav").write_bytes(b"no sound")
    (out / "sites.csv").write_text("path,site,time_zone\n*,hill,UTC\n")
    return out


def command(archive: Path, out: Path, *more: Any) -> list[Any]:
    return [
        "score", archive / "archive", "--model", "field", "--out", out, "--deployments", archive / "sites.csv",
        "--sample", "0.5", "--workers", 0, "--max-failed-fraction", 1, "--json", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def first(archive: Path, gunshot: Gunshot, prefect_server: None) -> tuple[Json, Path]:
    out = archive / "results"
    ended = gunshot(*command(archive, out))
    assert ended.code == 0, ended.err
    return json.loads(ended.out), out


class TestMorning:
    def test_files_and_summary_say_the_same_and_reconcile(self, first: tuple[Json, Path]) -> None:
        summary, out = first
        morning = json.loads((out / "summary.json").read_text())
        assert summary["morning"] == morning
        nights = rows_of(out / "nights.csv")
        assert [(row["site"], row["night"], row["recordings"]) for row in nights] == [
            ("hill", "", "1"), ("hill", "2026-11-22", "2"), ("hill", "2026-11-23", "2"),
        ]  # fmt: skip
        totals = morning["totals"]
        assert sum(int(row["recordings"]) for row in nights) == sum(totals["states"].values()) == totals["recordings"]
        assert sum(int(row["detections"]) for row in nights) == totals["detections"] == summary["n_detections"]
        (failure,) = morning["failures"]
        assert (failure["state"], failure["recordings"], failure["examples"]) == (
            "unreadable",
            1,
            "20261123_200000.wav",
        )
        assert {row["night"] for row in morning["drift"]} == {"2026-11-22", "2026-11-23"}

    def test_artifacts_show_it(self, first: tuple[Json, Path]) -> None:
        summary, out = first
        assert [(row["night"], row["recordings"]) for row in newest("score-nights")] == [
            ("2026-11-23", "2"), ("2026-11-22", "2"), ("", "1"),
        ]  # fmt: skip
        assert [row["state"] for row in newest("score-reasons")] == ["unreadable"]
        assert {row["day"] for row in newest("score-listening")} == {"2026-11-22", "2026-11-23", "None"}
        assert len(newest("score-drift")) == 2
        page = newest("score-morning")
        assert f"5 recordings, {summary['listened_s'] / 3600:.2f} h of sound" in page
        assert "times real time on 1 workers" in page
        assert str(out / "review" / "sample.csv") in page
        (image,) = re.findall(r"!\[Shots and hours listened by night\]\(data:image/svg\+xml;base64,(\S+)\)", page)
        svg = ElementTree.fromstring(base64.b64decode(image))
        assert len(svg.findall("{*}rect")) == 4  # two nights, of which shots and hours are known

    def test_the_sample_is_a_label_table_of_candidates_that_were_kept(self, first: tuple[Json, Path]) -> None:
        _, out = first
        rows = rows_of(out / "review" / "sample.csv")
        kept = read_table(str(out), "candidates").to_pylist()
        assert 0 < len(rows) == len(kept)  # fewer than a person is asked to check: all
        assert {row["label"] for row in rows} == {""}
        assert {row["x_inclusion"] for row in rows} == {"0.5"}
        labelled = out.parent / "labelled.csv"
        labelled.write_text((out / "review" / "sample.csv").read_text().replace(",,", ",0,"))
        assert [Path(row.path).exists() for row in read_labels(labelled)] == [True] * len(rows)

    def test_a_run_is_named_by_day_and_place(self, first: tuple[Json, Path]) -> None:
        assert any(name.startswith("score 20") and name.endswith(" archive") for name in run_names())


class TestRerun:
    def test_it_scores_nothing_and_changes_no_byte(
        self, first: tuple[Json, Path], archive: Path, gunshot: Gunshot
    ) -> None:
        summary, out = first
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        ended = gunshot(*command(archive, out))
        assert json.loads(ended.out) == summary | {"n_scored": 0, "throughput": None}
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
        assert "There was nothing new to score." in newest("score-morning")

    def test_a_sample_that_a_person_works_on_is_left(
        self, first: tuple[Json, Path], archive: Path, gunshot: Gunshot
    ) -> None:
        _, out = first
        place = out / "review" / "sample.csv"
        whole = place.read_bytes()
        begun = whole.replace(b",,", b",1,", 1)
        try:
            place.write_bytes(begun)
            ended = gunshot(*command(archive, out))
            assert json.loads(ended.out)["morning"]["sample"]["labelled"] == 1
            assert place.read_bytes() == begun
            ended = gunshot("results", "misses", place, "--json")
            assert ended.code == 0, ended.err
            found = json.loads(ended.out)
            # one row was checked, a shot: all of the sample, and of what it stands for, are taken to be like it
            assert found["n_checked"] == found["n_shots"] == 1
            assert found["misses"] == pytest.approx(2 * len(rows_of(place)))
        finally:
            place.write_bytes(whole)


class TestPeriod:
    PERIOD = ("--since", "2026-11-22T12:00", "--until", "2026-11-23T12:00")

    def test_a_dry_run_writes_nothing_and_says_what_the_run_does(
        self, archive: Path, gunshot: Gunshot, tmp_path: Path
    ) -> None:
        ended = gunshot(*command(archive, tmp_path / "r", *self.PERIOD, "--plan"))
        assert ended.code == 0, ended.err
        found = json.loads(ended.out)
        assert not (tmp_path / "r").exists()
        assert (found["n_listed"], found["n_done"], found["n_recordings"]) == (3, 0, 3)
        assert (found["n_outside"], found["n_unknown"], found["n_measured"]) == (2, 1, 3)
        assert found["hours"] == pytest.approx(18 / 3600)
        assert found["estimated_s"] > 0
        audio = archive / "archive"
        names = ("20261122_190000", "20261123_020000", "when")
        assert found["sound_bytes"] == sum((audio / f"{name}.wav").stat().st_size for name in names)

    def test_a_backfill_scores_the_period_and_a_later_run_the_rest(
        self, first: tuple[Json, Path], archive: Path, gunshot: Gunshot, tmp_path: Path
    ) -> None:
        out = tmp_path / "r"
        some = json.loads(gunshot(*command(archive, out, *self.PERIOD)).out)
        assert (some["n_listed"], some["n_scored"], some["n_outside"], some["n_unknown"]) == (3, 3, 2, 1)
        paths = read_table(str(out), "recordings").column("path").to_pylist()
        assert paths == ["20261122_190000.wav", "20261123_020000.wav", "when.wav"]
        assert any(name.startswith("score 2026-11-22..2026-11-23 archive") for name in run_names())
        rest = json.loads(gunshot(*command(archive, out)).out)
        assert (rest["n_listed"], rest["n_scored"]) == (5, 2)
        whole = first[0]
        assert rest["morning"]["nights"] == whole["morning"]["nights"]
        assert (out / "review" / "sample.csv").read_bytes() == (first[1] / "review" / "sample.csv").read_bytes()

    def test_a_period_that_ends_before_it_begins_is_a_mistake(
        self, archive: Path, gunshot: Gunshot, tmp_path: Path
    ) -> None:
        ended = gunshot(*command(archive, tmp_path / "r", "--since", "2026-11-23", "--until", "2026-11-22", "--plan"))
        assert ended.code == 2
        assert "--until must be after --since = 2026-11-23" in ended.err


class TestTables:
    def test_incidents_and_hours_are_commands(self, first: tuple[Json, Path], gunshot: Gunshot, tmp_path: Path) -> None:
        _, out = first
        ended = gunshot("results", "incidents", out, "--out", tmp_path / "incidents.csv", "--json")
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["n_incidents"] == len(rows_of(tmp_path / "incidents.csv"))
        ended = gunshot("results", "hours", out, "--json")
        assert ended.code == 0, ended.err
        hours = json.loads(ended.out)["hours"]
        recordings = read_table(str(out), "recordings").to_pylist()
        assert sum(row["n_recordings"] for row in hours) == len(recordings)
        assert sum(row["recorded_s"] for row in hours) == pytest.approx(sum(row["read_s"] for row in recordings))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--sample", "2"], "--sample must be a probability in [0, 1]; got 2"),
        (["--settle-s", "-1"], "--settle-s must be 0 s or more; got -1"),
        (["--keep-candidates", "7"], "--keep-candidates must be a score in [0, 1]; got 7"),
        (["--since", "yesterday"], "--since takes a time in UTC"),
    ],
)
def test_a_mistake_is_told_in_our_words_not_those_of_the_form(
    words: list[str], line: str, archive: Path, gunshot: Gunshot, tmp_path: Path
) -> None:
    ended = gunshot(*command(archive, tmp_path / "r", *words))
    assert ended.code == 2
    assert ended.err.startswith(f"gunshot: {line}")
    assert len(ended.err.splitlines()) == 1
