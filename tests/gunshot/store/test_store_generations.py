"""A store that grows: what is held is copied, what is new or changed is computed, and it ends as a clean run's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.errors import StoreError, StoreIncompleteError, StoreMismatchError
from gunshot.manifest.sources import build_manifest
from gunshot.preprocess import rows as rows_module
from gunshot.preprocess.partition import preprocess_partition
from gunshot.recipe import Recipe
from gunshot.store.generations import current, generations, prepare_generation, publish
from gunshot.store.layout import ARRAYS, HELD_ROW, StoreHeader
from gunshot.store.read import FeatureStore, open_store
from gunshot.store.records import missing_partitions
from gunshot.store.verify import verify_generation
from gunshot.store.write import commit_store


def write_sound(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    y = np.random.default_rng(seed).normal(size=3000) * 0.01
    y[800:1200] *= 30
    sf.write(path, y, 12_000)


def preprocess_all(store: Path, manifest: pa.Table, recipe: Recipe, most: int | None = None) -> StoreHeader:
    """What the flow does, perhaps broken off after some partitions."""
    header = prepare_generation(str(store), manifest, recipe)
    for partition in missing_partitions(header)[:most]:
        preprocess_partition(header.uri, partition)
    if most is None:
        commit_store(header)
        publish(str(store), header)
    return header


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that were opened to be decoded."""
    opened: list[str] = []
    plain = rows_module.Recording

    def counted(uri: str, *rest: Any, **more: Any) -> Any:
        opened.append(Path(uri).name)
        return plain(uri, *rest, **more)

    monkeypatch.setattr(rows_module, "Recording", counted)
    return opened


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for number in range(100):  # two partitions
        write_sound(tmp_path / "audio" / "gunshot" / f"{number:03d}.wav", number)
    (tmp_path / "audio" / "gunshot" / "050.wav").write_text("no sound")
    return tmp_path / "audio"


def assert_same(found: FeatureStore, expected: FeatureStore) -> None:
    everything = range(expected.header.n_rows)
    assert found.rows.equals(expected.rows)
    assert np.array_equal(found.waveforms(everything), expected.waveforms(everything), equal_nan=True)
    assert np.array_equal(found.log_mels(everything), expected.log_mels(everything), equal_nan=True)


def test_a_grown_manifest_computes_only_the_new_rows(
    archive: Path, tmp_path: Path, recipe: Recipe, decoded: list[str]
) -> None:
    store = tmp_path / "store"
    preprocess_all(store, build_manifest([str(archive)]), recipe)
    for number in (3, 70, 71):  # between the others, so that rows move and partitions are other rows
        write_sound(archive / "gunshot" / f"{number:03d}b.wav", 1000 + number)
    decoded.clear()
    preprocess_all(store, build_manifest([str(archive)]), recipe)
    assert decoded == ["003b.wav", "070b.wav", "071b.wav"]
    preprocess_all(tmp_path / "clean", build_manifest([str(archive)]), recipe)
    assert_same(open_store(str(store)), open_store(str(tmp_path / "clean")))


def test_a_changed_file_is_computed_anew_and_a_removed_one_goes(
    archive: Path, tmp_path: Path, recipe: Recipe, decoded: list[str]
) -> None:
    store = tmp_path / "store"
    preprocess_all(store, build_manifest([str(archive)]), recipe)
    write_sound(archive / "gunshot" / "010.wav", 77)
    (archive / "gunshot" / "020.wav").unlink()
    decoded.clear()
    preprocess_all(store, build_manifest([str(archive)]), recipe)
    assert decoded == ["010.wav"]
    preprocess_all(tmp_path / "clean", build_manifest([str(archive)]), recipe)
    assert_same(open_store(str(store)), open_store(str(tmp_path / "clean")))


def test_a_store_of_before_whose_arrays_have_no_names_is_gone_on_with_and_grows(
    archive: Path, tmp_path: Path, recipe: Recipe, decoded: list[str]
) -> None:
    store, manifest = tmp_path / "store", build_manifest([str(archive)])
    begun = preprocess_all(store, manifest, recipe, most=1)
    for name in ARRAYS:
        array = Path(begun.uri) / name / "zarr.json"
        content = json.loads(array.read_text())
        assert content.pop("dimension_names")
        array.write_text(json.dumps(content))
    preprocess_all(store, manifest, recipe)
    preprocess_all(tmp_path / "clean", manifest, recipe)
    assert_same(open_store(str(store)), open_store(str(tmp_path / "clean")))
    assert list(verify_generation(begun)) == []
    write_sound(archive / "gunshot" / "070b.wav", 1070)
    decoded.clear()
    grown = preprocess_all(store, build_manifest([str(archive)]), recipe)
    assert decoded == ["070b.wav"]
    assert all("dimension_names" in (Path(grown.uri) / name / "zarr.json").read_text() for name in ARRAYS)


