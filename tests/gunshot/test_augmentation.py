"""Stores of distorted copies: which rows, from which seed, and nothing but them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gunshot.augment.chain import AugmentRule, distorted_copy
from gunshot.augmentation import augment_partition, prepare_copies
from gunshot.clips import features
from gunshot.errors import StoreError, StoreIncompleteError, StoreMismatchError
from gunshot.manifest.table import SCHEMA, manifest_of
from gunshot.recipe import ClipRule, Recipe
from gunshot.store.layout import prepare_store
from gunshot.store.read import FeatureStore, open_store
from gunshot.store.records import missing_partitions
from gunshot.store.write import commit_store, write_partition

N_ROWS = 160


def make_source(uri: Path, recipe: Recipe) -> FeatureStore:
    """A committed store of noise; every fifth row has failed, and one is digital silence."""
    plain: dict[str, Any] = {
        "start_s": None, "end_s": None, "limit_s": None, "sound": "made", "source": "made", "device": "",
        "license": "", "size": 1, "etag": "1", "duration_s": 1.0, "sr": 12_000, "n_channels": 1, "state": "ok",
        "reason": "",
    }  # fmt: skip
    manifest = manifest_of(
        plain | {"path": f"{n}.wav", "uri": f"/no/{n}.wav", "label": n % 2, "group": f"g{n // 4}"}
        for n in range(N_ROWS)
    )
    header = prepare_store(str(uri), manifest, recipe)
    for partition in header.partitions:
        rows = np.arange(partition.start, partition.stop)
        y = np.random.default_rng(partition.index).normal(size=(rows.size, recipe.n_samples)).astype(np.float32) * 0.1
        y[rows == 7] = 0.0
        log_mel = features(y, recipe)
        y[rows % 5 == 4] = np.nan
        log_mel[rows % 5 == 4] = np.nan
        records = [
            {"row": row, "state": "empty" if row % 5 == 4 else "ok", "reason": "", "onset_s": 0.1,
             "strength_db": 9.0, "is_onset": True, "padded_s": 0.0}
            for row in rows.tolist()
        ]  # fmt: skip
        write_partition(header, partition, {"waveform": y, "log_mel": log_mel}, records)
    commit_store(header)
    return open_store(header.uri)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_source(tmp_path_factory.mktemp("source"), Recipe(clip=ClipRule(lead_s=0.01, length_s=0.05)))


def copies_of(source: FeatureStore, rows: Sequence[int], uri: Path, rule: AugmentRule) -> FeatureStore:
    header = prepare_copies(source, rows, str(uri), rule)
    for partition in header.partitions:
        outcome = augment_partition(source.header.uri, header.uri, partition)
        assert (outcome.index, outcome.n_rows) == (partition.index, partition.n_rows)
        assert outcome.states == {"ok": partition.n_rows}
    commit_store(header)
    return open_store(header.uri)


@pytest.fixture(scope="module")
def training_rows(source: FeatureStore) -> list[int]:
    return [int(row) for row in source.usable if row % 4]


def test_each_copy_is_its_original_distorted_by_seed_and_row(
    source: FeatureStore, training_rows: list[int], tmp_path: Path
) -> None:
    rule = AugmentRule(snr_db=10.0, seed=3)
    copies = copies_of(source, training_rows, tmp_path, rule)
    assert copies.header.n_rows == len(training_rows)
    assert len(copies.header.partitions) > 1
    found = copies.waveforms(range(len(training_rows)))
    originals = source.waveforms(training_rows)
    for y, original, row in zip(found, originals, training_rows, strict=True):
        assert np.array_equal(y, distorted_copy(original, row, rule))
    assert np.array_equal(copies.log_mels(range(len(training_rows))), features(found, source.recipe))
    assert not np.array_equal(found, originals)


def test_copies_say_what_they_were_made_from(source: FeatureStore, training_rows: list[int], tmp_path: Path) -> None:
    copies = copies_of(source, training_rows, tmp_path, AugmentRule())
    assert copies.column("source_row") == training_rows
    for name in set(SCHEMA.names) - {"state", "reason"}:
        assert copies.column(name) == [source.column(name)[row] for row in training_rows]
    assert copies.header.derived == {
        "augment": AugmentRule().model_dump(mode="json"),
        "source_manifest": source.header.manifest_digest,
    }
    assert copies.recipe == source.recipe
    assert copies.usable.tolist() == list(range(len(training_rows)))
    assert np.isfinite(copies.waveforms(copies.usable)).all()


def test_a_copy_does_not_depend_on_the_rows_beside_it(source: FeatureStore, tmp_path: Path) -> None:
    rule = AugmentRule()
    several = copies_of(source, [3, 100, 8], tmp_path / "a", rule)
    alone = copies_of(source, [100], tmp_path / "b", rule)
    assert np.array_equal(several.waveforms([1]), alone.waveforms([0]))


def test_another_seed_makes_other_copies_and_the_same_seed_the_same(source: FeatureStore, tmp_path: Path) -> None:
    def copy(name: str, seed: int) -> NDArray[np.float32]:
        return copies_of(source, [1, 2, 3], tmp_path / name, AugmentRule(seed=seed)).waveforms([0, 1, 2])

    first = copy("a", 0)
    assert np.array_equal(first, copy("b", 0))
    assert not np.any(np.isclose(first, copy("c", 1)).all(axis=1))


def test_silence_stays_silence(source: FeatureStore, tmp_path: Path) -> None:
    assert not np.any(copies_of(source, [7], tmp_path, AugmentRule()).waveforms([0]))


def test_the_source_is_left_as_it_was(source: FeatureStore, training_rows: list[int], tmp_path: Path) -> None:
    def content() -> dict[Path, tuple[bytes, int]]:
        paths = Path(source.header.uri).rglob("*")
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths if path.is_file()}

    before = content()
    copies_of(source, training_rows, tmp_path, AugmentRule())
    assert content() == before


def test_copies_may_lie_below_their_source(source: FeatureStore, training_rows: list[int]) -> None:
    inside = Path(source.header.uri) / "copies" / "paper-0"
    copies = copies_of(source, training_rows, inside, AugmentRule())
    assert copies.header.n_rows == len(training_rows)
    again = open_store(source.header.uri)
    assert again.rows.equals(source.rows)
    assert missing_partitions(again.header) == ()


def test_copies_broken_off_are_taken_up_where_they_ended(
    source: FeatureStore, training_rows: list[int], tmp_path: Path
) -> None:
    header = prepare_copies(source, training_rows, str(tmp_path / "a"), AugmentRule())
    augment_partition(source.header.uri, header.uri, header.partitions[0])
    with pytest.raises(StoreIncompleteError):
        open_store(header.uri)
    again = prepare_copies(source, training_rows, header.uri, AugmentRule())
    assert missing_partitions(again) == header.partitions[1:]
    for partition in missing_partitions(again):
        augment_partition(source.header.uri, header.uri, partition)
    commit_store(again)
    whole = copies_of(source, training_rows, tmp_path / "b", AugmentRule())
    everything = range(len(training_rows))
    assert np.array_equal(open_store(header.uri).waveforms(everything), whole.waveforms(everything))


@pytest.mark.parametrize(
    ("rows", "rule"), [([1, 2, 3], AugmentRule(seed=1)), ([1, 2, 3], AugmentRule(snr_db=3)), ([1, 2], AugmentRule())]
)
def test_other_copies_in_the_same_place_are_refused(
    source: FeatureStore, tmp_path: Path, rows: list[int], rule: AugmentRule
) -> None:
    prepare_copies(source, [1, 2, 3], str(tmp_path), AugmentRule())
    with pytest.raises(StoreMismatchError, match=str(tmp_path)):
        prepare_copies(source, rows, str(tmp_path), rule)


def test_without_a_committed_source_nothing_is_copied(source: FeatureStore, tmp_path: Path) -> None:
    header = prepare_copies(source, [1, 2], str(tmp_path), AugmentRule())
    with pytest.raises(StoreError, match="no feature store at"):
        augment_partition(str(tmp_path / "no"), header.uri, header.partitions[0])
    assert missing_partitions(header) == header.partitions


def test_a_source_of_another_recipe_is_refused(source: FeatureStore, tmp_path: Path) -> None:
    other = make_source(tmp_path / "other", Recipe(clip=ClipRule(lead_s=0.02, length_s=0.05)))
    header = prepare_copies(source, [1, 2], str(tmp_path / "copies"), AugmentRule())
    with pytest.raises(StoreMismatchError, match=f"recipe {other.recipe.digest}, but {source.recipe.digest} is needed"):
        augment_partition(other.header.uri, header.uri, header.partitions[0])
