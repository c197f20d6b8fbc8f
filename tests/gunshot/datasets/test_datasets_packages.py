"""Sounds of packages: their names say what they are, doubtful ones are left out, and archives are not trusted."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from gunshot.datasets.packages import DOUBTFUL, GUNSHOTS, PACKAGES, package_rows, unpack_inside
from gunshot.errors import DatasetError


def put(folder: Path, *names: str) -> None:
    """Files below a folder, each of its own content: what is in them is not looked at."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def labels(folder: Path) -> dict[str, int]:
    """Label of each file that has one, by its place in the folder."""
    return {row.path.relative_to(folder).as_posix(): row.label for row in package_rows(folder)}


SHOTS = [
    "ufoai-sound/base/sound/weapons/bullet-rifle/shot.ogg",
    "warmux-data/usr/share/sound/m16.ogg",
    "hedgewars-data/Data/Sounds/minigun.ogg",
    "wesnoth-1.16-data/sounds/thunderstick.ogg",
    "warzone2100-data/base.wz.unpacked/audio/weapons/mgheavy.ogg",
    "nexuiz-data/data.pk3.unpacked/sound/weapons/uzi_fire.wav",
]
OTHERS = [
    "wesnoth-1.16-data/sounds/horse.ogg",
    "hydrogen-drumkits/kit/snare.flac",
    "asterisk-core-sounds-en-wav/hello.WAV",
    "hedgewars-data/Data/Sounds/voices/hmm.mp3",
]
NOTHING = [
    "wesnoth-1.16-data/sounds/cannon.ogg",  # may or may not be a shot
    "wesnoth-1.16-data/sounds/Explosion.ogg",
    "ufoai-sound/base/sound/weapons/plasma.ogg",
    "supertux-data/weapons/hit.wav",
    "supertux-data/README.txt",
    "unheard-of-package/sounds/horse.ogg",
]


def test_names_decide(tmp_path: Path) -> None:
    put(tmp_path, *SHOTS, *OTHERS, *NOTHING)
    assert labels(tmp_path) == dict.fromkeys(SHOTS, 1) | dict.fromkeys(OTHERS, 0)


def test_the_name_of_the_package_is_not_a_name_of_a_sound(tmp_path: Path) -> None:
    """A shot of one game is no name of a shot in another; a folder above the packages says nothing at all."""
    folder = tmp_path / "gunshots and explosions"
    put(folder, "supertux-data/a/minigun.ogg", "supertux-data/a/jump.ogg")
    assert labels(folder) == {"supertux-data/a/jump.ogg": 0}


@pytest.mark.parametrize("name", ["rocket", "Bomb", "gunfire", "tank", "deathcry", "doorblast"])
def test_doubtful_names_are_so_in_any_case(name: str) -> None:
    assert DOUBTFUL.search(f"sounds/{name}.wav")
    assert DOUBTFUL.search(f"sounds/{name.upper()}.wav")
    assert not GUNSHOTS.search(f"supertux-data/sounds/{name}.wav")


def test_rows_say_where_they_are_from(tmp_path: Path) -> None:
    put(tmp_path, SHOTS[0], OTHERS[0])
    shot, other = sorted(package_rows(tmp_path), key=lambda row: -row.label)
    assert shot.source == other.source == "packages"  # one source of many devices
    assert (shot.device, other.device) == ("ufoai-sound", "wesnoth-1.16-data")
    assert (shot.license, other.license) == (PACKAGES["ufoai-sound"], PACKAGES["wesnoth-1.16-data"])
    assert (shot.group, other.group) == (SHOTS[0], OTHERS[0])
    assert (shot.start_s, shot.end_s) == (None, None)


def test_the_same_content_counts_once(tmp_path: Path) -> None:
    put(tmp_path, OTHERS[0])
    for name in ("wesnoth-1.16-data/sounds/copy.ogg", "xmoto-data/another.ogg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((tmp_path / OTHERS[0]).read_bytes())
    assert len(labels(tmp_path)) == 1
    put(tmp_path, "xmoto-data/own.ogg")
    assert len(labels(tmp_path)) == 2


def test_of_many_other_sounds_some_are_taken_and_all_shots(tmp_path: Path) -> None:
    """The same ones again, whatever else the folder holds."""
    shots = [f"wesnoth-1.16-data/sounds/gunshot{i}.ogg" for i in range(3)]
    put(tmp_path, *(f"wesnoth-1.16-data/sounds/horse{i}.ogg" for i in range(450)), *shots)
    found = labels(tmp_path)
    assert sum(found.values()) == 3
    assert len(found) == 403
    put(tmp_path, "hydrogen-drumkits/kit/snare.flac")
    assert labels(tmp_path) == found | {"hydrogen-drumkits/kit/snare.flac": 0}


def test_a_folder_without_a_known_package_is_told_at_once(tmp_path: Path) -> None:
    put(tmp_path, "unheard-of-package/sounds/horse.ogg")
    with pytest.raises(DatasetError, match=r"holds none of the packages ufoai-sound, .*unpack some there"):
        package_rows(tmp_path)


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


class TestUnpackInside:
    def test_archives_are_unpacked_beside_themselves(self, tmp_path: Path) -> None:
        write_zip(tmp_path / "openarena-data" / "pak0.pk3", {"sound/step.wav": b"1"})
        write_zip(tmp_path / "warzone2100-data" / "BASE.WZ", {"audio/mgheavy.ogg": b"2"})
        write_zip(tmp_path / "openarena-data" / "other.zip", {"sound/else.wav": b"3"})
        assert unpack_inside(tmp_path) == []
        assert (tmp_path / "openarena-data/pak0.pk3.unpacked/sound/step.wav").read_bytes() == b"1"
        assert labels(tmp_path) == {
            "openarena-data/pak0.pk3.unpacked/sound/step.wav": 0,
            "warzone2100-data/BASE.WZ.unpacked/audio/mgheavy.ogg": 1,
        }

    def test_once(self, tmp_path: Path) -> None:
        write_zip(tmp_path / "openarena-data" / "pak0.pk3", {"a.wav": b"1"})
        unpack_inside(tmp_path)
        mark = tmp_path / "openarena-data/pak0.pk3.unpacked/a.wav"
        mark.write_bytes(b"mine")
        assert unpack_inside(tmp_path) == []
        assert mark.read_bytes() == b"mine"

    @pytest.mark.parametrize("member", ["../../evil.wav", "/evil.wav", "..\\evil.wav"])
    def test_an_unsafe_archive_is_left_out_and_told(self, tmp_path: Path, member: str) -> None:
        folder = tmp_path / "packages"
        write_zip(folder / "openarena-data" / "bad.pk3", {"good.wav": b"0", member: b"1"})
        write_zip(folder / "openarena-data" / "good.pk3", {"step.wav": b"2"})
        (why,) = unpack_inside(folder)
        assert "must stay inside its folder" in why
        assert "bad.pk3" in why
        assert not list(tmp_path.rglob("*evil*"))
        assert labels(folder) == {"openarena-data/good.pk3.unpacked/step.wav": 0}

    def test_a_damaged_archive_is_left_out_and_told(self, tmp_path: Path) -> None:
        put(tmp_path, "openarena-data/broken.pk3")
        (why,) = unpack_inside(tmp_path)
        assert "broken.pk3 must be a whole zip archive" in why
        assert not (tmp_path / "openarena-data/broken.pk3.unpacked").exists()
