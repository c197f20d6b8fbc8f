"""The networks are the paper's, and what is exported of them scores as they do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import gunshot.models
from gunshot.errors import BundleError, ParameterError
from gunshot.models.batches import ArrayBatches
from gunshot.models.catalogue import MODELS
from gunshot.models.runtime import BATCH, NetworkRuntime
from gunshot.recipe import Recipe

pytestmark = pytest.mark.xdist_group("networks")

SHAPE = Recipe().mel_shape
Float32 = NDArray[np.float32]


def one_of(network: Any) -> Any:
    """The network that scores."""
    from gunshot.models.networks import as_one

    return as_one(network)


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    """Both networks with weights drawn from a seed, in their normalisations too: none is left at its start value."""
    import keras

    from gunshot.models.networks import NETWORKS

    built = {}
    for name, build in NETWORKS.items():
        keras.utils.set_random_seed(4)
        network = build(SHAPE)
        rng = np.random.default_rng(4)
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
        for head in [layer for layer in network.layers if layer.name in {"score", "ears"}]:
            head.set_weights([w + rng.normal(0, 0.3, w.shape) for w in head.get_weights()])
        built[name] = network
    return built


@pytest.fixture(scope="module")
def exported(networks: dict[str, Any]) -> dict[str, bytes]:
    """What a bundle would hold of them."""
    from gunshot.models.fit import _export

    return {name: _export(network) for name, network in networks.items()}


@pytest.fixture(scope="module")
def log_mels() -> Float32:
    """130 spectrograms, of many levels and spreads [dB]: two whole batches of the runtime and two more."""
    rng = np.random.default_rng(8)
    level = rng.uniform(-75, -10, (130, 1, 1))
    return np.asarray(level + rng.standard_normal((130, *SHAPE)) * rng.uniform(2, 20, (130, 1, 1)), dtype=np.float32)


def layers_of(network: Any, kind: str) -> list[Any]:
    return [layer for layer in network.layers if type(layer).__name__ == kind]


def test_paper_cnn_is_the_papers(networks: dict[str, Any]) -> None:
    network = networks["paper-cnn"]
    convolutions = layers_of(network, "Conv2D")
    assert [layer.filters for layer in convolutions] == [32, 32, 32, 32, 32, 64, 64]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    assert {layer.activation.__name__ for layer in convolutions} == {"relu"}
    assert [layer.rate for layer in layers_of(network, "Dropout")] == [0.5] * 4
    dense = layers_of(network, "Dense")
    assert [(layer.units, layer.activation.__name__) for layer in dense] == [(512, "relu"), (1, "sigmoid")]
    kinds = [type(layer).__name__ for layer in network.layers if type(layer).__name__ in {"Conv2D", "MaxPooling2D"}]
    assert kinds == ["Conv2D"] * 5 + ["MaxPooling2D"] + ["Conv2D"] * 2 + ["MaxPooling2D"]
    assert {layer.pool_size for layer in layers_of(network, "MaxPooling2D")} == {(2, 2)}
    assert network.layers[-1] is dense[-1]


def test_paper_cnn_is_trained_as_in_the_paper_but_for_a_rate_that_decays() -> None:
    """The paper names no rate; at a constant one the last epochs move about (docs/decisions.md, 32)."""
    rule = MODELS["paper-cnn"]
    assert rule.batch_size == 10
    assert (rule.weight_decay, rule.label_smoothing, rule.augment) == (0, 0, "paper")
    assert rule.decays


def test_small_cnn_is_small(networks: dict[str, Any]) -> None:
    assert 10_000 < networks["small-cnn"].count_params() < 100_000


def test_every_network_of_the_catalogue_is_built(networks: dict[str, Any]) -> None:
    assert set(networks) == {name for name, rule in MODELS.items() if rule.input == "log_mel"}
    for network in networks.values():
        assert network.input_shape == (None, *SHAPE)
        assert one_of(network).output_shape == (None, 1)


def test_the_ears_are_as_published_and_stay_so(networks: dict[str, Any]) -> None:
    """Their weights are the file's after a step of training; all others have moved."""
    import keras

    network = keras.models.clone_model(networks["field-cnn"])
    network.set_weights(networks["field-cnn"].get_weights())
    fixed = [layer for layer in network.layers if layer.weights and not layer.trainable]
    before = [weight for layer in fixed for weight in layer.get_weights()]
    moving = [weight.numpy() for weight in network.trainable_weights]
    with np.load(Path(gunshot.models.__file__).with_name("ears.npz"), allow_pickle=False) as arrays:
        shipped = [arrays[name] for name in sorted(arrays.files) if name.startswith("heard")]
    network.compile(keras.optimizers.AdamW(0.01), "binary_crossentropy")
    network.train_on_batch(np.random.default_rng(1).normal(-40, 10, (8, *SHAPE)), np.tile([[0.0], [1.0]], (4, 2)))
    after = [weight for layer in fixed for weight in layer.get_weights()]
    for one, other, third in zip(shipped, before, after, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)
    assert all(np.any(old != new.numpy()) for old, new in zip(moving, network.trainable_weights, strict=True))


def test_a_spectrogram_that_the_ears_cannot_read_is_refused() -> None:
    from gunshot.models.networks import NETWORKS

    with pytest.raises(ParameterError, match=r"reads 40 mel bands; the recipe's \[mel\] n_mels is 64: set it to 40"):
        NETWORKS["field-cnn"]((64, 98))


