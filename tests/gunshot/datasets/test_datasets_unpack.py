"""Unpacking: what is refused, what is bounded, and that the target appears wholly or not at all."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gunshot.datasets.unpack import require_space, unpack
from gunshot.errors import DatasetError, ParameterError

LIMIT = 1 << 20


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def _tar(path: Path, members: dict[str, bytes], mode: str = "w:gz", extra: tarfile.TarInfo | None = None) -> Path:
    with tarfile.open(path, mode) as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o6777
            file.addfile(info, io.BytesIO(content))
        if extra is not None:
            file.addfile(extra)
    return path


def _assert_nothing_left(folder: Path) -> None:
    assert not (folder / "files").exists()
    assert not (folder / ".files.partial").exists()


MEMBERS = {"set/meta/table.csv": b"a,b\n", "set/audio/1.wav": b"\x00\x01" * 700, "set/audio/2.wav": b""}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
def test_regular_files_come_out_as_they_went_in(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / f"set.{kind}"
    if kind == "zip":
        _zip(archive, {"set/": b"", **MEMBERS})
    else:
        folder = tarfile.TarInfo("set/empty")
        folder.type = tarfile.DIRTYPE
        _tar(archive, MEMBERS, f"w:{kind.removeprefix('tar').removeprefix('.')}", folder)
    target = tmp_path / "files"
    written = unpack(archive, target, kind="zip" if kind == "zip" else "tar", limit_bytes=LIMIT)
    assert {name: (target / name).read_bytes() for name in MEMBERS} == MEMBERS
    assert written == sum(map(len, MEMBERS.values()))
    assert not (tmp_path / ".files.partial").exists()
    # no set-uid bit or other mode of the archive is taken over
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o7022 for path in target.rglob("*.wav"))


@pytest.mark.parametrize(
    "name",
    [
        "../evil.wav",
        "set/../../evil.wav",
        "/tmp/evil.wav",
        "C:/evil.wav",
        "C:evil.wav",
        "..\\evil.wav",
        "\\\\h\\e",
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_member_that_would_leave_the_target_refuses_the_archive(tmp_path: Path, name: str, kind: str) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    members = {"set/ok.wav": b"x", name: b"evil"}
    archive = folder / "set.archive"
    _zip(archive, members) if kind == "zip" else _tar(archive, members)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match="must stay inside its folder"):
        unpack(archive, folder / "files", kind=kind, limit_bytes=LIMIT)
    _assert_nothing_left(folder)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_of_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("set/link")
    info.type = kind
    info.linkname = "ok.wav"
    archive = _tar(tmp_path / "set.tar.gz", {"set/ok.wav": b"x"}, extra=info)
    with pytest.raises(DatasetError, match=r"'set/link' \(a link or device\)"):
        unpack(archive, tmp_path / "files", kind="tar", limit_bytes=LIMIT)
    _assert_nothing_left(tmp_path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_of_a_zip_are_refused(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("set/link")
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(DatasetError, match=r"'set/link' \(a link or device\)"):
        unpack(archive, tmp_path / "files", kind="zip", limit_bytes=LIMIT)
    _assert_nothing_left(tmp_path)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_bomb_is_stopped_at_the_limit(tmp_path: Path, kind: str) -> None:
    members = {f"set/{i}.wav": b"\0" * (LIMIT // 3) for i in range(5)}
    archive = tmp_path / "bomb"
    _zip(archive, members) if kind == "zip" else _tar(archive, members)
    assert archive.stat().st_size < LIMIT // 50
    # a zip says beforehand what it holds
    got = str(5 * (LIMIT // 3)) if kind == "zip" else r"\d+"
    with pytest.raises(DatasetError, match=f"must unpack to at most {LIMIT} bytes; got {got} or more"):
        unpack(archive, tmp_path / "files", kind=kind, limit_bytes=LIMIT)
    _assert_nothing_left(tmp_path)


def test_the_limit_holds_whatever_a_zip_declares(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "lie.zip", {"set/1.wav": b"\0" * LIMIT})
    raw = archive.read_bytes()
    declared = LIMIT.to_bytes(4, "little")
    assert raw.count(declared) == 2  # local header and central directory
    archive.write_bytes(raw.replace(declared, (10).to_bytes(4, "little")))
    with pytest.raises(DatasetError):
        unpack(archive, tmp_path / "files", kind="zip", limit_bytes=LIMIT // 2)
    _assert_nothing_left(tmp_path)


@pytest.mark.parametrize(("kind", "mode"), [("zip", ""), ("tar", "w:gz"), ("tar", "w:bz2"), ("tar", "w:xz")])
def test_a_damaged_archive_is_named_as_such(tmp_path: Path, kind: str, mode: str) -> None:
    archive = tmp_path / "set.archive"
    rng = np.random.default_rng(0)
    noise = {f"set/{i}.wav": rng.bytes(5000) for i in range(4)}
    _zip(archive, noise) if kind == "zip" else _tar(archive, noise, mode)
    whole = archive.read_bytes()
    half = len(whole) // 2
    for damaged in (
        whole[:half],
        b"<html>not an archive</html>",
        b"",
        whole[:half] + bytes(300) + whole[half + 300 :],
        whole[:-30],
    ):
        archive.write_bytes(damaged)
        with pytest.raises(DatasetError, match=f"must be a whole {kind} archive"):
            unpack(archive, tmp_path / "files", kind=kind, limit_bytes=LIMIT)
        _assert_nothing_left(tmp_path)


def test_a_broken_header_is_not_taken_for_the_end_of_a_tar(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "set.tar", {f"set/{i}.wav": bytes([i]) * 512 for i in range(1, 5)}, "w")
    whole = archive.read_bytes()
    for damaged in (whole[:2048] + b"x" * 512 + whole[2560:], whole[:2048], whole[:2100]):
        archive.write_bytes(damaged)
        with pytest.raises(DatasetError, match="must be a whole tar archive"):
            unpack(archive, tmp_path / "files", kind="tar", limit_bytes=LIMIT)
        _assert_nothing_left(tmp_path)


def test_a_bomb_behind_the_members_is_stopped_too(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "set.tar", {"set/1.wav": b"x"}, "w")
    archive.write_bytes(gzip.compress(archive.read_bytes() + bytes(2 * LIMIT)))
    with pytest.raises(DatasetError, match="must unpack to at most"):
        unpack(archive, tmp_path / "files", kind="tar", limit_bytes=LIMIT)
    _assert_nothing_left(tmp_path)


def test_what_a_killed_call_left_is_replaced(tmp_path: Path) -> None:
    left = tmp_path / ".files.partial" / "set"
    left.mkdir(parents=True)
    (left / "half.wav").write_bytes(b"half")
    unpack(_zip(tmp_path / "set.zip", MEMBERS), tmp_path / "files", kind="zip", limit_bytes=LIMIT)
    assert not (tmp_path / "files" / "set" / "half.wav").exists()
    assert not left.exists()


def test_an_existing_target_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    with pytest.raises(ParameterError, match="target must not exist"):
        unpack(_zip(tmp_path / "set.zip", MEMBERS), tmp_path / "files", kind="zip", limit_bytes=LIMIT)
    assert list((tmp_path / "files").iterdir()) == []


def test_room_on_the_disk_is_asked_for_in_gigabytes(tmp_path: Path) -> None:
    require_space(tmp_path, 0, "nothing")
    with pytest.raises(DatasetError, match=r"the set needs 1000000000\.00 GB free at .*; got \d+\.\d\d GB; free some"):
        require_space(tmp_path, 10**18, "the set")
