"""The corpus: its table, its files, its seeds, and that nothing but the sound tells the class."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from gunshot.errors import ParameterError
from gunshot.synthetic import AudioFormat, write_corpus
from gunshot.synthetic.audiofiles import DEFAULT_FORMATS
from gunshot.synthetic.catalogue import sound_names
from gunshot.synthetic.corpus import COLUMNS, clip
from gunshot.synthetic.scenes import draw_conditions, draw_scene

Row = dict[str, str]
LIGHT = (AudioFormat("WAV", "PCM_16", 8000), AudioFormat("FLAC", "PCM_16", 12_000))


def rows_of(table: Path) -> list[Row]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def file_bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip of each class in every default format."""
    n = len(DEFAULT_FORMATS)
    return write_corpus(tmp_path_factory.mktemp("corpus"), n_gunshots=n, n_others=n, n_groups=n)


def test_table_is_complete_and_every_file_reads(corpus: Path) -> None:
    rows = rows_of(corpus)
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 2 * len(DEFAULT_FORMATS)
    files = {name for name in file_bytes(corpus.parent) if "/" in name}
    assert {row["path"] for row in rows} == files
    for row in rows:
        info = sf.info(corpus.parent / row["path"])
        assert 1.0 <= info.duration <= 2.0
        assert row["start_s"] == row["end_s"] == ""
        assert row["sound"] in sound_names(int(row["label"]))
        assert row["source"] == "synthetic"
        assert row["license"] == "CC0 1.0 (synthetic)"
        assert row["path"].startswith("gunshot/" if row["label"] == "1" else "other/")
        assert row["group"] in row["path"]
        y, _ = sf.read(corpus.parent / row["path"], always_2d=True)
        assert np.max(np.abs(y)) > 0.02
    assert (corpus.parent / "README.txt").is_file()


def test_all_default_formats_come_up_once_per_class(corpus: Path) -> None:
    for label in "01":
        found = {
            (info.format, info.subtype, info.samplerate, info.channels)
            for info in (sf.info(corpus.parent / r["path"]) for r in rows_of(corpus) if r["label"] == label)
        }
        assert found == {(f.container, f.subtype, f.sr, f.n_channels) for f in DEFAULT_FORMATS}


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path: Path) -> None:
    formats = [*LIGHT, AudioFormat("WAV", "FLOAT", 8000), AudioFormat("OGG", "VORBIS", 12_000, 2)]
    for folder, seed in (("a", 4), ("b", 4), ("c", 5)):
        write_corpus(tmp_path / folder, n_gunshots=4, n_others=4, seed=seed, n_groups=4, formats=formats)
    a, b, c = (file_bytes(tmp_path / folder) for folder in "abc")
    assert a == b
    shared = [name for name in a if name in c and "/" in name]
    assert all(a[name] != c[name] for name in shared)


def test_a_larger_corpus_contains_the_smaller_one(tmp_path: Path) -> None:
    write_corpus(tmp_path / "small", n_gunshots=4, n_others=4, n_groups=3, formats=LIGHT)
    write_corpus(tmp_path / "large", n_gunshots=7, n_others=6, n_groups=3, formats=LIGHT)
    small, large = file_bytes(tmp_path / "small"), file_bytes(tmp_path / "large")
    assert all(large[name] == data for name, data in small.items() if "/" in name)


@pytest.mark.parametrize(("n_gunshots", "n_others"), [(9, 9), (2, 9), (9, 2)])
def test_each_group_holds_both_classes_one_place_and_one_device(tmp_path: Path, n_gunshots: int, n_others: int) -> None:
    table = write_corpus(tmp_path, n_gunshots=n_gunshots, n_others=n_others, n_groups=4, formats=LIGHT)
    groups: dict[str, list[Row]] = {}
    for row in rows_of(table):
        groups.setdefault(row["group"], []).append(row)
    for rows in groups.values():
        assert {row["label"] for row in rows} == {"0", "1"}
        assert len({row["device"] for row in rows}) == 1
        assert len({Path(row["path"]).suffix for row in rows}) == 1


