"""One contract for folders and buckets, and what only buckets can get wrong."""

from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gunshot import storage
from gunshot.errors import StorageError, TransientStorageError
from gunshot.storage import (
    delete_tree,
    exists,
    is_remote,
    join,
    list_files,
    read_bytes,
    stat,
    write_bytes,
    zarr_store,
)

ODD_NAMES = ["two  words.wav", "50%25 #1.wav", "a+b&c=d.wav", "銃声 ü.wav", "q'uo\"te.wav", "n" * 200, "a*b?[c].wav"]


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder or a prefix with nothing in it."""
    return str(tmp_path) if request.param == "local" else str(request.getfixturevalue("prefix"))


def names(uri: str, *suffixes: str, below: str | None = None) -> list[str]:
    return [info.uri.removeprefix(f"{below or uri}/") for info in list_files(uri, suffixes)]


def is_gone(uri: str) -> bool:
    """Whether nothing is below a folder; some servers keep the empty folder for a while."""
    return not exists(uri) or names(uri) == []


class TestContract:
    @pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 5000], ids=["empty", "short", "megabyte"])
    def test_what_is_written_is_read(self, place: str, content: bytes) -> None:
        uri = join(place, "a", "b", "c.bin")
        write_bytes(uri, content)
        assert read_bytes(uri) == content
        assert stat(uri).size == len(content)
        assert stat(uri).uri == uri

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_odd_names_are_names(self, place: str, name: str) -> None:
        uri = join(place, name)
        write_bytes(uri, name.encode())
        assert read_bytes(uri) == name.encode()
        assert exists(uri)
        assert names(place) == [name]
        assert list(list_files(uri)) == [stat(uri)] == list(list_files(place))

    def test_an_object_exists_and_so_do_the_folders_above_it(self, place: str) -> None:
        write_bytes(join(place, "a", "bc", "d"), b"")
        assert all(exists(f"{place}{name}") for name in ("", "/a", "/a/", "/a/bc", "/a/bc/d"))
        # a folder is not whatever begins like it
        assert not any(exists(f"{place}{name}") for name in ("/b", "/a/b", "/a/bc/d/e", "/a/bc/dd", "/bc/d"))

    def test_a_write_replaces_the_object_and_its_etag(self, place: str) -> None:
        uri = join(place, "x")
        write_bytes(uri, b"one")
        before = stat(uri)
        write_bytes(uri, b"two")
        assert read_bytes(uri) == b"two"
        assert stat(uri).size == before.size
        assert stat(uri).etag != before.etag
        assert names(place) == ["x"]

    def test_the_etag_stays_as_long_as_the_object(self, place: str) -> None:
        uri = join(place, "x")
        write_bytes(uri, b"one")
        etag = stat(uri).etag
        assert etag
        assert {stat(uri).etag for _ in range(3)} == {etag} == {info.etag for info in list_files(place)}

    def test_readers_see_the_old_object_or_the_whole_new_one(self, place: str) -> None:
        uri = join(place, "x")
        contents = [bytes([value]) * 300_000 for value in (1, 2)]
        write_bytes(uri, contents[0])
        seen: set[bytes] = set()
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                seen.add(read_bytes(uri))

        reader = threading.Thread(target=read)
        reader.start()
        for turn in range(20):
            write_bytes(uri, contents[turn % 2])
        stop.set()
        reader.join()
        assert seen <= set(contents)

    def test_files_of_all_depths_are_listed_sorted_by_address(self, place: str) -> None:
        for name in ("b.wav", "a/b.wav", "a b.wav", "a-b/c.WAV", "a/b/c.flac", "a/c.txt"):
            write_bytes(join(place, name), b"x")
        assert names(place) == ["a b.wav", "a-b/c.WAV", "a/b.wav", "a/b/c.flac", "a/c.txt", "b.wav"]
        assert names(place, ".wav") == ["a b.wav", "a-b/c.WAV", "a/b.wav", "b.wav"]
        assert names(f"{place}/a", below=place) == ["a/b.wav", "a/b/c.flac", "a/c.txt"]
        assert names(f"{place}/a/", below=place) == ["a/b.wav", "a/b/c.flac", "a/c.txt"]

    def test_hidden_files_are_left_out_unless_named(self, place: str) -> None:
        for name in ("a.wav", "._a.wav", ".x/b.wav", "c/.d/e.wav", "c/._f.wav", "c/g.wav"):
            write_bytes(join(place, name), b"x")
        assert names(place) == ["a.wav", "c/g.wav"]
        assert names(f"{place}/.x", below=place) == [".x/b.wav"]
        assert names(f"{place}/._a.wav", below=place) == ["._a.wav"]

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("*.wav", ["r.wav"]),
            ("*/c.wav", ["a/c.wav", "b/c.wav"]),
            ("*/x/*.wav", ["a/x/1.wav", "a/x/2.wav", "b/x/1.wav"]),
            ("a/x/?.wav", ["a/x/1.wav", "a/x/2.wav"]),
            ("a/x/[1].wav", ["a/x/1.wav"]),
            ("**/1.wav", ["a/x/1.wav", "b/x/1.wav"]),
            ("a/**", ["a/c.wav", "a/x/1.wav", "a/x/2.wav"]),
        ],
    )
    def test_a_glob_gives_the_files_it_matches(self, place: str, pattern: str, expected: list[str]) -> None:
        for name in ("r.wav", "a/c.wav", "b/c.wav", "a/x/1.wav", "a/x/2.wav", "b/x/1.wav", "a/.h.wav"):
            write_bytes(join(place, name), b"x")
        assert names(f"{place}/{pattern}", below=place) == expected

    @pytest.mark.parametrize("ask", [read_bytes, stat, lambda uri: list(list_files(uri))], ids=["read", "stat", "list"])
    @pytest.mark.parametrize("name", ["none", "none/at/all", "*.none"])
    def test_what_is_missing_is_told_with_its_address_and_a_remedy(
        self, place: str, ask: Callable[[str], object], name: str
    ) -> None:
        write_bytes(join(place, "some"), b"")
        with pytest.raises(StorageError) as caught:
            ask(f"{place}/{name}")
        assert f"{place}/{name}: it does not exist; check the address" in str(caught.value)
        assert not isinstance(caught.value, TransientStorageError)

    def test_a_tree_goes_with_all_below_it_and_nothing_beside(self, place: str) -> None:
        for name in ("a/b/c", "a/.hidden", "a/d", "ab/c", "a.txt"):
            write_bytes(join(place, name), b"x")
        delete_tree(join(place, "a"))
        assert names(place) == ["a.txt", "ab/c"]
        assert is_gone(join(place, "a"))

    def test_what_is_not_there_may_be_removed(self, place: str) -> None:
        write_bytes(join(place, "a"), b"x")
        delete_tree(join(place, "b"))
        assert names(place) == ["a"]

    def test_what_another_has_written_and_removed_is_seen_at_once(self, place: str) -> None:
        # listings must not be remembered
        assert not exists(join(place, "a"))
        write_bytes(join(place, "a", "1"), b"x")
        assert names(join(place, "a")) == ["1"]
        _as_another(write_bytes, join(place, "a", "2"), b"x")
        assert names(join(place, "a")) == ["1", "2"]
        _as_another(delete_tree, join(place, "a"))
        assert is_gone(join(place, "a"))
        assert not exists(join(place, "a", "1"))

    def test_a_zarr_array_is_read_as_written(self, place: str) -> None:
        values = np.arange(24, dtype=np.float32).reshape(6, 4)
        array = zarr.create_array(
            zarr_store(place, read_only=False), name="x", shape=(6, 4), chunks=(2, 4), dtype="float32"
        )
        array[:] = values
        again = zarr.open_array(zarr_store(place, read_only=True), path="x", mode="r")
        assert np.array_equal(again[:], values)
        assert exists(join(place, "x", "zarr.json"))
        with pytest.raises(ValueError, match="read-only"):
            again[0] = 1


def _as_another(function: Callable[..., None], *arguments: object) -> None:
    """In a process of its own, which shares no client and no memory with this one."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode == 0


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contents=st.dictionaries(
        st.lists(st.text("ab.*[ é", min_size=1, max_size=4).filter(lambda t: t.strip(".")), min_size=1, max_size=3).map(
            "/".join
        ),
        st.binary(max_size=20),
        max_size=4,
    )
)
def test_a_bucket_lists_what_a_folder_lists(prefix: str, tmp_path: Path, contents: dict[str, bytes]) -> None:
    # no name may be both a file and a folder, as a bucket would allow
    contents = {k: v for k, v in contents.items() if not any(other.startswith(f"{k}/") for other in contents)}
    listings = []
    for root in (f"{prefix}/{uuid4().hex}", f"{tmp_path}/{uuid4().hex}"):
        for name, content in contents.items():
            write_bytes(f"{root}/{name}", content)
        infos = list(list_files(root)) if contents else []
        listings.append([(info.uri.removeprefix(root), info.size) for info in infos])
        assert all(stat(info.uri) == info for info in infos)
    assert listings[0] == listings[1]


