"""What the tests of faults do: make an archive, preprocess and score it, and compare what came of it."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import soundfile as sf

from gunshot.errors import TransientStorageError
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.manifest.sources import build_manifest
from gunshot.models.bundle import load_bundle, save_bundle
from gunshot.recipe import Recipe
from gunshot.scoring.keys import Provenance
from gunshot.scoring.plan import plan_scoring
from gunshot.scoring.results import known_keys, read_table, write_csv
from gunshot.scoring.results.tries import MOST_TRIES
from gunshot.scoring.targets import list_targets
from gunshot.storage import lease, write_bytes
from gunshot.store.generations import prepare_generation, publish
from gunshot.store.read import FeatureStore, open_store
from gunshot.store.records import failed_rows, record_states
from gunshot.store.verify import verify_generation
from gunshot.store.write import commit_store
from tasks.preprocess import preprocess_partitions
from tasks.score import score_batches

N_FILES = 80  # two partitions
N_SHOT = 3600

Result = TypeVar("Result")


def write_archive(folder: Path, n_files: int = N_FILES) -> Path:
    """Files with a shot each, some of them no sound, empty, or cut short: what a fault must not be taken for."""
    rng = np.random.default_rng(1)
    for number in range(n_files):
        y = rng.normal(size=12_000) * 0.003
        first = int(rng.integers(1_000, 6_000))
        y[first : first + N_SHOT] += shot()
        path = folder / ("gunshot" if number % 2 else "dog") / f"{number:03d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, y, 12_000)
        if number % 20 in {3, 4, 5}:
            path.write_bytes({3: b"no sound", 4: b"", 5: path.read_bytes()[:18_000]}[number % 20])
    return folder


def shot() -> np.ndarray:
    """A sound that begins at once and dies away."""
    y = np.random.default_rng(0).standard_normal(N_SHOT) * np.exp(-np.arange(N_SHOT) / 700) * 0.2
    y[0] = 0.9
    return np.clip(y, -0.9, 0.9)


def upload(folder: Path, uri: str) -> str:
    """Copy a folder into a bucket."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            write_bytes(f"{uri}/{path.relative_to(folder)}", path.read_bytes())
    return uri


def save_model(uri: str) -> str:
    """A model that knows `shot`, and scores about 0 on all else."""
    recipe = Recipe()
    clip = np.zeros(recipe.n_samples)
    clip[recipe.lead_samples : recipe.lead_samples + N_SHOT] = shot()
    weights = io.BytesIO()
    np.savez(weights, coefficients=20 * clip / np.dot(clip, clip), intercept=np.asarray([-10.0]))
    point = OperatingPoint(
        name="by hand", threshold=0.5, split="validation", recall=0.5, fpr=0.0, n_gunshots=4, n_others=4
    )
    save_bundle(
        uri, model="logistic", weights=weights.getvalue(), recipe=recipe, operating_point=point, details={}, splits=b""
    )
    return uri


def tried(work: Callable[[], Result], turns: int = 4) -> Result:
    """Done again while a fault may pass, as the tasks are; without their waits."""
    for _ in range(turns - 1):
        try:
            return work()
        except TransientStorageError:
            time.sleep(0.1)
    return work()


def preprocess(audio: str, store: str, scheduler: str | None = None, lease_s: float = 45.0) -> FeatureStore:
    """What the flow does."""
    manifest = tried(lambda: build_manifest([audio], probe=False))
    with lease(store, length_s=lease_s) as held:
        header = prepare_generation(store, manifest, Recipe())
        tried(lambda: preprocess_partitions.fn(header.uri, scheduler))
        held.check()
        commit_store(header)
        publish(store, header)
    return open_store(store)


def assert_same(found: FeatureStore, expected: FeatureStore) -> None:
    """Two stores hold the same, but for where the files are and by what their change is seen."""
    everything = range(expected.header.n_rows)
    drop = ["uri", "etag"]
    assert found.rows.drop_columns(drop).equals(expected.rows.drop_columns(drop))
    assert [record.schema.metadata for record in found.records] == [
        record.schema.metadata for record in expected.records
    ]
    assert record_states(found.header) == record_states(expected.header)
    assert list(failed_rows(found.header)) == list(failed_rows(expected.header))
    assert np.array_equal(found.waveforms(everything), expected.waveforms(everything), equal_nan=True)
    assert np.array_equal(found.log_mels(everything), expected.log_mels(everything), equal_nan=True)
    assert list(verify_generation(found.header)) == []


def score(
    audio: str,
    model: str,
    results: str,
    scheduler: str | None = None,
    file_limit_s: float = 300.0,
    most_tries: int = MOST_TRIES,
) -> dict[str, pa.Table]:
    """What the flow does, and its tables."""
    bundle = tried(lambda: load_bundle(model))
    targets = list_targets([audio])
    with lease(results):
        provenance = Provenance(bundle.digest, bundle.recipe.digest)
        done, again = known_keys(results, provenance, most_tries)
        plan = plan_scoring(targets, done, provenance, again)
        tried(lambda: score_batches.fn(model, bundle.digest, results, plan, scheduler, file_limit_s=file_limit_s))
        for kind in ("detections", "recordings"):
            write_csv(results, kind)
    return {kind: read_table(results, kind) for kind in ("detections", "recordings")}
