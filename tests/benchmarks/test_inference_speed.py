"""What a clip costs in the exported runtime, on one thread, in whole batches, features given."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest

from gunshot.clips import features
from gunshot.models.bundle import load_bundle
from gunshot.models.golden import golden_clips
from gunshot.models.registry import resolve_model
from gunshot.models.runtime import BATCH

pytestmark = pytest.mark.slow


def test_a_clip_of_the_field_model(capsys: pytest.CaptureFixture[str]) -> None:
    field = load_bundle(resolve_model("field"))
    inputs = np.resize(features(golden_clips(field.recipe), field.recipe), (BATCH, *field.recipe.mel_shape))
    field.score_inputs(inputs)
    times = []
    for _ in range(50):
        began = perf_counter()
        field.score_inputs(inputs)
        times.append((perf_counter() - began) / BATCH * 1e3)
    with capsys.disabled():
        print(f"\nfield model, ms a clip in batches of {BATCH}: median {np.median(times):.3f}, least {min(times):.3f}")
