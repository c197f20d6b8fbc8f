"""Scenes and conditions: all that surrounds a sound, drawn before anyone knows what the sound is.

Conventions: a scene is a place with its recorder, its weather, its background and its file format; a clip's
conditions are its length, where the sound starts in it, how loud it is against the background and on the
scale of the recorder, and what stands in the way. Both are pure functions of the seed and an index, never
of the label: the gunshot and the other sound of one index share them exactly, so that nothing but the
sound itself can tell the two apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gunshot.synthetic.audiofiles import AudioFormat
from gunshot.synthetic.backgrounds import BACKGROUNDS
from gunshot.synthetic.catalogue import Sound
from gunshot.synthetic.places import PLACES, received
from gunshot.synthetic.propagation import Air, Path, speed_of_sound
from gunshot.synthetic.recorders import RECORDERS

__all__ = ["LEAD_S", "Conditions", "Scene", "draw_conditions", "draw_scene", "heard", "seeded"]

Float32 = NDArray[np.float32]

LEAD_S = 0.004
"""Room before the first wavefront for what band-limiting smears ahead of it [s]."""

# first words of the keys under which generators are derived from the seed
_SCENE, _FORMATS, _CONDITIONS = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A place with its recorder.

    Parameters
    ----------
    name : str
        Name, the group in the label table.
    place, recorder, background : str
        Keys of `PLACES`, `RECORDERS` and a kind of `BACKGROUNDS`.
    air : Air
        The weather.
    receiver_height_m : float
        Height of the microphone [m].
    spacing_m : float
        Distance between the two microphones of a stereo recorder [m].
    format : AudioFormat
        What the recorder writes.
    """

    name: str
    place: str
    recorder: str
    background: str
    air: Air
    receiver_height_m: float
    spacing_m: float
    format: AudioFormat


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What holds for one clip.

    Parameters
    ----------
    duration_s : float
        Length of the file [s].
    start_s : float
        First wavefront in the file [s].
    snr_db : float
        Peak of the sound over the RMS of the background, behind the recorder's filters [dB].
    peak_dbfs : float
        Peak of the sound before saturation [dB re full scale]; above 0 it saturates.
    detour_m : float
        Detour around an obstacle, 0 where there is none [m].
    bearing_rad : float
        Direction of the sound against the axis of the two microphones [rad].
    """

    duration_s: float
    start_s: float
    snr_db: float
    peak_dbfs: float
    detour_m: float
    bearing_rad: float


def seeded(seed: int, *key: int) -> np.random.Generator:
    """Make a generator of its own for one purpose.

    Parameters
    ----------
    seed : int
        Seed of the whole, 0 or more.
    *key : int
        What the generator is for; another key, another independent stream.

    Returns
    -------
    numpy.random.Generator
        The generator.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def draw_scene(seed: int, index: int, formats: Sequence[AudioFormat]) -> Scene:
    """Draw a scene.

    Parameters
    ----------
    seed : int
        Seed of the whole, 0 or more.
    index : int
        Number of the scene.
    formats : sequence of AudioFormat
        File formats; scenes deal them out in an order drawn from the seed, so that as many scenes as
        formats use every one.

    Returns
    -------
    Scene
        The scene.
    """
    rng = seeded(seed, _SCENE, index)
    order = seeded(seed, _FORMATS).permutation(len(formats))
    return Scene(
        name=f"scene{index:03d}",
        place=str(rng.choice(list(PLACES))),
        recorder=str(rng.choice(list(RECORDERS))),
        background=str(rng.choice(BACKGROUNDS)),
        air=Air(
            temperature_c=float(rng.uniform(-5.0, 32.0)),
            humidity_percent=float(rng.uniform(25.0, 95.0)),
            pressure_kpa=float(rng.uniform(93.0, 103.0)),
        ),
        receiver_height_m=float(rng.uniform(1.2, 5.0)),
        spacing_m=float(rng.uniform(0.02, 0.2)),
        format=formats[int(order[index % len(formats)])],
    )


def draw_conditions(seed: int, index: int, scene: Scene) -> Conditions:
    """Draw the conditions of a clip.

    Parameters
    ----------
    seed : int
        Seed of the whole, 0 or more.
    index : int
        Number of the clip within its class.
    scene : Scene
        Its scene; the place tells how often an obstacle stands in the way.

    Returns
    -------
    Conditions
        The conditions: 1 to 2 s, the sound from 0.2 to 0.6 s on, 18 to 42 dB above the background, one
        in eight of the louder ones saturated.
    """
    rng = seeded(seed, _CONDITIONS, index)
    snr_db = float(rng.uniform(18.0, 42.0))
    saturated = rng.random() < 0.125 and snr_db > 24.0
    screened = rng.random() < PLACES[scene.place].screened
    return Conditions(
        duration_s=float(rng.uniform(1.0, 2.0)),
        start_s=float(rng.uniform(0.2, 0.6)),
        snr_db=snr_db,
        peak_dbfs=float(rng.uniform(1.0, 10.0) if saturated else rng.uniform(-26.0, -3.0)),
        detour_m=float(math.exp(rng.uniform(math.log(0.02), math.log(0.6)))) if screened else 0.0,
        bearing_rad=float(rng.uniform(0.0, math.pi)),
    )


def heard(
    sound: Sound,
    scene: Scene,
    *,
    detour_m: float,
    bearing_rad: float,
    n_samples: int,
    sr: int,
    n_channels: int,
    rng: np.random.Generator,
) -> Float32:
    """Give a sound at the microphones of a scene, before the recorder.

    Parameters
    ----------
    sound : Sound
        The sound.
    scene : Scene
        The scene.
    detour_m, bearing_rad : float
        As in `Conditions`.
    n_samples : int
        Length wanted [samples]; the first wavefront arrives `LEAD_S` after its start.
    sr : int
        Sample rate [Hz].
    n_channels : int
        1 or 2 microphones.
    rng : numpy.random.Generator
        Source of all draws.

    Returns
    -------
    ndarray of shape (n_samples, n_channels), float32
        Pressure [Pa].
    """
    place = PLACES[scene.place]
    path = Path(
        length_m=sound.distance_m,
        source_height_m=sound.height_m,
        receiver_height_m=scene.receiver_height_m,
        flow_resistivity=place.flow_resistivity,
        detour_m=detour_m,
    )
    between_s = scene.spacing_m * abs(math.cos(bearing_rad)) / speed_of_sound(scene.air.temperature_c)
    return received(
        sound.arrivals,
        path,
        scene.air,
        place,
        sr=sr,
        n_samples=n_samples,
        lead_samples=round(LEAD_S * sr),
        spacing_s=(0.0, between_s)[:n_channels],
        rng=rng,
    )
