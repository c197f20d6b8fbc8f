"""The model that comes with the package: it loads, it is small, it says where it comes from, and it knows a shot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gunshot.clips import features
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.models.registry import resolve_model
from gunshot.preprocess.rows import clips_of_rows
from gunshot.recipe import read_recipe


@pytest.fixture(scope="module")
def field() -> Bundle:
    return load_bundle(resolve_model("field"))


def test_it_is_small_and_whole(field: Bundle) -> None:
    files = list(Path(field.uri).iterdir())
    assert sum(file.stat().st_size for file in files) <= 3_000_000
    assert {"model.json", "weights.tflite", "network.npz", "MODEL_CARD.md", "ATTRIBUTION.md"} <= {
        file.name for file in files
    }
    assert not [file for file in files if file.suffix in {".pkl", ".pickle", ".wav", ".flac", ".ogg"}]


def test_it_reads_the_recipe_that_the_command_which_builds_it_gives(field: Bundle) -> None:
    assert field.recipe.digest == read_recipe(Path(field.uri).parent / "field.toml").digest


def test_it_was_not_trained_on_sound_that_forbids_shipping(field: Bundle) -> None:
    training = field.details["training"]
    assert "urbansound8k" not in training["rows_by_source"]
    assert not any("NC" in name for names in training["licenses"].values() for name in names)
    assert str(Path.home()) not in json.dumps(dict(field.details))


def test_its_points_and_its_calibration_are_there(field: Bundle) -> None:
    assert {"miss 1%", "10 a day"} <= {point.name for point in field.operating_points}
    probability = field.calibration.probability(np.linspace(0, 1, 50, dtype=np.float32))
    assert np.all(np.diff(probability) >= 0)
    assert 0 <= probability[0] < 0.1 < 0.9 < probability[-1] <= 1


@pytest.mark.audio
def test_it_finds_shots_of_a_position_and_of_recorders_that_it_never_met(field: Bundle, audio: Path) -> None:
    """A few shots and sounds, not the figures: those are in docs/results.md."""
    from gunshot.manifest.sources import build_manifest

    rows = [
        row
        for row in build_manifest([str(audio)], probe=False).to_pylist()
        if "livefire/FP7/" in row["path"] or "street-test/" in row["path"]
    ]
    found = [(row["label"], clip.y) for row, (_, _, clip) in zip(
        rows, clips_of_rows(list(enumerate(rows)), field.recipe), strict=True
    ) if clip is not None]  # fmt: skip
    label = np.asarray([one for one, _ in found])
    score = field.score_inputs(features(np.stack([y for _, y in found]), field.recipe))
    assert np.mean(score[label == 1] >= field.operating_point.threshold) > 0.7
    assert np.mean(score[label == 0] >= field.operating_point.threshold) < 0.02
