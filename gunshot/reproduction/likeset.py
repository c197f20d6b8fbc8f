"""Which rows of a store stand for the paper's two sets.

Conventions
-----------
*As published*: the store holds recordings named as the paper's table shows them, ``IP_162A_S01.wav`` with label 1 (NIJ
2016-DN-BX-0183: device, recording, shot) and ``50001010800.wav`` with label 0 (the plastic-bag pops). *Like set*: any
other store; live fire against sharp impulses and other sounds, drawn by seed. A like set is not the paper's data, and
every output says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import TrainingError
from gunshot.reproduction.paper import N_GUNSHOTS, N_OTHERS
from gunshot.store.read import FeatureStore

__all__ = ["Drawn", "draw_rows"]

LIVE_FIRE = "livefire"
SHARP_IMPULSES = ("free-firearm-sfx", "minetest-sounds")
"""Sources of sharp impulses, the nearest to a bag's pop; all of them are drawn before any other sound."""

HELD_OUT = ("urbansound8k",)
"""Sources that are kept for figures on unseen recorders; drawn last."""

_NIJ = re.compile(r"[A-Z]{2}_\d{3}[A-Z]?_S\d{2}")
_BAG_POP = re.compile(r"\d{9,12}")
_FEWEST = 3  # of each class: below, no split has both classes on both sides


@dataclass(frozen=True, slots=True)
class Drawn:
    """The rows of one reproduction.

    Attributes
    ----------
    rows : ndarray of shape (n,), intp
        Numbers of the rows in the store, increasing.
    label : ndarray of shape (n,), int8
        1 gunshot, 0 other.
    group, path, source : tuple of str
        Of each row.
    kind : {"published", "like"}
        Whether these are the paper's sets or stand for them.
    """

    rows: NDArray[np.intp]
    label: NDArray[np.int8]
    group: tuple[str, ...]
    path: tuple[str, ...]
    source: tuple[str, ...]
    kind: Literal["published", "like"]

    def as_dict(self) -> dict[str, Any]:
        """Counts, as JSON takes them.

        Returns
        -------
        dict
            Rows and groups of each class, and rows of each class by source.
        """
        classes = {}
        for name, value in (("gunshots", 1), ("others", 0)):
            where = np.flatnonzero(self.label == value)
            classes[name] = {
                "n": int(where.size),
                "n_groups": len({self.group[index] for index in where}),
                "sources": dict(sorted(Counter(self.source[index] for index in where).items())),
            }
        return {"kind": self.kind, **classes}


def draw_rows(store: FeatureStore, seed: int) -> Drawn:
    """Draw what stands for the paper's 615 gunshots and 612 bag pops.

    Parameters
    ----------
    store : FeatureStore
        The committed store.
    seed : int
        Of the draw.

    Returns
    -------
    Drawn
        At most 615 and 612 rows; both classes in the paper's proportion where a store has fewer.

    Raises
    ------
    TrainingError
        If a class has fewer than three usable rows.
    """
    usable = store.usable
    table = store.rows.take(usable)
    columns = {name: table.column(name).to_pylist() for name in ("label", "group", "path", "source")}
    label = np.asarray([-1 if value is None else value for value in columns["label"]], dtype=np.int8)
    published = _published(columns["path"], label)
    is_published = all(np.sum(published & (label == value)) >= _FEWEST for value in (0, 1))
    tiers = _published_tiers(published, label) if is_published else _like_tiers(columns["source"], label)
    fewest = min(int(np.sum(label == value)) for value in (0, 1))
    if fewest < _FEWEST:
        raise TrainingError(
            f"{store.header.uri}: a reproduction needs {_FEWEST} labelled gunshots and {_FEWEST} other sounds; one "
            f"class has {fewest}; preprocess more recordings with their labels"
        )
    available = {value: sum(tier.size for tier in tiers[value]) for value in (0, 1)}
    part = min(1.0, available[1] / N_GUNSHOTS, available[0] / N_OTHERS)
    rng = np.random.default_rng(seed)
    picked = [_first(tiers[value], round(part * whole), rng) for value, whole in ((1, N_GUNSHOTS), (0, N_OTHERS))]
    index = np.sort(np.concatenate(picked))
    group, path, source = (tuple(columns[name][i] for i in index) for name in ("group", "path", "source"))
    return Drawn(usable[index], label[index], group, path, source, "published" if is_published else "like")


def _published(path: Sequence[str], label: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Rows whose names are those of the paper's table."""
    rules = {1: _NIJ, 0: _BAG_POP}
    stems = (PurePosixPath(name).stem for name in path)
    return np.asarray(
        [value in rules and rules[value].fullmatch(stem) is not None for stem, value in zip(stems, label, strict=True)],
        dtype=bool,
    )


def _published_tiers(published: NDArray[np.bool_], label: NDArray[np.int8]) -> dict[int, list[NDArray[np.intp]]]:
    return {value: [np.flatnonzero(published & (label == value))] for value in (0, 1)}


def _like_tiers(source: Sequence[str], label: NDArray[np.int8]) -> dict[int, list[NDArray[np.intp]]]:
    """Rows of each class, those to be drawn first in front."""
    names = np.asarray(source, dtype=str)
    live, sharp, held = names == LIVE_FIRE, np.isin(names, SHARP_IMPULSES), np.isin(names, HELD_OUT)
    shot, other = label == 1, label == 0
    # one source a class, as in the paper: background of the gunshots' own sensors is not an other sound here
    others = [other & sharp, other & ~sharp & ~live & ~held, other & held]
    gunshots = [shot & live] if (shot & live).any() else [shot]
    if not np.any(np.logical_or.reduce(others)):
        others = [other]
    return {1: [np.flatnonzero(rows) for rows in gunshots], 0: [np.flatnonzero(rows) for rows in others]}


def _first(tiers: Sequence[NDArray[np.intp]], n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The first `n` rows of the shuffled tiers, one tier after the other."""
    return np.concatenate([rng.permutation(tier) for tier in tiers])[:n]
