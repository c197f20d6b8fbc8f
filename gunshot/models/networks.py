"""The networks.

Conventions
-----------
Input is a batch of log-mel spectrograms of shape (n, n_mels, n_frames), float32, in decibels; output is (n, 1), the
score in [0, 1].
Each network standardises a clip by its own mean and spread first: a shot is a shot at any recording level. The field
network sees beside it each band less its own mean: a shot is a shot through any recorder.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers

__all__ = ["NETWORKS", "field_cnn", "paper_cnn", "small_cnn"]


_SPREAD_DB = 10.0  # of sounds about the mean of their band, roughly


def _input(shape: tuple[int, int], *, by_band: bool = False) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The clip by its own mean and spread; and beside it each band by its own mean, if asked for.

    A recorder's response and a steady background are the same throughout a band: less the band's mean, what is left is
    how the sound rises and falls, whoever recorded it.
    """
    log_mel = keras.Input(shape, name="log_mel")
    level = layers.LayerNormalization(axis=(1, 2), center=False, scale=False, epsilon=1e-3)(log_mel)
    level = layers.Reshape((*shape, 1))(level)
    if not by_band:
        return log_mel, level
    mean = layers.AveragePooling1D(shape[1], data_format="channels_first")(log_mel)
    band = layers.Rescaling(1.0 / _SPREAD_DB)(layers.Subtract()([log_mel, mean]))
    return log_mel, layers.Concatenate()([level, layers.Reshape((*shape, 1))(band)])


def paper_cnn(shape: tuple[int, int]) -> keras.Model:
    """Build the paper's network: seven 3x3 ReLU convolutions, two poolings, four dropouts, two dense layers.

    Parameters
    ----------
    shape : tuple of int
        (n_mels, n_frames).

    Returns
    -------
    keras.Model
        Not yet compiled.

    Notes
    -----
    The paper gives kernels (32 in the first five convolutions, 64 in the last two), max pooling after the fifth and
    the seventh,
    four dropouts of 0.5, 512 dense units and one sigmoid. It leaves open where the dropouts stand: here one after each
    pooling, one after the flattening's dense layer's input and one after the dense layer.
    """
    log_mel, x = _input(shape)
    for _ in range(5):
        x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = layers.Dropout(0.5)(layers.MaxPooling2D()(x))
    for _ in range(2):
        x = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    x = layers.Dropout(0.5)(layers.MaxPooling2D()(x))
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.Dropout(0.5)(layers.Dense(512, activation="relu")(x))
    return keras.Model(log_mel, layers.Dense(1, activation="sigmoid", name="score")(x), name="paper-cnn")


def small_cnn(shape: tuple[int, int]) -> keras.Model:
    """Build the default network: four light convolutions, each halving the picture, and a mean and a maximum over it.

    Parameters
    ----------
    shape : tuple of int
        (n_mels, n_frames).

    Returns
    -------
    keras.Model
        Not yet compiled; about 95,000 weights.
    """
    return _light_cnn(shape, (24, 48, 64, 96), "small-cnn")


def field_cnn(shape: tuple[int, int]) -> keras.Model:
    """Build the field network: the default one, half as wide again, that also sees each band by its own mean.

    Parameters
    ----------
    shape : tuple of int
        (n_mels, n_frames).

    Returns
    -------
    keras.Model
        Not yet compiled; about 190,000 weights.
    """
    return _light_cnn(shape, (32, 64, 96, 128), "field-cnn", by_band=True)


def _light_cnn(shape: tuple[int, int], widths: tuple[int, ...], name: str, *, by_band: bool = False) -> keras.Model:
    """Noise on the input and whole maps dropped at random keep it from learning one recorder's texture."""
    log_mel, x = _input(shape, by_band=by_band)
    x = layers.GaussianNoise(0.3)(x)
    for filters in widths:
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D(padding="same")(x)
        x = layers.SpatialDropout2D(0.1)(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    x = layers.Dropout(0.3)(x)
    return keras.Model(log_mel, layers.Dense(1, activation="sigmoid", name="score")(x), name=name)


NETWORKS: dict[str, Callable[[tuple[int, int]], keras.Model]] = {
    "paper-cnn": paper_cnn,
    "small-cnn": small_cnn,
    "field-cnn": field_cnn,
}
"""The networks by name."""
