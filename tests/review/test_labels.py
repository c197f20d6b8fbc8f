"""From decisions to labels that preprocessing takes, and to figures of the service."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.audio.decode import Recording
from gunshot.clips import Segment, clip_of_segment
from gunshot.errors import ManifestError, ParameterError, StorageError
from gunshot.manifest.labels import read_labels
from gunshot.manifest.sources import build_manifest
from gunshot.recipe import Recipe
from gunshot.review.labels import agreed, hard_negatives, label_rows, write_label_table
from gunshot.review.service import service_figures
from gunshot.review.session import ReviewSession
from tests.review.test_decisions import decision

Start = Callable[..., ReviewSession]


@given(st.lists(st.sampled_from(["gunshot", "not", "unsure"]), min_size=1, max_size=4))
def test_a_label_is_what_all_say(labels: list[str]) -> None:
    said = agreed({str(k): decision(str(k), label=label) for k, label in enumerate(labels)})
    if said in {"gunshot", "not"}:
        assert set(labels) == {said}
    else:
        assert "unsure" in labels or len(set(labels)) > 1


def test_the_table_is_taken_as_it_is_and_its_counts_add_up(results: str, session: Start, tmp_path: Path) -> None:
    anna, ben = session("Anna"), session("Ben")
    for number in range(20):
        anna.decide(number, "gunshot" if number % 2 else "not", "rifle" if number % 2 else "thunder")
    ben.decide(0, "gunshot")
    ben.decide(1, "gunshot")
    ben.decide(2, "unsure")
    anna.decide(31, "not")  # of the sample
    out = tmp_path / "labels.csv"
    counts = write_label_table(results, str(out))
    assert counts.n_decided == counts.n_gunshots + counts.n_others + counts.n_unsure + counts.n_disagreed == 21
    assert (counts.n_unsure, counts.n_disagreed, counts.n_written) == (1, 1, 19)
    rows = read_labels(str(out))
    assert sum(row.label for row in rows) == counts.n_gunshots
    assert {row.sound for row in rows} == {"rifle", "thunder", "other"}
    assert build_manifest([], labels=str(out)).num_rows == 19


def test_a_clip_of_the_table_begins_where_the_detection_does(results: str, session: Start, tmp_path: Path) -> None:
    anna = session()
    for number in range(10):
        anna.decide(number, "gunshot")
    write_label_table(results, str(tmp_path / "labels.csv"))
    onsets = [anna.item(number).start_s for number in range(10)]
    for row, onset_s in zip(read_labels(str(tmp_path / "labels.csv")), onsets, strict=True):
        with Recording(row.path) as recording:
            clip = clip_of_segment(recording, Segment(row.start_s, row.end_s), Recipe())
        assert clip.onset_s == pytest.approx(onset_s, abs=0.02)


def test_recordings_that_have_moved_are_found_below_another_root_and_remembered_by_both(
    results: str, session: Start, tmp_path: Path
) -> None:
    anna = session()
    for number in (0, 1, 31):  # two detections and one of the sample
        anna.decide(number, "gunshot")
    out, there = str(tmp_path / "labels.csv"), str(tmp_path / "elsewhere")
    write_label_table(results, out)
    before = build_manifest([], labels=out)
    (tmp_path / "archive").rename(there)
    with pytest.raises(ManifestError, match="after a review: give --archive"):
        build_manifest([], labels=out)
    write_label_table(results, out, archive=there)
    after = build_manifest([], labels=out)
    assert after.column("path").equals(before.column("path"))
    assert all(uri.startswith(f"{there}/site") for uri in after.column("uri").to_pylist())
    for name in ("start_s", "end_s", "label", "group", "duration_s"):
        assert after.column(name).equals(before.column(name))


def test_a_recording_that_lies_below_no_root_is_told() -> None:
    with pytest.raises(StorageError, match="does not lie below --archive /new; leave --archive out"):
        label_rows({("/a.wav", -1, 0): {"Anna": decision(path="../a.wav")}}, "/new")


def test_a_night_at_a_site_is_a_group_and_so_is_a_recording_without_them() -> None:
    rows = label_rows(
        {
            k: {"Anna": decision(uri=f"/a/{k}.wav", site=site, night=night)}
            for k, (site, night) in enumerate([("x", "n1"), ("x", "n1"), ("x", "n2"), ("", "n1"), ("x", "")])
        }
    )
    groups = {row["path"]: row["group"] for row in rows}
    assert groups["/a/0.wav"] == groups["/a/1.wav"]
    assert len(set(groups.values())) == 4


def test_hard_negatives_are_the_others_with_the_highest_scores(results: str, session: Start, tmp_path: Path) -> None:
    anna = session()
    for number in range(30):
        anna.decide(number, "not" if number % 3 else "gunshot")
    out = tmp_path / "hard.csv"
    assert write_label_table(results, str(out), hard=5).n_written == 5
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    others = sorted((anna.item(number).score for number in range(30) if number % 3), reverse=True)
    assert [float(row["x_score"]) for row in rows] == pytest.approx(others[:5], abs=1e-5)
    assert {row["label"] for row in rows} == {"0"}
    assert hard_negatives([], 3) == []


def test_nothing_decided_is_told(results: str, session: Start, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="nobody has decided"):
        write_label_table(results, str(tmp_path / "out.csv"))
    session().decide(0, "unsure")
    with pytest.raises(ParameterError, match="nothing to write"):
        write_label_table(results, str(tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()


def test_figures_of_the_service_hold_what_was_decided(results: str, session: Start) -> None:
    anna = session()
    before = service_figures(results)
    assert (before.precision, before.recall, before.n_reviewed) == (None, None, 0)
    for number in range(30):
        anna.decide(number, "not" if number % 3 == 0 else "gunshot")
    whole = service_figures(results)
    assert (whole.n_reviewed, whole.n_gunshots, whole.precision) == (30, 20, pytest.approx(20 / 30))
    assert whole.found == whole.found_low == whole.found_high == 20  # all are reviewed: nothing is estimated
    assert whole.misses is None
    sample = [int(number) for number in anna.queue.numbers("sample")]
    for place, number in enumerate(sample):
        anna.decide(number, "gunshot" if place == 0 else "not")
    figures = service_figures(results)
    assert figures.misses is not None
    assert figures.misses.misses == pytest.approx(100)  # one shot that was drawn with 0.01
    assert figures.recall == pytest.approx(20 / 120)
    assert figures.recall_interval is not None
    low, high = figures.recall_interval
    assert 0 < low < figures.recall < high <= 1
    assert any(line.startswith("recall: about 17%") for line in figures.lines())


def test_a_part_reviewed_leaves_a_wider_range(results: str, session: Start) -> None:
    anna = session()
    for number in range(0, 30, 2):
        anna.decide(number, "gunshot" if number % 4 else "not")
    figures = service_figures(results)
    assert figures.found is not None
    assert figures.found_low is not None
    assert figures.found_high is not None
    assert figures.n_gunshots <= figures.found_low < figures.found < figures.found_high <= 30
