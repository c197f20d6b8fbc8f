"""The client: one request an object, all of it or an error, once, and never for ever."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from gunshot.errors import StorageError, TransientStorageError
from gunshot.storage import access, create_bytes, delete, exists, read_bytes, s3, stat, write_bytes, zarr_store
from tests.s3.faults import FaultProxy, Plan

CONTENT = np.random.default_rng(0).bytes(250_000)

Through = Callable[[Plan], FaultProxy]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few attempts, no waits between them, and little patience."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr("random.random", lambda: 0.0)
    monkeypatch.setattr(s3, "_PATIENCE_S", 4.0)


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        held: list[socket.socket] = []
        thread = threading.Thread(target=_accept, args=(listening, held), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in held:
            one.close()


def _accept(listening: socket.socket, held: list[socket.socket]) -> None:
    while True:
        try:
            held.append(listening.accept()[0])
        except OSError:
            return


class TestReading:
    @pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["empty", "one byte", "many"])
    def test_an_object_is_one_request(self, prefix: str, through_faults: Through, content: bytes) -> None:
        proxy = through_faults(Plan({}))
        write_bytes(f"{prefix}/a", content)
        assert read_bytes(f"{prefix}/a") == content
        assert proxy.actions() == {"PUT": 1, "GET": 1}

    @pytest.mark.parametrize("extra", [-1, 0, 1])
    def test_a_large_object_is_one_request_a_part(
        self, prefix: str, through_faults: Through, monkeypatch: pytest.MonkeyPatch, extra: int
    ) -> None:
        monkeypatch.setattr(s3, "PART_BYTES", 50_000)
        content = CONTENT[: 200_000 + extra]
        proxy = through_faults(Plan({}))
        write_bytes(f"{prefix}/a", content)
        assert read_bytes(f"{prefix}/a") == content
        assert proxy.actions()["GET"] == (5 if extra == 1 else 4)

    def test_parts_are_of_one_version(self, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(s3, "PART_BYTES", 50_000)
        write_bytes(f"{prefix}/a", CONTENT)
        part = s3.Bucket._read_part

        async def replaced(self: s3.Bucket, **request: str) -> object:
            found = await part(self, **request)
            if "IfMatch" not in request:  # another writes it after the first part
                await self._pipe_file(f"{prefix}/a".removeprefix("s3://"), CONTENT[::-1])
            return found

        monkeypatch.setattr(s3.Bucket, "_read_part", replaced)
        with pytest.raises(TransientStorageError, match=f"cannot read {prefix}/a"):
            read_bytes(f"{prefix}/a")

    def test_a_body_cut_is_never_taken_for_the_end(self, prefix: str, through_faults: Through, quick: None) -> None:
        write_bytes(f"{prefix}/a", CONTENT)
        proxy = through_faults(Plan({"cut answer": 1.0}))
        assert read_bytes(f"{prefix}/a") == CONTENT
        assert proxy.faults() == {"cut answer": 3}
        through_faults(Plan({"cut answer": 1.0}, most=1_000))
        with pytest.raises(TransientStorageError, match=f"cannot read {prefix}/a"):
            read_bytes(f"{prefix}/a")

    def test_a_missing_object_is_missing_though_the_answer_is_cut(
        self, prefix: str, through_faults: Through, quick: None
    ) -> None:
        through_faults(Plan({"cut answer": 1.0}, most=1))
        with pytest.raises(StorageError, match="it does not exist") as caught:
            read_bytes(f"{prefix}/none")
        assert not isinstance(caught.value, TransientStorageError)


class TestWriting:
    def test_an_object_cut_on_its_way_is_not_there(self, prefix: str, through_faults: Through, quick: None) -> None:
        through_faults(Plan({"cut request": 1.0}, most=1_000))
        with pytest.raises(TransientStorageError, match=f"cannot write {prefix}/a"):
            write_bytes(f"{prefix}/a", CONTENT)
        through_faults(Plan({}))
        assert not exists(f"{prefix}/a")

    def test_nor_is_what_was_there_lost(self, prefix: str, through_faults: Through, quick: None) -> None:
        write_bytes(f"{prefix}/a", b"before")
        through_faults(Plan({"cut request": 1.0}, most=1_000))
        with pytest.raises(TransientStorageError):
            write_bytes(f"{prefix}/a", CONTENT)
        through_faults(Plan({}))
        assert read_bytes(f"{prefix}/a") == b"before"

    def test_who_has_made_an_object_is_told_though_the_answer_was_lost(
        self, prefix: str, through_faults: Through, quick: None
    ) -> None:
        proxy = through_faults(Plan({"lost answer": 1.0}, most=1))
        assert create_bytes(f"{prefix}/a", b"same")
        assert proxy.faults()["lost answer"] == 2  # of the first request, and of asking whose it is
        through_faults(Plan({}))
        assert not create_bytes(f"{prefix}/a", b"same")
        assert read_bytes(f"{prefix}/a") == b"same"
        delete(f"{prefix}/a")
        assert create_bytes(f"{prefix}/a", b"other")


class TestWaiting:
    @pytest.mark.parametrize(
        "ask",
        [read_bytes, stat, lambda uri: write_bytes(uri, CONTENT), lambda uri: create_bytes(uri, b"x")],
        ids=["read", "stat", "write", "create"],
    )
    def test_a_server_that_says_nothing_is_not_waited_for_for_ever(
        self,
        silent: str,
        fresh_clients: Callable[[], None],
        monkeypatch: pytest.MonkeyPatch,
        quick: None,
        ask: Callable[[str], object],
    ) -> None:
        monkeypatch.setattr(s3, "_ANSWER_WITHIN_S", 0.2)
        monkeypatch.setenv("AWS_ENDPOINT_URL", silent)
        fresh_clients()
        with pytest.raises(TransientStorageError, match="s3://archive/x: Read timeout on endpoint URL"):
            ask("s3://archive/x")

    def test_nor_is_one_that_takes_no_more_bytes(
        self, silent: str, fresh_clients: Callable[[], None], monkeypatch: pytest.MonkeyPatch, quick: None
    ) -> None:
        monkeypatch.setattr(s3, "_LONGEST_S", 0.5)
        monkeypatch.setenv("AWS_ENDPOINT_URL", silent)
        fresh_clients()
        with pytest.raises(TransientStorageError, match="cannot write s3://archive/x"):
            write_bytes("s3://archive/x", bytes(30_000_000))  # more than sockets hold

    def test_the_environment_overrules_attempts_and_mode(
        self, monkeypatch: pytest.MonkeyPatch, fresh_clients: Callable[[], None]
    ) -> None:
        def found() -> tuple[str, int]:
            fresh_clients()
            retries = access.filesystem("s3").s3.meta.config.retries
            return retries["mode"], retries["total_max_attempts"]

        assert found() == ("standard", 5)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "4")
        monkeypatch.setenv("AWS_RETRY_MODE", "legacy")
        assert found() == ("legacy", 4)

    def test_arrays_are_read_and_written_by_the_same_client(self, prefix: str) -> None:
        fs = zarr_store(prefix, read_only=True).fs
        assert isinstance(fs, s3.Bucket)
        assert fs.config_kwargs == s3.bucket_options()["config_kwargs"]
        assert zarr_store(prefix, read_only=False).fs is fs
