"""Names of what is written: from the recordings' paths, and safe below any folder.

Conventions
-----------
Folders of the archive are mirrored, so ``a/x.wav`` and ``b/x.wav`` do not meet. What a file system or a person may not
take as it is (parent folders, separators, line feeds, marks that turn the writing, names of devices, 250 characters)
is replaced; a name that was changed so ends with a digest of the recording, and so do names that would meet
on a disk that tells no capitals from small letters. Names depend on the results alone, not on the filters.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable

from gunshot.audio.probe import AUDIO_SUFFIXES
from gunshot.export.selection import Key

__all__ = ["RESERVED", "names_of"]

RESERVED = frozenset({"export.json", "index.csv"})
"""What an export writes beside the recordings' files."""

_UNSAFE = frozenset('<>:"/\\|?*')  # Windows takes none of them
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10))})
_LONGEST_PART_BYTES = 120  # a name may have 255, some of them the ending's
_LONGEST_BYTES = 600
_DIGEST_CHARACTERS = 12


def names_of(recordings: Iterable[Key], ending: str) -> dict[Key, str]:
    """A name for what is written of each recording.

    Parameters
    ----------
    recordings : iterable of tuple of (str, str)
        Path and URI of all recordings of the results.
    ending : str
        What follows the name, such as ``.txt``.

    Returns
    -------
    dict
        Relative path without the ending, by recording; unique, also where capitals do not count.

    Examples
    --------
    >>> names_of([("a/x.wav", "/r/a/x.wav"), ("b/x.wav", "/r/b/x.wav")], ".txt").values()
    dict_values(['a/x', 'b/x'])
    >>> names_of([("../../etc/passwd", "/etc/passwd")], ".txt").values()
    dict_values(['etc/passwd-a0261b749b2f'])
    """
    wanted = sorted(set(recordings))
    first = {key: _name(key) for key in wanted}
    meets = Counter(_folded(name + ending) for name in first.values())
    folders = {_folded(folder) for name in first.values() for folder in _parents(name)}
    names: dict[Key, str] = {}
    for key, name in first.items():
        folded = _folded(name + ending)
        names[key] = _marked(name, key) if meets[folded] > 1 or folded in folders else name
    return names


def _name(key: Key) -> str:
    path = key[0]
    parts = [part for part in path.split("/") if part not in {"", ".", ".."}]
    parts = [unicodedata.normalize("NFC", part) for part in parts]
    if parts:  # the recording's own ending goes: one looks for x.txt beside x.wav
        stem, dot, suffix = parts[-1].rpartition(".")
        parts[-1] = stem if stem and f"{dot}{suffix}".lower() in AUDIO_SUFFIXES else parts[-1]
    safe = [_safe(part) for part in parts] or ["recording"]
    if safe[0].casefold() in RESERVED:
        safe[0] = f"_{safe[0]}"
    changed = safe != parts or len(parts) != path.count("/") + 1
    if len("/".join(safe).encode()) > _LONGEST_BYTES:
        safe, changed = safe[-1:], True
    name = "/".join(safe)
    return _marked(name, key) if changed else name


def _safe(part: str) -> str:
    """One folder or file name that every file system takes."""
    text = "".join("_" if _is_unsafe(char) else char for char in part)
    text = text.encode()[:_LONGEST_PART_BYTES].decode(errors="ignore").rstrip(" .")
    if not text or text[0] in ".- ~" or text.partition(".")[0].rstrip().casefold() in _DEVICES:
        text = f"_{text.lstrip(' ')}"
    return text


def _is_unsafe(char: str) -> bool:
    """Whether it separates, is not seen, or changes how the rest is read."""
    return char in _UNSAFE or (char != " " and unicodedata.category(char)[0] in "CZ")


def _marked(name: str, key: Key) -> str:
    digest = hashlib.sha256(repr(key).encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{name}-{digest}"


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
