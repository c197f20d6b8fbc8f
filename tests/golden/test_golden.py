"""Numbers of clips do not change unnoticed.

Stores, bundles and detections carry the recipe's digest, which holds `gunshot.recipe.CODE_VERSION`. If the code
computes other numbers under the same digest, old and new clips are mixed without a word. These tests compare with what
was written down; where they fail, the version must rise with the numbers.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gunshot.recipe import CODE_VERSION, Recipe

HERE = Path(__file__).parent

# Single precision and other builds of FFT, BLAS and soxr stay far below these; a change of the rule does not.
LEVEL_DB = 0.05
SAMPLE = 2e-5

CHANGED = (
    "the code computes other clips than were written down. If that is meant, raise CODE_VERSION in gunshot/recipe.py "
    "and run tests/golden/regenerate.py; stores and models made before are then refused, as they must be"
)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    """What was written down."""
    return json.loads((HERE / "clips.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def computed() -> dict[str, Any]:
    """What the code computes now."""
    return runpy.run_path(str(HERE / "regenerate.py"))["compute"]()


def test_the_golden_clips_are_of_this_recipe_and_version(golden: dict[str, Any]) -> None:
    remedy = "run tests/golden/regenerate.py"
    assert golden["code_version"] == CODE_VERSION, f"CODE_VERSION has risen: {remedy}"
    assert golden["recipe_digest"] == Recipe().digest, f"the default recipe has changed: {remedy}"


def test_onsets_are_as_written_down(golden: dict[str, Any], computed: dict[str, Any]) -> None:
    assert computed["onset_samples"] == golden["onset_samples"], CHANGED
    np.testing.assert_allclose(
        computed["onset_strengths_db"], golden["onset_strengths_db"], atol=LEVEL_DB, err_msg=CHANGED
    )


@pytest.mark.parametrize("name", ["whole", "second shot", "weak shot", "steady"])
def test_clips_and_features_are_as_written_down(golden: dict[str, Any], computed: dict[str, Any], name: str) -> None:
    assert set(computed["clips"]) == set(golden["clips"])
    old, new = golden["clips"][name], computed["clips"][name]
    for key in ("onset_sample", "is_onset", "padded_s"):
        assert new[key] == old[key], f"{key}: {CHANGED}"
    assert new["strength_db"] == pytest.approx(old["strength_db"], abs=LEVEL_DB), CHANGED
    assert new["waveform_rms"] == pytest.approx(old["waveform_rms"], rel=1e-3), CHANGED
    np.testing.assert_allclose(new["waveform"], old["waveform"], atol=SAMPLE, err_msg=CHANGED)
    np.testing.assert_allclose(new["log_mel"], old["log_mel"], atol=LEVEL_DB, err_msg=CHANGED)


def test_what_was_written_down_would_notice_a_change(golden: dict[str, Any]) -> None:
    # sound in the clips, levels that differ, and an onset that the rule did not find for itself
    clips = golden["clips"]
    assert [clips[name]["is_onset"] for name in ("whole", "second shot", "weak shot", "steady")] == [True] * 3 + [False]
    assert clips["second shot"]["padded_s"] > 0.2
    for clip in clips.values():
        assert np.std(clip["log_mel"]) > 5.0
        assert clip["waveform_rms"] > 50 * SAMPLE
