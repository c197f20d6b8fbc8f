"""Ears trained elsewhere: the first layers of YAMNet, which have heard a million videos.

Conventions
-----------
YAMNet (Google, Apache License 2.0; Plakal and Ellis 2020, after Howard et al. 2017, "MobileNets", arXiv 1704.04861)
reads 64 bands of the mel scale in steps of 10 ms. What is here reads our log-mel spectrogram of 40 bands, less its
loudest point: a matrix, fitted once, takes it to YAMNet's bands at one level. The weights (``ears.npz``, plain arrays
in the order of the layers, normalisations folded in; ``tests/golden/make_ears.py`` makes it) are held fixed in
training: fine-tuned on our sounds they forget other recorders within an epoch (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from gunshot.errors import ParameterError

__all__ = ["BLOCKS", "N_BANDS", "QUIET", "heard"]

BLOCKS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256))
"""Step and maps of each depthwise separable block that is used, of YAMNet's thirteen."""

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
    KerasTensor of shape (n, 256)
        Mean of each map of the last block over the clip; the same at any gain.

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
    with np.load(_WEIGHTS, allow_pickle=False) as arrays:
        weights = iter([arrays[name] for name in sorted(arrays.files)])
    frames = layers.Permute((2, 1))(log_mel)
    loudest = layers.GlobalMaxPooling1D(keepdims=True)(layers.Reshape((n_frames * n_bands, 1))(frames))
    bands = _fixed(layers.Dense(64), layers.Subtract()([frames, loudest]), weights)
    x = layers.Rescaling(1.0, QUIET)(layers.ReLU()(layers.Rescaling(1.0, -QUIET)(bands)))
    x = layers.Reshape((n_frames, 64, 1))(x)
    x = layers.ReLU()(_fixed(layers.Conv2D(32, 3, strides=2, padding="same"), x, weights))
    for stride, filters in BLOCKS:
        x = layers.ReLU()(_fixed(layers.DepthwiseConv2D(3, strides=stride, padding="same"), x, weights))
        x = layers.ReLU()(_fixed(layers.Conv2D(filters, 1), x, weights))
    return layers.GlobalAveragePooling2D()(x)


def _fixed(layer: layers.Layer, x: keras.KerasTensor, weights: Iterator[NDArray[np.float32]]) -> keras.KerasTensor:
    """Apply a layer with its kernel and its bias of the file."""
    layer.trainable = False
    result = layer(x)
    layer.set_weights([next(weights), next(weights)])
    return result
