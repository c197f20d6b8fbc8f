"""Names from outside, in buckets and in archives, cannot make a file outside the folder that was asked for."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gunshot.datasets.unpack import ArchiveKind, unpack
from gunshot.errors import DatasetError
from gunshot.export.names import names_of

PARTS = st.sampled_from(
    ["..", ".", "", "a", "b.wav", "C:", "\\", "..\\..", "con", "~", "-rf", "\n", "\u202e", "<script>"]
)
KEYS = st.builds(
    lambda start, parts, between: start + between.join(parts),
    st.sampled_from(["", "/", "//", "../", "..\\", "s3://", "C:\\", "\\\\host\\share\\"]),
    st.lists(st.one_of(PARTS, st.text(max_size=8)), min_size=1, max_size=6),
    st.sampled_from(["/", "\\"]),
)
HOSTILE = ["../../etc/passwd", "/etc/passwd", "..\\..\\x.wav", "C:\\x.wav", "a/../../../x.wav", "a/\x00/../x"]


@given(st.lists(KEYS, min_size=1, max_size=5, unique=True))
@example(HOSTILE)
def test_names_of_exports_stay_below_their_folder(keys: list[str]) -> None:
    names = names_of([(key, key) for key in keys], ".txt")
    for name in names.values():
        written = Path(os.path.normpath(f"/archive/out/{name}.txt"))
        assert written.is_relative_to("/archive/out")
        assert written != Path("/archive/out")
        assert not {"\\", "\n", "\0", "\u202e", ":", "<"} & set(name)
    assert len({name.casefold() for name in names.values()}) == len(set(keys))


def tar_of(name: str) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT) as file:
        info = tarfile.TarInfo(name)
        info.size = 1
        file.addfile(info, io.BytesIO(b"x"))
    return held.getvalue()


def zip_of(name: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        info = zipfile.ZipInfo("x")
        info.filename = name  # as it is: the class would correct it
        file.writestr(info, b"x")
    return held.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar"])
@given(name=KEYS.filter(lambda name: name and name.isprintable() and len(name.encode()) < 200))
@example(name="../../evil.wav")
@example(name="/evil.wav")
@example(name="..\\..\\evil.wav")
def test_members_of_archives_are_below_the_target_or_refuse_the_archive(kind: ArchiveKind, name: str) -> None:
    with TemporaryDirectory() as place:
        top = Path(place)
        inner = top / "one" / "two" / "three"
        inner.mkdir(parents=True)
        archive = inner / "archive"
        archive.write_bytes(zip_of(name) if kind == "zip" else tar_of(name))
        try:
            unpack(archive, inner / "set", kind=kind, limit_bytes=1000)
        except DatasetError:
            assert not (inner / "set").exists()
        outside = {path for path in top.rglob("*") if path.is_file() and not path.is_relative_to(inner / "set")}
        assert outside == {archive}


@pytest.mark.parametrize("name", [name for name in HOSTILE if "\0" not in name])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_hostile_members_refuse_the_whole_archive(kind: ArchiveKind, name: str, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(zip_of(name) if kind == "zip" else tar_of(name))
    with pytest.raises(DatasetError, match="nothing was unpacked"):
        unpack(archive, tmp_path / "set", kind=kind, limit_bytes=1000)


def test_a_member_without_a_name_refuses_the_whole_archive(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x", b"x")
        file.filelist[0].filename = ""
    with pytest.raises(DatasetError, match="no name"):
        unpack(archive, tmp_path / "set", kind="zip", limit_bytes=1000)
