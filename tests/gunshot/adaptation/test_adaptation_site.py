"""What is read of a site: its labelled clips and its background."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from gunshot.adaptation.site import (
    FEWEST_GROUPS,
    SiteRows,
    Suspect,
    checked_rows,
    read_background,
    read_site,
    suspects_table,
)
from gunshot.errors import ManifestError, TrainingError
from gunshot.manifest.labels import read_labels
from gunshot.models.bundle import load_bundle
from gunshot.recipe import Recipe


def table(path: Path, rows: Sequence[Sequence[object]]) -> str:
    text = "\n".join(",".join(str(value) for value in row) for row in rows)
    path.write_text(f"path,start_s,end_s,label,group\n{text}\n")
    return str(path)


def site_of(groups: Sequence[tuple[str, int]]) -> SiteRows:
    label = np.asarray([label for _, label in groups], dtype=np.int8)
    n = len(groups)
    rows = tuple({"uri": "", "path": "", "start_s": None, "end_s": None} for _ in groups)
    return SiteRows(np.zeros((n, 4), np.float32), label, np.asarray([g for g, _ in groups]), rows, ())


@pytest.fixture
def site(tmp_path: Path, write_recording: Callable[..., Path]) -> str:
    """One labelled shot in a recording."""
    write_recording(tmp_path / "labelled.wav", 4.0, [2.0])
    return table(tmp_path / "site.csv", [("labelled.wav", 1.8, 2.6, 1, "a")])


class TestReadSite:
    def test_rows_become_clips_with_their_labels(self, tmp_path: Path, write_recording: Callable[..., Path]) -> None:
        write_recording(tmp_path / "x.wav", 6.0, [2.0], [4.0])
        rows = [("x.wav", 1.8, 2.8, 1, "a"), ("x.wav", 3.8, 4.8, 0, "b")]
        found = read_site(table(tmp_path / "t.csv", rows), Recipe())
        assert found.waveform.shape == (2, Recipe().n_samples)
        assert found.label.tolist() == [1, 0]
        assert found.group.tolist() == ["a", "b"]
        assert found.failures == ()
        # cut from the onset: nothing but noise before it
        assert np.abs(found.waveform[:, : Recipe().lead_samples - 10]).max() < 0.01 < np.abs(found.waveform).max()

    def test_a_file_that_cannot_be_read_is_told_and_left_out(self, tmp_path: Path, site: str) -> None:
        (tmp_path / "bad.wav").write_text("no sound")
        with Path(site).open("a") as file:
            file.write("bad.wav,,,1,c\n")
        found = read_site(site, Recipe())
        assert found.label.tolist() == [1]
        (failure,) = found.failures
        assert failure.startswith("bad.wav: unreadable: ")

    def test_a_table_without_shots_is_an_error(self, tmp_path: Path, write_recording: Callable[..., Path]) -> None:
        write_recording(tmp_path / "x.wav", 3.0, [1.0])
        with pytest.raises(TrainingError, match="no gunshot to adapt to; give rows with label 1"):
            read_site(table(tmp_path / "t.csv", [("x.wav", "", "", 0, "a")]), Recipe())

    def test_a_missing_file_is_an_error_that_names_its_line(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match=r"line 2: 'gone.wav'"):
            read_site(table(tmp_path / "t.csv", [("gone.wav", "", "", 1, "a")]), Recipe())


class TestCheckedRows:
    def test_groups_are_never_divided_and_both_classes_check(self) -> None:
        site = site_of([(f"g{i % 8}", 1) for i in range(24)] + [(f"o{i % 8}", 0) for i in range(24)])
        checks = checked_rows(site, 0)
        for group in np.unique(site.group):
            assert len(set(checks[site.group == group].tolist())) == 1
        assert set(site.label[checks].tolist()) == set(site.label[~checks].tolist()) == {0, 1}
        assert len(np.unique(site.group[checks])) == 4

    def test_few_groups_of_shots_are_all_fitted(self) -> None:
        few = [(f"g{i}", 1) for i in range(FEWEST_GROUPS - 1)]
        others = [(f"o{i}", 0) for i in range(20)]
        assert not checked_rows(site_of(few + others), 0).any()
        assert checked_rows(site_of([*few, ("more", 1), *others]), 0).any()

    def test_the_seed_chooses(self) -> None:
        site = site_of([(f"g{i}", 1) for i in range(40)])
        np.testing.assert_array_equal(checked_rows(site, 1), checked_rows(site, 1))
        assert not np.array_equal(checked_rows(site, 1), checked_rows(site, 2))


class TestReadBackground:
    def test_what_the_model_calls_is_a_suspect_and_never_fitted(
        self, tmp_path: Path, site: str, write_recording: Callable[..., Path], matched_bundle: str
    ) -> None:
        for number in range(4):
            write_recording(tmp_path / "night" / f"{number}.wav", 8.0, [6.0], [2.0, 4.0], seed=number)
        bundle = load_bundle(matched_bundle)
        found = read_background([str(tmp_path / "night")], bundle, read_site(site, bundle.recipe), 0)
        assert sorted(Path(s.uri).name for s in found.suspects) == ["0.wav", "1.wav", "2.wav", "3.wav"]
        assert [s.score for s in found.suspects] == sorted((s.score for s in found.suspects), reverse=True)
        assert all(abs(s.onset_s - 6.0) < 0.02 and s.score > 0.5 for s in found.suspects)
        assert len(found.waveform) >= 4  # two others in each of the two recordings that are fitted on
        assert bundle.score(found.waveform).max() < 0.5
        # the other two recordings check, suspects among them
        assert len(found.checked) >= 6
        assert found.checked_h == pytest.approx(16 / 3600)
        assert found.listened_h == pytest.approx(32 / 3600)

    def test_a_single_recording_is_divided_by_time(
        self, tmp_path: Path, site: str, write_recording: Callable[..., Path], matched_bundle: str
    ) -> None:
        path = write_recording(tmp_path / "night.wav", 20.0, [], [2.0, 4.0, 6.0, 15.0], noise=1e-6)
        bundle = load_bundle(matched_bundle)
        found = read_background([str(path)], bundle, read_site(site, bundle.recipe), 0)
        assert (len(found.waveform), len(found.checked)) == (3, 1)
        assert found.checked_h == pytest.approx(10 / 3600)

    def test_labelled_sounds_in_it_are_left_out(
        self, tmp_path: Path, write_recording: Callable[..., Path], matched_bundle: str
    ) -> None:
        path = write_recording(tmp_path / "day.wav", 20.0, [2.0, 12.0], [5.0, 15.0], noise=1e-6)
        write_recording(tmp_path / "elsewhere.wav", 4.0, [2.0])
        bundle = load_bundle(matched_bundle)
        suspects = {}
        for name in ("day.wav", "elsewhere.wav"):
            labels = table(tmp_path / "site.csv", [(name, 1.9, 2.5, 1, "a")])
            found = read_background([str(path)], bundle, read_site(labels, bundle.recipe), 0)
            suspects[name] = sorted(round(s.onset_s) for s in found.suspects)
            assert len(found.waveform) == 1  # the other sound of the first half
        assert suspects == {"day.wav": [12], "elsewhere.wav": [2, 12]}

    def test_silence_is_an_error(
        self, tmp_path: Path, site: str, write_recording: Callable[..., Path], matched_bundle: str
    ) -> None:
        bundle = load_bundle(matched_bundle)
        path = write_recording(tmp_path / "night.wav", 5.0, noise=0.0)
        with pytest.raises(TrainingError, match="--background: no candidate in 1 recordings"):
            read_background([str(path)], bundle, read_site(site, bundle.recipe), 0)

    def test_nothing_that_can_be_read_is_an_error(self, tmp_path: Path, site: str, matched_bundle: str) -> None:
        bundle = load_bundle(matched_bundle)
        (tmp_path / "bad.wav").write_text("no sound")
        with pytest.raises(TrainingError, match=r"none of 1 recordings can be read; bad.wav: unreadable"):
            read_background([str(tmp_path / "bad.wav")], bundle, read_site(site, bundle.recipe), 0)

    def test_an_address_without_audio_is_an_error(self, tmp_path: Path, site: str, matched_bundle: str) -> None:
        bundle = load_bundle(matched_bundle)
        with pytest.raises(ManifestError, match="nowhere"):
            read_background([str(tmp_path / "nowhere")], bundle, read_site(site, bundle.recipe), 0)


def test_suspects_become_a_label_table_that_waits_for_a_person(tmp_path: Path) -> None:
    path = tmp_path / "suspects.csv"
    content = suspects_table([Suspect("/a.wav", 0.01, 0.99), Suspect("/b.wav", 12.5, 0.7)], Recipe())
    path.write_bytes(content)
    with pytest.raises(ManifestError, match="label must be 1"):
        read_labels(path)
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    path.write_bytes(content.replace(b",,", b",0,"))
    for row, known, onset_s in zip(rows, read_labels(path), (0.01, 12.5), strict=True):
        assert known.label == 0
        assert known.path == row["path"]
        assert known.start_s is not None
        assert known.end_s is not None
        assert known.start_s <= onset_s < known.end_s
