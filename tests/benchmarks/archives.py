"""Archives to time scoring on: real ambience in the formats of recorders, with shots of live fire planted."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


class Kind(NamedTuple):
    """A recording's background and format."""

    background: str
    ending: str
    sr: int
    n_channels: int
    subtype: str


KINDS = (
    Kind("rain", "wav", 48_000, 1, "PCM_16"),
    Kind("birds", "flac", 48_000, 1, "PCM_16"),
    Kind("city", "ogg", 44_100, 2, "VORBIS"),
    Kind("summer-night", "flac", 12_000, 1, "PCM_16"),
    Kind("storm", "flac", 48_000, 2, "PCM_16"),
    Kind("wind", "wav", 192_000, 1, "PCM_24"),
    Kind("waves", "flac", 24_000, 1, "PCM_16"),
    Kind("train", "ogg", 48_000, 2, "VORBIS"),
)

SHOT_EVERY_S = 60.0


def read_shots(audio: Path, n_shots: int) -> list[Float32]:
    """Shots of FP6 and FP7 as they were heard, a second each, at 12 kHz, their peaks at 0.1 s or so."""
    with (audio / "labels.csv").open(newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["path"].startswith(("livefire/FP6/", "livefire/FP7/")) and row["label"] == "1"
        ]
    shots = []
    for row in rows[:: max(1, len(rows) // n_shots)]:
        first = round(float(row["start_s"]) * 12_000)
        y, _ = sf.read(audio / row["path"], start=first, stop=first + 12_000, dtype="float32")
        shots.append(y / max(float(np.abs(y).max()), 1e-9))
    return shots


def build_archive(audio: Path, out: Path, hours: float, seed: int = 0) -> tuple[Path, int]:
    """Write recordings of every kind, equally long but for the highest rate (a fifth); how many shots they hold."""
    rng = np.random.default_rng(seed)
    shots = read_shots(audio, 40)
    each_s = hours * 3600 / (len(KINDS) - 0.8)
    n_planted = 0
    out.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        y, sr = sf.read(audio / "ambience" / f"{kind.background}.ogg", dtype="float32", always_2d=True)
        y = np.asarray(soxr.resample(y[:, : kind.n_channels], sr, kind.sr), dtype=np.float32)
        planted = [np.asarray(soxr.resample(shot, 12_000, kind.sr), dtype=np.float32) for shot in shots]
        duration_s = each_s / 5 if kind.sr > 100_000 else each_s
        path = out / f"{kind.background}-{kind.sr}.{kind.ending}"
        with sf.SoundFile(path, "w", kind.sr, kind.n_channels, subtype=kind.subtype) as file:
            left = round(duration_s * kind.sr)
            while left > 0:  # a minute at a time, each from another place of the background, with a shot in it
                length = min(left, round(SHOT_EVERY_S * kind.sr))
                part = np.take(y, np.arange(length) + rng.integers(len(y)), axis=0, mode="wrap") * rng.uniform(0.3, 1)
                shot = planted[rng.integers(len(planted))]
                if length > 2 * len(shot):
                    first = int(rng.integers(length - len(shot)))
                    rms = float(np.sqrt(np.mean(part[first : first + len(shot)] ** 2)))
                    level = min(rms * 10 ** (rng.uniform(15, 30) / 20), 0.5)
                    part[first : first + len(shot)] += level * shot[:, None]
                    n_planted += 1
                for start in range(0, length, kind.sr):  # the Vorbis encoder takes no long blocks
                    file.write(np.clip(part[start : start + kind.sr], -1, 1))
                left -= length
    return out, n_planted
