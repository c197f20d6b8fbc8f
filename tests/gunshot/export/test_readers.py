"""Exports opened by programs of others."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import geojson
import pytest

from gunshot.export.geojson import write_geojson
from gunshot.export.labels import write_audacity, write_raven
from gunshot.export.selection import Selection
from gunshot.export.tables import write_csvs, write_kaleidoscope
from tests.gunshot.export.conftest import START, Row, detection_row, recording_row

# crowsetta renames columns in place, which pandas 3.1 warns of
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")

MakeSelection = Callable[..., Selection]

ODD = ['tab\tand "quote".wav', "line\nfeed.wav", "=1+1.wav", "é 👍.wav", '"quoted".wav']


@pytest.fixture(scope="module")
def crowsetta() -> ModuleType:
    """A library of bioacoustics that reads both formats; some seconds to import."""
    import crowsetta

    return crowsetta


def found_rows() -> list[Row]:
    return [
        detection_row("site/a.wav", 1.25, score=0.875),
        detection_row("site/a.wav", 100.5, n_shots=3, shots_s=[100.5, 100.75, 101.0], channel=1, probability=None),
    ]


class TestRaven:
    def test_crowsetta_reads_what_was_detected(
        self, tmp_path: Path, selection: MakeSelection, crowsetta: ModuleType
    ) -> None:
        written = write_raven(selection(found_rows()), str(tmp_path))
        assert written.names == ["site/a.Table.1.selections.txt"]
        raven = crowsetta.formats.bbox.Raven.from_file(tmp_path / written.names[0])
        boxes = raven.to_bbox()
        assert [(box.onset, box.offset, box.low_freq, box.high_freq, box.label) for box in boxes] == [
            (1.25, 1.7, 0, 12_000, "gunshot"), (100.5, 100.95, 0, 12_000, "gunshot"),
        ]  # fmt: skip
        assert list(raven.df["Selection"]) == [1, 2]
        assert list(raven.df["Channel"]) == [1, 2]
        assert list(raven.df["Shots"]) == [1, 3]
        assert list(raven.df["Score"]) == [0.875, 0.75]
        assert list(raven.df["Begin Path"]) == ["/archive/site/a.wav"] * 2
        assert list(raven.df["Begin File"]) == ["a.wav"] * 2
        assert raven.df["Probability"].isna().tolist() == [False, True]

    def test_odd_names_stay_in_their_cell(
        self, tmp_path: Path, selection: MakeSelection, crowsetta: ModuleType
    ) -> None:
        written = write_raven(selection([detection_row(name, 2.0) for name in sorted(ODD)]), str(tmp_path))
        assert written.n_detections == len(ODD) == len(written.names)
        for name in written.names:
            (box,) = crowsetta.formats.bbox.Raven.from_file(tmp_path / name).to_bbox()
            assert (box.onset, box.label) == (2.0, "gunshot")


class TestAudacity:
    def test_crowsetta_reads_what_was_detected(
        self, tmp_path: Path, selection: MakeSelection, crowsetta: ModuleType
    ) -> None:
        written = write_audacity(selection(found_rows()), str(tmp_path))
        assert written.names == ["site/a.txt"]
        track = crowsetta.formats.seq.AudSeq.from_file(tmp_path / written.names[0])
        assert track.start_times.tolist() == [1.25, 100.5]
        assert track.end_times.tolist() == [1.7, 100.95]
        assert list(track.labels) == ["gunshot 0.875", "gunshot 0.750 3 shots channel 2"]


class TestGeojson:
    def test_it_is_valid_and_every_detection_is_accounted_for(self, tmp_path: Path, selection: MakeSelection) -> None:
        rows = [
            detection_row("a.wav", latitude=4.9612345678, longitude=8.87, site="Korup 3", start_utc=START),
            detection_row("b.wav", latitude=-33.5, longitude=-180.0),
            detection_row("c.wav"),
            detection_row("d.wav", latitude=91.0, longitude=0.0),
            detection_row("e.wav", latitude=float("nan"), longitude=0.0),
        ]
        written = write_geojson(selection(rows), str(tmp_path))
        found = geojson.loads((tmp_path / "detections.geojson").read_text(encoding="utf-8"))
        assert isinstance(found, geojson.FeatureCollection)
        assert found.is_valid, found.errors()
        assert [feature.geometry.coordinates for feature in found.features] == [[8.87, 4.961235], [-180.0, -33.5]]
        assert found.features[0].properties["start_utc"] == "2026-11-22T18:00:00.250Z"
        assert found.features[0].properties["site"] == "Korup 3"
        assert found.features[1].properties["start_utc"] is None
        assert found["not_placed"] == dict(written.left_out) == {"place not known": 1, "place not on Earth": 2}
        assert written.n_detections + written.left_out.total() == len(rows)

    def test_results_of_before_there_were_places_place_nothing(self, tmp_path: Path, selection: MakeSelection) -> None:
        row = {k: v for k, v in detection_row("a.wav").items() if k not in {"latitude", "longitude", "site", "channel"}}
        written = write_geojson(selection([row]), str(tmp_path))
        content = json.loads((tmp_path / "detections.geojson").read_text(encoding="utf-8"))
        assert content == {"type": "FeatureCollection", "features": [], "not_placed": {"place not known": 1}}
        assert written.n_detections == 0


def cells(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


class TestKaleidoscope:
    """No reader of others installs; the columns are those of Kaleidoscope's own files, as scripts of its users and
    BirdNET-Analyzer (issue 855) name them."""

    SHOWN = frozenset({
        "INDIR", "FOLDER", "IN FILE", "CHANNEL", "OFFSET", "DURATION", "Fmin", "Fmean", "Fmax", "DATE", "TIME", "HOUR",
        "DATE-12", "TIME-12", "HOUR-12", "TOP1MATCH", "TOP1DIST", "MANUAL ID",
    })  # fmt: skip

    def test_root_folder_and_name_lead_to_the_recording(self, tmp_path: Path, selection: MakeSelection) -> None:
        names = ["a.wav", "site/b.wav", "-x.wav", "=cmd/+y.wav", *ODD]
        rows = [detection_row(name) for name in names] + [detection_row("far.wav", uri="s3://bucket/deep/other.wav")]
        write_kaleidoscope(selection(rows), str(tmp_path))
        found = cells((tmp_path / "cluster.csv").read_bytes())
        joined = [Path(row["INDIR"]) / row["FOLDER"] / row["IN FILE"] for row in found]
        assert joined == [Path(row["uri"]) for row in rows]
        assert not any(cell.startswith(("=", "+", "-", "@")) for row in found for cell in row.values())
        assert set(found[0]) <= self.SHOWN

    def test_times_are_the_recordings_and_a_night_is_one_date(self, tmp_path: Path, selection: MakeSelection) -> None:
        rows = [
            detection_row("a.wav", 30.0, end_s=31.5, start_utc=START + timedelta(seconds=30)),
            detection_row("b.wav"),
        ]
        write_kaleidoscope(selection(rows, [recording_row("a.wav", start_utc=START)]), str(tmp_path))
        known, unknown = cells((tmp_path / "cluster.csv").read_bytes())
        assert [known[name] for name in ("DATE", "TIME", "HOUR")] == ["2026-11-22", "18:00:00", "18"]
        assert [known[name] for name in ("DATE-12", "TIME-12", "HOUR-12")] == ["2026-11-22", "06:00:00", "6"]
        assert (float(known["OFFSET"]), float(known["DURATION"])) == (30.0, 1.5)
        assert (known["Fmin"], known["Fmax"], known["CHANNEL"], known["MANUAL ID"]) == ("0", "12000", "0", "")
        assert (unknown["DATE"], unknown["TIME-12"], unknown["Fmax"]) == ("", "", "")


def test_the_csv_has_all_columns_and_runs_no_formula(tmp_path: Path, selection: MakeSelection) -> None:
    rows = [detection_row(name, 1.5, start_utc=START, shots_s=[1.5, 2.0], channel=1) for name in ODD]
    write_csvs(selection(rows), str(tmp_path))
    found = cells((tmp_path / "detections.csv").read_bytes())
    assert list(found[0]) == list(rows[0])
    assert {row["start_utc"] for row in found} == {"2026-11-22T18:00:00.250Z"}
    assert {row["shots_s"] for row in found} == {"1.500000 2.000000"}
    assert [row["path"] for row in found] == [f"'{name}" if name.startswith("=") else name for name in ODD]
    assert len(cells((tmp_path / "recordings.csv").read_bytes())) == len(ODD)
