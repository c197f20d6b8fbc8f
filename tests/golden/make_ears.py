"""The weights of `gunshot.models.ears`, from the published ones of YAMNet.

``PYTHONPATH=. python tests/golden/make_ears.py CHECKPOINT STORE``, from the project's folder, a quarter of an hour.
CHECKPOINT is the ``variables/variables`` of a SavedModel with YAMNet inside (docs/models.md says where one is), STORE
that of ``make field-model``. The matrix from our bands to YAMNet's is fitted to synthetic clips; the blocks that tell
what YAMNet would call a gunshot to what the whole of it says of the field model's training rows (`opinion`) as they
are, while they hear them distorted as in training: their labels are not looked at.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits

from gunshot.adaptation.synthetic import synthetic_clips
from gunshot.augment.field import FieldRule
from gunshot.clips import features
from gunshot.division import SplitPlan, splits_of
from gunshot.feed import Feed, Part
from gunshot.models import ears
from gunshot.models.batches import ahead
from gunshot.models.bundle import load_bundle
from gunshot.recipe import read_recipe
from gunshot.store.read import open_store
from gunshot.training import row_weights
from tests.benchmarks.pretrained import BLOCKS, picture

EPSILON = 1e-4  # of YAMNet's normalisations
LOUDEST = 2.0
"""Where a clip's loudest point is put, in YAMNet's natural logarithm: chosen on validation rows, no sharp choice."""

SHIPPED = "gunshot/models/shipped/field"
EXPLOSION, GUNSHOT = 420, 421  # of YAMNet's 521 classes: "Explosion", and "Gunshot, gunfire" below it
DIN = [*range(277, 300), *range(316, 330)]  # wind, thunder, rain, waves, fire, boats; sirens, traffic, trains, aircraft
SHARE, LESS = 0.35, 0.3  # of "Explosion", and of the din: chosen on validation rows, no sharp choice
RANGE = (-12.0, 4.0)  # opinions beyond are not told apart
EPOCHS, PASSES, BATCH, SEED = 2, 6, 128, 7
UNTOUCHED = 0.25  # of the draws: fewer than in training, as only the others teach more than YAMNet itself knows


def folded(checkpoint: str) -> list[NDArray[np.float32]]:
    """Kernel and bias of each layer, its normalisation folded in; last those of all classes."""
    reader = tf.train.load_checkpoint(checkpoint)

    def value(number: int, name: str) -> NDArray[np.float64]:
        where = f"layer-1/layer/_func/_yamnet/layer_with_weights-{number}/{name}/.ATTRIBUTES/VARIABLE_VALUE"
        return np.asarray(reader.get_tensor(where), dtype=np.float64)

    found = []
    for layer in range(1 + 2 * len(BLOCKS)):
        depthwise = layer % 2 == 1
        kernel = value(2 * layer, "depthwise_kernel" if depthwise else "kernel")
        norm = [value(2 * layer + 1, name) for name in ("moving_mean", "moving_variance", "beta")]
        found += _fold(kernel, *norm, depthwise=depthwise)
    last = 2 * (1 + 2 * len(BLOCKS))
    return [*found, *(value(last, name).astype(np.float32) for name in ("kernel", "bias"))]


def _fold(
    kernel: NDArray[np.float64], mean: NDArray[np.float64], variance: NDArray[np.float64], beta: NDArray[np.float64],
    *, depthwise: bool,
) -> list[NDArray[np.float32]]:  # fmt: skip
    scale = 1.0 / np.sqrt(variance + EPSILON)
    kernel = kernel * (scale[:, None] if depthwise else scale)
    return [kernel.astype(np.float32), (beta - mean * scale).astype(np.float32)]


def bands(seed: int = 1) -> list[NDArray[np.float32]]:
    """Matrix and offset from our decibels to YAMNet's bands, by least squares."""
    recipe = read_recipe(f"{SHIPPED}.toml")
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


def write(**parts: list[NDArray[np.float32]]) -> None:
    arrays = {f"{part}{number:02d}": array for part, of in parts.items() for number, array in enumerate(of)}
    np.savez_compressed(Path(ears.__file__).with_name("ears.npz"), **arrays)


def opinion(logit: NDArray[np.float32]) -> NDArray[np.float32]:
    """What YAMNet holds for a gunshot, (n, 1) of its logits (n, 521): a shot or what bangs like one, less its din."""
    bang = SHARE * logit[:, EXPLOSION] + (1 - SHARE) * logit[:, GUNSHOT]
    return np.asarray(bang - LESS * logsumexp(logit[:, DIN], axis=1), dtype=np.float32)[:, None]


