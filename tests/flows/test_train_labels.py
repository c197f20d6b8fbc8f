"""`gunshot train --labels --champion`: labels join the store's rows by group; the new model is held against the old.

The recordings are real files of synthetic sound; so are the decisions, which are made as the review page makes them.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from gunshot.models.bundle import load_bundle
from gunshot.models.splits import splits_by_group
from gunshot.review.queue import load_queue
from gunshot.review.session import ReviewSession
from gunshot.store.joined import open_joined
from gunshot.store.read import open_store
from tests.review.conftest import make_results

pytestmark = pytest.mark.usefixtures("plain_flows")

Gunshot = Callable[..., Any]
LOGISTIC = ("--model", "logistic", "--workers", 0)


class Place(NamedTuple):
    """Where the old things are: a store of six scenes, the champion trained on it, a label table of the other three."""

    store: Path
    champion: Path
    labels: Path


def tables(labelled: Path, folder: Path) -> tuple[Path, Path]:
    """The label table of the first six scenes, and of the last three; their paths are absolute."""
    with (labelled / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    paths = (folder / "old.csv", folder / "new.csv")
    for path, scenes in zip(paths, (range(6), range(6, 9)), strict=True):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            for row in rows:
                if int(row["group"].removeprefix("scene")) in scenes:
                    source = {"source": "site"} if path.name == "new.csv" else {}
                    writer.writerow(row | source | {"path": str(labelled / row["path"])})
    return paths


@pytest.fixture
def place(gunshot: Gunshot, labelled: Path, tmp_path: Path) -> Place:
    old, new = tables(labelled, tmp_path)
    found = Place(tmp_path / "features.zarr", tmp_path / "champion", new)
    assert gunshot("preprocess", "--labels", old, "--store", found.store, "--workers", 0).code == 0
    words = ["--store", found.store, "--out", found.champion, "--operating-point", "0.5", "--augment", "none"]
    assert gunshot("train", *words, *LOGISTIC).code == 0
    return found


def test_a_label_table_joins_the_store_and_the_copies_are_of_both(
    gunshot: Gunshot, place: Place, tmp_path: Path
) -> None:
    model = tmp_path / "next"
    words = ["train", "--store", place.store, "--labels", place.labels, "--out", f"{model}/", "--augment", "paper"]
    ended = gunshot(*words, *LOGISTIC, "--json")
    assert ended.code == 0, ended.err
    printed = json.loads(ended.out)
    added = open_store(str(tmp_path / "next-labels.zarr"))
    assert added.recipe == open_store(str(place.store)).recipe
    n_labels = added.header.n_rows
    assert printed["labels"]["preprocessed"]["states"] == {"ok": n_labels}
    assert sum(printed["labels"]["splits"].values()) == n_labels
    assert (printed["labels"]["decisions"], printed["champion"]) == (None, None)
    training = load_bundle(str(model)).details["training"]
    joined = open_joined(str(place.store), str(tmp_path / "next-labels.zarr"))
    assert sum(training["rows"].values()) == joined.header.n_rows == 72
    assert training["copies"] == training["rows"]["train"]
    assert set(training["rows_by_source"]) <= {"synthetic", "site"}
    known = splits_by_group(str(model))
    assert len(known) == 9
    assert all(len(splits) == 1 for splits in known.values())
    # again: what is there is not computed again
    again = gunshot(*words, *LOGISTIC, "--json")
    assert json.loads(again.out)["labels"]["preprocessed"]["n_computed"] == 0
    assert json.loads(again.out)["digest"] == printed["digest"]
    # the store alone is evaluated on the groups that were held out
    report = tmp_path / "report"
    assert gunshot("evaluate", "--store", place.store, "--model", model, "--out", report).code == 0


def test_a_review_trains_the_next_model_and_tells_what_it_won(gunshot: Gunshot, place: Place, tmp_path: Path) -> None:
    results = make_results(tmp_path / "scored", n_recordings=12)
    review = ReviewSession(results, load_queue(results), "Anna")
    for number in range(120):
        review.decide(number, ("gunshot", "not", "not")[number % 3])
    review.decide(5, "unsure")
    model = tmp_path / "next"
    words = ["train", "--store", place.store, "--labels", results, "--champion", place.champion, "--out", model]
    ended = gunshot(*words, *LOGISTIC, "--augment", "none", "--operating-point", "0.5", "--json")
    assert ended.code == 0, ended.err
    printed = json.loads(ended.out)
    assert printed["labels"]["decisions"]["n_decided"] == 120
    assert printed["labels"]["decisions"]["n_others"] == 79
    added = open_store(printed["labels"]["preprocessed"]["store"])
    label = np.asarray(added.column("label"))
    assert (label.sum(), (label == 0).sum()) == (40, 79)  # what people called 'not' comes in as another sound
    joined = open_joined(str(place.store), added.header.uri)
    bundle = load_bundle(str(model))
    # a site's night is on one side, and the champion's groups are where they were
    known, before = splits_by_group(str(model)), splits_by_group(str(place.champion))
    assert all(len(splits) == 1 for splits in known.values())
    assert {group: known[group] for group in before} == before
    assert {"train", "test"} <= {split for group, splits in known.items() if group not in before for split in splits}
    champion = printed["champion"]
    assert bundle.details["champion"] == champion
    held_out = [group for group, splits in known.items() if splits & {"test", "unseen"}]
    rows = [value for value, group in zip(joined.column("label"), joined.column("group"), strict=True)
            if group in held_out]  # fmt: skip
    assert champion["comparison"]["shots"]["n"] == sum(rows)
    assert champion["comparison"]["alarms"]["n"] == len(rows) - sum(rows)
    assert {"review", "synthetic"} == set(champion["comparison"]["by_source"])
    assert champion["service"]["n_reviewed"] == 119
    assert champion["service"]["n_gunshots"] == 40
    report = tmp_path / "report"
    assert gunshot("evaluate", "--store", place.store, "--model", model, "--out", report).code == 0
    page = (report / "report.html").read_text()
    section = page[page.index('<h2 id="champion">') :]
    shots = champion["comparison"]["shots"]
    assert f"finds {shots['won']} that the champion misses, and misses {shots['lost']} that" in section
    assert "Of those reviewed 40 are gunshots: 34%" in section
    told = ended.err.splitlines()
    assert sum(line.startswith("evaluate ") for line in told) == 2  # champion and challenger, on the same rows


def test_a_review_of_recordings_that_have_moved_since_trains_with_where_they_are(
    gunshot: Gunshot, place: Place, tmp_path: Path
) -> None:
    results = make_results(tmp_path / "scored", n_recordings=6)
    review = ReviewSession(results, load_queue(results), "Anna")
    for number in range(60):
        review.decide(number, ("gunshot", "not")[number % 2])
    (tmp_path / "scored" / "archive").rename(tmp_path / "disk")
    words = ["train", "--store", place.store, "--labels", results, "--out", tmp_path / "next", "--augment", "none"]
    ended = gunshot(*words, *LOGISTIC)
    assert ended.code == 2
    assert "after a review: give --archive" in ended.err.splitlines()[-1]
    ended = gunshot(*words, *LOGISTIC, "--archive", tmp_path / "disk", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["labels"]["preprocessed"]["states"] == {"ok": 60}
    assert sum(json.loads(ended.out)["labels"]["splits"].values()) == 60


def test_a_person_is_told_what_was_won(gunshot: Gunshot, place: Place, tmp_path: Path) -> None:
    model = tmp_path / "next"
    words = ["train", "--store", place.store, "--labels", place.labels, "--champion", place.champion, "--out", model]
    ended = gunshot(*words, *LOGISTIC, "--augment", "none")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    found = load_bundle(str(model)).details["champion"]["comparison"]["shots"]
    assert lines[0].startswith("labels: 24 rows = 24 ok; store: ")
    assert lines[1].startswith("clips of the labels, by group: ")
    assert any(f"of {found['n']} shots {found['won']} won" in line for line in lines)
    assert lines[-1].startswith(f"bundle: {model} (")


@pytest.mark.parametrize(("words", "message"), [
    (["--labels", "nothing"], "--labels nothing is neither a label table"),
    (["--labels", "nothing.csv"], "label table: cannot read .*does not exist"),
    (["--labels", "{labels}", "--split", "random"], "--labels are divided by group.*leave --split random out"),
    (["--labels", "{labels}", "--archive", "disk"], "--archive disk says where .* give --labels RESULTS"),
    (["--archive", "disk"], "--archive disk says where .* give --labels RESULTS with it, or leave it out"),
    (["--champion", "{champion}", "--split", "random"], "--champion needs rows that are held out by group"),
    (["--champion", "nothing"], "no model bundle at nothing"),
])  # fmt: skip
def test_a_mistake_is_told_before_any_work(
    gunshot: Gunshot, place: Place, tmp_path: Path, words: list[str], message: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    given = [word.format(labels=place.labels, champion=place.champion) for word in words]
    ended = gunshot("train", "--store", place.store, "--out", tmp_path / "m", *LOGISTIC, *given)
    assert ended.code == 2
    (line,) = [line for line in ended.err.splitlines() if line.startswith("gunshot: ")]
    assert re.search(message, line), line
    assert sorted(tmp_path.rglob("*")) == before


def test_the_champion_is_not_written_over(gunshot: Gunshot, place: Place) -> None:
    words = ["--store", place.store, "--champion", place.champion, "--out", place.champion]
    ended = gunshot("train", *words, *LOGISTIC)
    assert ended.code == 2
    assert "is the champion's own folder" in ended.err
