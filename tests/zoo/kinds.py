"""What a kind of file is, and what must become of it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

Make = Callable[[Path, np.random.Generator], None]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    name : str
        What it is; the folder of its own that it is made in.
    file : str
        The file below that folder, which becomes the row.
    made : str
        How it is made, for a reader.
    make : callable
        Makes it at a path, with the help of a generator; its folder is there.
    state : str
        State of its row in a store and in the ledger, or ``not listed``.
    reason : str
        Part of the reason given there; empty where there is none.
    decided : {"listing", "header", "samples"}
        Whether listing the folder, reading the header or decoding tells. Before that the row is ``ok``.
    scored : str, optional
        State in the ledger where that is another: scoring needs no clip.
    later : callable, optional
        What happens to the file after it was listed and before it is decoded.
    for_user : bool
        Whether it is only so for somebody who is not root.
    read_s : float or None
        How much of it can be read [s]; None where nobody can say beforehand.
    """

    name: str
    file: str
    made: str
    make: Make
    state: Literal["ok", "short", "empty", "silent", "unreadable", "not listed"] = "ok"
    reason: str = ""
    decided: Literal["listing", "header", "samples"] = "samples"
    scored: Literal["ok", "silent"] | None = None
    later: Callable[[Path], None] | None = None
    for_user: bool = False
    read_s: float | None = None

    def write(self, folder: Path, seed: int = 0) -> Path:
        """Make the file in a folder of its own below `folder`; the seed and the name alone decide its bytes."""
        path = folder / self.name / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        self.make(path, np.random.default_rng([seed, zlib.crc32(self.name.encode())]))
        return path


def content(make: Callable[[np.random.Generator], bytes]) -> Make:
    """A maker of files that are nothing but bytes."""

    def write(path: Path, rng: np.random.Generator) -> None:
        path.write_bytes(make(rng))

    return write
