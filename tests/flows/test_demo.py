"""The demonstration: everything once, on a small corpus or on a user's recordings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.demo import DemoSummary
from gunshot.scoring.results import read_table
from gunshot.store.read import open_store

Gunshot = Callable[..., Any]

RATES = {"n": 30, "accuracy": 0.9, "recall": 0.8, "fpr": 0.05, "fnr": None}


def summary(truth: dict[str, Any] | None) -> DemoSummary:
    archive = {"n_recordings": 4, "hours": 0.33, "n_detections": 58, "truth": truth}
    metrics = {"models": {"small-cnn": {"test": RATES}}, "synthetic": True, "archive": archive}
    return DemoSummary("demo/report.html", metrics)


class TestLines:
    def test_shots_that_are_known_are_counted(self) -> None:
        lines = summary({"n_events": 60, "n_matched": 55, "false_alarms_per_hour": 9.0909}).lines()
        assert lines == [
            "small-cnn  test        30 clips  accuracy 0.9000  recall 0.8000  false alarms 0.0500  missed   -   ",
            "synthetic sound: no figure here is accuracy on real recordings",
            "archive    4 recordings, 0.33 h: 58 detections; of 60 known shots 55 found, 9.1 false alarms an hour",
        ]

    def test_recordings_whose_shots_nobody_knows_have_no_such_figures(self) -> None:
        assert summary(None).lines()[-1] == "archive    4 recordings, 0.33 h: 58 detections"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demonstration of one quick model, 40 clips and 20 s of archive."""
    import flows.demo
    from gunshot import demonstration

    sizes = {
        "_N_GUNSHOTS": 20,
        "_N_OTHERS": 20,
        "_N_RECORDINGS": 2,
        "_RECORDING_S": 10.0,
        "_N_PLANTED": 4,
        "_N_CONFUSERS": 2,
    }
    for name, value in sizes.items():
        monkeypatch.setattr(demonstration, name, value)
    monkeypatch.setattr(flows.demo, "DEMONSTRATED", ("logistic",))
    monkeypatch.setattr(flows.demo, "DEFAULT_MODEL", "logistic")


def check(out: Path, ended: Any) -> dict[str, Any]:
    """What every demonstration leaves; gives its metrics."""
    assert ended.code == 0, ended.err
    printed = json.loads(ended.out)
    metrics: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    assert printed == {"report": f"{out}/report.html", "metrics": metrics}
    assert metrics["default"] == "logistic"
    assert pq.read_table(out / "predictions.parquet").num_rows == len(open_store(str(out / "store.zarr")).usable)
    recordings = read_table(str(out / "results"), "recordings").to_pylist()
    archive = metrics["archive"]
    assert archive["n_recordings"] == sum(archive["states"].values()) == len(recordings)
    assert archive["n_detections"] == read_table(str(out / "results"), "detections").num_rows
    assert archive["hours"] == pytest.approx(sum(row["read_s"] for row in recordings) / 3600)
    page = (out / "report.html").read_text()
    for section in ("models", "dataset", "distortion", "recordings", "provenance"):
        assert f'id="{section}"' in page
    return metrics


@pytest.mark.usefixtures("small", "plain_flows")
class TestDemo:
    @pytest.mark.slow
    def test_on_synthetic_sound(self, gunshot: Gunshot, tmp_path: Path) -> None:
        out = tmp_path / "demo"
        metrics = check(out, gunshot("demo", "--out", out, "--workers", 0, "--json"))
        assert metrics["synthetic"] is True
        assert metrics["archive"]["n_recordings"] == 2
        assert metrics["archive"]["truth"]["n_events"] == 4

    @pytest.mark.slow
    def test_on_a_users_recordings(self, gunshot: Gunshot, labelled: Path, tmp_path: Path) -> None:
        out = tmp_path / "demo"
        before = {path: path.stat().st_mtime_ns for path in labelled.rglob("*")}
        metrics = check(out, gunshot("demo", "--audio", labelled, "--out", out, "--workers", 0, "--json"))
        table = pq.read_table(out / "predictions.parquet").to_pylist()
        tested = {row["path"] for row in table if row["split"] == "test"}
        assert metrics["archive"]["n_recordings"] == len(tested)
        assert metrics["archive"]["what"].startswith("all recordings whose every clip is held out")
        # whole files labelled as gunshots may hold more shots than one, so only the others are known
        assert metrics["archive"]["truth"]["n_events"] == 0
        assert {path: path.stat().st_mtime_ns for path in labelled.rglob("*")} == before

    def test_a_folder_that_is_not_there_is_one_line(self, gunshot: Gunshot, tmp_path: Path) -> None:
        ended = gunshot("demo", "--audio", tmp_path / "none", "--out", tmp_path / "demo", "--workers", 0)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.splitlines() == [ended.err.strip()]
        assert "does not exist; check the address" in ended.err


@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
@pytest.mark.usefixtures("small", "prefect_server")
def test_again_in_the_same_place_it_gives_the_same_figures(gunshot: Gunshot, tmp_path: Path) -> None:
    """Through the engine; nothing that the first one left is in the way of the second."""
    out = tmp_path / "demo"
    first, second = (check(out, gunshot("demo", "--out", out, "--workers", 0, "--json")) for _ in range(2))
    assert first == second