class TestBuckets:
    def test_a_bucket_exists_and_another_does_not(self, prefix: str) -> None:
        bucket = prefix.rpartition("/")[0]
        assert exists(bucket)
        assert not exists("s3://no-such-bucket")
        assert not exists("s3://no-such-bucket/key")

    @pytest.mark.parametrize(
        "ask", [read_bytes, stat, lambda uri: list(list_files(uri)), lambda u: write_bytes(u, b"")]
    )
    def test_a_missing_bucket_is_told(self, ask: Callable[[str], object]) -> None:
        with pytest.raises(StorageError, match="s3://no-such-bucket/key: it does not exist; check the address"):
            ask("s3://no-such-bucket/key")

    def test_a_large_object_is_written_whole(self, prefix: str) -> None:
        content = np.random.default_rng(0).bytes(12_000_000)
        write_bytes(f"{prefix}/large", content)
        assert stat(f"{prefix}/large").size == len(content)
        assert read_bytes(f"{prefix}/large") == content

    def test_an_empty_folder_made_in_a_console_has_no_files(self, prefix: str) -> None:
        bucket, _, key = prefix.removeprefix("s3://").partition("/")
        storage.access.filesystem("s3").call_s3("put_object", Bucket=bucket, Key=f"{key}/folder/", Body=b"")
        assert exists(f"{prefix}/folder")
        assert names(f"{prefix}/folder") == []
        write_bytes(f"{prefix}/folder/a", b"x")
        assert names(f"{prefix}/folder") == ["a"]
        assert names(prefix) == ["folder/a"]

    def test_a_folder_that_a_server_keeps_though_it_is_empty_has_no_files(
        self, prefix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # as this server does for a while after its last object is removed
        client = storage.access.filesystem("s3")
        monkeypatch.setattr(client, "find", lambda *_, **__: {})
        monkeypatch.setattr(client, "exists", lambda _: True)
        assert names(f"{prefix}/folder") == []

    def test_a_name_may_be_a_file_and_a_folder(self, prefix: str) -> None:
        write_bytes(f"{prefix}/a", b"1")
        write_bytes(f"{prefix}/a/b", b"2")
        assert read_bytes(f"{prefix}/a") == b"1"
        assert read_bytes(f"{prefix}/a/b") == b"2"

    def test_clients_are_made_once_a_process(self, prefix: str) -> None:
        clients = []
        threads = [threading.Thread(target=lambda: clients.append(storage.access.filesystem("s3"))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(client) for client in clients}) == 1

    def test_threads_may_share_a_client(self, prefix: str) -> None:
        def work(number: int) -> None:
            for turn in range(5):
                uri = f"{prefix}/{number}/{turn}"
                write_bytes(uri, uri.encode())
                assert read_bytes(uri) == uri.encode()
                done.append(uri)

        done: list[str] = []
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(done) == [info.uri for info in list_files(prefix)]

    def test_a_forked_process_opens_a_client_of_its_own(self, prefix: str) -> None:
        write_bytes(f"{prefix}/ours", b"1")
        # in an interpreter of its own: this one has threads of other tests, which do not survive a fork
        command = [sys.executable, "-W", "ignore", "-c", _FORKED_COPY, f"{prefix}/ours", f"{prefix}/theirs"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert read_bytes(f"{prefix}/theirs") == b"1"


_FORKED_COPY = """
import multiprocessing, sys
from gunshot.storage import read_bytes, write_bytes

def copy(source, target):
    write_bytes(target, read_bytes(source))

source, target = sys.argv[1:]
read_bytes(source)  # the client is open before the fork
process = multiprocessing.get_context("fork").Process(target=copy, args=(source, target))
process.start()
process.join(30)
sys.exit(process.exitcode)
"""


QUESTIONS: dict[str, Callable[[str], object]] = {
    "look up": exists,
    "look up ": stat,
    "read": read_bytes,
    "write": lambda uri: write_bytes(uri, b"x"),
    "list": lambda uri: list(list_files(uri)),
    "remove": delete_tree,
}


class TestFaults:
    @pytest.mark.parametrize("wrong", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
    def test_wrong_credentials_are_final_and_told_with_the_remedy(
        self, prefix: str, fresh_clients: Callable[[], None], monkeypatch: pytest.MonkeyPatch, wrong: str
    ) -> None:
        monkeypatch.setenv(wrong, "not-the-right-one")
        for action, ask in QUESTIONS.items():
            with pytest.raises(StorageError) as caught:
                ask(f"{prefix}/x")
            assert str(caught.value) == (
                f"cannot {action.strip()} {prefix}/x: access denied; check the bucket's policy and your credentials"
            )
            assert not isinstance(caught.value, TransientStorageError)

    def test_no_credentials_are_final_and_told(
        self, prefix: str, fresh_clients: Callable[[], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(StorageError, match="Unable to locate credentials; check AWS_ENDPOINT_URL, cred") as caught:
            read_bytes(f"{prefix}/x")
        assert not isinstance(caught.value, TransientStorageError)

    def test_a_server_that_does_not_answer_is_worth_another_try(
        self, prefix: str, fresh_clients: Callable[[], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setattr(storage.access.filesystem("s3"), "retries", 1)
        for action, ask in QUESTIONS.items():
            with pytest.raises(TransientStorageError, match=rf"cannot {action.strip()} {prefix}/x: Could not connect"):
                ask(f"{prefix}/x")

    def test_a_server_that_answers_again_is_used_again(self, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
        # a fault that passes must not stick to the client
        client = storage.access.filesystem("s3")

        def busy(*_: object, **__: object) -> None:
            raise OSError(errno.EBUSY, "Please reduce your request rate")

        with monkeypatch.context() as patch:
            patch.setattr(client, "pipe_file", busy)
            with pytest.raises(TransientStorageError, match="reduce your request rate"):
                write_bytes(f"{prefix}/x", b"1")
        write_bytes(f"{prefix}/x", b"1")
        assert read_bytes(f"{prefix}/x") == b"1"


def test_the_environment_is_the_servers_alone() -> None:
    assert {name for name in os.environ if name.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED",
    }  # fmt: skip
    assert is_remote(os.environ["AWS_ENDPOINT_URL"])
