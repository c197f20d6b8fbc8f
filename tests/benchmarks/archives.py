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


class Archive(NamedTuple):
    """A folder of recordings, and when shots were planted in each [s], by file name."""

    folder: Path
    shots_s: dict[str, list[float]]

    @property
    def n_planted(self) -> int:
        return sum(len(times) for times in self.shots_s.values())


SHOT_EVERY_S = 60.0


def read_shots(audio: Path, n_shots: int, positions: tuple[str, ...] = ("FP6", "FP7")) -> list[Float32]:
    """Shots of these firing positions as they were heard, a second each, at 12 kHz, their peaks at 0.1 s or so."""
    folders = tuple(f"livefire/{position}/" for position in positions)
    with (audio / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith(folders) and row["label"] == "1"]
    shots = []
    for row in rows[:: max(1, len(rows) // n_shots)]:
        first = round(float(row["start_s"]) * 12_000)
        y, _ = sf.read(audio / row["path"], start=first, stop=first + 12_000, dtype="float32")
        shots.append(y / max(float(np.abs(y).max()), 1e-9))
    return shots


def arrival_s(shot: Float32) -> float:
    """When a shot that is heard alone begins: the first sample of a quarter of its peak [s]."""
    return float(np.argmax(np.abs(shot) >= 0.25 * np.abs(shot).max())) / 12_000


def build_archive(audio: Path, out: Path, hours: float, seed: int = 0, most_s: float = 3600.0) -> Archive:
    """Write recordings of every kind, equally much of each but of the highest rate (a fifth), FP7's shots in them.

    A recording is at most `most_s` long. What lies beneath is ambience that the shipped model was partly trained on:
    there are no other long recordings. FP7 was never trained or chosen on.
    """
    rng = np.random.default_rng(seed)
    shots = read_shots(audio, 40, ("FP7",))
    each_s = hours * 3600 / (len(KINDS) - 0.8)
    out.mkdir(parents=True, exist_ok=True)
    archive = Archive(out, {})
    for kind in KINDS:
        left_s = each_s / 5 if kind.sr > 100_000 else each_s
        for number in range(-(-round(left_s) // round(most_s))):
            name = f"{kind.background}-{kind.sr}-{number:02d}.{kind.ending}"
            path, duration_s = out / name, min(most_s, left_s - number * most_s)
            archive.shots_s[name] = _write(path, kind, audio, shots, duration_s, rng)
    return archive


def _write(
    path: Path, kind: Kind, audio: Path, shots: list[Float32], duration_s: float, rng: np.random.Generator
) -> list[float]:
    """One recording; when its shots are."""
    y, sr = sf.read(audio / "ambience" / f"{kind.background}.ogg", dtype="float32", always_2d=True)
    y = np.asarray(soxr.resample(y[:, : kind.n_channels], sr, kind.sr), dtype=np.float32)
    planted = [np.asarray(soxr.resample(shot, 12_000, kind.sr), dtype=np.float32) for shot in shots]
    times_s: list[float] = []
    with sf.SoundFile(path, "w", kind.sr, kind.n_channels, subtype=kind.subtype) as file:
        done, end = 0, round(duration_s * kind.sr)
        while done < end:  # a minute at a time, each from another place of the background, with a shot in it
            length = min(end - done, round(SHOT_EVERY_S * kind.sr))
            part = np.take(y, np.arange(length) + rng.integers(len(y)), axis=0, mode="wrap") * rng.uniform(0.3, 1)
            which = int(rng.integers(len(planted)))
            shot = planted[which]
            if length > 2 * len(shot):
                first = int(rng.integers(length - len(shot)))
                rms = float(np.sqrt(np.mean(part[first : first + len(shot)] ** 2)))
                level = min(rms * 10 ** (rng.uniform(15, 30) / 20), 0.5)
                part[first : first + len(shot)] += level * shot[:, None]
                times_s.append((done + first) / kind.sr + arrival_s(shots[which]))
            for start in range(0, length, kind.sr):  # the Vorbis encoder takes no long blocks
                file.write(np.clip(part[start : start + kind.sr], -1, 1))
            done += length
    return times_s
