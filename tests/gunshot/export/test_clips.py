"""Cut clips: the recording's own samples, at their place, or a reason why not."""

from __future__ import annotations

import csv
import hashlib
import io
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from gunshot.errors import ParameterError
from gunshot.export.clips import write_clips
from gunshot.export.selection import Selection
from gunshot.storage import stat
from tests.gunshot.export.conftest import START, Row, detection_row, recording_row

MakeSelection = Callable[..., Selection]

SR = 24_000


def write_sound(path: Path, duration_s: float = 10.0, channels: int = 1, **kind: str) -> Path:
    rng = np.random.default_rng(0)
    y = np.clip(rng.standard_normal((round(duration_s * SR), channels)) * 0.4, -1, 1)
    y[:4] = [[1.0], [-1.0], [0.0], [1.0]]  # full scale in both directions
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, y.astype(np.float32), SR, **kind)
    return path


def rows_of(path: Path, *starts_s: float, **values: object) -> list[Row]:
    return [detection_row(path.name, start, uri=str(path), **values) for start in starts_s]


def index_of(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((out / "index.csv").read_bytes().decode(), newline="")))


class TestSamples:
    @pytest.mark.parametrize("coding", ["PCM_16", "PCM_24", "PCM_32", "FLOAT"])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_a_wav_clip_is_the_recording_to_the_last_bit(
        self, tmp_path: Path, selection: MakeSelection, coding: str, channels: int
    ) -> None:
        path = write_sound(tmp_path / "a.wav", channels=channels, subtype=coding)
        write_clips(selection(rows_of(path, 0.5, 4.0, 9.0)), str(tmp_path / "out"), context_s=1.5)
        whole, _ = sf.read(path, dtype="float32", always_2d=True)
        places = [(0.0, 2.45), (2.5, 5.95), (7.5, 10.0)]  # clipped to the recording at both ends
        for row, (start, stop) in zip(index_of(tmp_path / "out"), places, strict=True):
            clip, rate = sf.read(tmp_path / "out" / row["clip"], dtype="float32", always_2d=True)
            assert rate == SR
            assert np.array_equal(clip, whole[round(start * SR) : round(stop * SR)])
            assert (float(row["clip_start_s"]), float(row["clip_end_s"])) == pytest.approx((start, stop))
            assert (row["state"], row["n_channels"]) == ("ok", str(channels))

    @pytest.mark.parametrize("coding", ["PCM_16", "PCM_24"])
    def test_a_flac_clip_of_integers_is_too(self, tmp_path: Path, selection: MakeSelection, coding: str) -> None:
        path = write_sound(tmp_path / "a.flac", channels=2, subtype=coding)
        write_clips(selection(rows_of(path, 1.0)), str(tmp_path / "out"), clip_format="flac")
        (row,) = index_of(tmp_path / "out")
        clip, _ = sf.read(tmp_path / "out" / row["clip"], dtype="int32")
        whole, _ = sf.read(path, dtype="int32")
        assert np.array_equal(clip, whole[: round(3.45 * SR)])
        assert sf.info(tmp_path / "out" / row["clip"]).subtype == coding

    def test_a_vorbis_recording_is_cut_where_it_was_scored(self, tmp_path: Path, selection: MakeSelection) -> None:
        path = write_sound(tmp_path / "a.ogg", channels=2, format="OGG", subtype="VORBIS")
        write_clips(selection(rows_of(path, 5.0)), str(tmp_path / "out"), context_s=0)
        (row,) = index_of(tmp_path / "out")
        clip, _ = sf.read(tmp_path / "out" / row["clip"])
        whole, _ = sf.read(path)
        assert np.abs(clip - np.clip(whole[5 * SR : round(5.45 * SR)], -1, 1)).max() <= 2**-15

    @pytest.mark.parametrize("kind", ["wav", "flac"])
    @pytest.mark.parametrize("coding", ["PCM_16", "FLOAT"])
    def test_a_clip_says_what_it_is_and_is_the_same_bytes_at_another_time(
        self, tmp_path: Path, selection: MakeSelection, kind: str, coding: str
    ) -> None:
        path = write_sound(tmp_path / "a.wav", subtype=coding)
        chosen = selection(rows_of(path, 1.0, start_utc=START + timedelta(seconds=1)))
        for out in ("one", "two"):
            write_clips(chosen, str(tmp_path / out), clip_format=kind)
            if (kind, coding) == ("wav", "FLOAT"):
                time.sleep(1.01)  # libsndfile writes the second into float files
        (row,) = index_of(tmp_path / "one")
        content = (tmp_path / "one" / row["clip"]).read_bytes()
        assert content == (tmp_path / "two" / row["clip"]).read_bytes()
        assert (tmp_path / "one" / "index.csv").read_bytes() == (tmp_path / "two" / "index.csv").read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        assert row["clip_start_utc"] == "2026-11-22T18:00:00.250Z"
        with sf.SoundFile(tmp_path / "one" / row["clip"]) as file:
            assert "2026-11-22T18:00:01.250Z; 1.000 s in a.wav; model field-cnn" in file.comment


