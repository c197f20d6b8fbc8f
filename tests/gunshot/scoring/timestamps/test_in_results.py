"""Time and place in the tables of the results."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gunshot.models.bundle import load_bundle
from gunshot.scoring.recording import score_recording
from gunshot.scoring.results import read_table, write_batch
from gunshot.scoring.targets import Target, list_targets
from gunshot.scoring.timestamps import Deployment, Deployments
from gunshot.storage import read_bytes, write_bytes

DEPLOYMENTS = Deployments((Deployment(path="*.wav", site="North", recorder="AM1", latitude=5.0, longitude=8.0),))


@pytest.fixture
def target(tmp_path: Path, write_recording: Callable[..., Path], make_guano: Callable[..., bytes]) -> Target:
    path = write_recording(tmp_path / "audio" / "x.wav", 6, [2.0], subtype="PCM_16")
    content = path.read_bytes() + make_guano(Timestamp="2026-06-01T12:00:00+02:00", Serial="77")
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    return list_targets([str(tmp_path / "audio")])[0]


def test_rows_say_when_where_and_how_it_is_known(target: Target, matched_bundle: str, tmp_path: Path) -> None:
    row, found = score_recording(target, load_bundle(matched_bundle), deployments=DEPLOYMENTS)
    write_batch(str(tmp_path / "results"), "one", found, [row])
    (written,) = read_table(str(tmp_path / "results"), "recordings").to_pylist()
    (detection,) = read_table(str(tmp_path / "results"), "detections").to_pylist()
    start = datetime(2026, 6, 1, 10, tzinfo=UTC)
    assert written["state"] == "ok"
    assert written["start_utc"] == start
    assert abs(detection["start_utc"] - start - timedelta(seconds=2)) < timedelta(seconds=0.01)
    for values in (written, detection):
        assert values["time_source"] == "GUANO, UTC+2"
        assert (values["time_uncertainty_s"], values["site"], values["recorder"]) == (1, "North", "AM1")
        assert (values["latitude"], values["longitude"]) == (5, 8)


def test_what_is_written_beside_the_sound_changes_no_detection(target: Target, matched_bundle: str) -> None:
    bundle = load_bundle(matched_bundle)
    path = Path(target.uri)
    _, with_metadata = score_recording(target, bundle)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"guan")])
    _, without = score_recording(target, bundle)
    place = {"start_utc", "time_source", "time_uncertainty_s", "recorder"}
    assert with_metadata
    assert [{k: v for k, v in row.items() if k not in place} for row in with_metadata] == [
        {k: v for k, v in row.items() if k not in place} for row in without
    ]


def test_results_of_before_there_were_places_are_read(target: Target, matched_bundle: str, tmp_path: Path) -> None:
    results = str(tmp_path / "results")
    row, found = score_recording(target, load_bundle(matched_bundle))
    write_batch(results, "one", found, [row])
    for kind in ("detections", "recordings"):
        uri = f"{results}/{kind}/one.parquet"
        old = pq.read_table(io.BytesIO(read_bytes(uri))).drop_columns(
            ["time_uncertainty_s", "site", "recorder", "latitude", "longitude"]
        )
        buffer = io.BytesIO()
        pq.write_table(old, buffer)
        write_bytes(uri, buffer.getvalue())
        values: dict[str, Any] = read_table(results, kind).to_pylist()[0]
        assert (values["site"], values["recorder"], values["time_uncertainty_s"]) == ("", "", None)
