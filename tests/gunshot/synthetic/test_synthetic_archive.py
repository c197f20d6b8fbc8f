"""Archives: names, truth, seeds, blocks."""

from __future__ import annotations

import csv
import itertools
import math
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from gunshot.errors import ParameterError
from gunshot.synthetic import write_archive
from gunshot.synthetic.archive import MIN_GAP_S, TRUTH_COLUMNS
from gunshot.synthetic.audiofiles import COMMENT
from gunshot.synthetic.catalogue import sound_names

START = datetime(2024, 5, 1, 23, 59, 30, tzinfo=UTC)
Row = dict[str, str]


def rows_of(truth: Path) -> list[Row]:
    with truth.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four sparse recordings with loud sounds."""
    return write_archive(
        tmp_path_factory.mktemp("archive"),
        n_recordings=4,
        duration_s=45.5,
        n_shots=12,
        n_confusers=6,
        sr=12_000,
        start=START,
        seed=2,
        snr_db=(36.0, 40.0),
    )


def test_recordings_follow_each_other_and_are_named_by_their_start(truth: Path) -> None:
    names = sorted(path.name for path in truth.parent.glob("*.WAV"))
    assert names == [f"{START + timedelta(seconds=45.5 * k):%Y%m%d_%H%M%S}.WAV" for k in range(4)]
    for name in names:
        with sf.SoundFile(truth.parent / name) as file:
            assert (file.samplerate, file.channels, file.subtype) == (12_000, 1, "PCM_16")
            assert file.frames == round(45.5 * 12_000)
            assert file.comment == COMMENT
    assert "synthetic" in (truth.parent / "README.txt").read_text(encoding="utf-8")


def test_truth_is_complete_sorted_and_apart(truth: Path) -> None:
    rows = rows_of(truth)
    assert tuple(rows[0]) == TRUTH_COLUMNS
    assert [row["label"] for row in rows].count("1") == 12
    assert len(rows) == 18
    order = [(row["path"], float(row["time_s"])) for row in rows]
    assert order == sorted(order)
    for (path, time_s), (next_path, next_s) in itertools.pairwise(order):
        assert path != next_path or next_s - time_s >= MIN_GAP_S
    for row in rows:
        assert (truth.parent / row["path"]).is_file()
        assert row["sound"] in sound_names(int(row["label"]))
        assert 1.5 <= float(row["time_s"]) <= 43.5
        assert 36.0 <= float(row["snr_db"]) <= 40.0
        assert float(row["distance_m"]) > 0


def alone(rows: list[Row]) -> list[Row]:
    """Rows with no other sound in the 4 s before and after."""
    return [
        row
        for row in rows
        if not any(
            other is not row
            and other["path"] == row["path"]
            and abs(float(other["time_s"]) - float(row["time_s"])) < 4.0
            for other in rows
        )
    ]


def test_energy_jumps_at_the_stated_time_to_the_stated_ratio(truth: Path) -> None:
    checked = [row for row in alone(rows_of(truth)) if row["label"] == "1"]
    assert len(checked) >= 4
    for row in checked:
        y, sr = sf.read(truth.parent / row["path"])
        at = round(float(row["time_s"]) * sr)
        rms = np.sqrt(np.mean(y[at - sr : at - round(0.005 * sr)] ** 2))
        loud = np.abs(y[at - sr // 2 : at + sr]) > 9.0 * rms
        assert abs(np.argmax(loud) - sr // 2) <= 0.005 * sr
        peak_db = 20.0 * math.log10(np.max(np.abs(y[at - 100 : at + 2 * sr])) / rms)
        assert peak_db == pytest.approx(float(row["snr_db"]), abs=1.5)


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_archive(
            tmp_path / folder,
            n_recordings=2,
            duration_s=12.0,
            n_shots=2,
            n_confusers=2,
            sr=8000,
            start=START,
            seed=seed,
            container="FLAC",
            subtype="PCM_24",
        )
    a, b, c = ({p.name: p.read_bytes() for p in (tmp_path / folder).iterdir()} for folder in "abc")
    assert a == b
    assert a.keys() == c.keys()
    assert all(a[name] != c[name] for name in a if name.endswith("flac"))


def test_sounds_fit_closely_and_cross_blocks_without_a_click(tmp_path: Path) -> None:
    truth = write_archive(
        tmp_path, n_recordings=1, duration_s=30.0, n_shots=8, n_confusers=8, sr=8000, start=START, seed=5
    )
    times_s = np.array([float(row["time_s"]) for row in rows_of(truth)])
    assert len(times_s) == 16
    assert (np.diff(times_s) >= MIN_GAP_S).all()
    assert ((times_s > 7.5) & (times_s < 10.0)).any()  # its sound goes over the edge of a block
    y, sr = sf.read(tmp_path / "20240501_235930.WAV")
    steps = np.abs(np.diff(y))
    for edge_s in (10.0, 20.0):
        edge = round(edge_s * sr)
        assert steps[edge - 1] <= np.max(steps[edge - 400 : edge - 1]) * 1.5


def test_memory_is_that_of_a_block_however_long_the_recording(tmp_path: Path) -> None:
    def peak_bytes(duration_s: float) -> int:
        tracemalloc.start()
        write_archive(
            tmp_path / str(duration_s),
            n_recordings=1,
            duration_s=duration_s,
            n_shots=2,
            n_confusers=0,
            sr=8000,
            start=START,
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(20.0)
    assert peak_bytes(240.0) < 1.15 * peak_bytes(40.0)


def test_an_archive_without_sounds_has_an_empty_truth(tmp_path: Path) -> None:
    truth = write_archive(tmp_path, n_recordings=1, duration_s=5.0, n_shots=0, n_confusers=0, sr=8000, start=START)
    assert rows_of(truth) == []
    y, _ = sf.read(tmp_path / "20240501_235930.WAV")
    assert np.std(y) > 1e-4


def test_names_are_in_utc_whatever_the_zone(tmp_path: Path) -> None:
    east = timezone(timedelta(hours=2))
    write_archive(
        tmp_path,
        n_recordings=1,
        duration_s=5.0,
        n_shots=0,
        n_confusers=0,
        sr=8000,
        start=datetime(2024, 1, 1, 1, 0, tzinfo=east),
    )
    assert (tmp_path / "20231231_230000.WAV").is_file()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_recordings": 0}, "n_recordings must be at least 1; got 0"),
        ({"duration_s": 2.0}, "duration_s must be at least 5"),
        ({"n_shots": 40}, "n_shots \\+ n_confusers must fit 1.5 s apart"),
        ({"n_confusers": -1}, "n_confusers must be at least 0"),
        ({"start": datetime(2024, 5, 1)}, "start must have a time zone"),
        ({"seed": -3}, "seed must be at least 0; got -3"),
        ({"container": "OGG"}, "container must be WAV or FLAC"),
        ({"subtype": "FLOAT"}, "subtype PCM_16 or PCM_24"),
        ({"duration_s": 50_000.0, "sr": 48_000}, "duration_s must give WAV files below 4 GB"),
        ({"sr": 100}, "sr must be at least 8000 Hz"),
        ({"snr_db": (20.0, 10.0)}, "snr_db must be a rising pair"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, wrong: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "n_recordings": 1,
        "duration_s": 20.0,
        "n_shots": 1,
        "n_confusers": 1,
        "sr": 8000,
        "start": START,
        **wrong,
    }
    with pytest.raises(ParameterError, match=message):
        write_archive(tmp_path, **arguments)
