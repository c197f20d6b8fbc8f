"""The networks.

Conventions
-----------
Input is a batch of log-mel spectrograms of shape (n, n_mels, n_frames), float32, in decibels; output is (n, 1), the
score in [0, 1].
Each network standardises a clip by its own mean and spread first: a shot is a shot at any recording level. The field
network sees beside it each band less its own mean: a shot is a shot through any recorder. While it is trained it has
two heads, (n, 2): its own, and one on ears trained elsewhere (`gunshot.models.ears`); `as_one` is the network that
scores, where what those ears would call a gunshot counts too.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from gunshot.models.ears import called_gunshot, heard

__all__ = ["NETWORKS", "as_one", "call", "field_cnn", "heads", "paper_cnn", "small_cnn"]

_SPREAD_DB = 10.0  # of sounds about the mean of their band, roughly
_EARS_COUNT = 0.3  # logits of the ears' head in one of the network's own: more of it costs distant shots
_CALL_EVEN = -3.0  # YAMNet's opinion that is taken for even odds: less than that costs distant shots


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
    log_mel, x = _input(shape)
    x = _light_cnn(x, (24, 48, 64, 96))
    return keras.Model(log_mel, layers.Dense(1, activation="sigmoid", name="score")(x), name="small-cnn")


def field_cnn(shape: tuple[int, int]) -> keras.Model:
    """Build the field network: the default one, half as wide again, that also sees each band by its own mean, and ears.

    Parameters
    ----------
    shape : tuple of int
        (n_mels, n_frames), with frames about 10 ms apart.

    Returns
    -------
    keras.Model
        Not yet compiled; about 190,000 weights, and 70,000 that are held fixed. Two scores a clip, of the network alone
        and of the ears alone: each head is to learn by itself, or the ears, which know the training rows sooner, are
        relied on too much.

    Raises
    ------
    ParameterError
        If the ears cannot read that shape.
    """
    log_mel, x = _input(shape, by_band=True)
    x = _light_cnn(x, (32, 64, 96, 128), closer=2)
    ears = layers.GlobalAveragePooling2D(name="heard")(heard(log_mel))
    ears = layers.BatchNormalization(center=False, scale=False)(ears)
    ears = layers.Dense(1, name="ears")(layers.Dropout(0.3)(ears))
    both = layers.Concatenate(name="heads")([layers.Dense(1, name="score")(x), ears])
    return keras.Model(log_mel, layers.Activation("sigmoid")(both), name="field-cnn")


def as_one(network: keras.Model) -> keras.Model:
    """Take the network that scores from one as it is trained.

    Parameters
    ----------
    network : keras.Model
        Of `NETWORKS`.

    Returns
    -------
    keras.Model
        One score a clip. Where there are two heads, first that of the sum of their logits, the ears' for less; then
        the probability that the network or YAMNet's own opinion is right, as if they erred apart.

    Notes
    -----
    ``p + q (1 - p)``, the "noisy or" of Pearl (1988), "Probabilistic Reasoning in Intelligent Systems", section 4.3:
    YAMNet does not know distant shots, and what it does not know must not count against them.
    """
    if network.output_shape[-1] == 1:
        return network
    both = layers.Dense(1, activation="sigmoid", use_bias=False)
    own = both(network.get_layer("heads").output)
    both.set_weights([np.array([[share] for _, share in heads(network)], dtype=np.float32)])
    rest = layers.Multiply()([layers.Activation("sigmoid")(call(network)), layers.Rescaling(-1.0, 1.0)(own)])
    return keras.Model(network.input, layers.Add()([own, rest]), name=network.name)


def heads(network: keras.Model) -> list[tuple[layers.Dense, float]]:
    """Find the layers that end a network.

    Parameters
    ----------
    network : keras.Model
        Of `NETWORKS`.

    Returns
    -------
    list of (Dense, float)
        Each head, and what its logit counts in the sum.
    """
    own = (network.get_layer("score"), 1.0)
    return [own] if network.output_shape[-1] == 1 else [own, (network.get_layer("ears"), _EARS_COUNT)]


def call(network: keras.Model) -> keras.KerasTensor:
    """Tell what YAMNet calls a gunshot, beside a network that has ears.

    Parameters
    ----------
    network : keras.Model
        With two heads.

    Returns
    -------
    KerasTensor of shape (n, 1)
        A logit: 0 is even odds.
    """
    return layers.Rescaling(1.0, -_CALL_EVEN)(called_gunshot(network.get_layer("heard").input))


def _light_cnn(x: keras.KerasTensor, widths: tuple[int, ...], *, closer: int = 1) -> keras.KerasTensor:
    """Four light convolutions, a mean and a maximum; where frames are closer, the first steps over them.

    Noise on the input and whole maps dropped at random keep it from learning one recorder's texture.
    """
    x = layers.GaussianNoise(0.3)(x)
    for number, filters in enumerate(widths):
        step = closer if number == 0 else 1
        x = layers.Conv2D(filters, (3, 2 * step + 1), strides=(1, step), padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D(padding="same")(x)
        x = layers.SpatialDropout2D(0.1)(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    return layers.Dropout(0.3)(x)


NETWORKS: dict[str, Callable[[tuple[int, int]], keras.Model]] = {
    "paper-cnn": paper_cnn,
    "small-cnn": small_cnn,
    "field-cnn": field_cnn,
}
"""The networks by name."""
