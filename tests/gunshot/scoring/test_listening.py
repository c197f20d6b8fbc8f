"""Silence and clipping, measured block by block: the same as on the whole, however it is divided."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunshot.errors import ParameterError
from gunshot.scoring.listening import Listening

Samples = NDArray[np.float32]
SR = 160  # 0.1 s are 16 samples, so that short arrays hold all cases
STRETCH = 16


def measured(y: Samples, edges: list[int] | None = None, sr: int = SR) -> tuple[float, float]:
    listening = Listening(sr)
    for block in np.split(y, sorted(edges or [])):
        listening.push(block)
    return listening.silent_s, listening.clipped_s


def by_definition(y: Samples) -> tuple[float, float]:
    """The two figures by the words of the module's docstring, sample by sample."""
    channels = y[:, None] if y.ndim == 1 else y
    silent = 0
    for is_zero, run in groupby(not frame.any() for frame in channels):
        length = len(list(run))
        silent += length if is_zero and length >= STRETCH else 0
    stretches: set[int] = set()
    for channel in channels.T:
        for sign in (1, -1):
            extreme = sign * (sign * channel).max()
            if sign * extreme < np.float32(0.985):
                continue
            at = 0
            for is_top, run in groupby(channel == extreme):
                length = len(list(run))
                if is_top and length >= 3:
                    stretches |= {(at + index) // STRETCH for index in range(length)}
                at += length
    return silent / SR, min(len(stretches) * STRETCH, len(y)) / SR


# runs of few values, so that zeros and tops meet edges of blocks and each other
pieces = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, -1.0, 0.99, -0.99, 0.985, 0.5, -0.25]), st.integers(1, 40)),
    min_size=1, max_size=12,
).map(lambda runs: np.concatenate([np.full(length, value, np.float32) for value, length in runs]))  # fmt: skip
edges = st.lists(st.integers(0, 300), max_size=12)


@given(y=pieces, edges=edges)
def test_any_division_gives_what_the_definition_gives(y: Samples, edges: list[int]) -> None:
    assert measured(y, [min(edge, len(y)) for edge in edges]) == by_definition(y)


@given(left=pieces, right=pieces, edges=edges)
def test_channels(left: Samples, right: Samples, edges: list[int]) -> None:
    n_frames = min(len(left), len(right))
    y = np.stack([left[:n_frames], right[:n_frames]], axis=1)
    assert measured(y, [min(edge, n_frames) for edge in edges]) == by_definition(y)


@given(seed=st.integers(0, 2**32 - 1), edges=st.lists(st.integers(0, 30_000), max_size=6))
def test_sound_at_a_usual_rate(seed: int, edges: list[int]) -> None:
    rng = np.random.default_rng(seed)
    y = np.clip(rng.standard_normal(30_000) * 0.3, -1, 1).astype(np.float32)
    y[: rng.integers(4_000)] = 0
    y[rng.integers(30_000) :][: rng.integers(6_000)] = 0
    assert measured(y, edges, 16_000) == pytest.approx(measured(y, None, 16_000), abs=1e-12)


def test_one_sample_a_block() -> None:
    y = np.concatenate([np.zeros(20), np.ones(5), np.full(7, -1), np.zeros(15), [0.5], np.zeros(16)]).astype(np.float32)
    assert measured(y, list(range(1, len(y)))) == by_definition(y) == (36 / SR, 16 / SR)


def test_a_higher_top_undoes_what_was_thought_clipped() -> None:
    listening = Listening(SR)
    listening.push(np.full(32, 0.99, np.float32))
    assert listening.clipped_s == 0.2
    listening.push(np.array([0.995, 0.1], np.float32))
    assert listening.clipped_s == 0


def test_quiet_integers_are_not_silence() -> None:
    y = np.random.default_rng(0).integers(-1, 2, 48_000).astype(np.float32) / 32768  # a third of them zeros
    assert measured(y, [1000, 20_000], 48_000) == (0, 0)


def test_nothing_is_nothing() -> None:
    assert measured(np.empty(0, np.float32)) == (0, 0)
    with pytest.raises(ParameterError, match="sr must be greater than 0"):
        Listening(0)
