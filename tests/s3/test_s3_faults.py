"""Runs on a bucket whose network and server fail now and then end as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.cluster import open_cluster
from gunshot.store.read import FeatureStore
from tests.s3.faults import KINDS, FaultProxy, Plan
from tests.s3.runs import assert_same, preprocess, save_model, score, upload, write_archive
from tests.s3.seaweed import BUCKET

MIXED = {"error": 0.02, "slow down": 0.02, "delay": 0.02, "cut answer": 0.02, "cut request": 0.02, "lost answer": 0.02}

Through = Callable[[Plan], FaultProxy]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive") / "audio")  # the source is named by it


@pytest.fixture(scope="module")
def clean(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """The store of a run on local disks."""
    return preprocess(str(archive), str(tmp_path_factory.mktemp("store")))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_passes_without_a_trace_in_the_store(
    archive: Path, clean: FeatureStore, through_faults: Through, kind: str
) -> None:
    place = f"s3://{BUCKET}/{kind.replace(' ', '-')}"  # the same in every run, and so are its faults
    audio = upload(archive, f"{place}/audio")
    proxy = through_faults(Plan({kind: 0.12}))
    assert_same(preprocess(audio, f"{place}/store"), clean)
    assert proxy.faults()[kind] > 10


@pytest.mark.slow
def test_all_faults_at_once_pass_on_workers_too(archive: Path, clean: FeatureStore, through_faults: Through) -> None:
    place = f"s3://{BUCKET}/mixed"
    audio = upload(archive, f"{place}/audio")
    proxy = through_faults(Plan(MIXED))
    with open_cluster(2) as address:
        assert_same(preprocess(audio, f"{place}/store", address), clean)
    assert set(proxy.faults()) == set(KINDS)


@pytest.mark.slow
def test_scoring_under_all_faults_gives_the_tables_of_a_local_run(
    archive: Path, through_faults: Through, tmp_path: Path
) -> None:
    expected = score(str(archive), save_model(str(tmp_path / "model")), str(tmp_path / "results"))
    place = f"s3://{BUCKET}/scored"
    audio = upload(archive, f"{place}/audio")
    model = save_model(f"{place}/model")
    proxy = through_faults(Plan(MIXED))
    found = score(audio, model, f"{place}/results")
    assert expected["detections"].num_rows > 40
    for kind, table in found.items():
        drop = [name for name in ("uri", "etag") if name in table.column_names]
        assert table.drop_columns(drop).equals(expected[kind].drop_columns(drop))
    assert set(proxy.faults()) == set(KINDS)
    proxy.asked.clear()
    assert all(table.equals(found[kind]) for kind, table in score(audio, model, f"{place}/results").items())
    assert not [one for one in proxy.asked if one.action == "GET" and ".wav" in one.target]  # nothing was lost
