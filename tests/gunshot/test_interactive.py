"""`import gunshot` in a notebook: light until it is used, and the same numbers as the commands."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gunshot
from gunshot.errors import ParameterError

ROOT = Path(__file__).resolve().parents[2]


def test_importing_the_package_imports_nothing_else_of_weight() -> None:
    code = "import sys, gunshot; dir(gunshot); print(*(m for m in sys.modules if m.partition('.')[0] in "
    code += "{'numpy', 'pyarrow', 'librosa', 'tensorflow', 'prefect', 'dask', 'matplotlib', 'zarr'}))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == ""


def test_every_name_that_is_promised_is_there_and_no_other() -> None:
    assert all(getattr(gunshot, name) is not None for name in gunshot.__all__)
    assert set(gunshot.__all__) <= set(dir(gunshot))
    with pytest.raises(AttributeError, match="has no attribute 'score_files'"):
        gunshot.score_files  # noqa: B018


@pytest.mark.parametrize("y", [np.zeros((2, 8)), np.zeros(0), np.array([0.0, np.nan])])
def test_what_is_no_sound_is_told(y: np.ndarray) -> None:
    for use in (gunshot.plot_clip, gunshot.score_array):
        with pytest.raises(ParameterError, match="give one channel"):
            use(y, 8000)


@pytest.mark.parametrize("n", [1, 100, 24_000])
def test_a_clip_of_any_length_is_drawn(n: int, tmp_path: Path) -> None:
    gunshot.plot_clip(np.sin(np.arange(n) / 9.0), 8000, "a <title>").savefig(tmp_path / "clip.png")
    assert (tmp_path / "clip.png").stat().st_size > 1000


@pytest.mark.slow
def test_the_notebook_runs_and_an_array_scores_as_its_recording() -> None:
    found = runpy.run_path(str(ROOT / "docs" / "notebook.py"))
    file, array = (found[name].to_pylist() for name in ("detections", "again"))
    assert [(row["start_s"], row["n_shots"]) for row in file] == [(row["start_s"], row["n_shots"]) for row in array]
    np.testing.assert_allclose([r["score"] for r in file], [r["score"] for r in array], atol=1e-4)
    assert file
