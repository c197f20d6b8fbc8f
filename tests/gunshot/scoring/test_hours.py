"""Listening hours: what was heard, what was not, and when nothing was recorded."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.scoring.hours import LISTENING_SCHEMA, listening_hours

Row = dict[str, Any]
START = datetime(2026, 6, 1, 22, tzinfo=UTC)


def recording(at_s: float | None, read_s: float = 3600.0, **values: Any) -> Row:
    return {
        "uri": "/a/x.wav", "state": "ok", "duration_s": read_s, "read_s": read_s, "silent_s": 0.0, "clipped_s": 0.0,
        "start_utc": None if at_s is None else START + timedelta(seconds=at_s), "time_uncertainty_s": 1.0,
        "site": "N", "recorder": "A", "n_detections": 0,
    } | values  # fmt: skip


def hours(*rows: Row, **options: Any) -> list[Row]:
    table = listening_hours(pa.Table.from_pylist(list(rows)), **options)
    assert table.schema.equals(LISTENING_SCHEMA)
    found: list[Row] = table.to_pylist()
    return found


def test_days_are_utc_or_the_sites_own() -> None:
    rows = [recording(3600 * hour) for hour in range(5)]
    first, second = hours(*rows)
    assert (first["day"], first["listened_s"]) == (date(2026, 6, 1), 2 * 3600)
    assert (second["day"], second["listened_s"]) == (date(2026, 6, 2), 3 * 3600)
    (only,) = hours(*rows, time_zones={"N": "Asia/Tokyo"})
    assert (only["day"], only["listened_s"], only["time_zone"]) == (date(2026, 6, 2), 5 * 3600, "Asia/Tokyo")


def test_what_is_silent_clipped_short_or_failed() -> None:
    (total,) = hours(
        recording(0, 600, silent_s=60.0, clipped_s=30.0, n_detections=2),
        recording(600, 300, state="short", duration_s=600.0),
        recording(1200, 600, state="silent", silent_s=600.0),
        recording(1800, 0, state="unreadable", duration_s=None),
    )
    assert (total["n_recordings"], total["n_short"], total["n_failed"], total["n_detections"]) == (4, 1, 1, 2)
    assert (total["recorded_s"], total["silent_s"], total["listened_s"]) == (1500, 660, 840)
    assert (total["clipped_s"], total["missing_s"]) == (30, 300)


def test_a_recording_given_twice_counts_once() -> None:
    (total,) = hours(recording(0, 600), recording(0, 600, uri="/copy/x.wav"), recording(300, 600))
    assert (total["recorded_s"], total["overlap_s"]) == (900, 900)


def test_a_schedule_has_no_gaps_until_it_fails() -> None:
    minutes = [recording(60 * minute, 10) for minute in range(60)]
    assert hours(*minutes)[0]["n_gaps"] == 0
    (total,) = hours(*minutes[:20], *minutes[30:])
    assert (total["n_gaps"], total["gap_s"]) == (1, 600)


def test_a_day_without_recordings_is_a_row() -> None:
    found = hours(*(recording(600 * index, 600) for index in range(3)), recording(3 * 86_400, 600),
                  recording(3 * 86_400 + 601, 600), recording(3 * 86_400 + 1202, 600))  # fmt: skip
    assert [row["day"].day for row in found] == [1, 2, 3, 4]
    assert (found[1]["listened_s"], found[1]["gap_s"]) == (0, 86_400)


def test_starts_not_known_are_apart() -> None:
    known, unknown = hours(recording(0, 600), recording(None, 300, silent_s=100.0, time_uncertainty_s=None))
    assert (known["day"], known["listened_s"]) == (date(2026, 6, 1), 600)
    assert (unknown["day"], unknown["listened_s"], unknown["time_uncertainty_s"]) == (None, 200, None)


def test_recorders_without_a_name_are_folders() -> None:
    found = hours(recording(0, recorder="", uri="/a/x.wav"), recording(0, recorder="", uri="/b/x.wav"))
    assert [row["folder"] for row in found] == ["/a", "/b"]
    assert [row["overlap_s"] for row in found] == [0, 0]


def test_nothing_recorded() -> None:
    table = pa.Table.from_pylist([recording(0)]).slice(0, 0)
    assert listening_hours(table).num_rows == 0


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 300_000), st.integers(1, 20_000), st.floats(0, 1), st.sampled_from("AB")), max_size=20
    ),
    zone=st.sampled_from(["UTC", "Europe/London", "Pacific/Auckland"]),
    order=st.randoms(use_true_random=False),
)
def test_seconds_reconcile(rows: list[tuple[int, int, float, str]], zone: str, order: Any) -> None:
    made = [
        recording(at, read, silent_s=silent * read, recorder=name, uri=f"/{index}")
        for index, (at, read, silent, name) in enumerate(rows)
    ]
    if not made:
        return
    found = hours(*made, time_zones={"N": zone})
    read_s = sum(row["read_s"] for row in made)
    assert sum(row["recorded_s"] + row["overlap_s"] for row in found) == pytest.approx(read_s)
    assert sum(row["n_recordings"] for row in found) == len(made)
    for row in found:
        assert row["listened_s"] + row["silent_s"] == pytest.approx(row["recorded_s"])
        assert row["recorded_s"] + row["gap_s"] <= 86_400 + 1e-6
    order.shuffle(made)
    assert hours(*made, time_zones={"N": zone}) == found
