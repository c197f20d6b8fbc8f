"""The template: written first, taken up again, refused where it is another's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from gunshot.errors import StorageError, StoreError, StoreMismatchError
from gunshot.manifest.table import manifest_digest, read_manifest
from gunshot.partition import CHUNK_ROWS, plan_partitions
from gunshot.recipe import Recipe
from gunshot.store import layout
from gunshot.store.layout import ARRAYS, FORMAT, commit_uri, partition_uri, prepare_store, read_header
from gunshot.store.records import missing_partitions

Manifest = Callable[..., pa.Table]


def change_attributes(store: Path, **changes: Any) -> None:
    path = store / "zarr.json"
    content = json.loads(path.read_text())
    content["attributes"] |= changes
    path.write_text(json.dumps(content))


def test_a_header_says_what_the_store_was_prepared_with(tmp_path: Path, recipe: Recipe, manifest: Manifest) -> None:
    table = manifest(150)
    derived = {"augment": {"snr_db": 20.0}, "rows": [1, 2]}
    header = prepare_store(str(tmp_path), table, recipe, derived=derived)
    assert header == read_header(str(tmp_path))
    assert (header.recipe, header.n_rows, header.manifest_digest) == (recipe, 150, manifest_digest(table))
    assert header.derived == derived
    assert header.partitions == plan_partitions(150, header.shard_rows)


def test_arrays_have_the_shapes_of_the_recipe_and_a_shard_a_partition(
    tmp_path: Path, recipe: Recipe, manifest: Manifest
) -> None:
    header = prepare_store(str(tmp_path), manifest(150), recipe)
    group = zarr.open_group(str(tmp_path), mode="r")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == sorted(ARRAYS)
    names = {"waveform": ("row", "sample"), "log_mel": ("row", "mel_band", "frame")}
    for name, shape in (("waveform", (recipe.n_samples,)), ("log_mel", recipe.mel_shape)):
        array = group[name]
        assert isinstance(array, zarr.Array)
        assert array.shape == (150, *shape)
        assert array.shards == (header.shard_rows, *shape)
        assert array.chunks == (CHUNK_ROWS, *shape)
        assert array.dtype == "float32"
        assert array.metadata.dimension_names == names[name]


def test_the_manifest_lies_in_row_groups_of_a_partition_each(
    tmp_path: Path, recipe: Recipe, manifest: Manifest
) -> None:
    header = prepare_store(str(tmp_path), manifest(150), recipe)
    file = pq.ParquetFile(tmp_path / "manifest.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [
        partition.n_rows for partition in header.partitions
    ]
    assert read_manifest(tmp_path / "manifest.parquet").equals(manifest(150))


def test_preparing_again_changes_nothing(tmp_path: Path, recipe: Recipe, manifest: Manifest) -> None:
    first = prepare_store(str(tmp_path), manifest(70), recipe)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file()}
    assert prepare_store(str(tmp_path), manifest(70), recipe) == first
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("broken_at", ["manifest", "waveform", "log_mel", "attributes"])
def test_a_template_broken_off_is_no_store_and_is_taken_up_again(
    tmp_path: Path, recipe: Recipe, manifest: Manifest, monkeypatch: pytest.MonkeyPatch, broken_at: str
) -> None:
    class KilledError(Exception):
        pass

    create = zarr.create_array

    def create_until(store: object, *, name: str, **options: Any) -> object:
        if broken_at == "manifest" or name == broken_at:
            raise KilledError
        return create(store, name=name, **options)

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    uri = str(tmp_path / "store")
    with monkeypatch.context() as patch:
        if broken_at == "attributes":
            patch.setattr(zarr, "open_group", killed)
        else:
            patch.setattr(zarr, "create_array", create_until)
        with pytest.raises(KilledError):
            prepare_store(uri, manifest(150), recipe)
    with pytest.raises(StoreError, match="no feature store at"):
        read_header(uri)
    # nothing was promised yet, so even another manifest may come in its place
    header = prepare_store(uri, manifest(200, label=0), recipe)
    assert read_header(uri) == header
    assert header.n_rows == 200
    assert zarr.open_group(uri, mode="r")["waveform"].shape[0] == 200
    assert read_manifest(f"{uri}/manifest.parquet").equals(manifest(200, label=0))
    assert len(missing_partitions(header)) == len(header.partitions)


class TestMismatch:
    def test_another_recipe_is_refused_with_both_sides_and_their_differences(
        self, tmp_path: Path, recipe: Recipe, manifest: Manifest
    ) -> None:
        prepare_store(str(tmp_path), manifest(1), recipe)
        other = recipe.model_copy(
            update={"sr_hz": 16_000, "mel": recipe.mel.model_copy(update={"n_mels": 32})}, deep=True
        )
        with pytest.raises(StoreMismatchError) as caught:
            prepare_store(str(tmp_path), manifest(1), other)
        message = str(caught.value)
        assert all(part in message for part in (str(tmp_path), recipe.digest, other.digest))
        assert "mel.n_mels 40 there, 32 here" in message
        assert "sr_hz 12000 there, 16000 here" in message
        assert "clip." not in message
        assert message.endswith("give another --store, or the store's recipe")

    @pytest.mark.parametrize("change", [{"label": 0}, {"etag": "2"}, {"uri": "/elsewhere"}, {"start_s": 1.0}])
    def test_another_manifest_is_refused_with_both_sides(
        self, tmp_path: Path, recipe: Recipe, manifest: Manifest, change: dict[str, Any]
    ) -> None:
        prepare_store(str(tmp_path), manifest(3), recipe)
        digests = [manifest_digest(table) for table in (manifest(3), manifest(3, **change))]
        with pytest.raises(
            StoreMismatchError, match=rf"holds manifest {digests[0]}, this run's is {digests[1]} .*--st"
        ):
            prepare_store(str(tmp_path), manifest(3, **change), recipe)

    @pytest.mark.parametrize(
        ("there", "here", "told"),
        [
            (None, {"seed": 1}, "made from recordings, this run makes them from {'seed': 1}"),
            ({"seed": 1}, None, "made from {'seed': 1}, this run makes them from recordings"),
            ({"seed": 1}, {"seed": 2}, "made from {'seed': 1}, this run makes them from {'seed': 2}"),
        ],
    )
    def test_rows_made_otherwise_are_refused_with_both_sides(
        self, tmp_path: Path, recipe: Recipe, manifest: Manifest, there: Any, here: Any, told: str
    ) -> None:
        prepare_store(str(tmp_path), manifest(3), recipe, derived=there)
        with pytest.raises(StoreMismatchError) as caught:
            prepare_store(str(tmp_path), manifest(3), recipe, derived=here)
        assert told in str(caught.value)

    def test_another_format_is_refused(self, tmp_path: Path, recipe: Recipe, manifest: Manifest) -> None:
        prepare_store(str(tmp_path), manifest(1), recipe)
        change_attributes(tmp_path, format="gunshot-store/9")
        with pytest.raises(StoreMismatchError, match=f"'gunshot-store/9', this version reads '{FORMAT}'"):
            read_header(str(tmp_path))

    def test_a_zarr_store_of_something_else_is_refused(
        self, tmp_path: Path, recipe: Recipe, manifest: Manifest
    ) -> None:
        zarr.create_group(str(tmp_path), attributes={"title": "sea surface temperature"})
        with pytest.raises(StoreMismatchError, match="format is None"):
            prepare_store(str(tmp_path), manifest(1), recipe)

    def test_another_version_of_the_clip_code_is_refused(
        self, tmp_path: Path, recipe: Recipe, manifest: Manifest
    ) -> None:
        prepare_store(str(tmp_path), manifest(1), recipe)
        change_attributes(tmp_path, recipe_digest="0" * 16)
        with pytest.raises(StoreMismatchError, match=rf"\(recipe {'0' * 16}, now {recipe.digest}\)"):
            read_header(str(tmp_path))

    @pytest.mark.parametrize("change", [{"later_key": 1}, {"sr_hz": -1}])
    def test_a_recipe_that_this_version_cannot_read_is_refused(
        self, tmp_path: Path, recipe: Recipe, manifest: Manifest, change: dict[str, int]
    ) -> None:
        prepare_store(str(tmp_path), manifest(1), recipe)
        change_attributes(tmp_path, recipe=recipe.model_dump(mode="json") | change)
        with pytest.raises(StoreMismatchError, match=rf"recipe {recipe.digest} has keys or values .* a new store"):
            read_header(str(tmp_path))


def test_no_store_is_an_error_that_says_how_to_make_one(tmp_path: Path) -> None:
    uri = str(tmp_path / "none")
    with pytest.raises(StoreError, match=f"no feature store at {uri}; make one with 'gunshot preprocess INPUT --sto"):
        read_header(uri)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, recipe: Recipe, manifest: Manifest) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        prepare_store(str(tmp_path / "file" / "store"), manifest(1), recipe)


def test_what_zarr_cannot_write_is_told_with_the_address(
    tmp_path: Path, recipe: Recipe, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(layout.zarr, "create_array", full)
    with pytest.raises(StorageError, match=f"cannot write {tmp_path}: .*No space left"):
        prepare_store(str(tmp_path), manifest(1), recipe)


def test_objects_of_a_store_have_fixed_names() -> None:
    assert partition_uri("s3://b/store/", 7) == "s3://b/store/partitions/00007.parquet"
    assert commit_uri("/data/store") == "/data/store/commit.json"