def test_one_class_alone_can_be_written(tmp_path: Path) -> None:
    rows = rows_of(write_corpus(tmp_path, n_gunshots=0, n_others=2, formats=LIGHT))
    assert [row["label"] for row in rows] == ["0", "0"]


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Probability that a gunshot's value is above another sound's, ties counted half."""
    ones, zeros = scores[labels == 1], scores[labels == 0]
    above = (ones[:, None] > zeros[None, :]).mean() + 0.5 * (ones[:, None] == zeros[None, :]).mean()
    return float(above)


def test_nothing_but_the_sound_tells_the_class(tmp_path: Path) -> None:
    formats = [*LIGHT, AudioFormat("WAV", "PCM_24", 8000, 2), AudioFormat("OGG", "VORBIS", 8000)]
    n = 56
    table = write_corpus(tmp_path, n_gunshots=n, n_others=n, seed=3, n_groups=8, formats=formats)
    rows, facts, measured = rows_of(table), [], []
    for row in rows:
        info = sf.info(tmp_path / row["path"])
        facts.append(
            (
                row["group"],
                row["device"],
                info.format,
                info.subtype,
                info.channels,
                info.samplerate,
                info.frames,
            )
        )
        y, sr = sf.read(tmp_path / row["path"], always_2d=True)
        lead = y[: round(0.19 * sr)]  # before any sound begins
        spectrum = np.abs(np.fft.rfft(lead[:, 0]))
        quarter = len(spectrum) // 4
        measured.append(
            [
                np.max(np.abs(y[:, 0])),
                np.std(lead[:, 0]),
                np.max(np.abs(lead)),
                abs(np.mean(y)),
                np.sum(spectrum[:quarter]) / np.sum(spectrum),
                np.mean(np.abs(y) > 0.98),
            ]
        )
    # files of one number share everything that can be read off a header
    assert facts[:n] == facts[n:]
    labels = np.array([int(row["label"]) for row in rows])
    for k, values in enumerate(np.array(measured).T):
        assert 0.4 < auc(values, labels) < 0.6, f"measure {k} tells the class"


def test_conditions_are_those_asked_for_and_spread_over_their_ranges() -> None:
    scene = draw_scene(0, 0, DEFAULT_FORMATS)
    drawn = [draw_conditions(0, index, scene) for index in range(500)]
    starts_s = np.array([one.start_s for one in drawn])
    durations_s = np.array([one.duration_s for one in drawn])
    snrs_db = np.array([one.snr_db for one in drawn])
    for values, low, high in ((starts_s, 0.2, 0.6), (durations_s, 1.0, 2.0), (snrs_db, 18.0, 42.0)):
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high
    assert 0.02 < np.mean([one.peak_dbfs > 0 for one in drawn]) < 0.2


def test_sound_rises_where_the_conditions_say() -> None:
    scene = draw_scene(1, 3, LIGHT)
    loud = [k for k in range(30) if draw_conditions(1, k, scene).snr_db > 26.0]
    for index in loud:
        y, _ = clip(1, index, scene, seed=1)
        start = round(draw_conditions(1, index, scene).start_s * scene.format.sr)
        before, after = y[: start - 40, 0], y[start - 40 : start + round(0.35 * scene.format.sr), 0]
        assert np.max(np.abs(after)) > 1.5 * np.max(np.abs(before))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_gunshots": -1}, "n_gunshots must be at least 0; got -1"),
        ({"n_others": -1}, "n_others must be at least 0; got -1"),
        ({"n_gunshots": 0, "n_others": 0}, r"n_gunshots \+ n_others must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"n_groups": 0}, "n_groups must be at least 1"),
        ({"formats": ()}, "the number of formats must be at least 1"),
    ],
)
def test_wrong_numbers_are_refused(tmp_path: Path, wrong: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"n_gunshots": 1, "n_others": 1, **wrong}
    with pytest.raises(ParameterError, match=message):
        write_corpus(tmp_path, **arguments)