class TestIndex:
    def test_recordings_that_cannot_be_read_are_rows_with_a_reason(
        self, tmp_path: Path, selection: MakeSelection
    ) -> None:
        good = write_sound(tmp_path / "good.wav")
        gone = tmp_path / "gone.wav"
        text = tmp_path / "text.wav"
        text.write_text("no sound")
        short = write_sound(tmp_path / "short.wav", duration_s=3)
        found = [*rows_of(gone, 1.0, 2.0), *rows_of(good, 1.0), *rows_of(short, 2.0, 9.0), *rows_of(text, 1.0)]
        ledger = [recording_row(path.name, uri=str(path), etag=stat(str(path)).etag) for path in (good, text, short)]
        written = write_clips(selection(found, ledger), str(tmp_path / "out"))
        index = index_of(tmp_path / "out")
        assert [(row["path"], row["state"]) for row in index] == [
            ("gone.wav", "unreadable"), ("gone.wav", "unreadable"), ("good.wav", "ok"), ("short.wav", "ok"),
            ("short.wav", "unreadable"), ("text.wav", "unreadable"),
        ]  # fmt: skip
        assert all(bool(row["reason"]) == (row["state"] != "ok") for row in index)
        assert all(bool(row["clip"]) == bool(row["sha256"]) == (row["state"] == "ok") for row in index)
        assert written.n_detections == 2
        assert written.n_detections + written.left_out.total() == len(found) == len(index)
        assert sorted(written.names) == sorted(
            str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
        )

    def test_a_recording_that_breaks_off_gives_what_there_is(self, tmp_path: Path, selection: MakeSelection) -> None:
        path = write_sound(tmp_path / "a.flac")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        write_clips(selection(rows_of(path, 4.0, 9.0)), str(tmp_path / "out"))
        begun, beyond = index_of(tmp_path / "out")
        assert (begun["state"], beyond["state"]) == ("short", "unreadable")
        assert "breaks off after" in begun["reason"]
        clip, _ = sf.read(tmp_path / "out" / begun["clip"])
        assert 0 < len(clip) < 4.45 * SR
        assert float(begun["clip_end_s"]) - float(begun["clip_start_s"]) == pytest.approx(len(clip) / SR, abs=1e-5)

    def test_a_recording_that_was_replaced_is_cut_and_told(self, tmp_path: Path, selection: MakeSelection) -> None:
        paths = [write_sound(tmp_path / name) for name in ("a.wav", "b.wav")]
        etags = [stat(str(paths[0])).etag, "of another content"]
        ledger = [recording_row(path.name, uri=str(path), etag=etag) for path, etag in zip(paths, etags, strict=True)]
        found = [row for path in paths for row in rows_of(path, 1.0)]
        write_clips(selection(found, ledger), str(tmp_path / "out"))
        assert [row["reason"] for row in index_of(tmp_path / "out")] == [
            "", "the recording has changed since it was scored",
        ]  # fmt: skip

    def test_detections_at_one_time_are_two_clips(self, tmp_path: Path, selection: MakeSelection) -> None:
        path = write_sound(tmp_path / "a.wav", channels=2)
        found = [row for channel in (None, 0, 1, 1) for row in rows_of(path, 1.0, channel=channel)]
        written = write_clips(selection(found), str(tmp_path / "out"))
        assert written.names[:-1] == [
            "a_000001.000s_0.750.wav", "a_000001.000s_0.750_channel1.wav", "a_000001.000s_0.750_channel2.wav",
            "a_000001.000s_0.750_channel2_2.wav",
        ]  # fmt: skip


def test_the_context_has_bounds(tmp_path: Path, selection: MakeSelection) -> None:
    for context_s in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="--context-s is between 0 and 3600 seconds"):
            write_clips(selection([detection_row("a.wav")]), str(tmp_path / "out"), context_s=context_s)
