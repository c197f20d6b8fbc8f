"""The server: sound and pictures of what the results name, changes only from its own page, nothing else."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile as sf

from gunshot.review.server import review_app
from gunshot.review.session import ReviewSession
from gunshot.review.sounds import SPECTRUM_ROWS, WAVE_ROWS, cut_piece, picture_png, sound_wav
from tests.review.conftest import SR, burst_recording, served

Start = Callable[..., ReviewSession]
OURS = {"X-Gunshot": "1"}


@pytest.fixture
def client(session: Start) -> Iterator[httpx.Client]:
    with served(review_app(session())) as client:
        yield client


def test_every_answer_forbids_what_is_elsewhere(client: httpx.Client) -> None:
    for path in ("/", "/review.js", "/review.css", "/list.js", "/api/start", "/nowhere", "/picture/0"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


def test_the_page_names_no_other_host_and_has_no_style_or_script_of_its_own(client: httpx.Client) -> None:
    for path in ("/", "/review.js", "/review.css", "/list.js"):
        text = client.get(path).text
        assert not re.search(r"https?://|@import|url\(", text)
        assert not re.search(r"<[^>]+ (style|on\w+)=|innerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def test_a_change_needs_the_pages_header_and_its_version(client: httpx.Client) -> None:
    version = client.get("/api/start").json()["version"]
    decided = {"version": version, "number": 0, "label": "gunshot"}
    assert client.post("/api/decide", json=decided).status_code == 403
    stale = client.post("/api/decide", json=decided | {"version": "old"}, headers=OURS)
    assert stale.status_code == 400
    assert "reload" in stale.json()["error"]
    assert client.get("/api/item?number=0").json()["label"] == ""
    assert client.post("/api/decide", json=decided, headers=OURS).json()["progress"]["done"] == 1
    assert client.get("/api/item?number=0").json()["label"] == "gunshot"
    assert client.post("/api/undo", json={}, headers=OURS).json()["number"] == 0


def test_a_name_that_is_not_the_machines_own_is_refused(session: Start) -> None:
    with served(review_app(session())) as client:
        assert client.get("/api/start", headers={"Host": "elsewhere.example"}).status_code == 400
        assert client.get("/api/start").status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/picture/999", 404), ("/sound/-1", 404), ("/sound/..%2F..%2Fetc%2Fpasswd", 404), ("/page/review.html", 404),
        ("/sound/0?context_s=1e9", 400), ("/sound/0?context_s=nan", 400), ("/api/item?number=x", 400),
        ("/api/queue?order=loudest", 400), ("/api/decide", 405),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told(client: httpx.Client, path: str, status: int) -> None:
    assert client.get(path).status_code == status


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"x"', b" " * 70_000])
def test_what_is_no_request_is_told(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/api/decide", content=body, headers=OURS)
    assert answer.status_code == 400
    assert "error" in answer.json()


def test_sound_is_the_recordings_own_around_the_detection(client: httpx.Client, session: Start) -> None:
    item = session().item(3)
    y, sr = sf.read(io.BytesIO(client.get("/sound/3?context_s=1").content), dtype="float32")
    whole, _ = sf.read(item.uri, dtype="float32")
    start = round((item.start_s - 1) * SR)
    assert sr == SR
    np.testing.assert_allclose(y, whole[start : start + y.size], atol=2 / 32768)
    loud, _ = sf.read(io.BytesIO(client.get("/sound/3?context_s=1&loud=1").content), dtype="float32")
    assert np.abs(loud).max() == pytest.approx(0.9, abs=1e-3)


def test_a_player_may_ask_for_a_part(client: httpx.Client) -> None:
    whole = client.get("/sound/0").content
    part = client.get("/sound/0", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole[100:200])
    assert client.get("/sound/0", headers={"Range": "bytes=100-"}).content == whole[100:]
    assert client.get("/sound/0", headers={"Range": f"bytes={len(whole)}-"}).status_code == 416


def test_a_recording_that_is_gone_is_told_in_its_place(client: httpx.Client, session: Start) -> None:
    Path(session().item(0).uri).unlink()
    answer = client.get("/picture/0?context_s=5")
    assert answer.status_code == 422
    assert "r0.wav" in answer.json()["error"]


def test_recordings_that_moved_are_found_below_the_archive(results: str, session: Start, tmp_path: Path) -> None:
    (tmp_path / "archive").rename(tmp_path / "moved")
    with served(review_app(session(), archive=str(tmp_path / "moved"))) as client:
        assert client.get("/sound/0").status_code == 200
    with served(review_app(session())) as client:
        assert client.get("/sound/0").status_code == 422


@pytest.mark.parametrize("sr", [4000, 24_000, 96_000])
def test_a_piece_plays_at_a_rate_that_browsers_have_and_its_picture_shows_the_burst(tmp_path: Path, sr: int) -> None:
    import matplotlib.image

    path = tmp_path / "a.wav"
    burst_recording(path, [10.0], 1, sr)
    piece = cut_piece(str(path), None, 10.0, 10.5, 2.0)
    assert 8000 <= piece.sr <= 48_000
    assert piece.end_s - piece.start_s == pytest.approx(4.5)
    assert piece.y.size == pytest.approx(4.5 * piece.sr, abs=1)
    assert sf.info(io.BytesIO(sound_wav(piece))).frames == piece.y.size
    pixels = matplotlib.image.imread(io.BytesIO(picture_png(piece)))
    assert pixels.shape[:2] == (SPECTRUM_ROWS + WAVE_ROWS, 900)
    light = pixels[:SPECTRUM_ROWS, :, :3].sum(axis=(0, 2))
    at = np.arange(900) * 4.5 / 900
    burst, before = light[(at > 2.0) & (at < 2.2)].mean(), light[at < 1.9].mean()
    assert burst > 1.5 * before


@pytest.mark.parametrize("n", [1, 3, 400, 900, 100_000])
def test_a_piece_of_any_length_has_a_picture(n: int) -> None:
    from gunshot.review.sounds import Piece

    y = np.zeros(n, dtype=np.float32)
    assert picture_png(Piece(y, 8000, 0.0, n / 8000, n / 8000)).startswith(b"\x89PNG")
