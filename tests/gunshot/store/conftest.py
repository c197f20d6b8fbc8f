"""Stores of rows that were never in a file, small enough to be written often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from gunshot.manifest.table import manifest_of
from gunshot.partition import Partition
from gunshot.recipe import ClipRule, Recipe
from gunshot.store.layout import USABLE_STATES, StoreHeader, prepare_store
from gunshot.store.write import commit_store, write_partition

Arrays = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """Clips of a twentieth of a second: a store of many rows stays small."""
    return Recipe(clip=ClipRule(lead_s=0.01, length_s=0.05))


@pytest.fixture(scope="session")
def manifest() -> Callable[..., pa.Table]:
    """Makes a manifest of so many rows; keywords replace values of all rows."""

    def make(n_rows: int, **values: Any) -> pa.Table:
        plain: dict[str, Any] = {
            "start_s": None, "end_s": None, "limit_s": None, "label": 1, "sound": "made", "source": "made",
            "group": "g", "device": "", "license": "", "size": 1, "etag": "1", "duration_s": 1.0, "sr": 12_000,
            "n_channels": 1, "state": "ok", "reason": "",
        }  # fmt: skip
        return manifest_of(plain | {"path": f"{n}.wav", "uri": f"/no/{n}.wav"} | values for n in range(n_rows))

    return make


@pytest.fixture(scope="session")
def content() -> Callable[..., tuple[Arrays, list[dict[str, Any]]]]:
    """Makes arrays and records of a partition, from its row numbers alone."""

    def make(
        header: StoreHeader, partition: Partition, states: Sequence[str] = ("ok",)
    ) -> tuple[Arrays, list[dict[str, Any]]]:
        rows = range(partition.start, partition.stop)
        state = [states[row % len(states)] for row in rows]
        shapes = {"waveform": (header.recipe.n_samples,), "log_mel": header.recipe.mel_shape}
        arrays: Arrays = {}
        for name, shape in shapes.items():
            values = [np.random.default_rng([row, len(shape)]).uniform(-1, 1, shape) for row in rows]
            arrays[name] = np.array(values, dtype=np.float32)
            arrays[name][~np.isin(state, USABLE_STATES)] = np.nan
        records = [
            {"row": row, "state": state[i], "reason": "" if state[i] == "ok" else f"why {row}", "onset_s": row / 10,
             "strength_db": 12.5, "is_onset": True, "padded_s": 0.0, "duration_s": 1.0, "sr": 12_000, "n_channels": 1}
            for i, row in enumerate(rows)
        ]  # fmt: skip
        return arrays, records

    return make


@pytest.fixture
def make_store(
    recipe: Recipe, manifest: Callable[..., pa.Table], content: Callable[..., tuple[Arrays, list[dict[str, Any]]]]
) -> Callable[..., StoreHeader]:
    """Writes a whole store, and commits it."""

    def make(uri: Path | str, n_rows: int, states: Sequence[str] = ("ok",)) -> StoreHeader:
        header = prepare_store(str(uri), manifest(n_rows), recipe)
        for partition in header.partitions:
            write_partition(header, partition, *content(header, partition, states))
        commit_store(header)
        return header

    return make
