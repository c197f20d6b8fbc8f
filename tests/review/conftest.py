"""Results to review: real recordings of bursts in noise, the tables that scoring would write, and a sample."""

from __future__ import annotations

import contextlib
import csv
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile as sf
from starlette.applications import Starlette

from gunshot.review.queue import load_queue
from gunshot.review.serve import _listen
from gunshot.review.session import ReviewSession
from gunshot.scoring.results import write_batch
from tests.gunshot.export.conftest import detection_row, recording_row

SR = 24_000
LENGTH_S = 30.0
START = datetime(2026, 11, 22, 18, tzinfo=UTC)


def burst_recording(path: Path, onsets_s: list[float], seed: int, sr: int = SR) -> None:
    """Noise with a decaying burst at each onset."""
    rng = np.random.default_rng(seed)
    y = rng.normal(0, 0.003, round(LENGTH_S * sr))
    for onset_s in onsets_s:
        start = round(onset_s * sr)
        n = min(round(0.4 * sr), y.size - start)
        y[start : start + n] += 0.5 * rng.normal(0, 1, n) * np.exp(-np.arange(n) / (0.05 * sr))
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.clip(y, -1, 1).astype(np.float32), sr, subtype="PCM_16")


def make_results(folder: Path, n_recordings: int = 3, per_recording: int = 10) -> str:
    """Detections of three sites and two nights, one in each recording at the very end, and 12 rows of a sample."""
    recordings, detections, sample = [], [], []
    rng = np.random.default_rng(3)
    for index in range(n_recordings):
        path = folder / "archive" / f"site{index % 3}" / f"r{index}.wav"
        onsets = [1.0 + place * (LENGTH_S - 1.5) / per_recording for place in range(per_recording - 1)] + [29.4]
        burst_recording(path, onsets, index)
        begins = START + timedelta(days=index % 2, seconds=60 * index)
        where: dict[str, Any] = {
            "uri": str(path), "etag": "1", "site": f"site {index % 3}", "start_utc": begins, "longitude": 10.0,
            "latitude": 1.0 + index % 3,
        }  # fmt: skip
        name = f"site{index % 3}/r{index}.wav"
        header = {"sr": SR, "duration_s": LENGTH_S, "read_s": LENGTH_S, "n_detections": per_recording}
        recordings.append(recording_row(name, **where, **header))
        for onset_s in onsets:
            found = {"end_s": min(onset_s + 0.45, LENGTH_S), "score": float(rng.uniform(0.5, 1))}
            found["start_utc"] = begins + timedelta(seconds=onset_s)
            detections.append(detection_row(name, onset_s, **(where | found)))
        sample += [[str(path), f"{5.05 + k}", f"{6.05 + k}", "", f"{0.1 + 0.05 * k:.6f}", "0.01"] for k in range(4)]
    results = folder / "results"
    write_batch(str(results), "one", detections, recordings)
    (results / "review").mkdir()
    with (results / "review" / "sample.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "start_s", "end_s", "label", "x_score", "x_inclusion"], *sample])
    return str(results)


@contextlib.contextmanager
def served(app: Starlette) -> Iterator[httpx.Client]:
    """The application on a port of its own, as `gunshot review` serves it, and a client of it."""
    import uvicorn

    listening = _listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=300) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture
def results(tmp_path: Path) -> str:
    return make_results(tmp_path)


@pytest.fixture
def session(results: str) -> Callable[..., ReviewSession]:
    """Opens a person's review, as starting the command does."""

    def start(who: str = "Anna") -> ReviewSession:
        return ReviewSession(results, load_queue(results), who)

    return start
