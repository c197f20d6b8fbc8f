"""Local files; what holds for buckets as well is in tests/s3."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot import storage
from gunshot.errors import StorageError, TransientStorageError
from gunshot.storage import (
    delete_tree,
    exists,
    explained,
    is_remote,
    join,
    list_files,
    read_bytes,
    stat,
    write_bytes,
    zarr_store,
)

# what a file system takes as a name: no slash, no NUL, at most 255 bytes
names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda name: name not in {".", ".."}
)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def found(uri: str | Path, *suffixes: str) -> list[str]:
    return [info.uri for info in list_files(uri, suffixes)]


@pytest.mark.parametrize(
    ("uri", "remote"),
    [("/a/b", False), ("a", False), ("file:///a", False), ("s3://b/k", True), ("gs://b", True), ("C:/x", False)],
)
def test_only_addresses_with_another_scheme_are_remote(uri: str, remote: bool) -> None:
    assert is_remote(uri) is remote


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (("/a/", "/b/", "c"), "/a/b/c"),
        (("/", "b"), "//b"),
        (("s3://bucket", "k"), "s3://bucket/k"),
        (("s3://bucket/", "a/", "b.wav"), "s3://bucket/a/b.wav"),
        ((Path("x"), "y"), "x/y"),
        (("x/",), "x"),
    ],
)
def test_join_leaves_one_slash_between_parts(parts: tuple[str, ...], joined: str) -> None:
    assert join(*parts) == joined


def test_below_the_root_folder_join_names_the_same_file(tmp_path: Path) -> None:
    touch(tmp_path, "a")
    assert read_bytes(join("/", str(tmp_path), "a")) == b"a"


@settings(deadline=None, max_examples=60)
@given(name=names, content=st.binary(max_size=300))
def test_any_name_and_content_come_back_and_leave_nothing_beside(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        uri = join(folder, "new", name)
        write_bytes(uri, content)
        assert read_bytes(uri) == content
        assert [path.name for path in Path(folder, "new").iterdir()] == [name]
        assert stat(uri).size == len(content)
        assert found(f"{folder}/new") == ([] if name.startswith(".") else [uri])


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "銃" * 85])
def test_names_of_the_greatest_length_can_be_written(tmp_path: Path, name: str) -> None:
    write_bytes(tmp_path / name, b"x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_write_replaces_the_whole_object_and_its_etag(tmp_path: Path) -> None:
    uri = tmp_path / "x"
    write_bytes(uri, b"a longer first version")
    first = stat(uri)
    write_bytes(uri, b"second")
    assert read_bytes(uri) == b"second"
    assert stat(uri).etag != first.etag
    # same size, so only the time of writing tells them apart
    second = stat(uri)
    os.utime(uri, ns=(0, 0))
    assert stat(uri).etag != second.etag


def test_readers_see_the_old_object_or_the_whole_new_one(tmp_path: Path) -> None:
    uri = tmp_path / "x"
    contents = [bytes([value]) * 200_000 for value in (1, 2)]
    write_bytes(uri, contents[0])
    seen: set[bytes] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(read_bytes(uri))

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(40):
        write_bytes(uri, contents[turn % 2])
    stop.set()
    reader.join()
    assert seen <= set(contents)


def test_a_write_that_fails_keeps_the_old_object_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = tmp_path / "x"
    write_bytes(uri, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"cannot write .*x: .*No space left") as caught:
        write_bytes(uri, b"new")
    assert not isinstance(caught.value, TransientStorageError)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert uri.read_bytes() == b"old"


def test_what_cannot_be_a_file_is_told_with_its_address(tmp_path: Path) -> None:
    touch(tmp_path, "file")
    with pytest.raises(StorageError, match=r"cannot write .*file/below"):
        write_bytes(tmp_path / "file" / "below", b"")
    with pytest.raises(StorageError, match=r"cannot write "):
        write_bytes(tmp_path, b"")
    with pytest.raises(StorageError, match=r"cannot read .*: it is a folder; give the address of a file"):
        read_bytes(tmp_path)
    assert not exists(tmp_path / "file" / "below")


@pytest.mark.parametrize("ask", [read_bytes, stat, lambda uri: list(list_files(uri))])
def test_what_is_missing_is_told_with_its_address_and_a_remedy(tmp_path: Path, ask: object) -> None:
    uri = f"{tmp_path}/no/such"
    assert callable(ask)
    with pytest.raises(StorageError, match=f"cannot .* {uri}: it does not exist; check the address"):
        ask(uri)


def test_an_unknown_scheme_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="cannot open nowhere:// addresses"):
        exists("nowhere://x/y")


class TestListing:
    def test_files_of_all_depths_come_sorted_by_address(self, tmp_path: Path) -> None:
        touch(tmp_path, "a/b.wav", "a b.wav", "a-b/c.wav", "a/B.wav", "z.wav", "a/b/c/d.wav")
        assert found(tmp_path) == sorted(found(tmp_path))
        assert len(found(tmp_path)) == 6

    def test_endings_are_compared_without_case(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.wav", "b.WAV", "c.Flac", "d.txt", "wav", ".wav")
        assert found(tmp_path, ".wav", ".flac") == [f"{tmp_path}/{name}" for name in ("a.wav", "b.WAV", "c.Flac")]

    def test_hidden_files_and_folders_are_left_out(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.wav", "._a.wav", ".b.wav", ".git/c.wav", "d/.e/f.wav", "d/._g.wav", "d/h.wav")
        assert found(tmp_path) == [f"{tmp_path}/a.wav", f"{tmp_path}/d/h.wav"]

    def test_a_folder_below_a_hidden_one_is_listed_when_named(self, tmp_path: Path) -> None:
        touch(tmp_path, ".cache/x/a.wav")
        assert found(tmp_path / ".cache" / "x") == [f"{tmp_path}/.cache/x/a.wav"]
        assert found(f"{tmp_path}/.cache/x/*.wav") == [f"{tmp_path}/.cache/x/a.wav"]

    def test_a_file_named_itself_is_kept_whatever_its_ending(self, tmp_path: Path) -> None:
        touch(tmp_path, ".odd")
        assert found(tmp_path / ".odd", ".wav") == [f"{tmp_path}/.odd"]

    def test_only_regular_files_are_listed(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.wav", "folder.wav/b.wav")
        os.mkfifo(tmp_path / "pipe.wav")
        (tmp_path / "gone.wav").symlink_to(tmp_path / "nothing")
        (tmp_path / "link.wav").symlink_to(tmp_path / "a.wav")
        assert found(tmp_path) == [f"{tmp_path}/{name}" for name in ("a.wav", "folder.wav/b.wav", "link.wav")]

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("*.wav", ["r.wav"]),
            ("*/c.wav", ["a/c.wav", "b/c.wav"]),
            ("*/x/*.wav", ["a/x/1.wav", "a/x/2.wav", "b/x/1.wav"]),  # fixed parts follow the first wildcard
            ("a/x/?.wav", ["a/x/1.wav", "a/x/2.wav"]),
            ("a/x/[1].wav", ["a/x/1.wav"]),
            ("**/1.wav", ["a/x/1.wav", "b/x/1.wav"]),
            ("a/**", ["a/c.wav", "a/x/1.wav", "a/x/2.wav"]),
            ("**/x/**", ["a/x/1.wav", "a/x/2.wav", "b/x/1.wav"]),
        ],
    )
    def test_a_glob_gives_the_files_it_matches(self, tmp_path: Path, pattern: str, expected: list[str]) -> None:
        touch(tmp_path, "r.wav", "a/c.wav", "b/c.wav", "a/x/1.wav", "a/x/2.wav", "b/x/1.wav")
        assert found(f"{tmp_path}/{pattern}") == [f"{tmp_path}/{name}" for name in expected]

    def test_a_glob_relative_to_the_working_folder_gives_relative_paths(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        touch(tmp_path, "a.wav", "b/c.wav")
        monkeypatch.chdir(tmp_path)
        assert found("*.wav") == ["a.wav"]
        assert found("*/*.wav") == ["b/c.wav"]
        assert found(".") == ["a.wav", "b/c.wav"]

    def test_a_glob_that_matches_nothing_is_an_error(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.wav")
        with pytest.raises(StorageError, match="it does not exist"):
            found(f"{tmp_path}/*.flac")
        with pytest.raises(StorageError, match="it does not exist"):
            found(f"{tmp_path}/no/*.flac")

    def test_names_with_the_characters_of_globs_can_be_named(self, tmp_path: Path) -> None:
        touch(tmp_path, "site [1]/a*b?.wav", "site 1/other.wav")
        folder = f"{tmp_path}/site [1]"
        assert found(folder) == [f"{folder}/a*b?.wav"]
        assert found(f"{folder}/a*b?.wav") == [f"{folder}/a*b?.wav"]
        assert found(f"{folder}/*.wav") == [f"{folder}/a*b?.wav"]

    def test_an_empty_folder_has_no_files(self, tmp_path: Path) -> None:
        assert found(tmp_path) == []

    def test_infos_are_those_of_stat(self, tmp_path: Path) -> None:
        touch(tmp_path, "a", "b/c")
        assert list(list_files(tmp_path)) == [stat(tmp_path / "a"), stat(tmp_path / "b/c")]


class TestExplained:
    @pytest.mark.parametrize("uri", ["/data/x", "s3://data/x"])
    def test_only_faults_of_remote_stores_are_worth_another_try(self, uri: str) -> None:
        with pytest.raises(StorageError, match=f"cannot read {uri}: .*timed out") as caught, explained("read", uri):
            raise TimeoutError("timed out")
        assert isinstance(caught.value, TransientStorageError) is is_remote(uri)

    @pytest.mark.parametrize(
        ("uri", "remedy"), [("/x", "check its permissions"), ("s3://b/x", "check the bucket's policy")]
    )
    def test_denied_access_is_final_and_says_what_to_check(self, uri: str, remedy: str) -> None:
        with pytest.raises(StorageError, match=f"access denied; {remedy}") as caught, explained("read", uri):
            raise PermissionError
        assert not isinstance(caught.value, TransientStorageError)

    def test_our_own_bugs_pass_unchanged(self) -> None:
        with pytest.raises(ZeroDivisionError), explained("read", "s3://b/x"):
            raise ZeroDivisionError

    def test_an_explained_error_is_not_explained_again(self) -> None:
        first = TransientStorageError("cannot read s3://b/x: no answer")
        with pytest.raises(TransientStorageError) as caught, explained("write", "s3://b/y"):
            raise first
        assert caught.value is first


class TestDeleteTree:
    def test_a_folder_goes_with_all_below_it_and_nothing_beside(self, tmp_path: Path) -> None:
        touch(tmp_path, "a/b/c", "a/.hidden", "ab/c", "d")
        delete_tree(tmp_path / "a")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["ab", "d"]

    def test_what_is_not_there_may_be_removed(self, tmp_path: Path) -> None:
        delete_tree(tmp_path / "nothing")
        assert list(tmp_path.iterdir()) == []

    def test_a_single_file_goes_too(self, tmp_path: Path) -> None:
        touch(tmp_path, "a", "b")
        delete_tree(tmp_path / "a")
        assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_zarr_store_opened_for_reading_refuses_writes(tmp_path: Path) -> None:
    array = zarr.create_array(zarr_store(tmp_path, read_only=False), name="x", shape=4, chunks=2, dtype="f4")
    array[:] = np.arange(4)
    again = zarr.open_array(zarr_store(str(tmp_path), read_only=True), path="x", mode="r")
    assert np.array_equal(again[:], np.arange(4))
    with pytest.raises(ValueError, match="read-only"):
        again[0] = 1


def test_clients_are_not_shared_with_a_forked_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = storage.access.filesystem("memory")
    assert storage.access.filesystem("memory") is ours
    opened: list[str] = []
    monkeypatch.setattr(os, "getpid", lambda: -1)  # what a fork sees: another process, the same memory
    monkeypatch.setattr(storage.access.fsspec, "filesystem", lambda protocol, **_: opened.append(protocol))
    storage.access.filesystem("memory")
    assert opened == ["memory"]
    storage.access._filesystem_of_process.cache_clear()
