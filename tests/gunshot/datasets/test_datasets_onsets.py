"""A row an onset: every shot of a burst, several sounds of a recording, and clips that begin at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from gunshot.audio.decode import Recording
from gunshot.clips import Segment, clip_of_segment
from gunshot.datasets.labels import LabelRow, read_labels, write_labels
from gunshot.datasets.onsets import SHOT_PEAK, onset_rows
from gunshot.recipe import Recipe

Write = Callable[..., LabelRow]

RECIPE = Recipe()


def sound(n: int, seed: int) -> np.ndarray:
    """A sound that begins at once with its peak, 1, and dies away in some 40 ms."""
    y = np.random.default_rng(seed).standard_normal(n) * np.exp(-np.arange(n) / n * 20) * 0.2
    y[0] = 1.0
    return np.clip(y, -1.0, 1.0)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes noise with sounds of given peaks at given times, and gives its row."""

    def make(
        times_s: Sequence[float], peaks: Sequence[float], *, label: int = 1, sr: int = 12_000, duration_s: float = 4.0
    ) -> LabelRow:
        y = np.random.default_rng(0).standard_normal(round(duration_s * sr)) * 3e-4
        for number, (time_s, peak) in enumerate(zip(times_s, peaks, strict=True)):
            first = round(time_s * sr)
            piece = sound(round(0.2 * sr), number)[: y.size - first]
            y[first : first + piece.size] += peak * piece
        path = tmp_path / f"{label}-{sr}.wav"
        sf.write(path, y, sr)
        return LabelRow(path=path, label=label, sound="s", source="x", group="g", license="l", device="d")

    return make


def onsets_of(rows: Sequence[LabelRow]) -> list[float]:
    """Where the clips that are cut from the rows begin [s]."""
    found = []
    for row in rows:
        with Recording(str(row.path)) as recording:
            clip = clip_of_segment(recording, Segment(row.start_s, row.end_s), RECIPE)
        assert clip.is_onset
        found.append(clip.onset_s)
    return found


@pytest.mark.parametrize("sr", [12_000, 44_100])
def test_a_burst_of_three_shots_gives_three_rows_at_their_onsets(write: Write, sr: int) -> None:
    times = [0.7, 0.85, 1.0]
    rows = list(onset_rows([write(times, [0.8, 0.6, 0.7], sr=sr)], most=8))
    assert onsets_of(rows) == pytest.approx(times, abs=0.002)


def test_rows_through_a_table_give_the_same_clips(write: Write, tmp_path: Path) -> None:
    rows = list(onset_rows([write([0.5, 1.5], [0.8, 0.8])], most=8))
    write_labels(rows, tmp_path / "labels.csv")
    assert onsets_of(read_labels(tmp_path / "labels.csv")) == onsets_of(rows)


def test_all_but_the_segment_is_the_rows(write: Write) -> None:
    whole = write([0.5, 1.5], [0.8, 0.8])
    for row in onset_rows([whole], most=8):
        assert row.start_s is not None
        assert row.end_s is not None
        assert row.start_s < row.end_s
        assert (row.path, row.label, row.sound, row.source) == (whole.path, 1, "s", "x")
        assert (row.group, row.license, row.device) == ("g", "l", "d")


def test_a_sound_at_the_very_start_is_found(write: Write) -> None:
    rows = list(onset_rows([write([0.0, 1.0], [0.8, 0.8])], most=8))
    assert rows[0].start_s == 0.0
    assert onsets_of(rows) == pytest.approx([0.0, 1.0], abs=0.002)


def test_echoes_of_a_shot_are_none(write: Write) -> None:
    """Weaker than the part of the loudest that a shot must have; the same sounds that are no shots all count."""
    times, peaks = [0.5, 1.2, 2.0], [0.8, 0.8 * SHOT_PEAK * 0.8, 0.8 * SHOT_PEAK * 1.25]
    shots = list(onset_rows([write(times, peaks)], most=8))
    assert onsets_of(shots) == pytest.approx([0.5, 2.0], abs=0.002)
    others = list(onset_rows([write(times, peaks, label=0)], most=8))
    assert onsets_of(others) == pytest.approx(times, abs=0.002)


def test_of_shots_the_first_count_and_of_other_sounds_the_strongest(write: Write) -> None:
    times, peaks = [0.5, 1.2, 2.0, 2.8], [0.4, 0.5, 0.6, 0.8]
    assert onsets_of(list(onset_rows([write(times, peaks)], most=2))) == pytest.approx(times[:2], abs=0.002)
    weak = [0.02, 0.8, 0.02, 0.8]
    found = onsets_of(list(onset_rows([write(times, weak, label=0)], most=2)))
    assert found == pytest.approx([1.2, 2.8], abs=0.002)


def test_onsets_of_one_sound_are_one(write: Write) -> None:
    rows = list(onset_rows([write([0.5, 0.55], [0.8, 0.8])], most=8))
    assert onsets_of(rows) == pytest.approx([0.5], abs=0.002)


def test_what_gives_no_row(write: Write, tmp_path: Path) -> None:
    """A row whose sound is told already; files that are damaged, missing, empty, silent. Rows after them count."""
    good = write([0.5], [0.8])
    bad = []
    for name, y in {"empty": np.zeros(0), "silent": np.zeros(12_000)}.items():
        bad.append(tmp_path / f"{name}.wav")
        sf.write(bad[-1], y, 12_000)
    bad.append(tmp_path / "damaged.wav")
    bad[-1].write_bytes(b"RIFF no wave")
    bad.append(tmp_path / "missing.wav")
    rows = [LabelRow(path=path, label=1, sound="s", source="x", group="g", license="l") for path in bad]
    told = LabelRow(path=good.path, label=1, sound="s", source="x", group="g", license="l", start_s=0.2, end_s=0.9)
    assert list(onset_rows([*rows, told], most=8)) == []
    assert onsets_of(list(onset_rows([*rows, told, good], most=8))) == pytest.approx([0.5], abs=0.002)
