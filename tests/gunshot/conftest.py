"""One small corpus, its store, and models trained on it, shared by the tests of models, verbs and scoring."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from gunshot.clips import features
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.manifest.sources import build_manifest
from gunshot.manifest.table import manifest_of
from gunshot.models.bundle import save_bundle
from gunshot.preprocess.partition import preprocess_partition
from gunshot.recipe import Recipe
from gunshot.store.layout import USABLE_STATES, prepare_store
from gunshot.store.read import open_store
from gunshot.store.write import commit_store, write_partition
from gunshot.synthetic import write_corpus
from gunshot.synthetic.audiofiles import AudioFormat
from gunshot.training import train_model

Float32 = NDArray[np.float32]

SR = 12_000
N_SHOT = 3600  # samples of the planted shot: 0.3 s


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 gunshots and 60 other sounds in twelve scenes, at two rates."""
    out = tmp_path_factory.mktemp("corpus")
    formats = [AudioFormat("WAV", "PCM_16", 12_000), AudioFormat("FLAC", "PCM_16", 16_000)]
    write_corpus(out, n_gunshots=60, n_others=60, n_groups=12, seed=3, formats=formats)
    return out


@pytest.fixture(scope="session")
def preprocessed() -> Callable[..., str]:
    """Makes a committed store of recordings, partition after partition."""

    def make(inputs: Sequence[str | Path], out: Path, recipe: Recipe | None = None, labels: Path | None = None) -> str:
        manifest = build_manifest([str(uri) for uri in inputs], labels=None if labels is None else str(labels))
        header = prepare_store(str(out), manifest, recipe or Recipe())
        for partition in header.partitions:
            preprocess_partition(header.uri, partition)
        commit_store(header)
        return header.uri

    return make


