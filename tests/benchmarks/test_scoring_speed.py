"""How fast one worker scores an archive: beside decoding alone, the straightforward script, BirdNET and OpenSoundscape.

``make bench`` prints the ratios; ``GUNSHOT_BENCH_HOURS`` sets how much sound the archive holds. All ways run in one
thread and one process, one after the other on each recording, and what is compared is processor time, so that a busy
machine slows all of them alike. OpenSoundscape is no dependency of ours: it runs, after the others, in the Python that
``GUNSHOT_BENCH_OPENSOUNDSCAPE`` names. Nothing is asserted about time.
"""

from __future__ import annotations

import json
import os
import resource
import runpy
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile as sf
from threadpoolctl import threadpool_limits

from gunshot.audio.decode import Recording
from gunshot.evaluation.matching import detection_metrics
from gunshot.memory import keep_freed_memory
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.models.registry import resolve_model
from gunshot.peers.birdnet import SR_HZ, WINDOW_SAMPLES, Birdnet, find_birdnet
from gunshot.scoring.recording import score_recordings
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.targets import Target, list_targets

ARCHIVES = runpy.run_path(str(Path(__file__).with_name("archives.py")))
HOURS = float(os.environ.get("GUNSHOT_BENCH_HOURS", "0.5"))
OPENSOUNDSCAPE = "GUNSHOT_BENCH_OPENSOUNDSCAPE"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore:.* is deprecated and slated for removal:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def field() -> Bundle:
    return load_bundle(resolve_model("field"))