def opinions(store_uri: str, rest: list[NDArray[np.float32]]) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Of each draw the maps that the ears hear, and what the whole of YAMNet holds of the same clip undistorted."""
    store = open_store(store_uri)
    divided = load_bundle(SHIPPED).details["training"]["split"]
    splits = splits_of(store, SplitPlan(divided["by"], tuple(map(tuple, divided["assignments"])), divided["seed"]))
    # shots that were edited for games are no training rows of the network, but what YAMNet says of them may be learnt
    edited = (np.asarray(store.column("source")) == "packages") & (splits == "unseen")
    train = np.flatnonzero((splits == "train") | edited)
    label, source = (np.asarray(store.column(name))[train] for name in ("label", "source"))
    part = Part(store, train, label.astype(np.int8), row_weights(label.astype(np.int8), source))
    heard_rows = Feed([part], "log_mel", BATCH, SEED, field=FieldRule(), clean=UNTOUCHED)
    as_they_are = Feed([part], "log_mel", BATCH, SEED, field=FieldRule(masking=0.0), clean=1.0)  # in the same order
    log_mel = keras.Input(store.recipe.mel_shape)
    maps, weights = ears.heard(log_mel), iter(rest)
    hears = keras.Model(log_mel, maps)
    x = layers.GlobalAveragePooling2D()(ears.separable_blocks(maps, BLOCKS[len(ears.BLOCKS) :], weights))
    whole = keras.Model(log_mel, ears.fixed(layers.Dense(521), x, weights))
    found, told = [], []
    for epoch in range(EPOCHS):
        for distorted, plain in zip(ahead(heard_rows.epoch(epoch)), ahead(as_they_are.epoch(epoch)), strict=True):
            found.append(hears.predict_on_batch(distorted.x).astype(np.float16))
            told.append(opinion(whole.predict_on_batch(plain.x)))
    return np.concatenate(found), np.concatenate(told)


def calling(maps: NDArray[np.float16], logit: NDArray[np.float32], seed: int = 0) -> list[NDArray[np.float32]]:
    """Kernel and bias of each layer of the blocks that tell the whole network's opinion."""
    keras.utils.set_random_seed(seed)
    inputs = x = keras.Input(maps.shape[1:])
    stack: list[layers.Layer] = []
    for stride, filters in ears.CALLING:
        for layer in (
            layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False),
            layers.Conv2D(filters, 1, use_bias=False),
        ):
            stack += [layer, layers.BatchNormalization(scale=False, epsilon=EPSILON)]
            x = layers.ReLU()(stack[-1](layer(x)))
    stack.append(layers.Dense(1))
    network = keras.Model(inputs, stack[-1](layers.GlobalAveragePooling2D()(x)))
    n_steps = len(maps) // BATCH
    rate = keras.optimizers.schedules.CosineDecay(2e-3, PASSES * n_steps)
    network.compile(keras.optimizers.AdamW(rate, weight_decay=1e-3), "huber")
    target, weight = np.clip(logit, *RANGE), np.where(logit[:, 0] > -8.0, 2.0, 1.0)
    rng = np.random.default_rng(seed)
    for _ in range(PASSES):
        order = rng.permutation(len(maps))[: n_steps * BATCH].reshape(n_steps, BATCH)
        loss = [network.train_on_batch(maps[rows].astype(np.float32), target[rows], weight[rows]) for rows in order]
        print(f"loss {np.mean(loss):.3f}", flush=True)
    found: list[NDArray[np.float32]] = []
    for number, (layer, norm) in enumerate(zip(stack[:-1:2], stack[1::2], strict=True)):
        beta, mean, variance = (np.asarray(array, dtype=np.float64) for array in norm.get_weights())
        kernel = np.asarray(layer.get_weights()[0], dtype=np.float64)
        found += _fold(kernel, mean, variance, beta, depthwise=number % 2 == 0)
    return [*found, *stack[-1].get_weights()]


def main(checkpoint: str, store_uri: str) -> None:
    yamnet, matrix = folded(checkpoint), bands()
    n_heard = 2 * (1 + 2 * len(ears.BLOCKS))
    heard = matrix + yamnet[:n_heard]
    write(heard=heard)
    write(heard=heard, called=calling(*opinions(store_uri, yamnet[n_heard:])))


if __name__ == "__main__":
    with threadpool_limits(1, user_api="blas"):  # TensorFlow has its own threads
        main(*sys.argv[1:])