@pytest.fixture(scope="session")
def small_store(small_corpus: Path, preprocessed: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The committed store of the small corpus; nobody may write to it."""
    return preprocessed([small_corpus], tmp_path_factory.mktemp("store") / "features.zarr")


class StoreOfClips(Protocol):
    """What the fixture of the same name does."""

    def __call__(
        self,
        out: Path,
        waveforms: Float32,
        label: Sequence[int | None],
        group: Sequence[str] | None = None,
        state: Sequence[str] | None = None,
    ) -> str:
        """Write the store and give its address."""


@pytest.fixture(scope="session")
def store_of_clips() -> StoreOfClips:
    """Makes a committed store of clips that were never in a file."""

    def make(
        out: Path,
        waveforms: Float32,
        label: Sequence[int | None],
        group: Sequence[str] | None = None,
        state: Sequence[str] | None = None,
    ) -> str:
        n_rows = len(waveforms)
        group = group or [f"g{index}" for index in range(n_rows)]
        state = state or ["ok"] * n_rows
        recipe = Recipe()
        rows = [
            {
                "path": f"{index:04d}.wav", "uri": f"/nowhere/{index:04d}.wav", "start_s": None, "end_s": None,
                "limit_s": None, "label": label[index], "sound": "made", "source": "made", "group": group[index],
                "device": "", "license": "", "size": 1, "etag": "1", "duration_s": 0.5, "sr": SR, "n_channels": 1,
                "state": "ok", "reason": "",
            }
            for index in range(n_rows)
        ]  # fmt: skip
        header = prepare_store(str(out), manifest_of(rows), recipe)
        waveforms = np.asarray(waveforms, dtype=np.float32).copy()
        usable = np.isin(state, USABLE_STATES)
        waveforms[~usable] = np.nan
        log_mels = np.full((n_rows, *recipe.mel_shape), np.nan, dtype=np.float32)
        finite = usable & np.isfinite(waveforms).all(axis=1)
        log_mels[finite] = features(waveforms[finite], recipe)
        for part in header.partitions:
            records = [
                {"row": row, "state": state[row], "reason": "", "onset_s": 0.05, "strength_db": 20.0,
                 "is_onset": True, "padded_s": 0.0}
                for row in range(part.start, part.stop)
            ]  # fmt: skip
            arrays = {"waveform": waveforms[part.start : part.stop], "log_mel": log_mels[part.start : part.stop]}
            write_partition(header, part, arrays, records)
        commit_store(header)
        return header.uri

    return make


@pytest.fixture(scope="session")
def store_with_values() -> Callable[[str, Path, NDArray[np.intp], float], str]:
    """Copies a store and overwrites every number of some rows."""

    def make(store: str, out: Path, rows: NDArray[np.intp], value: float) -> str:
        shutil.copytree(store, out)
        opened = open_store(str(out))
        everything = np.arange(opened.header.n_rows)
        arrays = {"waveform": opened.waveforms(everything), "log_mel": opened.log_mels(everything)}
        for array in arrays.values():
            array[rows] = value
        names = ["state", "reason", "onset_s", "strength_db", "is_onset", "padded_s"]
        records = [{"row": row, **values} for row, values in enumerate(opened.rows.select(names).to_pylist())]
        for part in opened.header.partitions:
            inside = slice(part.start, part.stop)
            write_partition(opened.header, part, {k: v[inside] for k, v in arrays.items()}, records[inside])
        return str(out)

    return make


@pytest.fixture(scope="session")
def logistic_bundle(small_store: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Logistic regression trained on the small store."""
    return train_model(small_store, "logistic", str(tmp_path_factory.mktemp("models") / "logistic")).uri


@pytest.fixture(scope="session")
def cnn_bundle(small_store: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The default network after two epochs on the small store: far from good, but a network in every respect."""
    return train_model(small_store, "small-cnn", str(tmp_path_factory.mktemp("models") / "cnn"), epochs=2).uri


@pytest.fixture(scope="session")
def operating_point() -> Callable[[float], OperatingPoint]:
    """Makes an operating point of a threshold."""

    def make(threshold: float) -> OperatingPoint:
        return OperatingPoint(
            name="by hand", threshold=threshold, split="validation", recall=0.5, fpr=0.0, n_gunshots=4, n_others=4
        )

    return make


@pytest.fixture(scope="session")
def logistic_weights() -> Callable[..., bytes]:
    """Writes the weights of a logistic regression."""

    def make(coefficients: Any, intercept: Any) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, coefficients=np.asarray(coefficients), intercept=np.asarray(intercept))
        return buffer.getvalue()

    return make


def _burst(seed: int) -> NDArray[np.float64]:
    """A sound that begins at once and dies away; its first sample is its greatest."""
    y = np.random.default_rng(seed).standard_normal(N_SHOT) * np.exp(-np.arange(N_SHOT) / 700) * 0.25
    y = np.clip(y, -0.8, 0.8)
    y[0] = 0.9
    return y


@pytest.fixture(scope="session")
def matched_bundle(
    tmp_path_factory: pytest.TempPathFactory,
    logistic_weights: Callable[..., bytes],
    operating_point: Callable[[float], OperatingPoint],
) -> str:
    """A model that knows one sound: it scores about 1 on the shot of `write_recording`, about 0 on all else."""
    recipe = Recipe()
    clip = np.zeros(recipe.n_samples)
    clip[recipe.lead_samples : recipe.lead_samples + N_SHOT] = _burst(0)
    out = tmp_path_factory.mktemp("models") / "matched"
    weights = logistic_weights(20 * clip / np.dot(clip, clip), [-10.0])
    save_bundle(
        str(out), model="logistic", weights=weights, recipe=recipe, operating_point=operating_point(0.5), details={},
        splits=b"",
    )  # fmt: skip
    return str(out)


@pytest.fixture(scope="session")
def write_recording() -> Callable[..., Path]:
    """Writes a recording with the known shot at some times [s] and other bursts at others, over noise."""

    def make(
        path: Path,
        duration_s: float,
        shots_s: Sequence[float] = (),
        others_s: Sequence[float] = (),
        *,
        noise: float = 1e-3,
        seed: int = 0,
        **kind: Any,
    ) -> Path:
        rng = np.random.default_rng(seed)
        y = rng.standard_normal(round(duration_s * SR)) * noise
        sounds = [(time_s, 0) for time_s in shots_s] + [(t, 1 + seed * 100 + i) for i, t in enumerate(others_s)]
        for time_s, number in sounds:
            first = round(time_s * SR)
            y[first : first + N_SHOT] += _burst(number)[: len(y) - first]
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, y.astype(np.float32), SR, **kind)
        return path

    return make


@pytest.fixture
def edit_json() -> Callable[[Path, dict[str, Any]], None]:
    """Changes values in a JSON object on disk."""

    def edit(path: Path, changes: dict[str, Any]) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit
