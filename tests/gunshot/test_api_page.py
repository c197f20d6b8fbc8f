"""The examples of docs/api.md, run as they stand: on a store, results, a model and a recording of their names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.review.conftest import make_results

pytestmark = pytest.mark.xdist_group("networks")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


@pytest.fixture
def examples(
    tmp_path: Path, small_store: str, cnn_bundle: str, write_recording: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> list[str]:  # fmt: skip
    """The page's blocks of Python, and a folder that has what they name."""
    (tmp_path / "features.zarr").symlink_to(small_store)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine").symlink_to(cnn_bundle)
    write_recording(tmp_path / "night.wav", 12, [2, 6.5])
    make_results(tmp_path, 1, 3)
    monkeypatch.chdir(tmp_path)
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_first_example_gives_what_the_page_says(examples: list[str]) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    found: dict[str, Any] = {}
    exec(examples[0], found)
    n_rows = len(found["rows"])
    assert n_rows == 100
    assert found["X"].shape == (n_rows, *found["store"].recipe.mel_shape)
    assert {"path", "label", "group", "onset_s"} <= set(found["frame"].columns)
    assert len(found["frame"]) == n_rows
    assert len(found["detections"]) == 3


def test_xarray_opens_a_store_and_reads_what_we_read(examples: list[str]) -> None:
    pytest.importorskip("xarray", reason="xarray is not installed; nothing of ours needs it")
    found: dict[str, Any] = {}
    exec(examples[0], found)
    with pytest.warns(Warning, match="not recognized as a component of a Zarr hierarchy"):
        exec(examples[1], found)
    data, store = found["data"], found["store"]
    assert data.log_mel.dims == ("row", "mel_band", "frame")
    assert data.waveform.dims == ("row", "sample")
    np.testing.assert_array_equal(data.log_mel.isel(row=found["rows"]).values, found["X"])
    np.testing.assert_array_equal(data.waveform.isel(row=[3]).values, store.waveforms([3]))
