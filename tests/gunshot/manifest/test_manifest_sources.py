"""From folders and label tables to manifests."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import ManifestError, StorageError
from gunshot.manifest import sources as sources_module
from gunshot.manifest.sources import build_manifest
from gunshot.manifest.table import SCHEMA, manifest_digest

WriteAudio = Callable[..., None]
WriteTable = Callable[..., str]
ColumnsOf = Callable[..., list[tuple[object, ...]]]


def mistake(*inputs: object, labels: str | None = None) -> str:
    """The message of the user's mistake: a single line."""
    with pytest.raises(ManifestError) as caught:
        build_manifest([str(uri) for uri in inputs], labels=labels)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestFolders:
    def test_folders_give_the_class(self, tmp_path: Path, write_audio: WriteAudio, columns_of: ColumnsOf) -> None:
        write_audio(tmp_path / "data", "gunshot/a.wav", "dog/b.flac", "dog/c.ogg")
        table = build_manifest([str(tmp_path / "data")])
        assert table.schema.equals(SCHEMA)
        assert columns_of(table, "path", "label", "sound", "source", "state") == [
            ("dog/b.flac", 0, "dog", "data", "ok"),
            ("dog/c.ogg", 0, "dog", "data", "ok"),
            ("gunshot/a.wav", 1, "gunshot", "data", "ok"),
        ]

    def test_folders_of_a_class_may_lie_at_any_depth(
        self, tmp_path: Path, write_audio: WriteAudio, columns_of: ColumnsOf
    ) -> None:
        write_audio(tmp_path, "site 1/Gun-Shots/2020/a.wav", "site 1/birds/b.wav", "gunshots/site 2/c.wav", "d.wav")
        assert columns_of(build_manifest([str(tmp_path)]), "path", "label", "sound") == [
            ("d.wav", 0, tmp_path.name),
            ("gunshots/site 2/c.wav", 1, "gunshots"),
            ("site 1/Gun-Shots/2020/a.wav", 1, "site 1"),
            ("site 1/birds/b.wav", 0, "site 1"),
        ]

    def test_upper_case_endings_count_and_hidden_files_do_not(
        self, tmp_path: Path, write_audio: WriteAudio, columns_of: ColumnsOf
    ) -> None:
        write_audio(
            tmp_path, "gunshot/a.WAV", "gunshot/._a.WAV", "gunshot/.b.wav", ".Trash/gunshot/c.wav", "x/.y/d.wav"
        )
        (tmp_path / "gunshot" / "notes.txt").write_text("")
        assert columns_of(build_manifest([str(tmp_path)]), "path") == [("gunshot/a.WAV",)]

    @pytest.mark.parametrize("ending", ["", "/"])
    def test_the_input_may_be_itself_the_folder_of_one_class(
        self, tmp_path: Path, write_audio: WriteAudio, columns_of: ColumnsOf, ending: str
    ) -> None:
        write_audio(tmp_path, "Gunshots/a.wav", "Gunshots/rifle/b.wav", "dog/c.wav")
        inputs = [f"{tmp_path}/Gunshots{ending}", f"{tmp_path}/dog{ending}"]
        assert columns_of(build_manifest(inputs), "path", "label", "sound", "source") == [
            ("a.wav", 1, "Gunshots", "Gunshots"),
            ("c.wav", 0, "dog", "dog"),
            ("rifle/b.wav", 1, "rifle", "Gunshots"),
        ]

    def test_without_a_folder_of_gunshots_nobody_said_what_is_what(
        self, tmp_path: Path, write_audio: WriteAudio, columns_of: ColumnsOf
    ) -> None:
        write_audio(tmp_path, "site 1/a.wav", "site 2/b.wav", "c.wav")
        assert columns_of(build_manifest([str(tmp_path)]), "label") == [(None,)] * 3

    def test_one_input_with_gunshots_makes_the_other_the_other_class(
        self, tmp_path: Path, write_audio: WriteAudio, columns_of: ColumnsOf
    ) -> None:
        write_audio(tmp_path, "gunshots/a.wav", "rain/b.wav")
        assert columns_of(build_manifest([f"{tmp_path}/rain", f"{tmp_path}/gunshots"]), "path", "label") == [
            ("a.wav", 1),
            ("b.wav", 0),
        ]

    @pytest.mark.parametrize(
        "name",
        ["two  words.wav", "line\nfeed.wav", "q\"uo'te.wav", "銃声 ü.wav", "n" * 196 + ".wav", "50%, [1]#?.wav"],
    )
    def test_odd_names_are_kept_and_read(
        self, tmp_path: Path, write_audio: WriteAudio, columns_of: ColumnsOf, name: str
    ) -> None:
        write_audio(tmp_path, f"gunshot/{name}")
        assert columns_of(build_manifest([str(tmp_path)]), "path", "uri", "group", "state") == [
            (f"gunshot/{name}", f"{tmp_path}/gunshot/{name}", name.removesuffix(".wav"), "ok")
        ]

    def test_headers_are_read(self, tmp_path: Path, write_audio: WriteAudio, columns_of: ColumnsOf) -> None:
        write_audio(tmp_path, "a.wav", duration_s=0.5, sr=44_100, n_channels=2)
        write_audio(tmp_path, "b.flac", duration_s=0.25, sr=8000)
        assert columns_of(build_manifest([str(tmp_path)]), "duration_s", "sr", "n_channels") == [
            (0.5, 44_100, 2),
            (0.25, 8000, 1),
        ]

    def test_the_class_of_a_file_is_the_folder_it_is_in(
        self, tmp_path: Path, write_audio: WriteAudio, columns_of: ColumnsOf
    ) -> None:
        # as a shell gives them that has expanded a glob itself
        write_audio(tmp_path, "gunshot/a.wav", "gunshot/b.wav", "rain/c.wav")
        inputs = [f"{tmp_path}/gunshot/a.wav", f"{tmp_path}/gunshot/b.wav", f"{tmp_path}/rain/c.wav"]
        assert columns_of(build_manifest(inputs), "path", "label", "sound", "source") == [
            ("a.wav", 1, "gunshot", "gunshot"),
            ("b.wav", 1, "gunshot", "gunshot"),
            ("c.wav", 0, "rain", "rain"),
        ]

    @pytest.mark.parametrize("pattern", ["*/*.wav", "**/*.wav", "[gr]*/?.wav"])
    def test_a_glob_gives_classes_below_its_first_wildcard(
        self, tmp_path: Path, write_audio: WriteAudio, columns_of: ColumnsOf, pattern: str
    ) -> None:
        write_audio(tmp_path, "gunshot/a.wav", "rain/a.wav")
        assert columns_of(build_manifest([f"{tmp_path}/{pattern}"]), "path", "label", "sound", "source") == [
            ("gunshot/a.wav", 1, "gunshot", tmp_path.name),
            ("rain/a.wav", 0, "rain", tmp_path.name),
        ]

    def test_a_glob_inside_one_class_gives_that_class(
        self,
        tmp_path: Path,
        write_audio: WriteAudio,
        columns_of: ColumnsOf,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        write_audio(tmp_path, "gunshot/a.wav", "gunshot/b.flac")
        expected = [("a.wav", "gunshot", 1)]
        assert columns_of(build_manifest([f"{tmp_path}/gunshot/*.wav"]), "path", "sound", "label") == expected
        monkeypatch.chdir(tmp_path / "gunshot")
        assert columns_of(build_manifest(["*.wav"]), "path", "sound", "label") == [("a.wav", "input", None)]

    def test_a_file_address_is_a_local_path(
        self, tmp_path: Path, write_audio: WriteAudio, write_table: WriteTable, columns_of: ColumnsOf
    ) -> None:
        write_audio(tmp_path / "d", "gunshot/a.wav", "dog/b.wav")
        assert build_manifest([f"file://{tmp_path}/d"]).equals(build_manifest([f"{tmp_path}/d"]))
        labels = write_table("path,label", f"file://{tmp_path}/d/dog/b.wav,1")
        assert columns_of(build_manifest([], labels=labels), "uri") == [(f"{tmp_path}/d/dog/b.wav",)]

    def test_nothing_is_an_error(self) -> None:
        assert "nothing to read: give a folder, file, glob or s3:// prefix, or --labels CSV" in mistake()

    def test_an_empty_folder_is_an_error_that_says_what_was_looked_for(self, tmp_path: Path) -> None:
        assert re.search(rf"no audio in {tmp_path}: .*\.wav \.flac .*; check the address", mistake(tmp_path))

    def test_a_missing_folder_is_an_error(self, tmp_path: Path) -> None:
        assert f"cannot list {tmp_path}/no: it does not exist; check the address" in mistake(tmp_path / "no")


class TestTableInAFolder:
    def test_it_says_what_there_is(
        self, tmp_path: Path, write_audio: WriteAudio, write_table: WriteTable, columns_of: ColumnsOf
    ) -> None:
        write_audio(tmp_path / "d", "gunshot/a.wav", "b.wav", "unlisted.wav", duration_s=2)
        write_table("path,label,start_s,end_s", "gunshot/a.wav,0,,", "b.wav,1,0.5,1", folder=tmp_path / "d")
        assert columns_of(build_manifest([f"{tmp_path}/d/"]), "path", "label", "start_s", "end_s") == [
            ("b.wav", 1, 0.5, 1.0),
            ("gunshot/a.wav", 0, None, None),
        ]

    def test_its_labels_stand_when_none_of_them_is_a_gunshot(
        self, tmp_path: Path, write_audio: WriteAudio, write_table: WriteTable, columns_of: ColumnsOf
    ) -> None:
        # a table says 0 on purpose; folders only by what they are not called
        write_audio(tmp_path, "quiet/a.wav", "site/b.wav")
        write_table("path,label", "a.wav,0", folder=tmp_path / "quiet")
        table = build_manifest([f"{tmp_path}/quiet", f"{tmp_path}/site"])
        assert columns_of(table, "path", "label") == [("a.wav", 0), ("b.wav", None)]

    def test_a_mistake_in_it_is_not_passed_over(self, tmp_path: Path, write_audio: WriteAudio) -> None:
        write_audio(tmp_path, "gunshot/a.wav")
        (tmp_path / "labels.csv").write_text("path,label\ngunshot/a.wav,shot\n")
        assert f"label table {tmp_path}/labels.csv: line 2: label must be" in mistake(tmp_path)

    def test_a_table_that_cannot_be_looked_for_is_an_error(
        self, tmp_path: Path, write_audio: WriteAudio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # reading on by folders would give other labels than the user's
        write_audio(tmp_path, "gunshot/a.wav")

        def denied(uri: str) -> bool:
            raise StorageError(f"cannot look up {uri}: access denied")

        monkeypatch.setattr(sources_module, "exists", denied)
        with pytest.raises(StorageError, match=r"labels\.csv: access denied"):
            build_manifest([str(tmp_path)])


class TestTableGiven:
    def test_paths_are_relative_to_the_input(
        self, tmp_path: Path, write_audio: WriteAudio, write_table: WriteTable, columns_of: ColumnsOf
    ) -> None:
        write_audio(tmp_path / "audio", "x/a.wav")
        labels = write_table("path,label", "x/a.wav,1", folder=tmp_path / "tables")
        table = build_manifest([f"{tmp_path}/audio"], labels=labels)
        assert columns_of(table, "path", "uri") == [("x/a.wav", f"{tmp_path}/audio/x/a.wav")]

    def test_without_an_input_paths_are_relative_to_the_table(
        self,
        tmp_path: Path,
        write_audio: WriteAudio,
        write_table: WriteTable,
        columns_of: ColumnsOf,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        write_audio(tmp_path, "x/a.wav")
        labels = write_table("path,label", "x/a.wav,1")
        assert columns_of(build_manifest([], labels=labels), "uri") == [(f"{tmp_path}/x/a.wav",)]
        monkeypatch.chdir(tmp_path)
        assert columns_of(build_manifest([], labels="labels.csv"), "path", "state") == [("x/a.wav", "ok")]

    def test_a_table_may_be_an_input_beside_folders(
        self, tmp_path: Path, write_audio: WriteAudio, write_table: WriteTable, columns_of: ColumnsOf
    ) -> None:
        write_audio(tmp_path, "site/x/a.wav", "corpus/gunshots/b.wav")
        labels = write_table("path,label", "x/a.wav,1", folder=tmp_path / "site")
        renamed = Path(labels).rename(tmp_path / "site" / "may.CSV")
        table = build_manifest([str(renamed), f"{tmp_path}/corpus"])
        assert columns_of(table, "path", "label") == [("gunshots/b.wav", 1), ("x/a.wav", 1)]

    def test_absolute_paths_are_taken_as_they_are(
        self, tmp_path: Path, write_audio: WriteAudio, write_table: WriteTable, columns_of: ColumnsOf
    ) -> None:
        write_audio(tmp_path, "elsewhere/a.wav")
        labels = write_table("path,label", f"{tmp_path}/elsewhere/a.wav,1")
        table = build_manifest([f"{tmp_path}/nowhere"], labels=labels)
        assert columns_of(table, "uri", "state") == [(f"{tmp_path}/elsewhere/a.wav", "ok")]

    def test_a_label_table_wins_over_folders_and_over_a_table_in_the_folder(
        self, tmp_path: Path, write_audio: WriteAudio, write_table: WriteTable, columns_of: ColumnsOf
    ) -> None:
        write_audio(tmp_path / "d", "gunshot/a.wav")
        write_table("path,label", "gunshot/a.wav,1", folder=tmp_path / "d")
        labels = write_table("path,label", "gunshot/a.wav,0")
        assert columns_of(build_manifest([f"{tmp_path}/d"], labels=labels), "label") == [(0,)]

    def test_missing_files_are_named_by_line_the_first_three(
        self, tmp_path: Path, write_audio: WriteAudio, write_table: WriteTable
    ) -> None:
        write_audio(tmp_path, "there.wav")
        labels = write_table("path,label", "there.wav,1", '"a\nb.wav",1', *(f"{n}.wav,0" for n in range(4)))
        message = mistake(tmp_path, labels=labels)
        assert f"label table {labels}: 5 of 6 rows name files that do not exist below {tmp_path}" in message
        assert "(line 4: 'a\\nb.wav', line 5: '0.wav', line 6: '1.wav' and 2 more)" in message
        assert message.endswith("give the folder they are relative to as INPUT")

    def test_a_missing_table_is_an_error(self, tmp_path: Path) -> None:
        assert "does not exist" in mistake(tmp_path, labels=f"{tmp_path}/no.csv")


class TestBadFiles:
    def test_a_file_that_cannot_be_used_stays_as_a_row_with_its_state_and_reason(
        self, tmp_path: Path, write_audio: WriteAudio, columns_of: ColumnsOf
    ) -> None:
        write_audio(tmp_path, "good.wav", "no frames.wav")
        (tmp_path / "empty.wav").write_bytes(b"")
        (tmp_path / "text.wav").write_text("not a sound")
        (tmp_path / "no frames.wav").write_bytes((tmp_path / "good.wav").read_bytes()[:44])
        table = build_manifest([str(tmp_path)])
        assert dict(columns_of(table, "path", "state")) == {
            "empty.wav": "empty",
            "good.wav": "ok",
            "no frames.wav": "empty",
            "text.wav": "unreadable",
        }
        for state, reason, duration_s, sr in columns_of(table, "state", "reason", "duration_s", "sr"):
            assert (reason == "") is (state == "ok")
            assert (duration_s is None) is (sr is None) is (state != "ok")

    def test_all_rows_of_a_bad_file_say_so(
        self, tmp_path: Path, write_table: WriteTable, columns_of: ColumnsOf
    ) -> None:
        (tmp_path / "a.wav").write_bytes(b"RIFF")
        labels = write_table("path,label,start_s", "a.wav,1,0", "a.wav,0,1")
        assert columns_of(build_manifest([], labels=labels), "state") == [("unreadable",)] * 2


class TestOrder:
    def test_rows_are_sorted_by_path_and_start_whatever_the_table_says(
        self, tmp_path: Path, write_audio: WriteAudio, write_table: WriteTable, columns_of: ColumnsOf
    ) -> None:
        write_audio(tmp_path, "a.wav", "b.wav", duration_s=3)
        lines = ["b.wav,1,2", "a.wav,1,", "b.wav,0,0.5", "a.wav,0,1", "b.wav,1,1"]
        labels = write_table("path,label,start_s", *lines)
        expected = [("a.wav", None), ("a.wav", 1.0), ("b.wav", 0.5), ("b.wav", 1.0), ("b.wav", 2.0)]
        assert columns_of(build_manifest([], labels=labels), "path", "start_s") == expected

    def test_the_same_files_give_the_same_digest_and_a_changed_one_another(
        self, tmp_path: Path, write_audio: WriteAudio
    ) -> None:
        write_audio(tmp_path, "gunshot/a.wav", "dog/b.wav")
        before = manifest_digest(build_manifest([str(tmp_path)]))
        assert manifest_digest(build_manifest([str(tmp_path)])) == before
        os.utime(tmp_path / "dog/b.wav", ns=(0, 0))
        assert manifest_digest(build_manifest([str(tmp_path)])) != before

    def test_progress_counts_every_file_once(
        self, tmp_path: Path, write_audio: WriteAudio, write_table: WriteTable
    ) -> None:
        write_audio(tmp_path, *(f"{n}.wav" for n in range(12)))
        labels = write_table("path,label,start_s", *(f"{n}.wav,1,{s}" for n in range(12) for s in (0, 0.05)))
        seen: list[tuple[int, int]] = []
        build_manifest([], labels=labels, progress=lambda done, total: seen.append((done, total)))
        assert seen == [(n, 12) for n in range(1, 13)]


def by_definition(segments: list[dict[str, Any]]) -> list[float | None]:
    """The start of the next segment of the same file with another label."""
    return [
        min(
            (
                other["start_s"] or 0.0
                for other in segments
                if other["label"] != row["label"] and (other["start_s"] or 0.0) > (row["start_s"] or 0.0)
            ),
            default=None,
        )
        for row in segments
    ]


class TestLimits:
    def test_a_clip_ends_where_another_label_begins(
        self, tmp_path: Path, write_audio: WriteAudio, write_table: WriteTable, columns_of: ColumnsOf
    ) -> None:
        write_audio(tmp_path, "a.wav", "b.wav", duration_s=9)
        labels = write_table(
            "path,label,start_s,end_s",
            "a.wav,1,,1", "a.wav,1,1,2", "a.wav,0,2,3", "a.wav,0,3,4", "a.wav,1,4,",  # a shot, then silence, a shot
            "b.wav,0,0.5,1", "b.wav,1,,",  # a row of the whole file is no segment, and limits none
        )  # fmt: skip
        assert columns_of(build_manifest([], labels=labels), "path", "start_s", "limit_s") == [
            ("a.wav", None, 2.0),
            ("a.wav", 1.0, 2.0),
            ("a.wav", 2.0, 4.0),
            ("a.wav", 3.0, 4.0),
            ("a.wav", 4.0, None),
            ("b.wav", None, None),
            ("b.wav", 0.5, None),
        ]

    @settings(deadline=None)
    @given(
        segments=st.lists(
            st.fixed_dictionaries(
                {
                    "uri": st.just("a"),
                    "start_s": st.none() | st.integers(0, 6).map(float),
                    "end_s": st.just(9.0),
                    "label": st.integers(0, 1),
                }
            ),
            max_size=12,
        )
    )
    def test_limits_are_those_of_the_definition(self, segments: list[dict[str, Any]]) -> None:
        found = sources_module._limits([(row["uri"], row["start_s"], row["end_s"], row["label"]) for row in segments])
        assert found == by_definition(segments)

    def test_a_day_cut_into_seconds_takes_no_time(self) -> None:
        began = time.perf_counter()
        found = sources_module._limits([("a", float(s), s + 1.0, s % 2) for s in range(86_400)])
        assert time.perf_counter() - began < 5  # comparing all with all would take minutes
        assert found == [*(s + 1.0 for s in range(86_399)), None]
