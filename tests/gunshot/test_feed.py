"""Rows of stores as batches: all there, in an order of the seed's own, however little is held."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gunshot import feed as feed_module
from gunshot.augment.field import FieldRule
from gunshot.clips import features
from gunshot.errors import TrainingError
from gunshot.feed import Feed, Part
from gunshot.store.read import open_store


@pytest.fixture
def part(small_store: str) -> Part:
    store = open_store(small_store)
    rows = store.usable[::2]
    label = np.asarray(store.column("label"), dtype=np.int8)[rows]
    return Part(store, rows, label, np.linspace(0.2, 1.8, len(rows)).astype(np.float32))


def everything(feed: Feed, epoch: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, weight = (np.concatenate(values) for values in zip(*feed.epoch(epoch), strict=True))
    return x, y, weight


def test_an_epoch_is_every_row_once_in_another_order_each_time(part: Part) -> None:
    feed = Feed([part], "log_mel", 16, seed=3)
    first, second, again = everything(feed, 0), everything(feed, 1), everything(Feed([part], "log_mel", 16, seed=3), 0)
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert not np.array_equal(first[2], second[2])
    assert np.array_equal(np.sort(first[2]), np.sort(part.weight))
    order = np.argsort(first[2])
    assert np.array_equal(first[0][order], part.store.log_mels(part.rows))
    assert np.array_equal(first[1][order], part.label)
    assert [len(batch.x) for batch in feed.epoch(0)] == [16] * (len(part.rows) // 16) + [len(part.rows) % 16]


def test_what_is_not_kept_is_read_again_and_is_the_same(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = everything(Feed([part], "log_mel", 16, seed=3))
    monkeypatch.setattr(feed_module, "HELD_BYTES", 0)
    stream = Feed([part], "log_mel", 16, seed=3)
    assert all(np.array_equal(one, other) for one, other in zip(kept, everything(stream), strict=True))
    assert not stream._held


def test_distorted_rows_are_drawn_by_their_weight_anew_in_each_epoch(part: Part) -> None:
    feed = Feed([part], "waveform", 16, seed=3, field=FieldRule(seed=3))
    first, second = everything(feed, 0), everything(feed, 1)
    repeated = everything(Feed([part], "waveform", 16, seed=3, field=FieldRule(seed=3)), 0)
    assert np.array_equal(first[0], repeated[0])
    assert len(first[0]) == pytest.approx(part.weight.sum(), abs=4 * np.sqrt(len(part.rows) / 4))
    assert not np.array_equal(first[0][: len(second[0])], second[0][: len(first[0])])
    assert np.all(first[2] == 1)
    originals = {row.tobytes() for row in part.store.waveforms(part.rows)}
    clean = np.mean([row.tobytes() in originals for row in first[0]])
    assert 0.05 < clean < 0.5
    assert np.all(np.isfinite(first[0]))


def test_features_of_distorted_rows_are_those_of_the_recipe(part: Part) -> None:
    rule = FieldRule(seed=3, masking=0)
    waves = everything(Feed([part], "waveform", 16, seed=3, field=rule))[0]
    mels = everything(Feed([part], "log_mel", 16, seed=3, field=rule))[0]
    assert np.array_equal(mels, features(waves, part.store.recipe))


def test_masks_differ_from_copy_to_copy(part: Part) -> None:
    plain = everything(Feed([part], "log_mel", 16, seed=3, field=FieldRule(seed=3, masking=0)))[0]
    masked = everything(Feed([part], "log_mel", 16, seed=3, field=FieldRule(seed=3, masking=1)))[0]
    changed = (plain != masked).any(axis=(1, 2))
    assert changed.all()
    where = (plain != masked)[changed]
    assert len(np.unique(where.reshape(len(where), -1), axis=0)) > len(where) / 2


def test_rows_that_are_not_finite_are_an_error(
    part: Part, store_with_values: Callable[..., str], tmp_path: pytest.TempPathFactory
) -> None:
    bad = open_store(store_with_values(part.store.header.uri, tmp_path / "s", part.rows[:3], np.nan))
    with pytest.raises(TrainingError, match="3 training rows hold values that are not finite"):
        everything(Feed([Part(bad, part.rows, part.label, part.weight)], "log_mel", 16, seed=0))
