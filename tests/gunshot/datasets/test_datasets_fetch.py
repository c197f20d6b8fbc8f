"""Fetching against a real HTTP server on loopback that cuts, refuses, forgets, changes and lies."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import gunshot
from gunshot.datasets import Checksum, Dataset, Retry, fetch_dataset, is_fetched
from gunshot.datasets import fetch as fetch_module
from gunshot.datasets.download import Job, download
from gunshot.datasets.layouts import esc50_rows, urbansound8k_rows
from gunshot.errors import DatasetError, ParameterError
from gunshot.progress import shown_by

PATIENT = Retry(attempts=5, backoff_s=0.001)


@dataclass
class Behaviour:
    """What the server does with the requests to come, and what it saw of those that came."""

    body: bytes = b""
    etag: str | None = '"one"'
    last_modified: str | None = None
    takes_range: bool = True
    takes_if_range: bool = True
    says_length: bool = True
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    bytes_per_s: float | None = None
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    served: list[int] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        self.close_connection = True
        do = self.server.behaviour
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        do.asked.append((wanted, condition))
        if do.refusals:
            status, headers = do.refusals.pop(0)
            return self._answer(status, headers | {"Content-Length": "0"}, b"", None)
        now = do.etag or do.last_modified
        current = condition is None or condition == now or not do.takes_if_range
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and do.takes_range and current else 0
        headers = {"Content-Length": str(len(do.body) - start)} if do.says_length else {}
        headers |= {"ETag": do.etag} if do.etag else {}
        headers |= {"Last-Modified": do.last_modified} if do.last_modified else {}
        if start and start >= len(do.body):
            return self._answer(416, {"Content-Range": f"bytes */{len(do.body)}", "Content-Length": "0"}, b"", None)
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(do.body) - 1}/{len(do.body)}"
        return self._answer(206 if start else 200, headers, do.body[start:], do.cuts.pop(0) if do.cuts else None)

    def _answer(self, status: int, headers: dict[str, str], body: bytes, cut: int | None) -> None:
        do = self.server.behaviour
        body = body if cut is None else body[:cut]
        # noted before it is sent: the client may go on, and the test look, before this thread runs again
        do.answered.append(status)
        do.served.append(0)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        step = 16384
        for i in range(0, len(body), step):
            do.served[-1] += len(body[i : i + step])
            try:
                self.wfile.write(body[i : i + step])
            except OSError:  # the client was killed
                return
            if do.bytes_per_s:
                time.sleep(step / do.bytes_per_s)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    behaviour = Behaviour()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def now(self, **behaviour: Any) -> Behaviour:
        self.behaviour = Behaviour(**behaviour)
        return self.behaviour


@pytest.fixture(scope="module")
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def _sound(seed: int, n_samples: int) -> bytes:
    """A WAV of noise, which no archive compresses."""
    target = io.BytesIO()
    y = np.random.default_rng(seed).integers(-30000, 30000, n_samples).astype(np.int16)
    soundfile.write(target, y, 8000, format="WAV", subtype="PCM_16")
    return target.getvalue()


def _esc50_zip(n_samples: int = 4000) -> bytes:
    rows = [
        ("1-100032-A-0.wav", 1, 0, "dog", True, 100032, "A"),
        ("1-104089-A-30.wav", 1, 30, "door_wood_knock", False, 104089, "A"),
        ("5-160614-F-48.wav", 5, 48, "fireworks", False, 160614, "F"),
    ]
    table = "filename,fold,target,category,esc10,src_file,take\n"
    table += "".join(",".join(map(str, row)) + "\n" for row in rows)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("ESC-50-0123abc/meta/esc50.csv", table)
        for i, row in enumerate(rows):
            file.writestr(f"ESC-50-0123abc/audio/{row[0]}", _sound(i, n_samples))
    return target.getvalue()


def _urbansound8k_tar() -> bytes:
    table = (
        "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
        "100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark\n"
        "145608-6-0-0.wav,145608,0.24,2.1,1,10,6,gun_shot\n"
    )
    members = {
        "UrbanSound8K/metadata/UrbanSound8K.csv": table.encode(),
        "UrbanSound8K/audio/fold5/100032-3-0-0.wav": _sound(1, 500),
        "UrbanSound8K/audio/fold10/145608-6-0-0.wav": _sound(2, 500),
    }
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return target.getvalue()


BODY = _esc50_zip()


def _dataset(body: bytes = BODY, **change: Any) -> Dataset:
    entry: dict[str, Any] = {
        "name": "tiny",
        "title": "Tiny",
        "holds": "three sounds",
        "licence": "CC BY-NC 3.0",
        "is_non_commercial": True,
        "citation": "Nobody, 2024",
        "homepage": "https://example.org/tiny",
        "url": "https://example.org/sets/tiny.zip?download=1",
        "filename": "tiny.zip",
        "kind": "zip",
        "size_bytes": len(body),
        "checksum": Checksum("md5", hashlib.md5(body, usedforsecurity=False).hexdigest()),
        "rows": esc50_rows,
    }
    return Dataset(**(entry | change))


def _fetch(server: _Server, out: Path, dataset: Dataset | None = None, **change: Any) -> Path:
    dataset = _dataset() if dataset is None else dataset
    options: dict[str, Any] = {"retry": PATIENT, "rng": np.random.default_rng(0), "base_url": server.base_url}
    return fetch_dataset(dataset.name, out, catalogue=(dataset,), **(options | change))


class _Bars:
    """What is shown: of each bar its name, its unit, of how many, and how many were done."""

    def __init__(self) -> None:
        self.shown: list[list[Any]] = []

    @contextmanager
    def __call__(self, name: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
        self.shown.append(bar := [name, unit, total, 0])

        def advance(n: int) -> None:
            bar[-1] += n

        yield advance


def _table(labels: Path) -> list[dict[str, str]]:
    with labels.open(newline="") as file:
        return list(csv.DictReader(file))


def _hidden_and_parts(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"files", "labels.csv", "SOURCE.json", ".lock"}


def test_a_fetch_ends_with_labels_and_their_source(server: _Server, tmp_path: Path) -> None:
    do = server.now(body=BODY)
    bars = _Bars()
    with shown_by(bars):
        labels = _fetch(server, tmp_path)
    assert labels == tmp_path / "tiny" / "labels.csv"
    rows = _table(labels)
    assert [(row["label"], row["sound"], row["group"]) for row in rows] == [
        ("0", "dog", "100032"),
        ("0", "door wood knock", "104089"),
        ("0", "fireworks", "160614"),
    ]
    for i, row in enumerate(rows):
        assert (labels.parent / row["path"]).read_bytes() == _sound(i, 4000)
    source = json.loads((labels.parent / "SOURCE.json").read_text())
    assert source["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert source["size_bytes"] == len(BODY)
    assert source["url"] == "https://example.org/sets/tiny.zip?download=1"
    assert source["fetched_from"] == f"{server.base_url}/sets/tiny.zip?download=1"
    assert (source["licence"], source["citation"]) == ("CC BY-NC 3.0", "Nobody, 2024")
    assert source["fetched"].endswith("+00:00")
    assert bars.shown[:1] == [["fetch", "bytes", len(BODY), len(BODY)]]
    assert bars.shown[1:] == [["unpack", "files", None, 4]]  # three sounds and their table
    assert (do.answered, do.served) == ([200], [len(BODY)])
    assert _hidden_and_parts(labels.parent) == set()


def test_a_tar_of_urbansound8k_gives_its_gunshots(server: _Server, tmp_path: Path) -> None:
    body = _urbansound8k_tar()
    server.now(body=body)
    dataset = _dataset(body, name="street", filename="street.tar.gz", kind="tar", rows=urbansound8k_rows)
    rows = _table(_fetch(server, tmp_path, dataset))
    assert [(row["label"], row["group"], row["license"]) for row in rows] == [
        ("0", "100032", "CC BY-NC 3.0"),
        ("1", "145608", "CC BY-NC 3.0"),
    ]


def test_a_second_fetch_asks_for_nothing_and_says_so(
    server: _Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.now(body=BODY)
    dataset = _dataset()
    assert not is_fetched("tiny", tmp_path, catalogue=(dataset,))
    labels = _fetch(server, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in labels.parent.rglob("*") if path.name != ".lock"}
    assert is_fetched("tiny", tmp_path, catalogue=(dataset,))
    do = server.now(body=BODY)
    with caplog.at_level("INFO", logger="gunshot.datasets"):
        assert _fetch(server, tmp_path) == labels
    assert do.asked == []
    assert "tiny is complete" in caplog.text
    assert before == {path: path.stat().st_mtime_ns for path in labels.parent.rglob("*") if path.name != ".lock"}


def test_a_cut_download_asks_only_for_the_rest(server: _Server, tmp_path: Path) -> None:
    do = server.now(body=BODY, cuts=[0, 5000, 7000])
    bars = _Bars()
    with shown_by(bars):
        _fetch(server, tmp_path)
    assert do.asked == [(None, None), (None, None), ("bytes=5000-", '"one"'), ("bytes=12000-", '"one"')]
    assert do.answered == [200, 200, 206, 206]
    assert sum(do.served) == len(BODY)
    # each attempt has a bar of what is still to come
    whole = len(BODY)
    downloads = [(total, done) for name, _, total, done in bars.shown if name == "fetch"]
    assert downloads == [(whole, 0), (whole, 5000), (whole - 5000, 7000), (whole - 12000, whole - 12000)]


def _job(server: _Server, folder: Path, is_verifiable: bool = True, size_bytes: int | None = None) -> Job:
    return Job(
        url=f"{server.base_url}/x.zip",
        archive=folder / "x.zip",
        homepage="https://example.org",
        size_bytes=size_bytes,
        is_verifiable=is_verifiable,
    )


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(cut=st.integers(0, 40_000), body=st.binary(min_size=1, max_size=64))
def test_whatever_the_cut_the_parts_make_the_whole(server: _Server, cut: int, body: bytes) -> None:
    body = (body * 40_000)[: 20_000 + len(body)]
    do = server.now(body=body, cuts=[min(cut, len(body))])
    with tempfile.TemporaryDirectory() as folder:
        job = _job(server, Path(folder))
        download(job, PATIENT, np.random.default_rng(0))
        assert job.part.read_bytes() == body
    assert sum(do.served) == len(body)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    have=st.integers(0, 30_000),
    changed=st.booleans(),
    takes_range=st.booleans(),
    takes_if_range=st.booleans(),
    says_length=st.booleans(),
    dated=st.booleans(),
)
def test_whatever_was_there_before_the_result_is_the_object_of_now(
    server: _Server,
    have: int,
    changed: bool,
    takes_range: bool,
    takes_if_range: bool,
    says_length: bool,
    dated: bool,
) -> None:
    old, new = b"old!" * 5000, b"new?" * 5000
    names = [None, "Mon, 01 Jan 2024 00:00:00 GMT"] if dated else ['"one"', None]
    with tempfile.TemporaryDirectory() as folder:
        job = _job(server, Path(folder), is_verifiable=False)
        server.now(body=old, cuts=[min(have, len(old) - 1)], etag=names[0], last_modified=names[1])
        with pytest.raises(DatasetError, match="must be reachable"):
            download(job, Retry(attempts=1), np.random.default_rng(0))
        if changed:
            names = [None, "Tue, 02 Jan 2024 00:00:00 GMT"] if dated else ['"two"', None]
        do = server.now(
            body=new if changed else old,
            etag=names[0],
            last_modified=names[1],
            takes_range=takes_range,
            takes_if_range=takes_if_range,
            says_length=says_length,
        )
        download(job, PATIENT, np.random.default_rng(0))
        assert job.part.read_bytes() == (new if changed else old)
    assert sum(do.served) <= 2 * len(old)


def test_a_server_that_ignores_ranges_sends_the_whole(server: _Server, tmp_path: Path) -> None:
    do = server.now(body=BODY, cuts=[9000], takes_range=False)
    _fetch(server, tmp_path)
    assert do.answered == [200, 200]
    assert do.served == [9000, len(BODY)]


def test_an_object_that_changed_is_fetched_anew(server: _Server, tmp_path: Path) -> None:
    server.now(body=b"x" * len(BODY), cuts=[9000], etag='"old"')
    with pytest.raises(DatasetError, match="must be reachable"):
        _fetch(server, tmp_path, retry=Retry(attempts=1))
    do = server.now(body=BODY, etag='"new"')
    _fetch(server, tmp_path)
    assert do.asked == [("bytes=9000-", '"old"')]
    assert do.answered == [200]


def test_a_part_of_one_address_is_not_built_upon_at_another(server: _Server, tmp_path: Path) -> None:
    server.now(body=b"x" * len(BODY), cuts=[9000])
    dataset = _dataset(checksum=None, size_bytes=None)
    with pytest.raises(DatasetError, match="must be reachable"):
        _fetch(server, tmp_path, dataset, retry=Retry(attempts=1))
    do = server.now(body=BODY)
    _fetch(server, tmp_path, dataset, base_url=f"{server.base_url}/mirror/")
    assert do.asked == [(None, None)]


def test_a_weak_etag_is_never_a_condition(server: _Server, tmp_path: Path) -> None:
    date = "Mon, 01 Jan 2024 00:00:00 GMT"
    do = server.now(body=BODY, cuts=[9000], etag='W/"one"', last_modified=date, takes_if_range=False)
    _fetch(server, tmp_path)
    assert do.asked[1] == ("bytes=9000-", date)
    do = server.now(body=BODY, cuts=[9000], etag='W/"one"')
    _fetch(server, tmp_path / "b", dataset=_dataset())
    # nothing tells the object apart: the checksum at the end does
    assert do.asked[1] == ("bytes=9000-", None)


def test_without_any_way_to_tell_a_cut_download_starts_again(server: _Server, tmp_path: Path) -> None:
    do = server.now(body=BODY, cuts=[9000], etag=None)
    _fetch(server, tmp_path, dataset=_dataset(checksum=None, size_bytes=None))
    assert do.asked == [(None, None), (None, None)]


def test_transient_refusals_are_waited_out(server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("gunshot.datasets.download.time.sleep", waits.append)
    do = server.now(body=BODY, refusals=[(503, {}), (429, {"Retry-After": "7"}), (500, {"Retry-After": "9999"})])
    _fetch(server, tmp_path, retry=Retry(attempts=4, backoff_s=1.0))
    assert do.answered == [503, 429, 500, 200]
    assert 0.0 <= waits[0] <= 1.0
    assert waits[1] == 7.0
    assert waits[2] == 60.0


def test_the_waits_come_from_the_generator(server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[list[float]] = []
    for seed in (3, 3, 4):
        waits: list[float] = []
        monkeypatch.setattr("gunshot.datasets.download.time.sleep", waits.append)
        server.now(body=BODY, refusals=[(503, {})] * 4)
        _fetch(server, tmp_path / str(len(runs)), rng=np.random.default_rng(seed))
        runs.append(waits)
    assert runs[0] == runs[1] != runs[2]


def test_a_server_that_stays_down_ends_the_fetch_with_what_it_has(server: _Server, tmp_path: Path) -> None:
    do = server.now(body=BODY, cuts=[6000, 0, 0, 0, 0])
    with pytest.raises(DatasetError, match=r"got, 5 times: .* goes on after the 6000 bytes it has"):
        _fetch(server, tmp_path)
    assert len(do.answered) == 5
    do = server.now(body=BODY)
    _fetch(server, tmp_path)
    assert do.served == [len(BODY) - 6000]


def test_progress_gives_new_attempts(server: _Server, tmp_path: Path) -> None:
    body = np.random.default_rng(0).bytes(5 << 20)
    do = server.now(body=body, cuts=[(1 << 20) + 1] * 4)
    job = _job(server, tmp_path)
    download(job, Retry(attempts=2, backoff_s=0.001), np.random.default_rng(0))
    assert job.part.read_bytes() == body
    assert sum(do.served) == len(body)


def test_nobody_listening_is_a_clear_error(tmp_path: Path) -> None:
    with _Server(("127.0.0.1", 0), _Handler) as closed:
        base_url = closed.base_url
    with pytest.raises(DatasetError, match=r"must be reachable; got, 2 times: ConnectError"):
        fetch_dataset(
            "tiny",
            tmp_path,
            catalogue=(_dataset(),),
            base_url=base_url,
            retry=Retry(attempts=2, backoff_s=0.0),
        )


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_tells_how_to_do_it_by_hand(server: _Server, tmp_path: Path, status: int) -> None:
    do = server.now(body=BODY, refusals=[(status, {})])
    with pytest.raises(
        DatasetError, match=rf"got HTTP {status} .*by hand from https://example.org/tiny, put it at"
    ) as e:
        _fetch(server, tmp_path)
    assert do.answered == [status]
    archive = tmp_path / "tiny" / "tiny.zip"
    assert str(archive) in str(e.value)
    archive.write_bytes(BODY)
    do = server.now(body=BODY)
    assert len(_table(_fetch(server, tmp_path))) == 3
    assert do.asked == []


def test_a_wrong_file_put_by_hand_is_refused_and_kept(server: _Server, tmp_path: Path) -> None:
    archive = tmp_path / "tiny" / "tiny.zip"
    archive.parent.mkdir()
    archive.write_bytes(b"the login page")
    with pytest.raises(DatasetError, match=r"md5 of tiny.zip must be .*delete .*tiny.zip and fetch again"):
        _fetch(server, tmp_path)
    assert archive.read_bytes() == b"the login page"


def test_wrong_bytes_of_the_right_length_are_deleted(server: _Server, tmp_path: Path) -> None:
    wrong = bytes(len(BODY))
    server.now(body=wrong)
    expected = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
    got = hashlib.md5(wrong, usedforsecurity=False).hexdigest()
    with pytest.raises(DatasetError, match=f"md5 of tiny.zip.* must be {expected}; got {got}; .*deleted: fetch again"):
        _fetch(server, tmp_path)
    assert _hidden_and_parts(tmp_path / "tiny") == set()
    assert not is_fetched("tiny", tmp_path, catalogue=(_dataset(),))
    do = server.now(body=BODY)
    _fetch(server, tmp_path)
    assert do.asked == [(None, None)]


def test_a_file_of_another_size_is_not_even_downloaded(server: _Server, tmp_path: Path) -> None:
    do = server.now(body=b"<html>" * 100_000)
    with pytest.raises(DatasetError, match=rf"must be {len(BODY)} bytes; got 600000; the provider changed the file"):
        _fetch(server, tmp_path)
    assert do.answered == [200]
    assert _hidden_and_parts(tmp_path / "tiny") == set()


def test_a_body_without_a_length_is_stopped_at_the_expected_size(server: _Server, tmp_path: Path) -> None:
    server.now(body=b"x" * (len(BODY) + 1), says_length=False)
    with pytest.raises(DatasetError, match=rf"must be {len(BODY)} bytes; got more"):
        _fetch(server, tmp_path)
    server.now(body=BODY[:-1], says_length=False)
    with pytest.raises(DatasetError, match="the connection ended after"):
        _fetch(server, tmp_path, retry=Retry(attempts=1))
    do = server.now(body=BODY, says_length=False)
    assert len(_table(_fetch(server, tmp_path))) == 3
    assert sum(do.served) == 1


def test_a_full_disk_is_said_before_the_first_request(server: _Server, tmp_path: Path) -> None:
    do = server.now(body=BODY)
    with pytest.raises(DatasetError, match=r"tiny \(download and unpacked\) needs 2000000000\.00 GB free"):
        _fetch(server, tmp_path, dataset=_dataset(size_bytes=10**18))
    assert do.asked == []


def test_a_size_told_by_the_server_is_checked_against_the_disk(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.now(body=BODY)
    monkeypatch.setattr("gunshot.datasets.unpack.shutil.disk_usage", lambda folder: type("U", (), {"free": 1000})())
    with pytest.raises(DatasetError, match=r"downloading tiny.zip needs 0\.00 GB free"):
        _fetch(server, tmp_path, dataset=_dataset(size_bytes=None))


def test_without_a_published_checksum_the_first_fetch_binds_the_next(server: _Server, tmp_path: Path) -> None:
    dataset = _dataset(checksum=None, size_bytes=None)
    server.now(body=BODY)
    labels = _fetch(server, tmp_path, dataset)
    source = json.loads((labels.parent / "SOURCE.json").read_text())
    assert source["checksum"] is None
    assert source["sha256"] == hashlib.sha256(BODY).hexdigest()
    next((labels.parent / "files").rglob("*.wav")).unlink()
    server.now(body=_esc50_zip(n_samples=4001))
    with pytest.raises(DatasetError, match=rf"sha256 .* must be {source['sha256']}; .*delete SOURCE.json first"):
        _fetch(server, tmp_path, dataset)
    server.now(body=BODY)
    _fetch(server, tmp_path, dataset)
    assert is_fetched("tiny", tmp_path, catalogue=(dataset,))


def test_a_damaged_set_is_made_whole_again(server: _Server, tmp_path: Path) -> None:
    server.now(body=BODY)
    labels = _fetch(server, tmp_path, keep_archive=True)
    first = labels.read_bytes()
    sound = next((labels.parent / "files").rglob("*.wav"))
    for damage in (sound.unlink, lambda: sound.write_bytes(b""), lambda: labels.write_text("what,is,this\n")):
        damage()
        assert not is_fetched("tiny", tmp_path, catalogue=(_dataset(),))
        do = server.now(body=BODY)
        _fetch(server, tmp_path, keep_archive=True)
        assert do.asked == []  # the archive was still there
        assert labels.read_bytes() == first
        assert sound.stat().st_size > 0
    _fetch(server, tmp_path)
    assert not (labels.parent / "tiny.zip").exists()


def test_a_lost_table_is_written_again_from_the_files(server: _Server, tmp_path: Path) -> None:
    server.now(body=BODY)
    labels = _fetch(server, tmp_path)
    first = labels.read_bytes()
    labels.unlink()
    do = server.now(body=BODY)
    assert _fetch(server, tmp_path).read_bytes() == first
    assert do.asked == []


def test_a_new_release_in_the_catalogue_replaces_the_old_set(server: _Server, tmp_path: Path) -> None:
    server.now(body=BODY)
    labels = _fetch(server, tmp_path)
    new = _esc50_zip(n_samples=100)
    server.now(body=new)
    dataset = _dataset(new)
    assert not is_fetched("tiny", tmp_path, catalogue=(dataset,))
    _fetch(server, tmp_path, dataset)
    assert json.loads((labels.parent / "SOURCE.json").read_text())["sha256"] == hashlib.sha256(new).hexdigest()
    assert (labels.parent / _table(labels)[0]["path"]).read_bytes() == _sound(0, 100)


def test_a_fetch_that_dies_between_any_two_steps_is_completed(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*args: object, **kwargs: object) -> None:
        raise Killed

    place = "gunshot.datasets.fetch"
    steps = [f"{place}._verify", f"{place}._Set.clear", f"{place}._Set.write_source", f"{place}.unpack"]
    steps += [f"{place}.write_labels", f"{place}._Set.label", f"{place}._replace_text"]
    for step in steps:
        out = tmp_path / step
        do = server.now(body=BODY)
        with monkeypatch.context() as patch:
            patch.setattr(step, die)
            with pytest.raises(Killed):
                _fetch(server, out)
        assert not is_fetched("tiny", out, catalogue=(_dataset(),))
        assert len(_table(_fetch(server, out))) == 3
        assert sum(do.served) == len(BODY), step
        assert _hidden_and_parts(out / "tiny") == set()


def test_a_repair_that_dies_while_it_clears_is_completed(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    server.now(body=BODY)
    labels = _fetch(server, tmp_path)
    next((labels.parent / "files").rglob("*.wav")).unlink()
    replace = Path.replace

    def die_at_files(self: Path, target: Path) -> Path:
        if self.name == "files":
            raise Killed
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die_at_files)
        with pytest.raises(Killed):
            _fetch(server, tmp_path)
    _fetch(server, tmp_path)
    assert is_fetched("tiny", tmp_path, catalogue=(_dataset(),))


def test_a_part_longer_than_the_object_is_no_part_of_it(server: _Server, tmp_path: Path) -> None:
    server.now(body=BODY, cuts=[9000])
    with pytest.raises(DatasetError, match="must be reachable"):
        _fetch(server, tmp_path, retry=Retry(attempts=1))
    (tmp_path / "tiny" / "tiny.zip.part").write_bytes(BODY + b"more")
    do = server.now(body=BODY)
    _fetch(server, tmp_path)
    assert do.asked == [(None, None)]


KILLED = """
import json, sys
from pathlib import Path
from gunshot.datasets import Checksum, Dataset, fetch_dataset
from gunshot.datasets.layouts import esc50_rows
entry = json.loads(sys.argv[1])
entry["checksum"] = Checksum(*entry["checksum"])
dataset = Dataset(rows=esc50_rows, **entry)
fetch_dataset(dataset.name, Path(sys.argv[2]), catalogue=(dataset,), base_url=sys.argv[3])
"""


def test_kill_9_in_the_middle_costs_less_than_a_second_download(server: _Server, tmp_path: Path) -> None:
    body = _esc50_zip(n_samples=150_000)
    dataset = _dataset(body)
    do = server.now(body=body, bytes_per_s=1_000_000)
    names = [name for name in Dataset.__dataclass_fields__ if name not in {"rows", "checksum"}]
    entry = {name: getattr(dataset, name) for name in names}
    assert dataset.checksum is not None
    entry["checksum"] = [dataset.checksum.algorithm, dataset.checksum.hexdigest]
    arguments = [json.dumps(entry), str(tmp_path), server.base_url]
    root = Path(gunshot.__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", KILLED, *arguments], cwd=root) as process:
        part = tmp_path / "tiny" / "tiny.zip.part"
        deadline = time.monotonic() + 30
        while not (part.is_file() and part.stat().st_size > len(body) // 3):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    have = part.stat().st_size
    assert len(body) // 3 < have < len(body)
    do.bytes_per_s = None
    labels = _fetch(server, tmp_path, dataset)
    assert do.asked[-1] == (f"bytes={have}-", '"one"')
    assert sum(do.served) < 1.6 * len(body)
    assert (labels.parent / _table(labels)[2]["path"]).read_bytes() == _sound(2, 150_000)
    assert is_fetched("tiny", tmp_path, catalogue=(dataset,))


def test_only_one_fetch_of_a_set_at_a_time(server: _Server, tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    server.now(body=BODY)
    (tmp_path / "tiny").mkdir()
    with (
        fetch_module._alone_in(tmp_path / "tiny"),
        pytest.raises(DatasetError, match="only one fetch may write"),
    ):
        _fetch(server, tmp_path)
    _fetch(server, tmp_path)


def test_an_archive_that_would_escape_never_becomes_a_set(server: _Server, tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("../../escaped.wav", b"x")
    server.now(body=target.getvalue())
    with pytest.raises(DatasetError, match="must stay inside its folder"):
        _fetch(server, tmp_path, _dataset(target.getvalue()))
    assert list(tmp_path.rglob("escaped.wav")) == []
    assert not (tmp_path / "tiny" / "files").exists()


def test_a_folder_that_cannot_be_made_is_a_clear_error(server: _Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DatasetError, match="choose another --out"):
        _fetch(server, tmp_path / "file")


def test_a_wrong_proxy_setting_is_a_clear_error(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "carrier-pigeon://127.0.0.1")
    with pytest.raises(DatasetError, match=r"proxy settings must be .*carrier-pigeon.*correct HTTPS_PROXY"):
        _fetch(server, tmp_path)


def test_a_way_off_https_is_refused(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.scheme == "https":
            return httpx.Response(302, headers={"Location": "http://example.org/x.zip"})
        return httpx.Response(200, content=BODY)

    client = httpx.Client(transport=httpx.MockTransport(answer), follow_redirects=True)
    job = Job(
        url="https://example.org/x.zip", archive=tmp_path / "x.zip", homepage="https://example.org",
        size_bytes=None, is_verifiable=False,
    )  # fmt: skip
    from gunshot.datasets import download as module

    with client, pytest.raises(DatasetError, match="must not lead away from https"):
        module._attempts(client, job, PATIENT, np.random.default_rng(0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"attempts": 0}, {"backoff_s": -1.0}])
def test_patience_has_bounds(change: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="attempts must be at least 1"):
        Retry(**change)
