"""What a sound may have been: a short list that each person edits for themselves.

Conventions
-----------
The list of a person is ``RESULTS/review/classes/<person>.json``, so two people never write one file. Whoever has none
begins with `FIRST_CLASSES`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from gunshot.review.decisions import clean_text, person_name
from gunshot.storage import exists, join, read_bytes, write_bytes

__all__ = ["FIRST_CLASSES", "MOST_CLASSES", "ClassList"]

FIRST_CLASSES = (
    "rifle", "shotgun", "handgun", "automatic fire", "firework", "branch or fruit", "thunder", "rain", "insect",
    "animal", "vehicle", "chopping", "voice", "recorder",
)  # fmt: skip
"""What a list begins with."""

MOST_CLASSES = 40


class ClassList:
    """A person's list.

    Parameters
    ----------
    results : str
        The results that are reviewed.
    who : str
        The person.

    Raises
    ------
    StorageError
        If it cannot be read.
    """

    def __init__(self, results: str, who: str) -> None:
        self._uri = join(results, "review/classes", f"{person_name(who)}.json")
        self.names = _cleaned(json.loads(read_bytes(self._uri))) if exists(self._uri) else list(FIRST_CLASSES)

    def replace(self, names: Sequence[object]) -> list[str]:
        """Write another list.

        Parameters
        ----------
        names : sequence
            As typed; empty ones and repeated ones are left out.

        Returns
        -------
        list of str
            The list as it is now.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        cleaned = _cleaned(names)
        write_bytes(self._uri, json.dumps(cleaned, ensure_ascii=False).encode())
        self.names = cleaned
        return cleaned


def _cleaned(names: Sequence[object]) -> list[str]:
    texts = [clean_text(name, 60) for name in names]
    return list(dict.fromkeys(text for text in texts if text))[:MOST_CLASSES]
