"""Preprocessing on workers is preprocessing here."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from distributed import Client

from gunshot.augment.chain import AugmentRule
from gunshot.division import SplitPlan
from gunshot.errors import StoreError
from gunshot.manifest.sources import build_manifest
from gunshot.recipe import Recipe
from gunshot.store.layout import StoreHeader, prepare_store
from gunshot.store.read import open_store
from gunshot.store.records import missing_partitions, read_record, record_states
from gunshot.store.write import commit_store
from tasks.augment import augment_training_rows
from tasks.preprocess import preprocess_partitions

N_FILES = 150  # three partitions


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bursts at three rates; some files are empty, not sound, or silent."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(N_FILES):
        path = folder / ("gunshot" if number % 2 else "dog") / f"{number:03d}.wav"
        path.parent.mkdir(exist_ok=True)
        rng = np.random.default_rng(number)
        sr = (12_000, 16_000, 44_100)[number % 3]
        y = rng.normal(size=sr // 3) * 0.003
        y[sr // 10 : sr // 7] += 0.2 * rng.normal(size=sr // 7 - sr // 10)
        sf.write(path, np.zeros_like(y) if number % 20 == 5 else y, sr)
        if number % 20 == 7:
            path.write_bytes(b"")
        if number % 20 == 9:
            path.write_text("no sound")
    return folder


def prepared(archive: Path, uri: Path) -> StoreHeader:
    return prepare_store(str(uri), build_manifest([str(archive)]), Recipe())


def objects(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def test_workers_write_what_this_process_writes(cluster: str, archive: Path, tmp_path: Path) -> None:
    headers = {}
    for name, scheduler in (("here", None), ("workers", cluster)):
        headers[name] = prepared(archive, tmp_path / name)
        assert preprocess_partitions.fn(str(tmp_path / name), scheduler) == N_FILES
        assert sum(record_states(headers[name]).values()) == N_FILES
        commit_store(headers[name])
    stores = {name: open_store(header.uri) for name, header in headers.items()}
    everything = range(N_FILES)
    here, workers = stores["here"], stores["workers"]
    assert np.array_equal(here.waveforms(everything), workers.waveforms(everything), equal_nan=True)
    assert np.array_equal(here.log_mels(everything), workers.log_mels(everything), equal_nan=True)
    assert set(here.column("state")) == {"ok", "silent", "empty", "unreadable"}
    for partition in headers["here"].partitions:
        records = [read_record(header, partition.index) for header in headers.values()]
        assert records[0].equals(records[1], check_metadata=True)  # the checksum too
    # and so for every byte: nothing in a store says who made it
    assert objects(tmp_path / "here") == objects(tmp_path / "workers")


@pytest.mark.usefixtures("elsewhere")
def test_relative_paths_are_the_same_on_workers_in_another_folder(
    cluster: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    here.joinpath("archive").symlink_to(archive)
    manifest = build_manifest(["archive"])
    assert all(uri.startswith("archive/") for uri in manifest.column("uri").to_pylist())
    for store, scheduler in (("workers.zarr", cluster), ("here.zarr", None)):
        header = prepare_store(store, manifest, Recipe())
        assert preprocess_partitions.fn(store, scheduler) == N_FILES
        commit_store(header)
        assert augment_training_rows.fn(store, SplitPlan("group"), AugmentRule(), scheduler)
    assert objects(here / "workers.zarr") == objects(here / "here.zarr")


def test_only_what_is_missing_is_done(cluster: str, archive: Path, tmp_path: Path) -> None:
    header = prepared(archive, tmp_path)
    preprocess_partitions.fn(header.uri, None)
    before = objects(tmp_path)
    assert preprocess_partitions.fn(header.uri, cluster) == 0
    (tmp_path / "partitions" / "00001.parquet").unlink()
    (tmp_path / "waveform" / "c" / "1" / "0").unlink()
    assert missing_partitions(header) == (header.partitions[1],)
    assert preprocess_partitions.fn(header.uri, cluster) == header.partitions[1].n_rows
    assert objects(tmp_path) == before


def test_workers_that_only_preprocess_stay_free_of_tensorflow(cluster: str, archive: Path, tmp_path: Path) -> None:
    preprocess_partitions.fn(prepared(archive, tmp_path).uri, cluster)

    def loaded() -> tuple[bool, bool]:
        return "gunshot.preprocess" in sys.modules, "tensorflow" in sys.modules or "keras" in sys.modules

    with Client(cluster, set_as_default=False) as client:
        found = list(client.run(loaded).values())
    assert any(has_worked for has_worked, _ in found)
    assert not any(has_tensorflow for _, has_tensorflow in found)


def test_an_error_of_the_store_ends_the_run(cluster: str, archive: Path, tmp_path: Path) -> None:
    header = prepared(archive, tmp_path)
    (tmp_path / "manifest.parquet").unlink()
    with pytest.raises(OSError, match=r"manifest\.parquet: it does not exist"):
        preprocess_partitions.fn(header.uri, cluster)
    with pytest.raises(StoreError, match="no feature store at"):
        preprocess_partitions.fn(str(tmp_path / "no"), cluster)
