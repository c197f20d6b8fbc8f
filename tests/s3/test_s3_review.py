"""A review of results in a bucket: each decision is there when the page is told so, whatever dies or fails."""

from __future__ import annotations

import contextlib
import csv
import json
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from gunshot.errors import TransientStorageError
from gunshot.manifest.sources import build_manifest
from gunshot.review.compaction import MOST_OBJECTS
from gunshot.review.decision_log import SEGMENT_ROWS, DecisionLog, DecisionReader, read_decisions
from gunshot.review.decisions import latest
from gunshot.review.queue import load_queue
from gunshot.review.session import ReviewSession
from gunshot.scoring.morning import _is_reviewed
from gunshot.storage import list_files, s3
from tests.review.conftest import SR, make_results
from tests.review.pages import ran, reviewing
from tests.review.test_decisions import decision
from tests.s3.faults import KINDS, FaultProxy, Plan
from tests.s3.runs import upload
from tests.s3.seaweed import BUCKET, SeaweedFS
from tests.s3.test_s3_compaction import sittings

Through = Callable[[Plan], FaultProxy]


@pytest.fixture
def results(prefix: str, tmp_path: Path) -> str:
    """Results of 30 detections in a bucket, and their recordings beside them: those that were scored are gone."""
    upload(Path(make_results(tmp_path)), f"{prefix}/results")
    upload(tmp_path / "archive", f"{prefix}/archive")
    (tmp_path / "archive").rename(tmp_path / "elsewhere")
    return f"{prefix}/results"


def objects(results: str) -> list[str]:
    return [info.uri.rpartition("/review/decisions/")[2] for info in list_files(f"{results}/review/decisions")]


def test_what_the_page_was_told_survives_a_kill_and_lies_beside_what_others_say(
    results: str, prefix: str, tmp_path: Path
) -> None:
    archive, told = f"{prefix}/archive", []
    people = {"Anna": ("gunshot", "not"), "Łukasz *[1]*/..": ("not", "not")}
    for who, labels in people.items():
        with reviewing(results, "--who", who, "--archive", archive) as page:
            version = page.start()["version"]
            assert page.client.get("/sound/0").content[:4] == b"RIFF"
            for number in range(7):
                label = labels[number % 2]
                if page.decide(version, number, label, note=f"word {number}").status_code == 200:
                    told.append((who, number, label))
            page.kill()
    assert len(told) == 14
    items = load_queue(results).items
    kept = latest(read_decisions(results))
    for who, number, label in told:
        assert kept[items[number].sound][who].label == label
    assert {name.count("/") for name in objects(results)} == {1}  # a folder a person

    with reviewing(results, "--who", "Anna") as page:  # goes on where it was
        progress = page.client.get("/api/progress").json()
    assert (progress["total"], progress["done"], progress["people"]) == (30, 7, list(people))
    assert (progress["shared"], progress["agreed"]) == (7, 3)

    counts = json.loads(
        ran("results", "labels", results, "--out", tmp_path / "labels.csv", "--archive", archive, "--json")
    )
    assert (counts["n_disagreed"], counts["n_others"]) == (4, 3)
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["0"] * 3
    assert all(row["path"].startswith(f"{archive}/site0/") for row in rows)
    assert build_manifest([], labels=str(tmp_path / "labels.csv")).column("sr").to_pylist() == [SR] * 3
    assert json.loads(ran("results", "service", results, "--json"))["n_reviewed"] == 3


def test_a_kill_amid_a_decision_loses_none_that_was_answered(results: str) -> None:
    sittings(results, "Ben", MOST_OBJECTS + 1)
    told = 0
    with reviewing(results, "--who", "Anna") as page:
        assert len(objects(results)) == 1  # what Ben said was put together
        version = page.start()["version"]
        killer = threading.Timer(1.0, page.process.kill)
        killer.start()
        with contextlib.suppress(httpx.TransportError):
            for number in range(1_000_000):
                page.decide(version, number % 30, "not", note=str(number)).raise_for_status()
                told = number + 1
        killer.join()
    kept = [int(each.note) for each in read_decisions(results) if each.who == "Anna"]
    assert len(read_decisions(results)) == len(kept) + MOST_OBJECTS + 1
    assert kept == list(range(len(kept)))
    assert 0 < told <= len(kept) <= told + 1  # the one under way may be there, or not


