"""Sounds of free games and instruments, as Linux distributions package them: edited shots, and much that is sharp.

Conventions
-----------
A folder holds unpacked packages, one folder a package, named like it (docs/models.md has the commands). Archives inside
(``.pk3``, ``.wz``: zip) are unpacked beside themselves. What a file is called says what it is: `GUNSHOTS` are
recordings of firearms, edited for a game; names that may or may not be (`DOUBTFUL`: explosions, cannons, impacts) are
left out of both classes; all else is another sound: voices, drums, music, engines, animals, machines.
All are one source, with the package as device; licences are in each package's ``copyright`` file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from gunshot.datasets.labels import LabelRow
from gunshot.datasets.unpack import unpack
from gunshot.errors import DatasetError

__all__ = ["DOUBTFUL", "GUNSHOTS", "PACKAGES", "package_rows", "unpack_inside"]

GUNSHOTS = re.compile(
    r"ufoai.*bullet-(rifle|chaingun|hmg|sniper|shotgun|smg|pistol)|combat-gun|sshotf|machgf|vulcanf"
    r"|warmux.*(m16|shotgun|/gun)\.|scorched.*(machinegun|shotgun)|hedgewars.*/Sounds/(minigun|shotgunfire|gun)\."
    r"|warzone.*(asltmg|mgbar|mgheavy|mgtower)|nexuiz.*(campingrifle_fire|shotgun_fire|uzi_fire)"
    r"|wesnoth.*sounds/(thunderstick|gunshot)"
)
"""Names of shots."""

DOUBTFUL = re.compile(
    r"explo|exp\d?\.|cannon|mortar|can\.ogg|artill|gun|fire|shot|rocket|grenade|mine|bomb|blast|impact|rail|bullet|weapon"
    r"|boom|thunderstick|needler|bolter|gauss|death|blow|crash|tank|missile|howit|bombard|sniper|rifle",
    re.IGNORECASE,
)
"""Names that tell nothing certain."""

PACKAGES: dict[str, str] = {
    "ufoai-sound": "GPL-2+ and CC-BY-SA-3.0",
    "openarena-data": "GPL-2+",
    "openarena-081-misc": "GPL-2+",
    "openarena-085-data": "GPL-2+",
    "openarena-088-data": "GPL-2+",
    "warmux-data": "GPL-2+",
    "scorched3d-data": "GPL-2+",
    "hedgewars-data": "GPL-2",
    "warzone2100-data": "GPL-2+ and CC0",
    "nexuiz-data": "GPL-2+",
    "wesnoth-1.16-data": "GPL-2+",
    "asterisk-core-sounds-en-wav": "CC-BY-SA-3.0",
    "asterisk-core-sounds-fr-wav": "CC-BY-SA-3.0",
    "asterisk-core-sounds-ru-wav": "CC-BY-SA-3.0",
    "asterisk-moh-opsound-wav": "CC-BY-SA-3.0",
    "boswars-data": "GPL-2+",
    "bzflag-data": "GPL-2+",
    "colobot-common-sounds": "GPL-3+",
    "endless-sky-data": "GPL-3+ and CC-BY-SA-4.0",
    "freedroidrpg-data": "GPL-2+",
    "hydrogen-drumkits": "GPL-2 and CC-BY-3.0",
    "lmms-common": "GPL-2+",
    "megaglest-data": "CC-BY-SA-3.0",
    "oxygen-sounds": "LGPL-3+",
    "searchandrescue-data": "GPL-2",
    "sonic-pi-samples": "CC0",
    "starfighter-data": "GPL-2+",
    "supertux-data": "GPL-3+ and CC-BY-SA",
    "tuxpaint-stamps-default": "GPL-2",
    "xmoto-data": "GPL-2+",
}
"""Packages whose sounds are known, and the licence that most of each is under."""

_SOUNDS = {".wav", ".ogg", ".mp3", ".flac"}
_ARCHIVES = {".pk3", ".wz"}
_MOST_BYTES = 2 * 2**30
_OF_A_PACKAGE = 400


def unpack_inside(folder: Path) -> list[str]:
    """Unpack the archives that packages hold, each beside itself and once.

    Parameters
    ----------
    folder : Path
        The unpacked packages.

    Returns
    -------
    list of str
        Why archives were left out: damaged, or with members that would lie outside.
    """
    archives = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _ARCHIVES and path.is_file()]
    left_out = []
    for archive in archives:
        target = archive.with_name(f"{archive.name}.unpacked")
        if not target.exists():
            try:
                unpack(archive, target, kind="zip", limit_bytes=_MOST_BYTES)
            except DatasetError as error:
                left_out.append(str(error))
    return left_out


def package_rows(folder: Path) -> Iterator[LabelRow]:
    """Label the sounds of unpacked packages.

    Parameters
    ----------
    folder : Path
        One folder a package.

    Returns
    -------
    iterator of LabelRow
        A row a file, each content once; of a package with many sounds that are no shots some hundred, chosen by the
        digest of their names.

    Raises
    ------
    DatasetError
        If no known package is there.
    """
    there = [name for name in PACKAGES if (folder / name).is_dir()]
    if not there:
        raise DatasetError(
            f"{folder} holds none of the packages {', '.join(list(PACKAGES)[:4])}, ...; unpack some there "
            "(docs/models.md)"
        )
    return _rows_of_packages(folder, there)


def _rows_of_packages(folder: Path, names: list[str]) -> Iterator[LabelRow]:
    seen: set[bytes] = set()
    for name in names:
        rows = [row for row in _rows(folder / name, name) if not _is_repeated(row.path, seen)]
        others = sorted((row for row in rows if row.label == 0), key=_rank)
        yield from (row for row in rows if row.label == 1)
        yield from others[:_OF_A_PACKAGE]


def _is_repeated(path: Path, seen: set[bytes]) -> bool:
    digest = hashlib.sha256(path.read_bytes()).digest()
    if digest in seen:
        return True
    seen.add(digest)
    return False


def _rank(row: LabelRow) -> bytes:
    return hashlib.sha256(row.group.encode()).digest()


def _rows(folder: Path, package: str) -> Iterator[LabelRow]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in _SOUNDS or not path.is_file():
            continue
        inside = path.relative_to(folder).as_posix()
        is_gunshot = GUNSHOTS.search(f"{package}/{inside}") is not None
        if is_gunshot or not DOUBTFUL.search(inside):
            yield LabelRow(
                path=path,
                label=int(is_gunshot),
                sound="gunshot effect" if is_gunshot else "other sound of a game or instrument",
                source="packages",
                device=package,
                group=f"{package}/{inside}",
                license=PACKAGES[package],
            )
