"""All kinds, and a folder with one of each."""

from __future__ import annotations

from pathlib import Path

from tests.zoo.formats import CODINGS, VARIANTS
from tests.zoo.headers import CUT, NUMBERS, SIZES
from tests.zoo.kinds import Kind
from tests.zoo.places import CHANGING, LONG, NAMES, SPECIAL
from tests.zoo.streams import FLACS, MP3S, NO_SOUND, OGGS
from tests.zoo.values import VALUES

GROUPS: dict[str, tuple[Kind, ...]] = {
    "Formats": CODINGS,
    "Variants of formats, and wrong endings": VARIANTS,
    "Samples": VALUES,
    "Headers that are cut": CUT,
    "Sizes in headers": SIZES,
    "Numbers in headers": NUMBERS,
    "FLAC": FLACS,
    "Ogg": OGGS,
    "MP3": MP3S,
    "No sound at all": NO_SOUND,
    "Names": NAMES,
    "Links, folders, pipes, permissions": SPECIAL,
    "Files that change while they are read": CHANGING,
    "Long files": LONG,
}
"""Kinds by what is odd about them."""

ZOO = tuple(kind for kinds in GROUPS.values() for kind in kinds)


def write_zoo(folder: Path, kinds: tuple[Kind, ...] = ZOO, seed: int = 0) -> dict[str, Kind]:
    """Make one of each kind, and say which is at which path below the folder."""
    for kind in kinds:
        kind.write(folder, seed)
    return {f"{kind.name}/{kind.file}": kind for kind in kinds}