def test_objects_stay_few_and_none_is_ever_written_twice(prefix: str, through_faults: Through) -> None:
    proxy = through_faults(Plan({}))
    log = DecisionLog(prefix, "Anna")
    said = [decision(start_s=float(k), when=f"2026-11-22T18:{k // 60:02}:{k % 60:02}.000000+00:00") for k in range(230)]
    for each in said:
        log.add(each)
    assert read_decisions(prefix) == said
    assert len(objects(prefix)) == -(-len(said) // SEGMENT_ROWS)
    puts = [one.target for one in proxy.asked if one.action == "PUT"]
    assert len(puts) == len(set(puts)) == len(said)


def test_what_is_known_is_not_fetched_again(prefix: str, through_faults: Through) -> None:
    proxy = through_faults(Plan({}))
    for who in ("Anna", "Ben", "Cem"):
        DecisionLog(prefix, who).add(decision(who))
    reader = DecisionReader(prefix)
    assert len(reader.read()) == 3
    proxy.asked.clear()
    log = DecisionLog(prefix, "Dina")
    log.add(decision("Dina"))
    for _ in range(3):
        assert len(reader.read()) == 4
    assert proxy.actions()["GET"] == 1


def test_lines_that_are_there_twice_count_once(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_leave(uri: str) -> None:
        raise TransientStorageError(f"cannot remove {uri}")

    monkeypatch.setattr("gunshot.review.decision_log.delete", no_leave)
    log = DecisionLog(prefix, "Anna")
    said = [decision(start_s=float(k), drawn="sample") for k in range(5)]
    for each in said:
        log.add(each)
    assert len(objects(prefix)) == 5
    assert read_decisions(prefix) == said
    assert _is_reviewed(prefix)


def test_a_reader_meets_every_decision_while_a_writer_replaces_its_objects(prefix: str) -> None:
    log, n = DecisionLog(prefix, "Anna"), 2 * SEGMENT_ROWS
    log.add(decision(start_s=0.0))
    told = [1]

    def write() -> None:
        for k in range(1, n):
            log.add(decision(start_s=float(k)))
            told[0] = k + 1

    writer = threading.Thread(target=write)
    writer.start()
    reader, n_read = DecisionReader(prefix), 0
    while writer.is_alive():
        before = told[0]
        found = reader.read()
        assert len(found) >= before
        n_read += 1
    writer.join()
    assert (told[0], len(reader.read())) == (n, n)
    assert n_read > 5


@pytest.mark.parametrize("kind", [*KINDS, "late"])
def test_no_fault_takes_a_decision_away_that_was_told_to_be_kept(
    prefix: str, tmp_path: Path, through_faults: Through, kind: str
) -> None:
    place = upload(Path(make_results(tmp_path)), prefix)
    proxy = through_faults(Plan({kind: 0.3}, most=1))
    told = {}
    for who in ("Anna", "Ben"):
        review = ReviewSession(place, load_queue(place), who)
        for number in range(20):
            label = ("gunshot", "not", "unsure")[number % 3]
            review.decide(number, label)
            told[who, review.queue.items[number].sound] = label
        assert review.undo() == 19
        del told[who, review.queue.items[19].sound]
    proxy.wait()
    kept = {
        (who, sound): each.label
        for sound, people in latest(read_decisions(place)).items()
        for who, each in people.items()
    }
    assert kept == told
    assert proxy.faults()[kind] > 5


def test_a_page_bears_that_the_store_dies_and_starts_again(weed: SeaweedFS, tmp_path: Path) -> None:
    place = upload(Path(make_results(tmp_path)), f"s3://{BUCKET}/results")
    with reviewing(place, "--who", "Anna") as page:
        version = page.start()["version"]
        assert page.decide(version, 0, "gunshot").status_code == 200
        weed.kill()
        again = threading.Timer(4.0, weed.start)
        again.start()
        assert page.decide(version, 1, "not").status_code == 200
        again.join()
        page.kill()
    assert [each.label for each in read_decisions(place)] == ["gunshot", "not"]


def test_a_decision_that_could_not_be_written_was_not_made(
    weed: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_clients: Callable[[], None]
) -> None:
    place = upload(Path(make_results(tmp_path)), f"s3://{BUCKET}/results")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3, "_PATIENCE_S", 0.5)
    fresh_clients()
    review = ReviewSession(place, load_queue(place), "Anna")
    review.decide(0, "gunshot")
    weed.kill()
    with pytest.raises(TransientStorageError, match="cannot write") as caught:
        review.decide(1, "gunshot")
    assert "\n" not in str(caught.value)
    assert review.progress("likeliest")["done"] == 1
    weed.start()
    assert [each.label for each in read_decisions(place)] == ["gunshot"]
    review.decide(1, "not")
    review.decide(2, "not")
    assert [each.label for each in read_decisions(place)] == ["gunshot", "not", "not"]
