"""A plan says what a run then does, and writes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from gunshot.errors import ManifestError, ParameterError
from gunshot.manifest.sources import build_manifest
from gunshot.preprocess.partition import preprocess_partition
from gunshot.preprocess.plan import plan_preprocess
from gunshot.recipe import Recipe
from gunshot.store.generations import prepare_generation, publish
from gunshot.store.records import missing_partitions
from gunshot.store.write import commit_store


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "audio").mkdir()
    for number in range(100):  # two partitions
        y = np.random.default_rng(number).normal(size=3000) * 0.1
        sf.write(tmp_path / "audio" / f"{number:03d}.wav", y, 12_000)
    return tmp_path / "audio"


def run(archive: Path, store: Path, most: int | None = None) -> None:
    header = prepare_generation(str(store), build_manifest([str(archive)], probe=False), Recipe())
    for partition in missing_partitions(header)[:most]:
        preprocess_partition(header.uri, partition)
    if most is None:
        commit_store(header)
        publish(str(store), header)


def test_of_a_new_store_all_is_to_do_and_nothing_is_written(archive: Path, tmp_path: Path) -> None:
    plan = plan_preprocess([str(archive)], str(tmp_path / "store"))
    assert (plan.n_rows, plan.n_files, plan.n_written, plan.n_copied, plan.n_computed) == (100, 100, 0, 0, 100)
    assert [part.n_rows for part in plan.partitions] == [64, 36]
    assert plan.sound_bytes == sum(path.stat().st_size for path in archive.iterdir())
    assert plan.row_s > 0
    assert not (tmp_path / "store").exists()


def test_what_was_broken_off_is_planned_as_it_is_then_done(archive: Path, tmp_path: Path) -> None:
    run(archive, tmp_path / "store", most=1)
    plan = plan_preprocess([str(archive)], str(tmp_path / "store"))
    assert (plan.n_written, plan.n_copied, plan.n_computed) == (64, 0, 36)
    assert [part.index for part in plan.partitions] == [1]


def test_what_is_held_is_planned_to_be_copied(archive: Path, tmp_path: Path) -> None:
    run(archive, tmp_path / "store")
    sf.write(archive / "new.wav", np.full(3000, 0.1), 12_000)
    plan = plan_preprocess([str(archive)], str(tmp_path / "store"))
    assert (plan.n_written, plan.n_copied, plan.n_computed) == (0, 100, 1)


def test_where_nothing_is_to_do_no_time_is_promised(archive: Path, tmp_path: Path) -> None:
    run(archive, tmp_path / "store")
    plan = plan_preprocess([str(archive)], str(tmp_path / "store"))
    assert (plan.n_written, plan.partitions, plan.estimated_s, plan.row_s) == (100, (), 0.0, 0.0)
    assert "0 to do: none" in "\n".join(plan.lines())


def test_the_estimate_is_for_the_workers_named(archive: Path, tmp_path: Path) -> None:
    plan = plan_preprocess([str(archive)], str(tmp_path / "store"), workers=4)
    assert plan.estimated_s == pytest.approx(plan.row_s * 100 / 4)
    with pytest.raises(ParameterError, match="--workers must be 0 or more; got -1"):
        plan_preprocess([str(archive)], str(tmp_path / "store"), workers=-1)


def test_a_mistake_is_told_as_a_run_would(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="does not exist"):
        plan_preprocess([str(tmp_path / "nothing")], str(tmp_path / "store"))
