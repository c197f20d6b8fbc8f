"""Nothing that a user would call a recording is left out without a word."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from gunshot.errors import ManifestError, StorageError
from gunshot.manifest.sources import build_manifest
from gunshot.scoring.targets import list_targets
from gunshot.storage import list_files
from tests.zoo.build import sound, wav

Rights = Callable[[bool], AbstractContextManager[None]]

SUFFIXES = (".wav", ".flac")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(uri: Path | str, root: Path) -> list[str]:
    return [info.uri.removeprefix(f"{root}/") for info in list_files(uri, SUFFIXES)]


class TestLinks:
    def test_folders_behind_links_are_entered_once_and_under_their_own_path_where_they_have_one(
        self, tmp_path: Path
    ) -> None:
        touch(tmp_path, "in/own/a.wav", "in/z.wav", "out/b.wav", "out/deep/c.wav")
        root = tmp_path / "in"
        (root / "again").symlink_to("own")  # comes first by name
        (root / "away").symlink_to(tmp_path / "out")
        (root / "own" / "away too").symlink_to(tmp_path / "out" / "deep")
        names = found(root, root)
        assert {"own/a.wav", "z.wav", "away/b.wav"} <= set(names)
        assert sum(name.endswith("c.wav") for name in names) == 1
        assert len(names) == 4

    @pytest.mark.parametrize("target", [".", "..", "../..", "/", "b/back", "back"])
    def test_a_link_that_leads_back_adds_nothing_and_has_an_end(self, tmp_path: Path, target: str) -> None:
        root = tmp_path / "in"
        touch(root, "a.wav", "b/c.wav")
        (root / "b" / "back").symlink_to(target)
        assert found(root, root) == ["a.wav", "b/c.wav"]

    def test_folders_that_link_to_each_other_are_entered_once_each(self, tmp_path: Path) -> None:
        # followed along every path, twelve folders would be 12! listings
        for a in range(12):
            touch(tmp_path, f"{a}/a.wav")
            for b in range(12):
                if a != b:
                    (tmp_path / str(a) / f"to {b}").symlink_to(f"../{b}")
        assert len(found(tmp_path, tmp_path)) == 12

    @pytest.mark.parametrize("pattern", ["**/*.wav", "*/*.wav", "linked/*", "link*/?.wav", "**/b.*", "**"])
    def test_globs_go_through_links_too(self, tmp_path: Path, pattern: str) -> None:
        touch(tmp_path, "out/b.wav")
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "linked").symlink_to(tmp_path / "out")
        (tmp_path / "in" / "linked" / "back").symlink_to(tmp_path / "in")
        assert found(f"{tmp_path}/in/{pattern}", tmp_path / "in") == ["linked/b.wav"]

    def test_a_link_to_a_file_is_a_row_of_its_own(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.wav")
        (tmp_path / "b.wav").symlink_to("a.wav")
        a, b = list_files(tmp_path, SUFFIXES)
        assert (a.size, a.etag) == (b.size, b.etag)

    def test_a_link_to_nothing_that_gets_a_target_has_changed(self, tmp_path: Path) -> None:
        """Else the ledger would hold the new recording for done."""
        (tmp_path / "a.wav").symlink_to("b")
        (before,) = list_files(tmp_path, SUFFIXES)
        (tmp_path / "b").write_bytes(b"sound")
        (after,) = list_files(tmp_path, SUFFIXES)
        assert before.uri == after.uri
        assert before.etag != after.etag


class TestOddThings:
    def odd(self, folder: Path) -> None:
        touch(folder, "a.wav", "full.wav/b.wav", "full.flac/notes.txt")
        os.mkfifo(folder / "pipe.wav")
        (folder / "gone.flac").symlink_to("nothing")
        (folder / "loop.wav").symlink_to("loop.wav")
        (folder / "empty.wav").mkdir()
        (folder / "folder").mkdir()
        os.mkfifo(folder / "pipe")

    def test_names_that_end_like_recordings_are_listed_whatever_they_are(self, tmp_path: Path) -> None:
        self.odd(tmp_path)
        expected = ["a.wav", "empty.wav", "full.flac", "full.wav/b.wav", "gone.flac", "loop.wav", "pipe.wav"]
        assert found(tmp_path, tmp_path) == found(f"{tmp_path}/**", tmp_path) == expected
        top = ["a.wav", "empty.wav", "full.wav", "loop.wav", "pipe.wav"]  # what is in a folder is not asked for
        assert found(f"{tmp_path}/*.wav", tmp_path) == top

    def test_without_endings_only_regular_files_are_asked_for(self, tmp_path: Path) -> None:
        self.odd(tmp_path)
        names = [info.uri.removeprefix(f"{tmp_path}/") for info in list_files(tmp_path)]
        assert names == ["a.wav", "full.flac/notes.txt", "full.wav/b.wav"]

    @pytest.mark.parametrize("name", ["pipe.wav", "gone.flac", "loop.wav", "pipe"])
    def test_what_is_named_itself_is_a_row(self, tmp_path: Path, name: str) -> None:
        # as a shell names it that has expanded a glob
        self.odd(tmp_path)
        (row,) = build_manifest([f"{tmp_path}/{name}"]).to_pylist()
        assert (row["path"], row["state"], row["reason"] != "") == (name, "unreadable", True)

    def test_a_name_that_is_not_utf_8_is_shown_and_harms_no_other(self, tmp_path: Path) -> None:
        for name in (b"caf\xe9.wav", b"dir\xff/b.wav", b"c.wav"):
            path = tmp_path / os.fsdecode(name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(wav(sound(np.random.default_rng(0))))
        rows = build_manifest([str(tmp_path)]).to_pylist()
        assert [(row["path"], row["state"]) for row in rows] == [
            ("c.wav", "ok"),
            ("caf\\xe9.wav", "unreadable"),
            ("dir\\xff/b.wav", "unreadable"),
        ]

    def test_an_address_that_is_not_utf_8_is_a_mistake(self, tmp_path: Path) -> None:
        folder = tmp_path / os.fsdecode(b"caf\xe9")
        touch(folder, "a.wav")
        with pytest.raises(ManifestError, match=r"cannot list .*caf\\xe9: the name is not UTF-8; rename it"):
            build_manifest([str(folder)])


class TestPermissions:
    def test_a_folder_that_may_not_be_read_is_a_row(self, place: Path, rights_of_a_user: Rights) -> None:
        touch(place, "a.wav", "closed/b.wav", "open/closed.wav/c.wav", "open/.closed/d.wav")
        for name in ("closed", "open/closed.wav", "open/.closed"):
            (place / name).chmod(0)
        for pattern in ("", "/**", "/**/*.wav"):
            with rights_of_a_user(True):
                assert found(f"{place}{pattern}", place) == ["a.wav", "closed", "open/closed.wav"]
        with rights_of_a_user(True):
            assert found(f"{place}/*/b.wav", place) == ["closed"]
            assert [target.path for target in list_targets([str(place)])] == ["a.wav", "closed", "open/closed.wav"]
            states = build_manifest([str(place)]).column("state").to_pylist()
        assert states == ["empty", "unreadable", "unreadable"]

    def test_the_folder_that_is_asked_for_must_be_readable(self, place: Path, rights_of_a_user: Rights) -> None:
        touch(place, "closed/b.wav")
        (place / "closed").chmod(0)
        with rights_of_a_user(True), pytest.raises(StorageError, match="access denied; check its permissions"):
            found(place / "closed", place)

    def test_files_in_a_folder_that_shows_names_only_are_rows(self, place: Path, rights_of_a_user: Rights) -> None:
        touch(place, "names/a.wav", "names/b.txt", "c.wav")
        (place / "names").chmod(0o444)
        with rights_of_a_user(True):
            rows = build_manifest([str(place)]).to_pylist()
        assert [(row["path"], row["size"], row["reason"]) for row in rows] == [
            ("c.wav", 0, "the file has 0 bytes"),
            ("names/a.wav", 0, "Permission denied"),
        ]
