"""All the sounds, and how one of them is drawn.

Conventions: label 1 is a gunshot, 0 is not. Names are those of the label tables: ``gunshot:rifle``,
``balloon pop``. Distances are those at which the sound is plausibly met, drawn evenly on a logarithmic
scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import ParameterError
from gunshot.synthetic import everyday, lookalikes
from gunshot.synthetic.propagation import Air, spreading_gain
from gunshot.synthetic.sources import Arrival, Firing, gunshot

__all__ = ["GUNSHOTS", "OTHERS", "Gunfire", "Other", "Sound", "draw_sound", "sound_names"]

Float32 = NDArray[np.float32]

_GUN_RANGE_M = (20.0, 500.0)
_MUZZLE_HEIGHT_M = 1.5


@dataclass(frozen=True, kw_only=True)
class Gunfire:
    """A kind of gunfire.

    Parameters
    ----------
    weapon : str
        A key of `gunshot.synthetic.sources.WEAPONS`.
    firing : {"single", "series", "burst"}
        How shots follow each other.
    weight : float
        Relative frequency among the gunshots.
    """

    weapon: str
    firing: Firing
    weight: float


@dataclass(frozen=True, kw_only=True)
class Other:
    """A kind of sound that is no gunshot.

    Parameters
    ----------
    make : callable
        ``make(sr, max_s, rng)`` gives the pressure at 1 m.
    range_m : tuple of float
        Nearest and farthest distance [m].
    height_m : float
        Height of the source above the ground [m].
    weight : float
        Relative frequency among these sounds.
    """

    make: Callable[[int, float, np.random.Generator], Float32]
    range_m: tuple[float, float]
    height_m: float
    weight: float


GUNSHOTS: dict[str, Gunfire] = {
    "gunshot:pistol": Gunfire(weapon="pistol", firing="single", weight=4.0),
    "gunshot:revolver": Gunfire(weapon="revolver", firing="single", weight=2.0),
    "gunshot:rifle": Gunfire(weapon="rifle", firing="single", weight=4.0),
    "gunshot:shotgun": Gunfire(weapon="shotgun", firing="single", weight=3.0),
    "gunshot:pistol series": Gunfire(weapon="pistol", firing="series", weight=2.0),
    "gunshot:rifle series": Gunfire(weapon="rifle", firing="series", weight=1.0),
    "gunshot:rifle burst": Gunfire(weapon="rifle", firing="burst", weight=2.0),
    "gunshot:pistol burst": Gunfire(weapon="pistol", firing="burst", weight=1.0),
}
"""The kinds of gunfire by the name of their sound."""

OTHERS: dict[str, Other] = {
    "plastic bag pop": Other(make=lookalikes.plastic_bag_pop, range_m=(2.0, 50.0), height_m=1.2, weight=4.0),
    "balloon pop": Other(make=lookalikes.balloon_pop, range_m=(2.0, 60.0), height_m=1.4, weight=2.0),
    "hand clap": Other(make=lookalikes.hand_clap, range_m=(2.0, 40.0), height_m=1.2, weight=1.5),
    "door slam": Other(make=lookalikes.door_slam, range_m=(4.0, 80.0), height_m=1.0, weight=1.5),
    "hammering wood": Other(
        make=partial(lookalikes.hammering, metal=False), range_m=(5.0, 150.0), height_m=1.0, weight=1.0
    ),
    "hammering metal": Other(
        make=partial(lookalikes.hammering, metal=True), range_m=(5.0, 150.0), height_m=1.0, weight=1.0
    ),
    "firework": Other(make=lookalikes.firework, range_m=(100.0, 600.0), height_m=45.0, weight=1.5),
    "firecrackers": Other(make=lookalikes.firecrackers, range_m=(15.0, 250.0), height_m=0.2, weight=1.5),
    "car backfire": Other(make=lookalikes.car_backfire, range_m=(8.0, 200.0), height_m=0.4, weight=1.0),
    "dog bark": Other(make=everyday.dog_bark, range_m=(4.0, 150.0), height_m=0.5, weight=1.0),
    "bird chirps": Other(make=everyday.bird_chirps, range_m=(3.0, 60.0), height_m=5.0, weight=0.7),
    "car passing": Other(make=everyday.car_passing, range_m=(4.0, 60.0), height_m=0.5, weight=0.7),
    "engine idling": Other(make=everyday.engine_idling, range_m=(4.0, 40.0), height_m=0.4, weight=0.7),
    "siren": Other(make=everyday.siren, range_m=(40.0, 500.0), height_m=1.8, weight=0.7),
    "car horn": Other(make=everyday.car_horn, range_m=(10.0, 200.0), height_m=0.7, weight=0.7),
}
"""The kinds of other sounds by name."""


@dataclass(frozen=True, kw_only=True)
class Sound:
    """One sound as it arrives through ideal air.

    Parameters
    ----------
    name : str
        Name for the label table.
    label : int
        1 for a gunshot, 0 otherwise.
    distance_m : float
        Distance between source and receiver [m].
    height_m : float
        Height of the source [m].
    arrivals : tuple of Arrival
        Pressures from the first wavefront on.
    """

    name: str
    label: int
    distance_m: float
    height_m: float
    arrivals: tuple[Arrival, ...]


def sound_names(label: int) -> tuple[str, ...]:
    """Names of the sounds of one label.

    Parameters
    ----------
    label : int
        1 for the gunshots, 0 for the others.

    Returns
    -------
    tuple of str
        The names.
    """
    return tuple(GUNSHOTS if label else OTHERS)


def draw_sound(
    label: int, *, sr: int, max_s: float, air: Air, rng: np.random.Generator, name: str | None = None
) -> Sound:
    """Draw a sound of a label: its kind, its distance, all about it.

    Parameters
    ----------
    label : int
        1 for a gunshot, 0 for another sound.
    sr : int
        Sample rate [Hz].
    max_s : float
        Longest sound wanted [s]; what comes later is cut.
    air : Air
        State of the air.
    rng : numpy.random.Generator
        Source of all draws.
    name : str or None
        Draw this kind only.

    Returns
    -------
    Sound
        The sound.

    Raises
    ------
    ParameterError
        If no sound of this label has that name.
    """
    names = sound_names(label)
    if name is not None and name not in names:
        raise ParameterError(f"name must be one of {', '.join(names)}; got {name!r}; choose one of them")
    kinds: dict[str, Gunfire] | dict[str, Other] = GUNSHOTS if label else OTHERS
    weights = np.array([kind.weight for kind in kinds.values()])
    drawn = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    name = name or drawn
    if label:
        fire = GUNSHOTS[name]
        distance_m, height_m = _log_uniform(_GUN_RANGE_M, rng), _MUZZLE_HEIGHT_M
        arrivals = gunshot(
            fire.weapon,
            fire.firing,
            sr=sr,
            distance_m=distance_m,
            max_s=max_s,
            temperature_c=air.temperature_c,
            rng=rng,
        )
    else:
        kind = OTHERS[name]
        distance_m, height_m = _log_uniform(kind.range_m, rng), kind.height_m
        y = kind.make(sr, max_s, rng) * np.float32(spreading_gain(distance_m))
        arrivals = (Arrival(y=y, path_m=distance_m),)
    return Sound(name=name, label=label, distance_m=distance_m, height_m=height_m, arrivals=arrivals)


def _log_uniform(range_m: tuple[float, float], rng: np.random.Generator) -> float:
    """Draw evenly on a logarithmic scale."""
    return math.exp(rng.uniform(math.log(range_m[0]), math.log(range_m[1])))
