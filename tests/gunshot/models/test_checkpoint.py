"""A training that was interrupted ends with the weights of one that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gunshot.models.batches import ArrayBatches, Batch, ahead
from gunshot.models.catalogue import MODELS
from gunshot.models.checkpoint import Checkpoint, Saved


def test_what_is_saved_is_read_back_and_nothing_else_is(tmp_path: Path) -> None:
    place = Checkpoint(str(tmp_path / "c.npz"), "key")
    assert place.load() is None
    arrays = [np.arange(3), np.float32(2.5), np.zeros((0, 4))]
    place.save(Saved(arrays, [np.ones(2)], [{"number": 1, "loss": 0.5}]))
    found = place.load()
    assert found is not None
    assert all(np.array_equal(one, other) for one, other in zip(found.arrays, arrays, strict=True))
    assert np.array_equal(found.best[0], np.ones(2))
    assert found.history == [{"number": 1, "loss": 0.5}]
    assert Checkpoint(place.uri, "another").load() is None
    whole = Path(place.uri).read_bytes()
    for damaged in (b"", whole[:100], whole[:-30], b"not an archive"):
        Path(place.uri).write_bytes(damaged)
        assert place.load() is None
    Path(place.uri).write_bytes(whole)
    place.remove()
    assert place.load() is None


def test_batches_made_ahead_are_the_same_and_errors_come_through() -> None:
    rows = ArrayBatches(np.arange(50, dtype=np.float32)[:, None], np.zeros(50, np.int8), 7, seed=1)
    assert all(np.array_equal(a.x, b.x) for a, b in zip(rows.epoch(2), ahead(rows.epoch(2)), strict=True))

    def fails() -> Any:
        yield next(rows.epoch(0))
        raise ValueError("no more")

    made = ahead(fails())
    assert isinstance(next(made), Batch)
    with pytest.raises(ValueError, match="no more"):
        next(made)
    half = ahead(rows.epoch(0), n_ahead=1)
    next(half)
    half.close()  # a maker that waits is let go


@pytest.mark.slow
@pytest.mark.parametrize("patience", [None, 3])
def test_a_training_that_was_broken_off_ends_as_one_that_ran_through(tmp_path: Path, patience: int | None) -> None:
    from gunshot.models.fit import fit_network

    rng = np.random.default_rng(0)
    label = np.asarray([1, 0] * 24, dtype=np.int8)
    x = rng.normal(-50, 10, (48, 40, 43)).astype(np.float32)
    x[label == 1, :10, :10] += 40
    rows, judged = ArrayBatches(x, label, 16, seed=4), ArrayBatches(x[:8], label[:8], 16)
    settings = {"epochs": 4, "seed": 4, "patience": patience}
    whole = fit_network(MODELS["small-cnn"], rows, judged, **settings)
    place = Checkpoint(str(tmp_path / "c.npz"), "k")

    class KilledError(Exception):
        pass

    def die_after_two(epoch: Any) -> None:
        if epoch.number == 2:
            raise KilledError

    with pytest.raises(KilledError):
        fit_network(MODELS["small-cnn"], rows, judged, checkpoint=place, on_epoch=die_after_two, **settings)
    told: list[int] = []
    rest = fit_network(
        MODELS["small-cnn"],
        rows,
        judged,
        checkpoint=place,
        on_epoch=lambda epoch: told.append(epoch.number),
        **settings,
    )
    assert told == [3, 4]
    assert rest.epochs == whole.epochs
    assert rest.weights == whole.weights


@pytest.mark.slow
def test_an_epochs_figures_are_of_all_its_rows_however_they_are_batched() -> None:
    from gunshot.models.fit import fit_network

    rng = np.random.default_rng(0)
    label = np.asarray([1, 0, 0] * 10, dtype=np.int8)
    x = rng.normal(-50, 10, (30, 40, 43)).astype(np.float32)
    rows = ArrayBatches(x, label, 16, seed=4)
    whole, parts = (
        fit_network(MODELS["small-cnn"], rows, ArrayBatches(x, label, size), epochs=1, seed=4).epochs[0]
        for size in (30, 7)
    )
    assert parts.validation_loss == pytest.approx(whole.validation_loss, rel=1e-4)
    assert parts.validation_accuracy == pytest.approx(whole.validation_accuracy, abs=1e-6)
    assert parts.loss == whole.loss
