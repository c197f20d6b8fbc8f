"""Manifests of buckets are those of folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile as sf

from gunshot import storage
from gunshot.errors import ManifestError, TransientStorageError
from gunshot.manifest.labels import read_labels
from gunshot.manifest.sources import build_manifest
from gunshot.manifest.table import manifest_digest, read_manifest, write_manifest
from gunshot.storage import write_bytes

FILES = ("gunshot/a.wav", "gunshot/far/b.WAV", "dog/two  words.wav", "dog/._c.wav", "dog/q'uo\"te [1] ü.wav")


@pytest.fixture
def upload(tmp_path: Path, prefix: str) -> Callable[[Path], str]:
    """Copies a folder below the prefix."""

    def copy(folder: Path) -> str:
        for path in folder.rglob("*"):
            if path.is_file():
                write_bytes(f"{prefix}/{folder.name}/{path.relative_to(folder)}", path.read_bytes())
        return f"{prefix}/{folder.name}"

    return copy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings in folders named by class, hidden and unusable ones among them."""
    root = tmp_path / "data"
    for number, name in enumerate(FILES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, np.full(800, 0.1), 8000 * (number % 2 + 1), format="WAV")
    (root / "dog" / "empty.wav").write_bytes(b"")
    (root / "dog" / "text.wav").write_text("no sound")
    (root / "notes.txt").write_text("")
    return root


def same_rows(remote: pa.Table, local: pa.Table, uri: str, folder: Path) -> bool:
    """Whether two manifests say the same but for where the files are and by what their change is seen."""
    places = [value.replace(uri, str(folder)) for value in remote.column("uri").to_pylist()]
    drop = ["uri", "etag"]
    return places == local.column("uri").to_pylist() and remote.drop_columns(drop).equals(local.drop_columns(drop))


@pytest.mark.parametrize("ending", ["", "/", "/**", "/*/**"])
def test_class_folders_in_a_bucket_are_read_as_on_disk(
    folder: Path, upload: Callable[[Path], str], ending: str
) -> None:
    uri = upload(folder)
    remote = build_manifest([uri + ending])
    assert same_rows(remote, build_manifest([str(folder)]), uri, folder)
    assert remote.num_rows == 6
    assert all(remote.column("etag").to_pylist())
    assert sorted(set(remote.column("state").to_pylist())) == ["empty", "ok", "unreadable"]


def test_a_prefix_may_be_itself_one_class(folder: Path, upload: Callable[[Path], str]) -> None:
    uri = upload(folder)
    remote = build_manifest([f"{uri}/gunshot", f"{uri}/dog"])
    local = build_manifest([f"{folder}/gunshot", f"{folder}/dog"])
    assert same_rows(remote, local, uri, folder)
    assert set(remote.column("label").to_pylist()) == {0, 1}


def test_one_object_is_an_input(folder: Path, upload: Callable[[Path], str]) -> None:
    uri = upload(folder)
    for name in ("gunshot/a.wav", "dog/q'uo\"te [1] ü.wav"):
        assert same_rows(build_manifest([f"{uri}/{name}"]), build_manifest([f"{folder}/{name}"]), uri, folder)


def test_a_table_in_a_bucket_is_read(folder: Path, upload: Callable[[Path], str]) -> None:
    (folder / "labels.csv").write_text("path,label,start_s,end_s\ndog/two  words.wav,1,0,0.05\ngunshot/a.wav,0,,\n")
    uri = upload(folder)
    remote = build_manifest([uri])
    assert same_rows(remote, build_manifest([str(folder)]), uri, folder)
    assert remote.column("label").to_pylist() == [1, 0]


def test_a_table_on_disk_may_name_objects_by_path_and_by_address(
    folder: Path, upload: Callable[[Path], str], tmp_path: Path
) -> None:
    uri = upload(folder)
    other = f"{uri}-2/elsewhere.wav"  # its address begins like the prefix, and is not below it
    write_bytes(other, (folder / "gunshot/a.wav").read_bytes())
    labels = tmp_path / "labels.csv"
    labels.write_text(f"path,label\ngunshot/a.wav,1\n{uri}/gunshot/far/b.WAV,1\n{other},0\n")
    table = build_manifest([uri], labels=str(labels))
    assert sorted(table.column("uri").to_pylist()) == [other, f"{uri}/gunshot/a.wav", f"{uri}/gunshot/far/b.WAV"]
    assert set(table.column("state").to_pylist()) == {"ok"}


def test_the_bucket_is_listed_once_and_not_asked_for_every_row(
    folder: Path, upload: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "labels.csv").write_text("path,label\n" + "".join(f"{name},1\n" for name in FILES[:3]))
    uri = upload(folder)
    asked: list[str] = []
    info = type(storage.access.filesystem("s3")).info
    monkeypatch.setattr(
        type(storage.access.filesystem("s3")),
        "info",
        lambda self, path, **kw: asked.append(path) or info(self, path, **kw),
    )
    assert build_manifest([uri]).num_rows == 3
    assert asked == []


def test_missing_objects_are_named_by_line(folder: Path, upload: Callable[[Path], str], tmp_path: Path) -> None:
    uri = upload(folder)
    labels = tmp_path / "labels.csv"
    labels.write_text(f"path,label\ngunshot/a.wav,1\ngunshot/no.wav,1\n{uri}-2/no.wav,1\n")
    with pytest.raises(ManifestError, match=rf"2 of 3 rows name files .* below {uri} \(line 3: 'gunshot/no.wav', line"):
        build_manifest([uri], labels=str(labels))


def test_a_store_that_does_not_answer_is_not_taken_for_missing_files(
    folder: Path, upload: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = upload(folder)
    labels = tmp_path / "labels.csv"
    labels.write_text(f"path,label\n{uri}/gunshot/a.wav,1\n")

    def silent(uri: str) -> None:
        raise TransientStorageError(f"cannot look up {uri}: no answer")

    monkeypatch.setattr("gunshot.manifest.sources.stat", silent)
    with pytest.raises(TransientStorageError, match="no answer"):
        build_manifest([], labels=str(labels))


def test_a_prefix_without_sound_is_told(prefix: str) -> None:
    write_bytes(f"{prefix}/notes.txt", b"x")
    with pytest.raises(ManifestError, match=f"no audio in {prefix}: looked for files that end in"):
        build_manifest([prefix])
    with pytest.raises(ManifestError, match="it does not exist; check the address"):
        build_manifest([f"{prefix}/none"])
    with pytest.raises(ManifestError, match=r"label table: cannot read .*labels\.csv: it does not exist"):
        read_labels(f"{prefix}/labels.csv")


def test_a_manifest_changes_with_an_object(folder: Path, upload: Callable[[Path], str]) -> None:
    uri = upload(folder)
    before = build_manifest([uri])
    assert manifest_digest(build_manifest([uri])) == manifest_digest(before)
    sf.write(folder / FILES[0], np.full(800, 0.2), 8000)
    write_bytes(f"{uri}/{FILES[0]}", (folder / FILES[0]).read_bytes())
    after = build_manifest([uri])
    assert after.column("size").equals(before.column("size"))
    assert manifest_digest(after) != manifest_digest(before)


def test_a_manifest_is_kept_in_a_bucket(folder: Path, prefix: str) -> None:
    table = build_manifest([str(folder)])
    write_manifest(table, f"{prefix}/m.parquet", 2)
    assert read_manifest(f"{prefix}/m.parquet").equals(table)
