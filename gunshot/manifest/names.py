"""What file and folder names say.

Conventions
-----------
Names of published collections carry the recording a clip was cut from; clips of one recording belong to one group,
so that they are never split between training and test. A name that follows no known rule is a group of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["GUNSHOT_FOLDERS", "NameFacts", "is_gunshot_folder", "name_facts"]

GUNSHOT_FOLDERS = frozenset({"gunshot", "gunshots", "gun_shot", "gun_shots", "gun", "shot", "shots", "1"})
"""Folder names that mean the class 1; case, spaces and hyphens do not matter."""


@dataclass(frozen=True, slots=True)
class NameFacts:
    """What a file's name says.

    Attributes
    ----------
    group : str
        The recording or session that the clip was cut from.
    device : str
        Recorder, or ``""``.
    """

    group: str
    device: str = ""


_RULES: tuple[re.Pattern[str], ...] = (
    # NIJ 2016-DN-BX-0183, as in the paper's table: device, recording, shot: IP_162A_S01
    re.compile(r"(?P<device>[A-Z]{2})_(?P<group>\d{3}[A-Z]?)_S\d{2}"),
    # ESC-50: fold, freesound id, take, class: 1-100032-A-0
    re.compile(r"\d-(?P<group>\d+)-[A-Z](-\d+)?"),
    # UrbanSound8K: freesound id, class, occurrence, slice: 50901-0-0-0
    re.compile(r"(?P<group>\d+)-\d+-\d+-\d+"),
)


def name_facts(stem: str) -> NameFacts:
    """Read a file's name.

    Parameters
    ----------
    stem : str
        The name without folder and ending.

    Returns
    -------
    NameFacts
        Group and device; the whole stem is the group where no rule fits.

    Examples
    --------
    >>> name_facts("IP_162A_S01")
    NameFacts(group='162A', device='IP')
    >>> name_facts("50004060500").group
    '50004060500'
    """
    for rule in _RULES:
        match = rule.fullmatch(stem)
        if match:
            facts = match.groupdict()
            return NameFacts(facts["group"], facts.get("device") or "")
    return NameFacts(stem)


@lru_cache(maxsize=1024)
def is_gunshot_folder(name: str) -> bool:
    """Whether a folder's name says that it holds gunshots.

    Parameters
    ----------
    name : str
        The folder's own name, without its parents.

    Returns
    -------
    bool
        True for the names in `GUNSHOT_FOLDERS`.

    Examples
    --------
    >>> is_gunshot_folder("Gun-Shot"), is_gunshot_folder("plastic bag pops")
    (True, False)
    """
    return re.sub(r"[\s-]+", "_", name.strip().lower()) in GUNSHOT_FOLDERS