def test_another_label_decodes_nothing(archive: Path, tmp_path: Path, recipe: Recipe, decoded: list[str]) -> None:
    store = tmp_path / "store"
    manifest = build_manifest([str(archive)])
    preprocess_all(store, manifest, recipe)
    decoded.clear()
    place = manifest.column_names.index("label")
    relabelled = manifest.set_column(place, manifest.field("label"), pa.array([0] * manifest.num_rows, pa.int8()))
    preprocess_all(store, relabelled, recipe)
    assert decoded == []
    assert set(open_store(str(store)).column("label")) == {0}


def test_what_a_broken_off_run_has_done_serves_a_grown_manifest(
    archive: Path, tmp_path: Path, recipe: Recipe, decoded: list[str]
) -> None:
    store = tmp_path / "store"
    preprocess_all(store, build_manifest([str(archive)]), recipe, most=1)
    done = set(decoded)
    with pytest.raises(StoreIncompleteError, match="is not committed: preprocessing has not ended"):
        open_store(str(store))
    write_sound(archive / "gunshot" / "zzz.wav", 5)
    decoded.clear()
    preprocess_all(store, build_manifest([str(archive)]), recipe)
    assert done.isdisjoint(decoded)
    preprocess_all(tmp_path / "clean", build_manifest([str(archive)]), recipe)
    assert_same(open_store(str(store)), open_store(str(tmp_path / "clean")))


def test_readers_see_the_earlier_generation_until_the_later_is_committed(
    archive: Path, tmp_path: Path, recipe: Recipe
) -> None:
    store = tmp_path / "store"
    first = preprocess_all(store, build_manifest([str(archive)]), recipe)
    write_sound(archive / "gunshot" / "zzz.wav", 5)
    manifest = build_manifest([str(archive)])
    preprocess_all(store, manifest, recipe, most=1)
    assert open_store(str(store)).header == first
    last = preprocess_all(store, manifest, recipe)
    assert open_store(str(store)).header == last
    assert generations(str(store)) == [last]  # and nothing is left of the first


def test_a_damaged_partition_of_the_earlier_generation_is_computed_anew(
    archive: Path, tmp_path: Path, recipe: Recipe, decoded: list[str]
) -> None:
    store = tmp_path / "store"
    first = preprocess_all(store, build_manifest([str(archive)]), recipe)
    (Path(first.uri) / "waveform" / "c" / "0" / "0").unlink()
    write_sound(archive / "gunshot" / "zzz.wav", 5)
    decoded.clear()
    preprocess_all(store, build_manifest([str(archive)]), recipe)
    assert len(decoded) == first.partition(0).n_rows - 1 + 1  # but for the one that is no sound, and the new one
    preprocess_all(tmp_path / "clean", build_manifest([str(archive)]), recipe)
    assert_same(open_store(str(store)), open_store(str(tmp_path / "clean")))


@settings(max_examples=15)
@given(first=st.sets(st.integers(0, 140)), second=st.sets(st.integers(0, 140), min_size=1))
def test_any_manifest_after_any_other_is_as_if_it_were_the_first(
    tmp_path_factory: pytest.TempPathFactory,
    manifest: Callable[..., pa.Table],
    recipe: Recipe,
    first: set[int],
    second: set[int],
) -> None:
    everything = manifest(141, state="empty", reason="not there")
    store = tmp_path_factory.mktemp("s")
    if first:
        preprocess_all(store, everything.take(sorted(first)), recipe)
    header = prepare_generation(str(store), everything.take(sorted(second)), recipe)
    held = pa.parquet.read_table(Path(header.uri) / "manifest.parquet")
    numbers = sorted(first)
    expected = [numbers.index(row) if row in first else None for row in sorted(second)]
    if HELD_ROW in held.column_names:
        assert held.column(HELD_ROW).to_pylist() == expected
    else:
        assert first == second or not (first & second)


def test_another_recipe_is_refused(archive: Path, tmp_path: Path, recipe: Recipe) -> None:
    preprocess_all(tmp_path / "store", build_manifest([str(archive)]), recipe, most=1)
    with pytest.raises(StoreMismatchError, match=r"sr_hz 12000 there, 16000 here; give another --store"):
        prepare_generation(
            str(tmp_path / "store"), build_manifest([str(archive)]), recipe.model_copy(update={"sr_hz": 16000})
        )


def test_a_damaged_pointer_is_told_and_mended_by_a_run(archive: Path, tmp_path: Path, recipe: Recipe) -> None:
    store = tmp_path / "store"
    header = preprocess_all(store, build_manifest([str(archive)]), recipe)
    (store / "current.json").write_text("{")
    with pytest.raises(StoreError, match=r"current\.json is damaged; run 'gunshot preprocess' again"):
        current(str(store))
    preprocess_all(store, build_manifest([str(archive)]), recipe)
    assert current(str(store)) == header.uri


def test_a_generation_whose_commit_was_lost_is_not_read(archive: Path, tmp_path: Path, recipe: Recipe) -> None:
    header = preprocess_all(tmp_path / "store", build_manifest([str(archive)]), recipe)
    (Path(header.uri) / "commit.json").unlink()
    with pytest.raises(StoreIncompleteError):
        open_store(str(tmp_path / "store"))
