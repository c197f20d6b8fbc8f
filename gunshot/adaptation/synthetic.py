"""Clips of synthetic sounds, made from a seed: what a model is held to when it has nothing else of its past.

Conventions
-----------
Scenes, sounds and conditions are those of `gunshot.synthetic.corpus`, computed at the recipe's rate, one channel. The
clip begins at the onset nearest to where the sound is known to start. Clip `i` of either class shares its scene.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gunshot.clips import cut, find_onsets
from gunshot.recipe import Recipe
from gunshot.synthetic.audiofiles import AudioFormat
from gunshot.synthetic.corpus import clip
from gunshot.synthetic.scenes import draw_conditions, draw_scene

__all__ = ["synthetic_clips"]

_NEAR_S = 0.05
_CLIPS_A_SCENE = 4


def synthetic_clips(
    recipe: Recipe, n_of_each: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.str_]]:
    """Make clips of gunshots and of other sounds.

    Parameters
    ----------
    recipe : Recipe
        How they are cut.
    n_of_each : int
        Clips of each class.
    seed : int
        0 or more; clips of another seed are other clips.

    Returns
    -------
    waveform : ndarray of shape (2 * n_of_each, n_samples), float32
        The gunshots first.
    label : ndarray of shape (2 * n_of_each,), int8
        1 gunshot, 0 other.
    group : ndarray of shape (2 * n_of_each,), str
        The scene.
    """
    formats = [AudioFormat("WAV", "PCM_16", recipe.sr_hz)]
    scenes = [draw_scene(seed, number, formats) for number in range(-(-n_of_each // _CLIPS_A_SCENE))]
    clips, group = [], []
    for label in (1, 0):
        for index in range(n_of_each):
            scene = scenes[index % len(scenes)]
            y, _ = clip(label, index, scene, seed=seed)
            start = round(draw_conditions(seed, index, scene).start_s * recipe.sr_hz)
            clips.append(_cut_near(np.ascontiguousarray(y[:, 0]), start, recipe))
            group.append(f"synthetic/{seed}/{scene.name}")
    label_of = np.repeat(np.array([1, 0], dtype=np.int8), n_of_each)
    return np.stack(clips), label_of, np.asarray(group, dtype=np.str_)


def _cut_near(y: NDArray[np.float32], start: int, recipe: Recipe) -> NDArray[np.float32]:
    onsets = find_onsets(y, recipe, from_start=True).sample
    if onsets.size:
        nearest = int(onsets[np.argmin(np.abs(onsets - start))])
        if abs(nearest - start) <= _NEAR_S * recipe.sr_hz:
            start = nearest
    return cut(y, start, recipe)
