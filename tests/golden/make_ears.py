"""The weights of `gunshot.models.ears`, from the published ones of YAMNet.

``PYTHONPATH=. python tests/golden/make_ears.py CHECKPOINT``, from the project's folder. CHECKPOINT is the
``variables/variables`` of a SavedModel with YAMNet inside (docs/models.md says where one is). The matrix from our bands
to YAMNet's is fitted to synthetic clips.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from gunshot.adaptation.synthetic import synthetic_clips
from gunshot.clips import features
from gunshot.models import ears
from gunshot.recipe import read_recipe
from tests.benchmarks.pretrained import picture

EPSILON = 1e-4  # of YAMNet's normalisations
LOUDEST = 2.0
"""Where a clip's loudest point is put, in YAMNet's natural logarithm: chosen on validation rows, no sharp choice."""

SHIPPED = Path("gunshot/models/shipped/field.toml")


def folded(checkpoint: str) -> list[NDArray[np.float32]]:
    """Kernel and bias of each layer, its normalisation folded in."""
    reader = tf.train.load_checkpoint(checkpoint)

    def value(number: int, name: str) -> NDArray[np.float64]:
        where = f"layer-1/layer/_func/_yamnet/layer_with_weights-{number}/{name}/.ATTRIBUTES/VARIABLE_VALUE"
        return np.asarray(reader.get_tensor(where), dtype=np.float64)

    found: list[NDArray[np.float32]] = []
    for layer in range(1 + 2 * len(ears.BLOCKS)):
        depthwise = layer % 2 == 1
        kernel = value(2 * layer, "depthwise_kernel" if depthwise else "kernel")
        mean, variance, beta = (value(2 * layer + 1, name) for name in ("moving_mean", "moving_variance", "beta"))
        scale = 1.0 / np.sqrt(variance + EPSILON)
        kernel = kernel * (scale[:, None] if depthwise else scale)
        found += [kernel.astype(np.float32), (beta - mean * scale).astype(np.float32)]
    return found


def bands(seed: int = 1) -> list[NDArray[np.float32]]:
    """Matrix and offset from our decibels to YAMNet's bands, by least squares."""
    recipe = read_recipe(SHIPPED)
    clips, _, _ = synthetic_clips(recipe, 1000, seed)
    rng = np.random.default_rng(seed)
    clips = clips / np.maximum(np.abs(clips).max(axis=1, keepdims=True), 1e-6)  # well above YAMNet's floor
    hiss = rng.standard_normal(clips.shape) * 10 ** rng.uniform(-4, -1, (len(clips), 1))
    clips = np.asarray(clips + hiss, dtype=np.float32)  # nor digital silence
    ours, theirs = (
        each - each.max(axis=(1, 2), keepdims=True)
        for each in (np.swapaxes(features(clips, recipe), -1, -2)[:, :96], picture(clips))
    )
    theirs = theirs + LOUDEST
    x = np.c_[ours.reshape(-1, ears.N_BANDS), np.ones(ours.shape[0] * ours.shape[1])].astype(np.float64)
    y = theirs.reshape(-1, 64).astype(np.float64)
    matrix = np.linalg.lstsq(x, y, rcond=None)[0]
    print(f"rms {np.sqrt(np.mean((x @ matrix - y) ** 2)):.3f} of {y.std():.3f}")
    return [matrix[:-1].astype(np.float32), matrix[-1].astype(np.float32)]


def main(checkpoint: str) -> None:
    arrays = {f"w{number:02d}": array for number, array in enumerate(bands() + folded(checkpoint))}
    np.savez_compressed(Path(ears.__file__).with_name("ears.npz"), **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
