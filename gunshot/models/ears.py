"""Ears trained elsewhere: the first layers of YAMNet, which have heard a million videos.

Conventions
-----------
YAMNet (Google, Apache License 2.0; Plakal and Ellis 2020, after Howard et al. 2017, "MobileNets", arXiv 1704.04861)
reads 64 bands of the mel scale in steps of 10 ms. What is here reads our log-mel spectrogram of 40 bands, less its
loudest point: a matrix, fitted once, takes it to YAMNet's bands at one level. The weights (``ears.npz``, plain arrays
in the order of the layers, normalisations folded in; ``tests/golden/make_ears.py`` makes it) are held fixed in
training: fine-tuned on our sounds they forget other recorders within an epoch (docs/experiments.md).

What YAMNet calls a gunshot takes all of its 3.2 million weights. Two small blocks behind those that are used here were
fitted to that opinion, and never to a label: they hear sounds of all kinds distorted, and learn what it says of them as
they are, so of shots by other recorders and under other sound they find more. The opinion is the logit of its class
"Gunshot, gunfire", for a third that of "Explosion", which bangs far away too, less 0.3 of what it says of wind, water,
thunder, fire, boats, sirens, trains and aircraft.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from gunshot.errors import ParameterError

__all__ = ["BLOCKS", "CALLING", "N_BANDS", "QUIET", "called_gunshot", "fixed", "heard", "separable_blocks"]

BLOCKS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256))
"""Step and maps of each depthwise separable block that is used, of YAMNet's thirteen."""

CALLING = ((2, 192), (1, 128))
"""Step and maps of the blocks behind them that tell what YAMNet would call a gunshot."""

N_BANDS = 40
"""Bands of the spectrogram that the matrix reads: those of the default recipe's frequencies."""

QUIET = float(np.log(1e-3))
"""Floor of YAMNet's spectrogram, a natural logarithm."""

_WEIGHTS = Path(__file__).with_name("ears.npz")


def heard(log_mel: keras.KerasTensor) -> keras.KerasTensor:
    """Let the ears hear clips.

    Parameters
    ----------
    log_mel : KerasTensor of shape (n, 40, n_frames)
        Log-mel spectrograms [dB], 50 to 5000 Hz, frames about 10 ms apart.

    Returns
    -------
    KerasTensor of shape (n, n_frames / 8, 8, 256)
        Maps of the last block of `BLOCKS`; the same at any gain.

    Raises
    ------
    ParameterError
        If the spectrograms have another number of bands.
    """
    _, n_bands, n_frames = log_mel.shape
    if n_bands != N_BANDS:
        raise ParameterError(
            f"field-cnn reads {N_BANDS} mel bands; the recipe's [mel] n_mels is {n_bands}: set it to {N_BANDS}, or "
            "take --model small-cnn"
        )
    weights = _weights("heard")
    frames = layers.Permute((2, 1))(log_mel)
    loudest = layers.GlobalMaxPooling1D(keepdims=True)(layers.Reshape((n_frames * n_bands, 1))(frames))
    bands = fixed(layers.Dense(64), layers.Subtract()([frames, loudest]), weights)
    x = layers.Rescaling(1.0, QUIET)(layers.ReLU()(layers.Rescaling(1.0, -QUIET)(bands)))
    x = layers.Reshape((n_frames, 64, 1))(x)
    x = layers.ReLU()(fixed(layers.Conv2D(32, 3, strides=2, padding="same"), x, weights))
    return separable_blocks(x, BLOCKS, weights)


def called_gunshot(maps: keras.KerasTensor) -> keras.KerasTensor:
    """Tell how surely YAMNet would call clips a gunshot.

    Parameters
    ----------
    maps : KerasTensor of shape (n, height, width, 256)
        What was `heard`.

    Returns
    -------
    KerasTensor of shape (n, 1)
        YAMNet's opinion, as the blocks of `CALLING` tell it: a logit but for a constant, about -11 for most sounds, and
        above -3 for most shots that it knows.
    """
    weights = _weights("called")
    x = layers.GlobalAveragePooling2D()(separable_blocks(maps, CALLING, weights))
    return fixed(layers.Dense(1), x, weights)


def separable_blocks(
    x: keras.KerasTensor, blocks: Sequence[tuple[int, int]], weights: Iterator[NDArray[np.float32]]
) -> keras.KerasTensor:
    """Apply depthwise separable blocks as YAMNet's are, with weights that are held fixed.

    Parameters
    ----------
    x : KerasTensor of shape (n, height, width, n_maps)
        What the block before gives.
    blocks : sequence of (int, int)
        Step and maps of each.
    weights : iterator of ndarray
        Kernel and bias of each layer.

    Returns
    -------
    KerasTensor of shape (n, height, width, n_maps)
        Maps of the last block.
    """
    for stride, filters in blocks:
        x = layers.ReLU()(fixed(layers.DepthwiseConv2D(3, strides=stride, padding="same"), x, weights))
        x = layers.ReLU()(fixed(layers.Conv2D(filters, 1), x, weights))
    return x


def fixed(layer: layers.Layer, x: keras.KerasTensor, weights: Iterator[NDArray[np.float32]]) -> keras.KerasTensor:
    """Apply a layer with the next kernel and bias, held fixed.

    Parameters
    ----------
    layer : keras.layers.Layer
        Which has a kernel and a bias.
    x : KerasTensor
        Its input.
    weights : iterator of ndarray
        Kernel and bias come next.

    Returns
    -------
    KerasTensor
        Its output.
    """
    layer.trainable = False
    result = layer(x)
    layer.set_weights([next(weights), next(weights)])
    return result


def _weights(part: str) -> Iterator[NDArray[np.float32]]:
    with np.load(_WEIGHTS, allow_pickle=False) as arrays:
        return iter([arrays[name] for name in sorted(arrays.files) if name.startswith(part)])
