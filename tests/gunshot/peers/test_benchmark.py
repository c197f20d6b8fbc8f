"""Both systems are measured on the same held-out rows, and the peer hears each row once."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gunshot.errors import AudioError, BundleError, ParameterError, TrainingError
from gunshot.manifest.sources import build_manifest
from gunshot.models.bundle import load_bundle
from gunshot.peers import scores as scores_module
from gunshot.peers.benchmark import benchmark, our_scores, set_figures, write_benchmark
from gunshot.peers.birdnet import Birdnet, Heard
from gunshot.peers.scores import birdnet_scores, read_cache

Files = list[str]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Files:
    """A peer for which files with a shot have 0.6 in place, shots 0.9 alone, all else less; the files it was given."""
    files: Files = []

    def hear(uri: str, segments: Sequence[tuple[float | None, float | None]], peer: Birdnet) -> Iterator[Heard]:
        files.append(Path(uri).name)
        if "broken" in uri:
            raise AudioError("unreadable", "no decoder takes it")
        for start_s, _ in segments:
            in_place = 0.6 if "shot" in uri else 0.1
            alone = 0.9 if "shot" in uri and start_s is None else 0.2
            yield Heard(in_place, alone)

    monkeypatch.setattr(scores_module, "hear_rows", hear)
    monkeypatch.setattr(scores_module, "find_birdnet", lambda: None)
    monkeypatch.setattr(scores_module, "Birdnet", lambda folder: None)
    return files


@pytest.fixture
def labels(tmp_path: Path, write_recording: Callable[..., Path]) -> Path:
    """Shots and others of two folders; a long file with a shot and a quiet half."""
    for number in range(3):
        write_recording(tmp_path / "a" / f"shot{number}.wav", 1.0, [0.4], seed=number)
        write_recording(tmp_path / "b" / f"other{number}.wav", 1.0, [], [0.4], seed=number)
    write_recording(tmp_path / "b" / "shot-long.wav", 4.0, [2.5], [0.5], seed=7)
    lines = ["path,start_s,end_s,label,source,group"]
    lines += [f"a/shot{n}.wav,,,1,near,a{n}" for n in range(3)]
    lines += [f"b/other{n}.wav,,,0,far,b{n}" for n in range(3)]
    lines += ["b/shot-long.wav,,,1,far,long", "b/shot-long.wav,0.2,1.2,0,far,long"]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "labels.csv"


@pytest.fixture
def model(matched_bundle: str, tmp_path: Path) -> str:
    """The model that knows one sound, trained on the group a0 and chosen on b0."""
    out = Path(shutil.copytree(matched_bundle, tmp_path / "model"))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"group": ["a0", "b0", "b1"], "split": ["train", "validation", "test"]}), buffer)
    (out / "splits.parquet").write_bytes(buffer.getvalue())
    return str(out)


class TestCache:
    def test_the_peer_hears_a_row_once(self, labels: Path, tmp_path: Path, heard: Files) -> None:
        rows = build_manifest([], labels=str(labels)).to_pylist()
        cache = str(tmp_path / "kept.parquet")
        first = birdnet_scores(rows, cache)
        assert len(heard) == len({row["uri"] for row in rows})
        np.testing.assert_array_equal(birdnet_scores(rows, cache), first)
        np.testing.assert_array_equal(birdnet_scores(rows[::-1], cache), first[::-1])
        shutil.move(tmp_path / "a" / "shot0.wav", tmp_path / "a" / "renamed.wav")  # it is the content that was heard
        rows[0]["uri"] = rows[0]["uri"].replace("shot0", "renamed")
        np.testing.assert_array_equal(birdnet_scores(rows, cache), first)
        assert len(heard) == len({row["uri"] for row in rows})
        assert set(read_cache(cache).values()) == {(0.6, 0.9), (0.6, 0.2), (0.1, 0.2)}

    def test_kept_scores_need_no_peer(
        self, labels: Path, tmp_path: Path, heard: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = build_manifest([], labels=str(labels)).to_pylist()
        cache = str(tmp_path / "kept.parquet")
        birdnet_scores(rows, cache)
        monkeypatch.undo()
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        assert np.isfinite(birdnet_scores(rows, cache)).all()
        with pytest.raises(ParameterError, match="BirdNET is not installed"):
            birdnet_scores(rows, str(tmp_path / "none.parquet"))

    def test_what_was_heard_before_a_stop_is_kept(
        self, labels: Path, tmp_path: Path, heard: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = build_manifest([], labels=str(labels)).to_pylist()
        cache = str(tmp_path / "kept.parquet")
        monkeypatch.setattr(scores_module, "_SAVE_FILES", 2)

        def stop(done: int, total: int) -> None:
            if done == 5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            birdnet_scores(rows, cache, progress=stop)
        n_before = len(heard)
        birdnet_scores(rows, cache)
        assert heard[n_before:][0] == heard[4]
        assert len(heard) == n_before + 3

    def test_a_file_that_cannot_be_read_has_no_score(
        self, tmp_path: Path, heard: Files, write_recording: Callable[..., Path]
    ) -> None:
        write_recording(tmp_path / "gunshot" / "broken.wav", 1.0)
        write_recording(tmp_path / "gunshot" / "shot.wav", 1.0)
        rows = build_manifest([str(tmp_path / "gunshot")]).to_pylist()
        found = birdnet_scores(rows, str(tmp_path / "kept.parquet"))
        assert np.isnan(found[0]).all()
        assert np.isfinite(found[1]).all()

    def test_another_file_is_not_taken_for_the_cache(self, tmp_path: Path) -> None:
        (tmp_path / "x.parquet").write_bytes(b"not Parquet")
        with pytest.raises(ParameterError, match="not a table of BirdNET's scores"):
            read_cache(str(tmp_path / "x.parquet"))
        pq.write_table(pa.table({"a": [1]}), tmp_path / "y.parquet")
        with pytest.raises(ParameterError, match="not a table of BirdNET's scores"):
            read_cache(str(tmp_path / "y.parquet"))


def test_our_clip_is_the_first_onset_and_our_recording_all_of_them(labels: Path, model: str) -> None:
    rows = build_manifest([], labels=str(labels)).to_pylist()
    found = dict(
        zip([(row["path"], row["start_s"]) for row in rows], our_scores(rows, load_bundle(model)), strict=True)
    )
    for number in range(3):
        assert min(found[f"a/shot{number}.wav", None]) > 0.9
        assert max(found[f"b/other{number}.wav", None]) < 0.5
    clip, recording = found["b/shot-long.wav", None]
    assert clip < 0.5 < 0.9 < recording  # the other sound comes first
    assert found["b/shot-long.wav", 0.2][0] == found["b/shot-long.wav", 0.2][1] < 0.5


def test_rows_of_groups_that_trained_the_model_are_left_out(
    labels: Path, model: str, tmp_path: Path, heard: Files
) -> None:
    content = benchmark(str(labels), model, str(tmp_path / "kept.parquet"))
    assert {"shot0.wav", "other0.wav"}.isdisjoint(heard)
    assert (content["n_rows"], content["n_held_out"], content["n_scored"]) == (8, 6, 6)
    sets = {(each["set"], each["negatives"]): each for each in content["sets"]}
    assert set(sets) == {("far", "all"), ("near", "all"), ("all sets", "all")}
    near = sets["near", "all"]
    assert (near["n_gunshots"], near["n_others"]) == (2, 3)
    assert near["figures"]["BirdNET, alone"] == {
        "recall_at_fpr": 1.0, "auc": 1.0, "threshold": 0.25, "recall": 1.0, "fpr": 0.0,
    }  # fmt: skip
    assert near["figures"]["BirdNET, in place"]["fpr"] == pytest.approx(1 / 3)  # the quiet half of a file with a shot
    assert near["figures"]["ours, clip"]["recall"] == 1.0
    far = sets["far", "all"]["figures"]
    assert (far["ours, clip"]["recall"], far["ours, recording"]["recall"]) == (0.0, 1.0)
    folders = benchmark(str(labels), model, str(tmp_path / "kept.parquet"), by="folder")
    assert [each["set"] for each in folders["sets"]] == ["a", "b", "all sets"]
    text = write_benchmark(content, str(tmp_path / "out"))
    assert (tmp_path / "out" / "peers.md").read_text() == text
    assert json.loads((tmp_path / "out" / "peers.json").read_text()) == content
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len(tables) == 2 * (2 + len(content["sets"]))
    assert len({line.count("|") for line in tables}) == 1


def test_a_set_with_negatives_enough_is_held_against_its_own_too() -> None:
    from gunshot.peers.benchmark import _sets

    names = np.asarray(["a"] * 110 + ["b"] * 60)
    label = np.asarray([True] * 10 + [False] * 100 + [True] * 10 + [False] * 50)
    rng = np.random.default_rng(0)
    sets = _sets(names, label, {"x": rng.uniform(size=170)}, {"x": 0.5})
    assert [(each["set"], each["negatives"], each["n_others"]) for each in sets] == [
        ("a", "all", 150), ("a", "own", 100), ("b", "all", 150), ("all sets", "all", 150),
    ]  # fmt: skip


def test_figures_are_those_of_the_best_threshold_and_of_the_one_in_use() -> None:
    label = np.asarray([True] * 4 + [False] * 200)
    score = np.concatenate([[0.9, 0.8, 0.3, 0.1], np.linspace(0, 0.2, 197), [0.5, 0.6, 0.7]])
    (found,) = set_figures(label, {"x": score}, {"x": 0.55}).values()
    assert found["recall_at_fpr"] == 0.5  # two of 200 may be called, so the threshold lies above 0.5
    assert (found["recall"], found["fpr"]) == (0.5, 0.01)


def test_what_cannot_be_measured_is_told(
    labels: Path, model: str, matched_bundle: str, tmp_path: Path, heard: Files
) -> None:
    with pytest.raises(BundleError, match="which rows trained the model cannot be read"):
        benchmark(str(labels), matched_bundle, str(tmp_path / "kept.parquet"))
    only = tmp_path / "only.csv"
    only.write_text("path,label,group\na/shot1.wav,1,a1\n")
    with pytest.raises(TrainingError, match="of 1 rows 1 gunshots and 0 others are held out"):
        benchmark(str(only), model, str(tmp_path / "kept.parquet"))
