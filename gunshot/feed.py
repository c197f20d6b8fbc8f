"""What a network is fed: rows of stores, epoch after epoch, in an order drawn from a seed.

Conventions
-----------
An epoch depends on (seed, epoch) alone. What fits into `HELD_BYTES` is read once, kept, and shuffled as a whole. Larger
stores are read partition after partition in a shuffled order, a few at a time, and their rows shuffled together: at
most `BUFFER_ROWS` rows and one partition are held, however large the stores are. A row with weight w is drawn w times
an epoch on average, or once and weighed in the loss: the first where each draw is distorted anew, the second where it
is not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gunshot.augment.field import FieldRule, field_copy
from gunshot.augment.responses import ResponseBank
from gunshot.augment.spectrogram import masked
from gunshot.clips import features
from gunshot.errors import TrainingError
from gunshot.models.batches import Batch
from gunshot.store.read import FeatureStore

__all__ = ["BUFFER_ROWS", "HELD_BYTES", "Feed", "Part"]

BUFFER_ROWS = 4096
"""Rows of stores that are not kept which are shuffled together."""

HELD_BYTES = 2**30
"""Rows of this size together are read once and kept [bytes]."""

Input = Literal["waveform", "log_mel"]


@dataclass(frozen=True)
class Part:
    """Rows of one store.

    Attributes
    ----------
    store : FeatureStore
        Where they are.
    rows : ndarray of shape (n,), intp
        Their numbers there.
    label : ndarray of shape (n,), int8
        1 gunshot, 0 other.
    weight : ndarray of shape (n,), float32
        What each counts.
    """

    store: FeatureStore
    rows: NDArray[np.intp]
    label: NDArray[np.int8]
    weight: NDArray[np.float32]


class _Block(NamedTuple):
    """Rows of one part that lie in one partition of its store."""

    part: int
    inside: NDArray[np.intp]


class _Drawn(NamedTuple):
    """A row as it was drawn; what is left of its generator distorts its spectrogram."""

    value: NDArray[np.float32]
    label: float
    weight: float
    chance: np.random.Generator | None = None


@dataclass
class Feed:
    """Training rows in batches.

    Attributes
    ----------
    parts : sequence of Part
        The rows; a store of copies is a part of its own.
    input : {"waveform", "log_mel"}
        What the model reads.
    batch_size : int
        Rows a step.
    seed : int
        Of order and distortions.
    field : FieldRule or None
        Distorts every draw anew; None gives rows as they are.
    clean : float
        Fraction of the draws that stay as they are, where `field` is given.
    """

    parts: Sequence[Part]
    input: Input
    batch_size: int
    seed: int
    field: FieldRule | None = None
    clean: float = 0.4
    _held: dict[tuple[int, int], NDArray[np.float32]] = dataclasses.field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Lay out the blocks."""
        self._blocks: list[_Block] = []
        self._held_bank: tuple[int, ResponseBank] | None = None
        for number, part in enumerate(self.parts):
            partition = part.rows // part.store.header.shard_rows
            self._blocks += [_Block(number, np.flatnonzero(partition == index)) for index in np.unique(partition)]
        recipe = self.parts[0].store.recipe
        self._read: Input = "waveform" if self.field is not None else self.input
        n_values = recipe.n_samples if self._read == "waveform" else int(np.prod(recipe.mel_shape))
        self._keeps = self.n_rows * n_values * 4 <= HELD_BYTES

    @property
    def n_rows(self) -> int:
        """Rows of all parts."""
        return sum(len(part.rows) for part in self.parts)

    @property
    def n_batches(self) -> int:
        """Steps an epoch has on average."""
        return -(-self.n_rows // self.batch_size)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        recipe = self.parts[0].store.recipe
        return (recipe.n_samples,) if self.input == "waveform" else recipe.mel_shape

    def epoch(self, number: int) -> Iterator[Batch]:
        """Give the batches of an epoch.

        Parameters
        ----------
        number : int
            Of the epoch, from 0.

        Yields
        ------
        Batch
            Of `batch_size` rows; the last may be smaller.

        Raises
        ------
        TrainingError
            If a row holds values that are not finite.
        """
        rng = np.random.default_rng([self.seed, number, 0])
        left: list[_Drawn] = []
        for group in self._groups(rng):
            for drawn in self._drawn(group, number, rng):
                left.append(drawn)
                if len(left) == self.batch_size:
                    yield self._batch(left)
                    left = []
        if left:
            yield self._batch(left)

    def _groups(self, rng: np.random.Generator) -> Iterator[list[_Block]]:
        group: list[_Block] = []
        for index in rng.permutation(len(self._blocks)).tolist():
            group.append(self._blocks[index])
            if not self._keeps and sum(len(block.inside) for block in group) >= BUFFER_ROWS:
                yield group
                group = []
        if group:
            yield group

    def _values(self, block: _Block) -> NDArray[np.float32]:
        part = self.parts[block.part]
        key = (block.part, int(block.inside[0]))
        values = self._held.get(key)
        if values is None:
            rows = part.rows[block.inside]
            values = part.store.waveforms(rows) if self._read == "waveform" else part.store.log_mels(rows)
            bad = int(np.sum(~np.isfinite(values.reshape(len(values), -1)).all(axis=1)))
            if bad:
                raise TrainingError(
                    f"{part.store.header.uri}: {bad} training rows hold values that are not finite; preprocess into a "
                    "new store"
                )
            if self._keeps:
                self._held[key] = values
        return values

    def _drawn(self, group: list[_Block], epoch: int, rng: np.random.Generator) -> Iterator[_Drawn]:
        """Rows of some partitions in a shuffled order, as often as each is drawn."""
        values = [self._values(block) for block in group]
        part = np.concatenate([np.full(len(block.inside), block.part) for block in group])
        inside = np.concatenate([block.inside for block in group])
        offset = np.concatenate([np.arange(len(block.inside)) for block in group])
        of_block = np.repeat(np.arange(len(group)), [len(block.inside) for block in group])
        label = np.array([self.parts[p].label[i] for p, i in zip(part, inside, strict=True)])
        weight = np.array([self.parts[p].weight[i] for p, i in zip(part, inside, strict=True)])

        def value(index: int) -> NDArray[np.float32]:
            one: NDArray[np.float32] = values[of_block[index]][offset[index]]
            return one

        if self.field is None:
            for index in rng.permutation(len(inside)).tolist():
                yield _Drawn(value(index), float(label[index]), float(weight[index]))
            return
        bank = self._bank(epoch)
        times = np.floor(weight).astype(int) + (rng.random(len(weight)) < weight % 1.0)
        of_label = {int(one): np.flatnonzero(label == one) for one in np.unique(label)}
        for index in rng.permutation(np.repeat(np.arange(len(inside)), times)).tolist():
            row = int(self.parts[part[index]].rows[inside[index]])
            chance = np.random.default_rng([self.seed, epoch, 1, int(part[index]), row, int(times[index])])
            times[index] -= 1  # so that a row drawn twice is distorted in two ways
            y = value(index)
            if chance.random() >= self.clean:
                beside = [value(int(chance.choice(of_label[0])))] if 0 in of_label else []
                y = field_copy(
                    y, self.field, chance, sr=self.parts[0].store.recipe.sr_hz, backgrounds=np.asarray(beside),
                    companion=value(int(chance.choice(of_label[int(label[index])]))), bank=bank,
                )  # fmt: skip
            yield _Drawn(y, float(label[index]), 1.0, chance)

    def _bank(self, epoch: int) -> ResponseBank:
        """New ways, places and recorders each epoch, the same for all groups of one."""
        if self._held_bank is None or self._held_bank[0] != epoch:
            recipe = self.parts[0].store.recipe
            self._held_bank = epoch, ResponseBank([self.seed, epoch, 2], recipe.n_samples, recipe.sr_hz)
        return self._held_bank[1]

    def _batch(self, drawn: list[_Drawn]) -> Batch:
        x = np.stack([row.value for row in drawn])
        if self._read != self.input:
            x = features(x, self.parts[0].store.recipe)
        if self.field is not None and x.ndim == 3:
            for number, row in enumerate(drawn):
                if row.chance is not None:
                    x[number] = masked(x[number], self.field.masking, row.chance)
        y, weight = (
            np.asarray(column, dtype=np.float32)
            for column in zip(*((row.label, row.weight) for row in drawn), strict=True)
        )
        return Batch(x, y, weight)
