"""Batches that a network is adapted with: the site, its past, and synthetic sounds, in fixed shares.

Conventions
-----------
Draws are distorted anew, but for a share that stays clean; a batch depends on (seed, epoch, step) alone. A pool with
labels has them as targets; a pool without has the score that the model gave the very clip before adaptation, distorted
as it is: learning without forgetting (Li and Hoiem 2017, IEEE TPAMI 40:2935). Targets of labels are smoothed by the
model's own rule, soft targets stay what the teacher said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gunshot.augment.field import FieldRule, field_copy
from gunshot.augment.responses import ResponseBank
from gunshot.clips import features
from gunshot.models.batches import Batch
from gunshot.recipe import Recipe

__all__ = ["SITE_FIELD", "Mixture", "Pool"]

SITE_FIELD = FieldRule(
    distance=0.3, place=0.3, background=0.7, response=0.3, clipping=0.1, coding=0.0, muting=0.1, overlap=0.1
)
"""Milder than in training: the site's own recorder and surroundings are what is to be learnt."""


@dataclass(frozen=True)
class Pool:
    """Clips that take up a share of every batch.

    Attributes
    ----------
    waveform : ndarray of shape (n, n_samples), float32
        The clips, at least one.
    target : float or None
        Label of all, 1 or 0; None has the teacher's score.
    share : float
        What part of a batch they are, relative to the other pools'.
    clean : float
        Fraction of the draws that stay as they are.
    """

    waveform: NDArray[np.float32]
    target: float | None
    share: float
    clean: float = 0.25


@dataclass(frozen=True)
class Mixture:
    """Batches of several pools.

    Attributes
    ----------
    pools : sequence of Pool
        Where clips are drawn from.
    teacher : callable
        From inputs to scores: the model before adaptation.
    recipe : Recipe
        Of the clips.
    backgrounds : ndarray of shape (n, n_samples), float32
        Clips to lay beneath others.
    field : FieldRule
        Distorts each draw.
    smoothing : float
        How far labels are drawn towards the middle.
    batch_size, n_batches : int
        Rows of a batch, and batches of an epoch.
    seed : int
        Of all draws.
    """

    pools: Sequence[Pool]
    teacher: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    recipe: Recipe
    backgrounds: NDArray[np.float32]
    field: FieldRule
    smoothing: float
    batch_size: int
    n_batches: int
    seed: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.recipe.mel_shape

    def epoch(self, number: int) -> Iterator[Batch]:
        """Give the batches of an epoch.

        Parameters
        ----------
        number : int
            Of the epoch, from 0.

        Yields
        ------
        Batch
            Of `batch_size` rows, each pool by its share.
        """
        for step in range(self.n_batches):
            yield self._batch(np.random.default_rng([self.seed, 3, number, step]))

    def _batch(self, rng: np.random.Generator) -> Batch:
        share = np.array([pool.share for pool in self.pools])
        counts = self._counts(share / share.sum(), rng)
        of_pool = np.repeat(np.arange(len(self.pools)), counts).tolist()
        x = features(np.stack([self._draw(self.pools[number], rng) for number in of_pool]), self.recipe)
        y = np.asarray([np.nan if (t := self.pools[k].target) is None else self._smoothed(t) for k in of_pool])
        soft = np.isnan(y)
        if soft.any():
            y[soft] = self.teacher(x[soft])
        return Batch(x, y.astype(np.float32), np.ones(len(y), dtype=np.float32))

    def _counts(self, share: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.intp]:
        """Whole rows of each pool; what is left over is dealt by chance, so that shares hold on average."""
        exact = share * self.batch_size
        counts = np.floor(exact).astype(np.intp)
        left = self.batch_size - int(counts.sum())
        if left:
            rest = exact - counts
            counts += rng.multinomial(left, rest / rest.sum())
        return counts

    def _draw(self, pool: Pool, rng: np.random.Generator) -> NDArray[np.float32]:
        y: NDArray[np.float32] = pool.waveform[int(rng.integers(len(pool.waveform)))]
        if rng.random() < pool.clean:
            return y
        companion = pool.waveform[int(rng.integers(len(pool.waveform)))]
        return field_copy(
            y, self.field, rng, sr=self.recipe.sr_hz, backgrounds=self.backgrounds,
            companion=None if pool.target is None else companion, bank=self._bank,
        )  # fmt: skip

    @cached_property
    def _bank(self) -> ResponseBank:
        return ResponseBank([self.seed, 4], self.recipe.n_samples, self.recipe.sr_hz)

    def _smoothed(self, target: float) -> float:
        return target * (1.0 - self.smoothing) + 0.5 * self.smoothing
