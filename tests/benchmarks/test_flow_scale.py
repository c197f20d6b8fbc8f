"""The whole flow, as a user starts it: how time and memory grow with the number of files, and what two workers gain.

Recordings are links to a few contents, so a hundred thousand take no room; each is opened and decoded as if it were
alone. `GUNSHOT_BENCH_FILES` sets the largest number (100,000 takes some minutes), `GUNSHOT_BENCH_SECONDS` how long each
recording is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import psutil
import pytest
import soundfile as sf
from threadpoolctl import threadpool_limits

from gunshot.clips import features
from gunshot.manifest.sources import build_manifest
from gunshot.preprocess.rows import clips_of_rows
from gunshot.recipe import Recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

BIN = Path(sys.executable).parent
MOST_FILES = int(os.environ.get("GUNSHOT_BENCH_FILES", "20000"))
DURATION_S = int(os.environ.get("GUNSHOT_BENCH_SECONDS", "1"))
RATES_HZ = (44_100, 48_000, 96_000, 192_000)


class Run(NamedTuple):
    """What a run of the flow took."""

    wall_s: float
    preprocess_s: float
    peak_mb: float


def write_archive(folder: Path, n_files: int, n_contents: int = 64) -> Path:
    """So many recordings of `DURATION_S`, in folders of a thousand, each a link to one of a few contents."""
    (folder / "contents").mkdir(parents=True)
    contents = []
    for number in range(n_contents):
        sr = RATES_HZ[number % len(RATES_HZ)]
        y = np.random.default_rng(number).normal(size=sr * DURATION_S) * 0.002
        y[sr // 4 : sr // 3] += 0.3 * np.random.default_rng(number).normal(size=sr // 3 - sr // 4)
        contents.append(folder / "contents" / f"{number}.wav")
        sf.write(contents[-1], y, sr)
    for number in range(n_files):
        path = folder / "audio" / f"{number // 1000:05d}" / f"{number:07d}.wav"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.hardlink_to(contents[number % n_contents])
    return folder / "audio"


def run_flow(audio: Path, store: Path, workers: int) -> Run:
    """Start ``gunshot preprocess`` and watch the flow's process, in which Dask's scheduler runs too."""
    command = [
        str(BIN / "gunshot"),
        "preprocess",
        str(audio),
        "--store",
        str(store),
        "--workers",
        str(workers),
        "--json",
    ]
    began = perf_counter()
    peak_mb = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak_mb = max(peak_mb, watched.memory_info().rss / 1e6)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.05)
        printed, told = process.communicate()
    assert process.returncode == 0, told
    summary = json.loads(printed)
    assert summary["n_rows"] == summary["n_computed"] == summary["states"]["ok"]
    (line,) = [line for line in told.splitlines() if line.startswith("preprocess ") and " in " in line]
    return Run(perf_counter() - began, float(line.split(" in ")[1].split()[0]), peak_mb)


def pure_s(audio: Path, n_rows: int = max(128, 2000 // DURATION_S)) -> float:
    """Time of one clip, decoded, cut and transformed in this process, one thread [s]."""
    rows = list(enumerate(build_manifest([str(audio)], probe=False).slice(0, n_rows).to_pylist()))
    recipe = Recipe()
    with threadpool_limits(1):
        for some in (rows[:64], rows):
            began = perf_counter()
            for start in range(0, len(some), 512):
                found = clips_of_rows(some[start : start + 512], recipe)
                features(np.array([clip.y for _, _, clip in found if clip is not None]), recipe)
    return (perf_counter() - began) / len(rows)


def test_time_and_memory_grow_with_the_files_and_no_faster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = sorted({5_000, 10_000, MOST_FILES})
    with capsys.disabled():
        print("\nfiles     flow [s]  preprocess [s]  ms/file x workers  of pure  flow's peak memory [MB]")
        for n_files in numbers:
            audio = write_archive(tmp_path / str(n_files), n_files)
            clip_s = pure_s(audio)
            run = run_flow(audio, tmp_path / f"store-{n_files}", 2)
            pure = clip_s * n_files / 2
            print(f"{n_files:<8}{run.wall_s:>10.1f}{run.preprocess_s:>16.1f}{run.preprocess_s * 2e3 / n_files:>19.2f}"
                  f"{run.preprocess_s / pure:>9.2f}{run.peak_mb:>25.0f}")  # fmt: skip


def test_two_workers_against_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio = write_archive(tmp_path, MOST_FILES)
    one, two = (run_flow(audio, tmp_path / f"store-{workers}", workers) for workers in (1, 2))
    took = f"{one.preprocess_s:.1f} s, {two.preprocess_s:.1f} s"
    with capsys.disabled():
        print(f"\ntwo workers against one, {MOST_FILES:,} files: {one.preprocess_s / two.preprocess_s:.2f} ({took})")