def test_one_score_is_that_of_the_network_or_of_what_yamnet_would_say(
    networks: dict[str, Any], log_mels: Float32
) -> None:
    import keras

    from gunshot.models.ears import called_gunshot

    network = networks["field-cnn"]
    own, of_ears = scipy.special.logit(np.asarray(network(log_mels, training=False), dtype=np.float64)).T
    says = keras.Model(network.input, called_gunshot(network.get_layer("heard").input))
    call = scipy.special.expit(np.asarray(says(log_mels, training=False), dtype=np.float64)[:, 0] + 3.0)
    without = scipy.special.expit(own + 0.3 * of_ears)
    score = np.asarray(one_of(network)(log_mels, training=False))[:, 0]
    np.testing.assert_allclose(score, 1 - (1 - without) * (1 - call), atol=1e-5)
    assert np.ptp(of_ears) > 0.1
    assert np.ptp(call) > 1e-4


@pytest.mark.parametrize("name", ["paper-cnn", "small-cnn", "field-cnn"])
@settings(deadline=None, max_examples=8)
@given(gain_db=st.floats(-40, 40))
def test_gain_does_not_change_the_score(networks: dict[str, Any], log_mels: Float32, name: str, gain_db: float) -> None:
    network = networks[name]
    some = log_mels[:2]
    louder = np.asarray(some + gain_db, dtype=np.float32)
    before, after = np.asarray(network(some, training=False)), np.asarray(network(louder, training=False))
    assert np.abs(before - after).max() < 1e-4


@pytest.mark.parametrize("name", ["paper-cnn", "small-cnn", "field-cnn"])
def test_what_is_exported_scores_as_the_network_does(
    networks: dict[str, Any], exported: dict[str, bytes], log_mels: Float32, name: str
) -> None:
    expected = np.asarray(one_of(networks[name])(log_mels, training=False))[:, 0]
    scores = NetworkRuntime(exported[name], SHAPE).scores(log_mels)
    assert np.ptp(expected) > 0.01  # else equality would say nothing
    np.testing.assert_allclose(scores, expected, atol=1e-4)


@pytest.fixture(scope="module")
def one_by_one(exported: dict[str, bytes], log_mels: Float32) -> Float32:
    """Scores of the first rows, each asked for alone."""
    runtime = NetworkRuntime(exported["small-cnn"], SHAPE)
    return np.concatenate([runtime.scores(row[None]) for row in log_mels[: BATCH + 2]])


@pytest.mark.parametrize("n_rows", [0, 1, 2, BATCH - 1, BATCH, BATCH + 1, BATCH + 2])
def test_scores_do_not_depend_on_how_many_rows_come_at_once(
    exported: dict[str, bytes], log_mels: Float32, one_by_one: Float32, n_rows: int
) -> None:
    together = NetworkRuntime(exported["small-cnn"], SHAPE).scores(log_mels[:n_rows])
    assert together.dtype == np.float32
    np.testing.assert_array_equal(together, one_by_one[:n_rows])


@settings(deadline=None, max_examples=10)
@given(cut=st.integers(0, 130))
def test_nor_on_how_they_are_cut_into_calls(exported: dict[str, bytes], log_mels: Float32, cut: int) -> None:
    runtime = NetworkRuntime(exported["small-cnn"], SHAPE)
    parts = [runtime.scores(log_mels[:cut]), runtime.scores(log_mels[cut:])]
    np.testing.assert_array_equal(np.concatenate(parts), runtime.scores(log_mels))


def test_one_batch_leaves_nothing_in_the_next(exported: dict[str, bytes], log_mels: Float32) -> None:
    runtime = NetworkRuntime(exported["small-cnn"], SHAPE)
    fresh = runtime.scores(log_mels[:5])
    runtime.scores(np.full((BATCH, *SHAPE), np.nan, dtype=np.float32))
    np.testing.assert_array_equal(runtime.scores(log_mels[:5]), fresh)


def test_a_network_for_other_clips_is_refused(exported: dict[str, bytes]) -> None:
    with pytest.raises(BundleError, match=r"input is \(40, 43\).*clips are \(40, 44\)"):
        NetworkRuntime(exported["small-cnn"], (40, 44))


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 400, b"words, words" * 100, b"\x18\x00\x00\x00TFL3" + b"\x00" * 400]
)
def test_anything_but_a_network_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="not an exported network"):
        NetworkRuntime(content, SHAPE)


def test_levels_alone_make_no_shot(networks: dict[str, Any], log_mels: Float32) -> None:
    """Steady sound of any level is one and the same picture to the network: all zeros after standardising."""
    for network in networks.values():
        flat = np.stack([np.full(SHAPE, level, dtype=np.float32) for level in (-80.0, -30.0, 0.0)])
        assert np.ptp(np.asarray(network(flat, training=False)), axis=0).max() < 1e-5


@pytest.fixture(scope="module")
def fit_two_classes(log_mels: Float32) -> Callable[..., Any]:
    """Fits the default network to a few spectrograms; the class is told by a bright corner."""
    from gunshot.models.fit import fit_network

    label = np.asarray([1] * 10 + [0] * 30, dtype=np.int8)
    x = log_mels[: len(label)].copy()
    x[label == 1, :10, :10] += 60.0

    def fit(epochs: int, on_epoch: Callable[[Any], None] | None = None) -> Any:
        rows, judged = ArrayBatches(x, label, 32, seed=1), ArrayBatches(x[::2], label[::2], 32)
        return fit_network(MODELS["small-cnn"], rows, judged, epochs=epochs, seed=1, on_epoch=on_epoch)

    return fit


@pytest.mark.slow
def test_fitting_tells_of_every_epoch_and_learns(fit_two_classes: Callable[..., Any]) -> None:
    told: list[Any] = []
    fit = fit_two_classes(6, told.append)
    assert [epoch.number for epoch in told] == [1, 2, 3, 4, 5, 6]
    assert fit.epochs == tuple(told)
    assert told[-1].loss < 0.7 * told[0].loss
    assert 10_000 < fit.n_weights < 100_000
