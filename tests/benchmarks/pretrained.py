"""What layers of YAMNet, trained on a million videos, know of shots by recorders that ours never met.

``python tests/benchmarks/pretrained.py CHECKPOINT STORE [EPOCHS]``: a logistic regression on each layer's mean over the
clip, fitted to the draws that the field model is trained on, alone and added to the shipped model's logit; judged where
models are chosen (FP6 with the other validation rows, ``street-validation``), never on what is reported. CHECKPOINT is
the ``variables/variables`` of a SavedModel with YAMNet inside (docs/experiments.md says where one is), STORE that of
``make field-model``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import keras
import librosa
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gunshot.augment.field import FieldRule
from gunshot.division import SplitPlan, splits_of
from gunshot.feed import Feed, Part
from gunshot.models.bundle import load_bundle
from gunshot.store.read import open_store
from gunshot.training import row_weights

SHIPPED = "gunshot/models/shipped/field"
TAPS = (6, 12, 14)
BLOCKS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024))
WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(300) / 300)).astype(np.float32)
# frames of 384 at 12 kHz have the bins of YAMNet's 512 at 16 kHz, up to 6 kHz
FILTERS = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=64, fmin=125, fmax=7500, htk=True, norm=None)[:, :193]


def picture(clips: NDArray[np.float32]) -> NDArray[np.float32]:
    """YAMNet's input of clips at 12 kHz: (n, 96, 64); a window of the same time has 3/4 of the samples."""
    frames = sliding_window_view(clips, 300, axis=-1)[:, ::120][:, :96]
    levels = np.abs(np.fft.rfft(frames * WINDOW, 384)) * (4 / 3)
    return np.log(levels @ FILTERS.T + 1e-3).astype(np.float32)


def yamnet(checkpoint: str) -> keras.Model:
    """Means of the layers of `TAPS` over the clip, from the published weights."""
    reader = tf.train.load_checkpoint(checkpoint)
    norm: Iterable[str] = ("beta", "moving_mean", "moving_variance")
    number = 0
    loads: list[tuple[layers.Layer, list[NDArray[np.float32]]]] = []

    def add(layer: layers.Layer, x: keras.KerasTensor, names: Iterable[str]) -> keras.KerasTensor:
        nonlocal number
        where = f"layer-1/layer/_func/_yamnet/layer_with_weights-{number}"
        loads.append((layer, [reader.get_tensor(f"{where}/{name}/.ATTRIBUTES/VARIABLE_VALUE") for name in names]))
        number += 1
        return layer(x)

    def normed(x: keras.KerasTensor) -> keras.KerasTensor:
        return layers.ReLU()(add(layers.BatchNormalization(scale=False, epsilon=1e-4), x, norm))

    image = keras.Input((96, 64))
    x = layers.Reshape((96, 64, 1))(image)
    x = normed(add(layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False), x, ["kernel"]))
    taps = []
    for block, (stride, filters) in enumerate(BLOCKS, 2):
        depthwise = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)
        x = normed(add(depthwise, x, ["depthwise_kernel"]))
        x = normed(add(layers.Conv2D(filters, 1, use_bias=False), x, ["kernel"]))
        if block in TAPS:
            taps.append(layers.GlobalAveragePooling2D()(x))
    network = keras.Model(image, taps)
    for layer, weights in loads:
        layer.set_weights(weights)
    return network


def figures(name: str, score: NDArray[np.float64], shots: dict[str, NDArray], others: dict[str, NDArray]) -> None:
    """A line of the table."""
    parts = []
    for key, of_shots in shots.items():
        negatives = np.sort(score[others[key]])[::-1]
        at = [np.mean(score[of_shots] > negatives[int(len(negatives) * rate)]) for rate in (0.01, 0.002)]
        both = np.concatenate([score[of_shots], score[others[key]]])
        auc = roc_auc_score(np.arange(len(both)) < of_shots.sum(), both)
        parts.append(f"{key} @1 {at[0]:.3f} @0.2 {at[1]:.3f} AUC {auc:.4f}")
    print(f"{name:22} " + " | ".join(parts), flush=True)


def main(checkpoint: str, store_uri: str, epochs: int = 2) -> None:
    store, network, shipped = open_store(store_uri), yamnet(checkpoint), load_bundle(SHIPPED)
    divided = shipped.details["training"]["split"]  # as the shipped model was trained
    splits = splits_of(store, SplitPlan(divided["by"], tuple(map(tuple, divided["assignments"])), divided["seed"]))
    label = np.asarray([-1 if value is None else value for value in store.column("label")], dtype=np.int8)
    source, path = (np.asarray(store.column(name)) for name in ("source", "path"))
    train = np.flatnonzero(splits == "train")
    part = Part(store, train, label[train], row_weights(label[train], source[train]))
    feed = Feed([part], "waveform", 512, 0, field=FieldRule())
    drawn = [
        (network.predict_on_batch(picture(batch.x)), batch.y) for epoch in range(epochs) for batch in feed.epoch(epoch)
    ]
    y = np.concatenate([of_batch for _, of_batch in drawn])
    street = np.char.startswith(path.astype(str), "street-validation")
    judged = np.flatnonzero((splits == "validation") | street)
    clips = store.waveforms(judged)
    means = network.predict(picture(clips), batch_size=64, verbose=0)
    score = np.clip(shipped.score(clips).astype(np.float64), 1e-6, 1 - 1e-6)
    logit = np.log(score / (1 - score))
    street, shot = street[judged], label[judged] == 1
    shots = {"FP6": ~street & shot, "street": street & shot, "all": street & shot}
    others = {"FP6": ~street & ~shot, "street": street & ~shot, "all": ~shot}
    figures("shipped", logit, shots, others)
    for number, block in enumerate(TAPS):
        x = np.concatenate([of_batch[number] for of_batch, _ in drawn])
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=200)).fit(x, y)
        alone = probe.decision_function(means[number])
        figures(f"block {block}", alone, shots, others)
        figures(f"block {block} + shipped", alone + logit, shots, others)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
