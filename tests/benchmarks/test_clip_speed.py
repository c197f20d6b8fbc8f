"""How fast one worker makes clips: beside the straightforward script, and beside decoding and resampling alone.

``make bench`` prints the ratios. The ways take turns in each round, on one thread, and ratios are medians over the
rounds of one run, so that a busy machine slows all of them alike. Nothing is asserted about time.
"""

from __future__ import annotations

import csv
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits

import gunshot.preprocess
from gunshot.clips import features
from gunshot.manifest.sources import build_manifest
from gunshot.memory import keep_freed_memory
from gunshot.preprocess.partition import preprocess_partition
from gunshot.preprocess.rows import clips_of_rows
from gunshot.recipe import Recipe
from gunshot.store.layout import prepare_store

SCRIPT = runpy.run_path(str(Path(__file__).with_name("straightforward.py")))
Row = SCRIPT["Row"]

ROUNDS = 7
Table = Callable[[str], None]
RATES_HZ = (44_100, 48_000, 96_000, 192_000)

pytestmark = [
    pytest.mark.slow,
    # the script's: on short segments, and of modules that librosa.load still imports
    pytest.mark.filterwarnings("ignore:n_fft=.* is too large:UserWarning"),
    pytest.mark.filterwarnings("ignore:.* is deprecated and slated for removal:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Table:
    """Prints a line of the table, captured output or not."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", end="")

    ways = f"{'script':>9}{'worker':>9}{'decode':>9}"
    write(f"{'ms a clip, medians':<38}{'clips':>6}{ways}{'script/worker':>16}{'worker/decode':>18}")
    return write


def clips_by_worker(rows: Sequence[Any], recipe: Recipe) -> int:
    """What a worker does for its rows, but for writing them."""
    keep_freed_memory()
    items = [
        (index, {"uri": row.path, "size": 0, "state": "ok", "reason": "", "limit_s": None, **row._asdict()})
        for index, row in enumerate(rows)
    ]
    waveforms = np.full((len(items), recipe.n_samples), np.nan, dtype=np.float32)
    usable = []
    for index, _, clip in clips_of_rows(items, recipe):
        if clip is not None:
            waveforms[index] = clip.y
            usable.append(index)
    assert np.isfinite(features(waveforms[usable], recipe)).all()
    return len(usable)


def write_bursts(folder: Path, n_files: int) -> list[Path]:
    """WAV of a second or so, 16 and 24 bits: a burst that dies away, over noise."""
    paths = []
    for number in range(n_files):
        rng = np.random.default_rng(number)
        sr = RATES_HZ[number % len(RATES_HZ)]
        y = 1e-3 * rng.standard_normal(round(rng.uniform(0.7, 1.4) * sr))
        first = round(rng.uniform(0.1, 0.4) * sr)
        t_s = np.arange(y.size - first) / sr
        y[first:] += 0.3 * np.exp(-t_s / 0.05) * rng.standard_normal(t_s.size)
        paths.append(folder / f"{number:03d}.wav")
        sf.write(paths[-1], np.clip(y, -1.0, 1.0), sr, subtype=("PCM_16", "PCM_24")[number // len(RATES_HZ) % 2])
    return paths


def labelled(audio: Path, *, is_segment: bool, every: int) -> list[Any]:
    """Rows of some files of the real recordings: their labelled segments, or those that are rows as a whole."""
    with (audio / "labels.csv").open(newline="") as file:
        table = [row for row in csv.DictReader(file) if bool(row["start_s"]) == is_segment]
    wanted = set(sorted({row["path"] for row in table})[::every])
    return sorted(
        Row(str(audio / row["path"]), *(float(row[name]) if row[name] else None for name in ("start_s", "end_s")))
        for row in table
        if row["path"] in wanted
    )


def compare(name: str, rows: Sequence[Any], benchmark: BenchmarkFixture, table: Table) -> None:
    """Time the three ways in turn and print what they need for a clip."""
    recipe = Recipe()
    ways: list[Callable[[Sequence[Any], Recipe], Any]] = [
        SCRIPT["clips_by_script"], clips_by_worker, SCRIPT["decode_and_resample"],
    ]  # fmt: skip
    for way in ways:  # files into the system's cache, filters and compiled functions made
        way(rows[:16], recipe)
    rounds_s = []

    def one_round() -> None:
        marks_s = [perf_counter()]
        for way in ways:
            way(rows, recipe)
            marks_s.append(perf_counter())
        rounds_s.append(np.diff(marks_s))

    with threadpool_limits(1):
        benchmark.pedantic(one_round, rounds=ROUNDS)
    times_s = np.array(rounds_s)
    script_ms, worker_ms, decode_ms = np.median(times_s, axis=0) / len(rows) * 1e3
    faster, over = np.median(times_s[:, 0] / times_s[:, 1]), np.median(times_s[:, 1] / times_s[:, 2])
    benchmark.extra_info |= {"script_by_worker": float(faster), "worker_by_decoding": float(over)}
    table(f"{name:<38}{len(rows):>6}{script_ms:>9.2f}{worker_ms:>9.2f}{decode_ms:>9.2f}{faster:>16.2f}{over:>18.2f}")


def test_short_clips(tmp_path: Path, benchmark: BenchmarkFixture, table: Table) -> None:
    compare("WAV of a second, 44.1 to 192 kHz", [Row(str(p)) for p in write_bursts(tmp_path, 160)], benchmark, table)


@pytest.mark.audio
def test_labelled_segments(audio: Path, benchmark: BenchmarkFixture, table: Table) -> None:
    compare("real segments, FLAC at 12 kHz", labelled(audio, is_segment=True, every=8), benchmark, table)


@pytest.mark.audio
def test_whole_recordings(audio: Path, benchmark: BenchmarkFixture, table: Table) -> None:
    compare("real recordings, mostly Vorbis", labelled(audio, is_segment=False, every=16), benchmark, table)


def test_share_of_writing(
    tmp_path: Path, benchmark: BenchmarkFixture, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audio").mkdir()
    write_bursts(tmp_path / "audio", 256)
    manifest = build_manifest([str(tmp_path / "audio")])
    write_partition = gunshot.preprocess.partition.write_partition
    written_s: list[float] = []
    shares: list[float] = []

    def timed(*arguments: Any) -> None:
        began_s = perf_counter()
        write_partition(*arguments)
        written_s.append(perf_counter() - began_s)

    def one_round() -> None:
        header = prepare_store(str(tmp_path / f"store-{len(shares)}"), manifest, Recipe())
        written_s.clear()
        elapsed_s = sum(preprocess_partition(header.uri, part).elapsed_s for part in header.partitions)
        shares.append(sum(written_s) / elapsed_s)

    monkeypatch.setattr(gunshot.preprocess.partition, "write_partition", timed)
    with threadpool_limits(1):
        benchmark.pedantic(one_round, rounds=5, warmup_rounds=1)
    benchmark.extra_info["writing_share"] = float(np.median(shares))
    table(f"writing the store: {np.median(shares):.0%} of the time of partitions of 64 rows")
