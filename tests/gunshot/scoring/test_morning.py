"""The morning's summary, read object by object: what it tells is what the whole tables tell."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from gunshot.errors import StorageError
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.scoring.failures import failures_by_reason
from gunshot.scoring.hours import listening_hours
from gunshot.scoring.morning import tell_morning
from gunshot.scoring.nights import drift_of_nights, nights_table
from gunshot.scoring.results import KINDS, read_table, write_batch
from gunshot.scoring.results import objects as objects_module
from gunshot.scoring.results.merging import merge_objects
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.sampling import sample_below

Row = dict[str, Any]

RULE = ScoringRule(sample=0.5)
START = datetime(2026, 6, 1, 11, 59, 59, 999_000, tzinfo=UTC)
N_BATCHES = 12
WRITTEN = ("summary.json", "nights.csv", "review/sample.csv")


@pytest.fixture
def bundle(matched_bundle: str) -> Bundle:
    return load_bundle(matched_bundle)


@pytest.fixture
def results(tmp_path: Path, bundle: Bundle) -> Path:
    """Batches of three recorders, with failures, an earlier try of some, and rows of another model beside."""
    made = random.Random(0)
    of_ours = {"model_digest": bundle.digest, "recipe_digest": bundle.recipe.digest, "rule": RULE.canonical}
    for number in range(N_BATCHES):
        for kind, of_all in (("ours", of_ours), ("other", of_ours | {"model_digest": "n" * 16})):
            rows = [recording(made, 8 * number + place) for place in range(8)]
            found = [detection(row, made) for row in rows for _ in range(row["n_detections"])]
            below = [candidate(row, made) for row in rows if row["state"] == "ok"]
            tables = [[row | of_all for row in table] for table in (found, rows, below)]
            write_batch(str(tmp_path), f"{kind}{number:02d}", *tables)
    late = [recording(made, 3) | of_ours | {"state": "timed out", "n_tries": 1, "read_s": 0.0, "n_detections": 0}]
    write_batch(str(tmp_path), "late", [], late, [])
    return tmp_path


def recording(made: random.Random, number: int) -> Row:
    state = made.choice(["ok", "ok", "ok", "short", "silent", "unreadable"])
    usable = state in {"ok", "short"}
    recorder = f"R{number % 3}"
    start = None if number % 10 == 9 else START + timedelta(minutes=7 * number, milliseconds=number)
    return {
        "path": f"{recorder}/{number}.wav", "uri": f"/a/{recorder}/{number}.wav", "size": 1000, "etag": "1",
        "state": state, "reason": "" if state == "ok" else f"{state} by {number % 2}", "duration_s": 300.0,
        "read_s": 300.0 if usable else 0.0, "silent_s": float(number % 5) if usable else 0.0, "start_utc": start,
        "time_source": "not known", "site": "N", "recorder": "" if number % 3 == 2 else recorder,
        "longitude": 0.0, "n_candidates": 40, "n_detections": made.randint(0, 2) if usable else 0,
        "score_counts": [made.randint(0, 9) for _ in range(20)], "threshold": 0.5, "model": "logistic",
    }  # fmt: skip


def detection(row: Row, made: random.Random) -> Row:
    return {
        "path": row["path"], "uri": row["uri"], "etag": "1", "start_s": 200.0, "end_s": 200.5, "n_shots": 2,
        "shots_s": [200.0, 200.25], "score": made.uniform(0.5, 1.0), "threshold": 0.5, "model": "logistic",
        "time_source": "not known",
    }  # fmt: skip


def candidate(row: Row, made: random.Random) -> Row:
    return {
        "path": row["path"], "uri": row["uri"], "etag": "1", "onset_s": made.uniform(0, 300), "inclusion": 0.5,
        "score": made.uniform(0.0, 0.6), "level_db": -20.0,
    }  # fmt: skip


@pytest.mark.parametrize("part_rows", [objects_module.PART_ROWS, 5])
def test_it_tells_what_whole_tables_tell_however_the_objects_lie(
    results: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, part_rows: int
) -> None:
    ours = {}
    for kind in KINDS:
        table = read_table(str(results), kind)
        ours[kind] = table.filter(pc.equal(table.column("model_digest"), bundle.digest))
    monkeypatch.setattr(objects_module, "PART_ROWS", part_rows)
    told = tell_morning(str(results), bundle, RULE)
    assert told.totals["recordings"] == 8 * N_BATCHES == sum(told.totals["states"].values())
    assert told.totals["detections"] == ours["detections"].num_rows > N_BATCHES
    assert told.nights == nights_table(ours["recordings"], ours["detections"])
    assert told.failures == failures_by_reason(ours["recordings"])
    assert [(row.site, row.night, row.n_candidates) for row in drift_of_nights(ours["recordings"])] == [
        (row["site"], row["night"], row["n_candidates"]) for row in told.drift
    ]
    hours = listening_hours(ours["recordings"]).to_pylist()
    for name in ("listened_s", "gap_s", "n_gaps", "n_failed"):
        assert [row[name] for row in told.listening] == pytest.approx([row[name] for row in hours], abs=1e-3)
    assert told.sample["rows"] == sample_below(ours["candidates"], 0.5, 50).num_rows
    written = [(results / name).read_bytes() for name in WRITTEN]
    merge_objects(str(results))
    assert tell_morning(str(results), bundle, RULE) == told
    assert [(results / name).read_bytes() for name in WRITTEN] == written


def test_candidates_are_not_read_where_a_person_has_begun_on_the_sample(results: Path, bundle: Bundle) -> None:
    tell_morning(str(results), bundle, RULE)
    sample = results / "review/sample.csv"
    sample.write_text(sample.read_text().replace(",,", ",1,", 1))
    for path in results.glob("candidates/*.parquet"):
        path.write_bytes(b"torn")
    assert tell_morning(str(results), bundle, RULE).sample["labelled"] == 1


def test_detections_that_the_ledger_does_not_know_are_told(results: Path, bundle: Bundle) -> None:
    name = next(path.name for path in results.glob("detections/ours*.parquet"))
    (results / "detections" / name).write_bytes((results / "detections" / "ours11.parquet").read_bytes())
    with pytest.raises(StorageError, match="detections of which the ledger does not know: gunshot results verify"):
        tell_morning(str(results), bundle, RULE)
