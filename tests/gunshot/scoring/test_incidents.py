"""Shots that several recorders heard become one incident, whatever the order of the rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import ParameterError
from gunshot.scoring.incidents import LONGEST_S, detection_id, find_incidents, speed_of_sound
from gunshot.scoring.results import DETECTION_SCHEMA

Row = dict[str, Any]
START = datetime(2026, 6, 1, 12, tzinfo=UTC)
DEGREE_M = 111_195.0  # of latitude


def detection(recorder: str, at_s: float, **values: Any) -> Row:
    row = {
        "path": f"{recorder}.wav", "uri": f"/{recorder}/{values.pop('file', 'x')}.wav", "start_s": at_s + 5,
        "end_s": at_s + 5.45, "start_utc": START + timedelta(seconds=at_s), "time_source": "GUANO, UTC",
        "time_uncertainty_s": 0.0, "site": "", "recorder": recorder, "latitude": None, "longitude": None,
        "n_shots": 1, "shots_s": [at_s + 5], "score": 0.75, "probability": None, "threshold": 0.5, "model": "m",
        "model_digest": "m" * 16, "recipe_digest": "r" * 16,
    }  # fmt: skip
    return row | values


def incidents(*rows: Row, **options: Any) -> list[Row]:
    found: list[Row] = find_incidents(pa.Table.from_pylist(list(rows), schema=DETECTION_SCHEMA), **options).to_pylist()
    return found


def at(metres: float) -> Row:
    return {"latitude": metres / DEGREE_M, "longitude": 0.0}


@pytest.mark.parametrize(("delay_s", "n_incidents"), [(0.0, 1), (2.8, 1), (3.1, 2)])
def test_sound_needs_its_time(delay_s: float, n_incidents: int) -> None:
    """1,000 m are 2.91 s."""
    found = incidents(detection("A", 0, **at(0)), detection("B", delay_s, **at(1000), n_shots=3, score=0.875))
    assert len(found) == n_incidents
    if n_incidents == 1:
        assert (found[0]["n_recorders"], found[0]["n_shots"], found[0]["score"]) == (2, 3, 0.875)
        assert found[0]["recorders"] == ["A", "B"]
        assert found[0]["start_utc"] == START


def test_uncertainty_widens_and_cold_air_slows() -> None:
    late = detection("B", 3.1, **at(1000))
    assert len(incidents(detection("A", 0, **at(0)), late | {"time_uncertainty_s": 0.25})) == 1
    assert len(incidents(detection("A", 0, **at(0)), late, temperature_c=-20)) == 1
    assert speed_of_sound(-20) < speed_of_sound(20) == pytest.approx(343.2)
    with pytest.raises(ParameterError, match="temperature_c"):
        speed_of_sound(293)


def test_without_positions_the_site_decides() -> None:
    assert len(incidents(detection("A", 0, site="N"), detection("B", 2.5, site="N"))) == 1
    assert len(incidents(detection("A", 0, site="N"), detection("B", 3.5, site="N"))) == 2
    assert len(incidents(detection("A", 0, site="N"), detection("B", 0, site="S"))) == 2
    assert len(incidents(detection("A", 0), detection("B", 0))) == 2


def test_far_recorders_hear_different_shots() -> None:
    assert len(incidents(detection("A", 0, **at(0)), detection("B", 0, **at(20_000)))) == 2


def test_one_recorder_joins_only_what_overlaps() -> None:
    assert len(incidents(detection("A", 0, site="N"), detection("A", 0.05, site="N", file="copy"))) == 1
    assert len(incidents(detection("A", 0, site="N"), detection("A", 2.0, site="N"))) == 2


def test_a_burst_that_one_heard_whole_joins_its_parts() -> None:
    whole = detection("B", 0.5, site="N", shots_s=[5.5, 6, 7, 8], n_shots=4)
    (found,) = incidents(detection("A", 0, site="N"), detection("A", 3, site="N"), whole)
    assert (found["n_detections"], found["n_shots"]) == (3, 4)


def test_times_not_known_stand_alone_and_say_so() -> None:
    rows = [
        detection("A", 0, site="N"),
        detection("B", 0, site="N", start_utc=None, time_uncertainty_s=None, time_source="not known"),
        detection("C", 0, site="N", time_uncertainty_s=50_401.0, time_source="file name, taken as UTC"),
        detection("D", 0, site="N", time_uncertainty_s=None),
    ]
    found = incidents(*rows)
    assert len(found) == 4
    assert found[-1]["start_utc"] is None
    assert sorted(row["note"] for row in found) == [
        "",
        "not joined: how far its time may be off is not known",
        "not joined: its time may be off by 50401 s (file name, taken as UTC)",
        "not joined: no time (not known)",
    ]


def test_models_are_never_joined() -> None:
    assert len(incidents(detection("A", 0, site="N"), detection("B", 0, site="N", model_digest="other"))) == 2


def test_fire_that_goes_on_is_several_incidents() -> None:
    rows = [detection("AB"[index % 2], index * 1.5, site="N") for index in range(200)]
    found = incidents(*rows)
    assert len(found) > 3
    for row in found:
        assert (row["end_utc"] - row["start_utc"]).total_seconds() <= LONGEST_S + 0.45


def test_nothing_heard() -> None:
    assert incidents() == []


heard = st.lists(
    st.tuples(
        st.sampled_from("ABCD"), st.integers(0, 2400), st.sampled_from(["", "N", "S"]), st.booleans(),
        st.sampled_from([0.0, 1.0, 50_401.0, None]),
    ),
    max_size=30, unique_by=lambda item: item[:2],
)  # fmt: skip
PLACES = {"A": 0.0, "B": 400.0, "C": 1500.0, "D": 9000.0}


@settings(max_examples=30)
@given(heard=heard, order=st.randoms(use_true_random=False))
def test_every_detection_is_in_one_incident_in_any_order(heard: list[Any], order: Any) -> None:
    rows = [
        detection(name, tenths / 10, site=site, time_uncertainty_s=uncertainty, **(at(PLACES[name]) if placed else {}))
        for name, tenths, site, placed, uncertainty in heard
    ]
    found = incidents(*rows)
    assert sorted(name for row in found for name in row["detections"]) == sorted(map(detection_id, rows))
    assert sum(row["n_detections"] for row in found) == len(rows)
    for row in found:
        assert row["n_recorders"] <= row["n_detections"]
        if row["n_detections"] > 1:
            assert (row["end_utc"] - row["start_utc"]).total_seconds() <= LONGEST_S + 0.45
    order.shuffle(rows)
    assert incidents(*rows) == found
