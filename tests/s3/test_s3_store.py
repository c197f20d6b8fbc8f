"""Feature stores in a bucket are those on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from flows.cluster import open_cluster
from gunshot.augment.chain import AugmentRule
from gunshot.augmentation import augment_partition, prepare_copies
from gunshot.errors import StorageError, StoreError, StoreIncompleteError, StoreMismatchError, TransientStorageError
from gunshot.manifest.sources import build_manifest
from gunshot.preprocess.partition import manifest_rows, preprocess_partition
from gunshot.recipe import Recipe
from gunshot.storage import delete, delete_tree, exists, list_files, read_bytes, write_bytes
from gunshot.store.generations import generations, prepare_generation, publish
from gunshot.store.layout import StoreHeader, prepare_store
from gunshot.store.read import FeatureStore, open_store
from gunshot.store.records import failed_rows, missing_partitions, read_record, record_states
from gunshot.store.verify import forget, verify_generation
from gunshot.store.write import commit_store
from tasks.preprocess import preprocess_partitions
from tests.s3.faults import FaultProxy, Plan

N_FILES = 80  # two partitions


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for number in range(N_FILES):
        path = folder / ("gunshot" if number % 2 else "dog") / f"{number:03d}.wav"
        path.parent.mkdir(exist_ok=True)
        sf.write(path, np.random.default_rng(number).normal(size=5000) * 0.1, 12_000)
        if number % 11 == 0:
            path.write_text("no sound")
    return folder


@pytest.fixture(scope="module")
def local(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return finished(prepare_store(str(tmp_path_factory.mktemp("store")), build_manifest([str(archive)]), Recipe()))


def finished(header: StoreHeader) -> FeatureStore:
    for partition in header.partitions:
        preprocess_partition(header.uri, partition)
    commit_store(header)
    return open_store(header.uri)


def objects(uri: str) -> dict[str, bytes]:
    return {info.uri.removeprefix(uri): read_bytes(info.uri) for info in list_files(uri)}


def uploaded(archive: Path, prefix: str) -> str:
    for path in archive.rglob("*.wav"):
        write_bytes(f"{prefix}/audio/{path.relative_to(archive)}", path.read_bytes())
    return f"{prefix}/audio"


def test_a_store_in_a_bucket_is_byte_for_byte_the_one_on_disk(archive: Path, local: FeatureStore, prefix: str) -> None:
    store = finished(prepare_store(f"{prefix}/store", build_manifest([str(archive)]), Recipe()))
    assert objects(store.header.uri) == objects(local.header.uri)
    everything = range(N_FILES)
    assert np.array_equal(store.waveforms(everything), local.waveforms(everything), equal_nan=True)
    assert np.array_equal(store.log_mels(everything), local.log_mels(everything), equal_nan=True)
    assert store.rows.equals(local.rows)
    assert record_states(store.header) == record_states(local.header)
    assert list(failed_rows(store.header)) == list(failed_rows(local.header))


def test_recordings_in_a_bucket_give_the_same_clips(archive: Path, local: FeatureStore, prefix: str) -> None:
    header = prepare_store(f"{prefix}/store", build_manifest([uploaded(archive, prefix)]), Recipe())
    store = finished(header)
    everything = range(N_FILES)
    assert store.column("path") == local.column("path")
    assert store.column("state") == local.column("state")
    assert np.array_equal(store.waveforms(everything), local.waveforms(everything), equal_nan=True)
    assert np.array_equal(store.log_mels(everything), local.log_mels(everything), equal_nan=True)


def test_workers_read_and_write_the_bucket(archive: Path, local: FeatureStore, prefix: str) -> None:
    uri = f"{prefix}/store"
    header = prepare_store(uri, build_manifest([str(archive)]), Recipe())
    with open_cluster(2) as address:
        assert preprocess_partitions.fn(uri, address) == N_FILES
        assert preprocess_partitions.fn(uri, address) == 0
    commit_store(header)
    assert objects(uri) == objects(local.header.uri)


def test_a_partition_again_writes_the_same_bytes(archive: Path, prefix: str) -> None:
    header = prepare_store(f"{prefix}/store", build_manifest([str(archive)]), Recipe())
    written = []
    for _ in range(2):
        preprocess_partition(header.uri, header.partitions[0])
        written.append(objects(header.uri))
    assert written[0] == written[1]


def test_what_is_missing_is_told_and_done(archive: Path, local: FeatureStore, prefix: str) -> None:
    uri = f"{prefix}/store"
    with pytest.raises(StoreError, match=f"no feature store at {uri}"):
        open_store(uri)
    header = prepare_store(uri, build_manifest([str(archive)]), Recipe())
    assert missing_partitions(header) == header.partitions
    preprocess_partition(uri, header.partitions[1])
    assert missing_partitions(header) == header.partitions[:1]
    with pytest.raises(StoreIncompleteError, match="is not committed"):
        open_store(uri)
    with pytest.raises(StoreIncompleteError, match=r"1 of 2 partitions are missing \(numbers 0\)"):
        commit_store(header)
    preprocess_partition(uri, header.partitions[0])
    commit_store(header)
    assert objects(uri) == objects(local.header.uri)


def test_removed_records_are_missing_partitions(archive: Path, prefix: str) -> None:
    # some servers keep the folder of what was removed
    header = finished(prepare_store(f"{prefix}/store", build_manifest([str(archive)]), Recipe())).header
    delete_tree(f"{header.uri}/partitions")
    assert missing_partitions(header) == header.partitions


def test_another_store_in_its_place_is_refused_until_it_is_removed(archive: Path, prefix: str) -> None:
    uri = f"{prefix}/store"
    prepare_store(uri, build_manifest([str(archive / "dog")]), Recipe())
    other = build_manifest([str(archive / "gunshot")])
    with pytest.raises(StoreMismatchError, match=f"{uri} holds manifest"):
        prepare_store(uri, other, Recipe())
    delete_tree(uri)
    assert not exists(f"{uri}/zarr.json")
    assert prepare_store(uri, other, Recipe()).n_rows == other.num_rows


def test_copies_lie_below_their_source(archive: Path, local: FeatureStore, prefix: str, tmp_path: Path) -> None:
    source = finished(prepare_store(f"{prefix}/store", build_manifest([str(archive)]), Recipe()))
    copies = []
    for original, uri in ((source, f"{source.header.uri}/copies/a"), (local, str(tmp_path))):
        header = prepare_copies(original, original.usable, uri, AugmentRule())
        for partition in header.partitions:
            augment_partition(original.header.uri, uri, partition)
        commit_store(header)
        copies.append(open_store(uri))
    everything = range(copies[0].header.n_rows)
    assert np.array_equal(copies[0].waveforms(everything), copies[1].waveforms(everything))
    assert open_store(source.header.uri).rows.equals(source.rows)


def test_a_recording_is_one_request_and_a_partition_a_few(
    archive: Path, prefix: str, through_faults: Callable[[Plan], FaultProxy]
) -> None:
    # what a run costs; the figures are in docs/storage.md
    audio = uploaded(archive, prefix)
    proxy = through_faults(Plan({}))
    manifest = build_manifest([audio], probe=False)
    assert proxy.actions() == {"HEAD": 1, "LIST": 2}
    header = prepare_store(f"{prefix}/store", manifest, Recipe())
    proxy.asked.clear()
    for partition in header.partitions:
        preprocess_partition(header.uri, partition)
    fetched = [one.target for one in proxy.asked if one.target.endswith(".wav")]
    assert len(fetched) == len(set(fetched)) == N_FILES
    actions = proxy.actions()
    assert actions["PUT"] == 3 * len(header.partitions)
    assert actions["GET"] - N_FILES <= 6 * len(header.partitions) + 1  # the manifest
    assert actions["HEAD"] + actions["LIST"] <= 3 * len(header.partitions)


class TestFaults:
    def test_a_server_that_does_not_answer_is_worth_another_try_for_arrays_too(
        self, archive: Path, prefix: str, fresh_clients: Callable[[], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        manifest = build_manifest([str(archive / "dog")])
        header = prepare_store(f"{prefix}/store", manifest, Recipe())
        preprocess_partition(header.uri, header.partitions[0])
        store = FeatureStore(header, manifest, (read_record(header, 0),))
        fresh_clients()
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
        with pytest.raises(TransientStorageError, match=f"cannot read {prefix}/store: Could not connect"):
            store.waveforms([0])
        with pytest.raises(TransientStorageError, match=f"cannot look up {prefix}/store/zarr.json: Could not connect"):
            preprocess_partition(store.header.uri, store.header.partitions[0])

    def test_wrong_credentials_are_final_for_arrays_too(
        self, archive: Path, prefix: str, fresh_clients: Callable[[], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        manifest = build_manifest([str(archive / "dog")])
        header = prepare_store(f"{prefix}/store", manifest, Recipe())
        preprocess_partition(header.uri, header.partitions[0])
        store = FeatureStore(header, manifest, (read_record(header, 0),))
        fresh_clients()
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(StorageError, match=f"cannot read {prefix}/store: access denied; check") as caught:
            store.waveforms([0])
        assert not isinstance(caught.value, TransientStorageError)


class TestGenerations:
    @staticmethod
    def run(audio: str, uri: str, most: int | None = None) -> StoreHeader:
        """What the flow does, perhaps broken off after some partitions."""
        header = prepare_generation(uri, build_manifest([audio]), Recipe())
        for partition in missing_partitions(header)[:most]:
            preprocess_partition(header.uri, partition)
        if most is None:
            commit_store(header)
            publish(uri, header)
        return header

    @pytest.mark.slow
    @pytest.mark.parametrize("done", [None, 1], ids=["after a run", "after one that was broken off"])
    def test_a_grown_archive_reads_only_what_is_new(
        self, archive: Path, local: FeatureStore, prefix: str, through_faults: Callable[[Plan], FaultProxy],
        done: int | None,
    ) -> None:  # fmt: skip
        audio, uri = uploaded(archive, prefix), f"{prefix}/store"
        first = self.run(audio, uri, done)
        held = {row["path"] for row in first_rows(first, done)}
        write_bytes(f"{audio}/dog/0001.wav", read_bytes(f"{audio}/dog/002.wav"))  # between the others: all rows move
        write_bytes(f"{audio}/dog/004.wav", read_bytes(f"{audio}/dog/006.wav"))
        proxy = through_faults(Plan({}))
        manifest = build_manifest([audio])
        proxy.asked.clear()
        header = prepare_generation(uri, manifest, Recipe())
        for partition in missing_partitions(header):
            preprocess_partition(header.uri, partition)
        fetched = {one.target.rpartition("/audio/")[2] for one in proxy.asked if one.target.endswith(".wav")}
        assert {"dog/0001.wav", "dog/004.wav"} <= fetched
        assert fetched.isdisjoint(held - {"dog/004.wav"})
        commit_store(header)
        publish(uri, header)
        assert generations(uri) == [header]
        clean = open_store(self.run(audio, f"{prefix}/clean").uri)
        found = open_store(uri)
        everything = range(N_FILES + 1)
        assert found.rows.equals(clean.rows)
        assert np.array_equal(found.waveforms(everything), clean.waveforms(everything), equal_nan=True)
        assert np.array_equal(found.log_mels(everything), clean.log_mels(everything), equal_nan=True)

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("waveform/c/1/0", "waveform is not what was committed: an object was lost or changed"),
            ("log_mel/c/0/0/0", "log_mel is not what was committed: an object was lost or changed"),
            ("partitions/00001.parquet", "committed, but 1 of 2 partitions are missing"),
            ("manifest.parquet", "manifest.parquet cannot be read"),
        ],
    )
    def test_an_object_removed_from_the_bucket_is_found_and_made_again(
        self, archive: Path, local: FeatureStore, prefix: str, name: str, told: str
    ) -> None:
        uri = f"{prefix}/store"
        header = self.run(str(archive), uri)
        assert list(verify_generation(header)) == []
        whole = objects(uri)
        delete(f"{header.uri}/{name}")
        (fault,) = verify_generation(header)
        assert fault.reason.startswith(told)
        forget(fault)
        with pytest.raises(StoreIncompleteError):
            open_store(uri)
        assert self.run(str(archive), uri) == header
        assert list(verify_generation(header)) == []
        assert objects(uri) == whole


def first_rows(header: StoreHeader, done: int | None) -> list[dict[str, object]]:
    """Rows of the partitions that a run has done."""
    return [row for partition in header.partitions[:done] for row in manifest_rows(header, partition)]
