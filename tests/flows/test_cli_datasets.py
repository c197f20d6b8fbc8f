"""``gunshot datasets packages`` and ``onsets``: tables that the rest of the system reads, one line for a mistake."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gunshot.datasets.labels import LabelRow, read_labels, write_labels
from gunshot.manifest.sources import build_manifest

Gunshot = Callable[..., Any]
Write = Callable[..., Path]


@pytest.fixture
def packages(tmp_path: Path, write_noise: Write) -> Path:
    """Three packages: a shot, a doubtful sound and a horse, each of two bursts, and archives, one of them unsafe."""
    folder = tmp_path / "packages"
    write_noise(folder / "wesnoth-1.16-data/sounds/gunshot.wav", seed=1)
    write_noise(folder / "wesnoth-1.16-data/sounds/cannon.wav", seed=2)
    horse = write_noise(folder / "wesnoth-1.16-data/sounds/horse.wav", seed=3)
    (folder / "xmoto-data").mkdir()
    (folder / "xmoto-data/same.wav").write_bytes(horse.read_bytes())
    (folder / "openarena-data").mkdir()
    for name, member in {"good": "sound/step.wav", "bad": "../../evil.wav"}.items():
        with zipfile.ZipFile(folder / f"openarena-data/{name}.pk3", "w") as file:
            file.write(write_noise(tmp_path / f"{name}.wav", seed=len(name)), member)
    return folder


class TestPackages:
    def test_it_labels_every_onset_and_tells_what_is_left_out(self, packages: Path, gunshot: Gunshot) -> None:
        ended = gunshot("datasets", "packages", packages)
        rows = read_labels(packages / "labels.csv")
        assert ended.code == 0, ended.err
        assert ended.out == f"label table: {packages / 'labels.csv'}, {len(rows)} rows\n"
        (line,) = ended.err.splitlines()
        assert line.startswith("left out: a member of an archive must stay inside its folder")
        assert not list(packages.parent.rglob("evil.wav"))
        found = {(row.path.name, row.label) for row in rows}
        assert found == {("gunshot.wav", 1), ("horse.wav", 0), ("step.wav", 0)}
        assert all(row.start_s is not None and row.end_s is not None for row in rows)
        table = build_manifest([str(packages)])
        assert table.num_rows == len(rows)
        assert set(table.column("state").to_pylist()) == {"ok"}

    def test_so_many_rows_a_file(self, packages: Path, gunshot: Gunshot) -> None:
        assert gunshot("datasets", "packages", packages, "--most", "1").code == 0
        names = [row.path.name for row in read_labels(packages / "labels.csv")]
        assert sorted(names) == ["gunshot.wav", "horse.wav", "step.wav"]

    @pytest.mark.parametrize("name", ["nowhere", "empty"])
    def test_no_package_is_one_line(self, tmp_path: Path, gunshot: Gunshot, name: str) -> None:
        (tmp_path / "empty").mkdir()
        ended = gunshot("datasets", "packages", tmp_path / name)
        assert (ended.code, ended.out) == (1, "")
        (line,) = ended.err.splitlines()
        assert "holds none of the packages" in line
        assert not (tmp_path / name / "labels.csv").exists()


@pytest.fixture
def table(tmp_path: Path, write_noise: Write) -> Path:
    """A label table with a row a file: two bursts of one source, one file of another."""
    rows = [
        LabelRow(
            path=write_noise(tmp_path / "in" / f"{source}.wav", seed=seed), label=label, sound="s", source=source,
            group=source, license="l",
        )
        for seed, (source, label) in enumerate({"range": 1, "street": 0, "forest": 0}.items())
    ]  # fmt: skip
    write_labels(rows, tmp_path / "in" / "labels.csv")
    return tmp_path / "in" / "labels.csv"


class TestOnsets:
    def test_a_row_an_onset(self, table: Path, tmp_path: Path, gunshot: Gunshot) -> None:
        ended = gunshot("datasets", "onsets", table, "--out", tmp_path / "new" / "out")
        rows = read_labels(tmp_path / "new" / "out" / "labels.csv")
        assert ended.code == 0, ended.err
        assert ended.out == f"label table: {tmp_path / 'new' / 'out' / 'labels.csv'}, {len(rows)} rows\n"
        assert {row.path.name for row in rows} == {"range.wav", "street.wav", "forest.wav"}
        assert all(row.path.is_file() for row in rows)
        shots = [row.end_s for row in rows if row.label == 1]
        assert len(shots) == 2  # the noise of 3 s has bursts at 0.5 and 1.7 s
        assert shots == pytest.approx([0.53, 1.73], abs=0.005)

    def test_sources_are_left_out_by_name(self, table: Path, tmp_path: Path, gunshot: Gunshot) -> None:
        words = ["--leave-out", "street", "--leave-out", "forest"]
        assert gunshot("datasets", "onsets", table, "--out", tmp_path / "out", *words).code == 0
        assert {row.source for row in read_labels(tmp_path / "out" / "labels.csv")} == {"range"}

    def test_so_many_rows_a_file(self, table: Path, tmp_path: Path, gunshot: Gunshot) -> None:
        assert gunshot("datasets", "onsets", table, "--out", tmp_path / "out", "--most", "1").code == 0
        assert len(read_labels(tmp_path / "out" / "labels.csv")) == 3

    def test_its_own_table_gives_no_more_rows(self, table: Path, tmp_path: Path, gunshot: Gunshot) -> None:
        """Rows with a segment are left out, and a table of no row is not written."""
        gunshot("datasets", "onsets", table, "--out", tmp_path / "out")
        ended = gunshot("datasets", "onsets", tmp_path / "out" / "labels.csv", "--out", tmp_path / "again")
        assert (ended.code, ended.out) == (1, "")
        assert "at least one labelled sound" in ended.err
        assert not (tmp_path / "again" / "labels.csv").exists()

    @pytest.mark.parametrize(
        ("content", "message"), [(None, "cannot be read"), ("path,label\na.wav,1\n", "must have the columns path, ")]
    )
    def test_no_label_table_is_one_line(
        self, tmp_path: Path, gunshot: Gunshot, content: str | None, message: str
    ) -> None:
        if content is not None:
            (tmp_path / "labels.csv").write_text(content)
        ended = gunshot("datasets", "onsets", tmp_path / "labels.csv", "--out", tmp_path / "out")
        assert (ended.code, ended.out) == (1, "")
        (line,) = ended.err.splitlines()
        assert message in line
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("most", ["0", "many"])
    def test_a_number_that_is_none(self, table: Path, tmp_path: Path, gunshot: Gunshot, most: str) -> None:
        ended = gunshot("datasets", "onsets", table, "--out", tmp_path / "out", "--most", most)
        assert (ended.code, ended.out) == (2, "")
        assert "--most" in ended.err
