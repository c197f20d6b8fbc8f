"""A corpus of labelled clips.

Conventions: clips of 1 to 2 s in folders ``gunshot/`` and ``other/``, named by their scene and their number
within their class; `labels.csv` beside them with a row a clip. Everything is a pure function of the seed.
A clip depends on the seed, its class and its number only, so a larger corpus of the same seed and number
of groups contains the smaller one. Clip `i` of either class shares its scene and conditions with clip `i`
of the other: length, position, levels, background, device and format are the same for both classes.

Clips are computed at the rate of their own file: the formulas are in seconds and Hz, so no resampler
leaves its mark on some files, and the low rates, which real sensors use most, cost least.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gunshot.errors import ParameterError
from gunshot.progress import steps
from gunshot.synthetic.audiofiles import DEFAULT_FORMATS, AudioFormat, write_audio, write_readme
from gunshot.synthetic.backgrounds import Background
from gunshot.synthetic.catalogue import draw_sound
from gunshot.synthetic.recorders import RECORDERS, digitised, sections, through
from gunshot.synthetic.scenes import LEAD_S, Conditions, Scene, draw_conditions, draw_scene, heard, seeded

__all__ = ["COLUMNS", "LICENSE", "SOURCE", "clip", "write_corpus"]

Float32 = NDArray[np.float32]

COLUMNS = ("path", "start_s", "end_s", "label", "sound", "source", "group", "device", "license")
"""Columns of labels.csv; empty start_s and end_s: the row is the whole file."""
LICENSE = "CC0 1.0 (synthetic)"
"""License of all synthetic sounds."""
SOURCE = "synthetic"
"""Their source in label tables and stores."""

_CLIP = 10  # first word of the keys of clips; the next ones are the label and the number


def write_corpus(
    out: Path,
    *,
    n_gunshots: int,
    n_others: int,
    seed: int = 0,
    n_groups: int = 20,
    formats: Sequence[AudioFormat] | None = None,
) -> Path:
    """Write clips and their label table.

    Parameters
    ----------
    out : Path
        Folder to write into; made if it does not exist.
    n_gunshots, n_others : int
        Number of clips of each class; at least one clip in all.
    seed : int
        Seed, 0 or more.
    n_groups : int
        Number of scenes; fewer if a class has fewer clips, so that each group holds both classes.
    formats : sequence of AudioFormat, optional
        File formats, dealt out to the scenes; by default `DEFAULT_FORMATS`.

    Returns
    -------
    Path
        The label table, ``out / "labels.csv"``.

    Raises
    ------
    ParameterError
        If a number is negative, there is nothing to write, or there is no format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = write_corpus(Path(folder), n_gunshots=1, n_others=1, n_groups=1)
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['README.txt', 'gunshot', 'labels.csv', 'other']
    """
    formats = DEFAULT_FORMATS if formats is None else tuple(formats)
    _check(n_gunshots, n_others, seed, n_groups, formats)
    counts = [n for n in (n_gunshots, n_others) if n]
    scenes = [draw_scene(seed, k, formats) for k in range(min(n_groups, *counts, n_groups))]
    rows: list[tuple[str, ...]] = []
    for label, folder, n_clips in ((1, "gunshot", n_gunshots), (0, "other", n_others)):
        (out / folder).mkdir(parents=True, exist_ok=True)
        for index in steps(range(n_clips), "make", "gunshots" if label else "other sounds", n_clips):
            scene = scenes[index % len(scenes)]
            y, sound = clip(label, index, scene, seed=seed)
            path = f"{folder}/{scene.name}_{index:04d}.{scene.format.extension}"
            write_audio(out / path, y, scene.format)
            rows.append((path, "", "", str(label), sound, SOURCE, scene.name, scene.recorder, LICENSE))
    write_readme(out)
    table = out / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return table


def clip(label: int, index: int, scene: Scene, *, seed: int) -> tuple[Float32, str]:
    """Compute one clip.

    Parameters
    ----------
    label : int
        1 for a gunshot, 0 for another sound.
    index : int
        Number of the clip within its class.
    scene : Scene
        Its scene.
    seed : int
        Seed, 0 or more.

    Returns
    -------
    y : ndarray of shape (n_samples, n_channels), float32
        Samples in [-1, 1] at the rate of the scene's format.
    sound : str
        Name of the sound.
    """
    conditions = draw_conditions(seed, index, scene)
    rng = seeded(seed, _CLIP, label, index)
    sr, n_channels = scene.format.sr, scene.format.n_channels
    n_samples = round(conditions.duration_s * sr)
    first = round((conditions.start_s - LEAD_S) * sr)
    max_s = conditions.duration_s - conditions.start_s
    sound = draw_sound(label, sr=sr, max_s=max_s, air=scene.air, rng=rng)
    event = heard(
        sound,
        scene,
        detour_m=conditions.detour_m,
        bearing_rad=conditions.bearing_rad,
        n_samples=n_samples - first,
        sr=sr,
        n_channels=n_channels,
        rng=rng,
    )
    behind = _background(scene, n_samples, rng)
    return digitised(RECORDERS[scene.recorder], _mixed(event, behind, scene, conditions), rng), sound.name


def _mixed(event: Float32, behind: Float32, scene: Scene, conditions: Conditions) -> Float32:
    """Sound and background behind the recorder's filters, at the levels of the conditions."""
    sos = sections(RECORDERS[scene.recorder], scene.format.sr)
    event, _ = through(sos, event)
    behind, _ = through(sos, behind)
    peak = 10.0 ** (conditions.peak_dbfs / 20.0)
    rms = peak * 10.0 ** (-conditions.snr_db / 20.0)
    mix = behind * np.float32(rms / _at_least_tiny(float(np.sqrt(np.mean(behind[:, 0] ** 2)))))
    gain = np.float32(peak / _at_least_tiny(float(np.max(np.abs(event[:, 0])))))
    mix[len(mix) - len(event) :] += event * gain
    return mix


def _background(scene: Scene, n_samples: int, rng: np.random.Generator) -> Float32:
    """Background at the microphones; the second one of two shares half of its power with the first."""
    sr = scene.format.sr
    first = Background(scene.background, sr, rng).read(n_samples)
    if scene.format.n_channels == 1:
        return first[:, None]
    second = Background(scene.background, sr, rng).read(n_samples)
    return np.stack([first, np.float32(0.7071) * (first + second)], axis=1)


def _at_least_tiny(value: float) -> float:
    """Keep a value from being a divisor of 0."""
    return max(value, 1e-20)


def _check(n_gunshots: int, n_others: int, seed: int, n_groups: int, formats: Sequence[AudioFormat]) -> None:
    """Refuse numbers out of range."""
    for name, value, least in (
        ("n_gunshots", n_gunshots, 0),
        ("n_others", n_others, 0),
        ("seed", seed, 0),
        ("n_groups", n_groups, 1),
        ("n_gunshots + n_others", n_gunshots + n_others, 1),
        ("the number of formats", len(formats), 1),
    ):
        if value < least:
            raise ParameterError(f"{name} must be at least {least}; got {value}; give a larger number")
