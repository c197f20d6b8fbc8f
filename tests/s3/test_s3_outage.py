"""The server killed amid a run and started again: the run ends, or the one after it, with the same store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gunshot.errors import TransientStorageError
from gunshot.storage import exists, list_files, s3
from gunshot.store.read import FeatureStore
from tests.s3.runs import assert_same, preprocess, upload, write_archive
from tests.s3.seaweed import BUCKET, SeaweedFS

pytestmark = pytest.mark.slow

N_FILES = 200  # four partitions
LEASE_S = 4.0


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive") / "audio", N_FILES)


@pytest.fixture(scope="module")
def clean(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """The store of a run on local disks."""
    return preprocess(str(archive), str(tmp_path_factory.mktemp("store")))


def killed_amid(weed: SeaweedFS, store: str, away_s: float) -> threading.Thread:
    """Kills the server when a first partition has been written, and starts it again some time later."""

    def work() -> None:
        while not (exists(store) and any("/partitions/" in info.uri for info in list_files(store))):
            time.sleep(0.02)
        weed.kill()
        time.sleep(away_s)
        weed.start()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_run_outlasts_a_server_that_starts_again(archive: Path, clean: FeatureStore, weed: SeaweedFS) -> None:
    audio = upload(archive, f"s3://{BUCKET}/audio")
    killer = killed_amid(weed, f"s3://{BUCKET}/store", 5.0)
    found = preprocess(audio, f"s3://{BUCKET}/store")
    killer.join()
    assert_same(found, clean)


def test_a_run_that_does_not_is_done_by_the_next(
    archive: Path,
    clean: FeatureStore,
    weed: SeaweedFS,
    fresh_clients: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audio = upload(archive, f"s3://{BUCKET}/audio")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3, "_PATIENCE_S", 0.5)
    fresh_clients()
    killer = killed_amid(weed, f"s3://{BUCKET}/store", 8.0)
    with pytest.raises(TransientStorageError):
        preprocess(audio, f"s3://{BUCKET}/store", lease_s=LEASE_S)
    killer.join()
    # this process, which held the lease and could not give it back, lives on: after its length it is free
    assert_same(preprocess(audio, f"s3://{BUCKET}/store", lease_s=LEASE_S), clean)