@pytest.fixture(scope="module")
def archive(audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("archive")
    yield ARCHIVES["build_archive"](audio, folder, HOURS)
    shutil.rmtree(folder)  # gigabytes


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began_s = process_time()
    result = work()
    return process_time() - began_s, result


def decode(target: Target) -> float:
    """Nothing but decoding, in the blocks of the gate; how long it is."""
    with Recording(target.uri) as recording:
        for _ in recording.frames(30 * recording.header.sr):
            pass
        return recording.header.duration_s


def script(path: str, predict: Callable[..., Any], most_s: float) -> float:
    """What one would write first: load, windows of half a second every eighth, melspectrogram, predict."""
    y, sr = librosa.load(path, sr=12_000, duration=most_s)
    mels = []
    for start in range(0, len(y) - 6000 + 1, 1500):
        mel = librosa.feature.melspectrogram(y=y[start : start + 6000], sr=sr, n_fft=512, hop_length=128, n_mels=40)
        mels.append(librosa.power_to_db(mel))
    predict(np.asarray(mels, dtype=np.float32)[..., None], verbose=0)
    return len(y) / sr


def birdnet_hears(path: str, birdnet: Birdnet, most_s: float) -> float:
    """BirdNET over the first part of a recording, in its own windows."""
    with sf.SoundFile(path) as file:
        y = file.read(round(most_s * file.samplerate), dtype="float32", always_2d=True).mean(axis=1)
        y = librosa.resample(y, orig_sr=file.samplerate, target_sr=SR_HZ, res_type="soxr_hq")
    windows = y[: len(y) // WINDOW_SAMPLES * WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)
    birdnet.hear(windows)
    return len(windows) * WINDOW_SAMPLES / SR_HZ


def opensoundscape_hears(python: str, paths: list[str], sr_hz: int, most_s: float) -> dict[str, Any]:
    """OpenSoundscape over the first part of recordings, in a Python that has it."""
    script = Path(__file__).with_name("opensoundscape_speed.py")
    asked = [python, "-I", str(script), str(sr_hz), str(most_s), *paths]  # -I: PYTHONPATH is for BirdNET
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(asked, env=os.environ | one_thread, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def told(kind: str, truth: dict[str, list[float]], found: dict[str, list[float]], listened_s: float) -> str:
    """Shots found, false alarms a day and time error of some recordings, with their intervals."""
    metrics = detection_metrics(truth, found, 0.25, listened_s)
    low, high = metrics.recall_interval or (0.0, 1.0)
    alarms = [24 * rate for rate in (metrics.false_alarms_per_hour, *metrics.false_alarms_per_hour_interval)]
    error_ms = "-" if metrics.median_time_error_s is None else f"{1000 * metrics.median_time_error_s:.0f} ms"
    # a shot of live fire has echoes, which the planted second holds too: what is called then is no other sound
    away = sum(
        all(not -0.25 <= called - shot <= 1.0 for shot in truth[name])
        for name, calls in found.items()
        for called in calls
    )
    return (
        f"{kind:<14}{metrics.n_events:>5} shots, found {metrics.recall:.3f} ({low:.3f} to {high:.3f}), false alarms a "
        f"day {alarms[0]:.0f} ({alarms[1]:.0f} to {alarms[2]:.0f}), "
        f"{away * 86_400 / listened_s:.0f} of them away from shots, median time error {error_ms}"
    )


def test_an_archive(archive: Any, field: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    folder, n_planted = archive.folder, archive.n_planted
    keep_freed_memory()
    lines, totals = [], np.zeros(3)
    n_detections = 0
    found: dict[str, list[float]] = {}
    read_s: dict[str, float] = {}
    with threadpool_limits(1):
        list(score_recordings(list_targets([str(folder / "rain*")]), field))  # tables and filters are made once
        for target in list_targets([str(folder)]):
            decode_s, duration_s = timed(lambda target=target: decode(target))
            score_s, (scored,) = timed(lambda target=target: list(score_recordings([target], field)))
            assert scored.row["state"] == "ok"
            assert scored.row["read_s"] == pytest.approx(duration_s)
            totals += (duration_s, decode_s, score_s)
            n_detections += scored.row["n_detections"]
            found[target.path] = [shot_s for row in scored.detections for shot_s in row["shots_s"]]
            read_s[target.path] = scored.row["read_s"]
            load = scored.row["n_candidates"] / duration_s * 3600
            lines.append(
                f"{target.path:<24}{load:>8.0f} candidates/h{duration_s / decode_s:>8.0f}x decoding"
                f"{duration_s / score_s:>7.0f}x scoring{decode_s / score_s:>7.2f} of decoding"
            )
    duration_s, decode_s, score_s = totals
    lines.append(
        f"{duration_s / 3600:.2f} h, {n_planted} shots planted, {n_detections} detections: {duration_s / score_s:.0f}x "
        f"real time on one core, {decode_s / score_s:.2f} of decoding alone; "
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )
    for kind in [*(kind.background for kind in ARCHIVES["KINDS"]), ""]:
        names = [name for name in found if name.startswith(kind)]
        truth = {name: archive.shots_s[name] for name in names}
        lines.append(told(kind or "all", truth, {n: found[n] for n in names}, sum(read_s[n] for n in names)))
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert n_detections > 0


def test_beside_others(archive: Any, field: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    keras = pytest.importorskip("keras")
    inputs = keras.Input((40, 47, 1))
    x = inputs
    for n_filters in (16, 32, 64):
        x = keras.layers.MaxPooling2D()(keras.layers.Conv2D(n_filters, 3, activation="relu", padding="same")(x))
    network = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(keras.layers.Flatten()(x)))
    try:
        birdnet = Birdnet(find_birdnet())
    except Exception as error:  # noqa: BLE001 - not installed: the script is timed all the same
        birdnet, why = None, str(error)
    most_s = 60.0
    sums = np.zeros((3, 2))
    targets = list_targets([str(archive.folder)])
    with threadpool_limits(1):
        for target in targets:
            cost_s, (scored,) = timed(lambda target=target: list(score_recordings([target], field)))
            sums[0] += cost_s, scored.row["read_s"]
            sums[1] += timed(lambda target=target: script(target.uri, network.predict, most_s))
            if birdnet is not None:
                sums[2] += timed(lambda target=target: birdnet_hears(target.uri, birdnet, most_s))
    speeds = [real_s / max(cost_s, 1e-9) for cost_s, real_s in sums]
    with capsys.disabled():
        print(f"\nworker {speeds[0]:.0f}x real time; script {speeds[1]:.1f}x: {speeds[0] / speeds[1]:.0f} times faster")
        print(
            f"BirdNET {speeds[2]:.1f}x: {speeds[0] / speeds[2]:.0f} times faster" if birdnet else f"no BirdNET: {why}"
        )
        python = os.environ.get(OPENSOUNDSCAPE)
        if not python:
            print(f"no OpenSoundscape: {OPENSOUNDSCAPE} names no Python that has it (/path/to/venv/bin/python)")
        for sr_hz in (32_000, field.recipe.sr_hz) if python else ():
            peer = opensoundscape_hears(python, [target.uri for target in targets], sr_hz, most_s)
            speed = peer["real_s"] / peer["cost_s"]
            print(
                f"OpenSoundscape {peer['version']} at {sr_hz / 1000:.0f} kHz {speed:.1f}x: {speeds[0] / speed:.0f} "
                "times faster"
            )


def test_recall_by_snr(audio: Path, field: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The gate against sliding clips, on shots of FP6 and FP7 mixed into ambience at a chosen ratio of peak to rms."""
    shots = ARCHIVES["read_shots"](audio, 60)
    lines = [f"{'peak over background':<22}{'gate':>8}{'found by gate':>15}{'by sliding clips':>18}"]
    y, sr = sf.read(audio / "ambience" / "city.ogg", dtype="float32", always_2d=True)
    background = np.asarray(librosa.resample(y[:, 0], orig_sr=sr, target_sr=12_000, res_type="soxr_hq"))
    for snr_db in (10, 15, 20, 30):
        rng = np.random.default_rng(snr_db)
        track = np.take(background, np.arange(len(shots) * 24_000) + int(rng.integers(len(background))), mode="wrap")
        times_s = []
        for number, shot in enumerate(shots):
            first = 24_000 * number + 6_000 + int(rng.integers(3000))
            rms = float(np.sqrt(np.mean(track[first : first + len(shot)] ** 2)))
            track[first : first + len(shot)] += np.float32(rms * 10 ** (snr_db / 20)) * shot
            times_s.append(first / 12_000 + 0.1)
        track = track * np.float32(0.9 / np.abs(track).max())
        sf.write(tmp_path / "mixed.wav", track, 12_000, subtype="FLOAT")
        targets = list_targets([str(tmp_path / "mixed.wav")])
        found = []
        for rule in (ScoringRule(floor=0.0), ScoringRule(exhaustive=True)):
            (scored,) = score_recordings(targets, field, rule)
            if rule.floor is not None:
                onset_s = np.array([row["onset_s"] for row in scored.candidates])
                found.append(np.mean([np.abs(onset_s - t).min() <= 0.05 for t in times_s]))
            reach_s = 0.1 if rule.floor is not None else field.recipe.clip.length_s / 2
            hit = [any(row["start_s"] - reach_s <= t <= row["end_s"] for row in scored.detections) for t in times_s]
            found.append(np.mean(hit))
        lines.append(f"{snr_db:>4} dB{'':<15}{found[0]:>8.3f}{found[1]:>15.3f}{found[2]:>18.3f}")
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert len(shots) > 40
