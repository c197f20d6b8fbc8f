"""Golden clips: what the code behind a clip computes, written down.

Run by hand where `test_golden.py` says so, from the project's folder::

    python tests/golden/regenerate.py
"""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from gunshot.audio.decode import Recording
from gunshot.clips import Segment, clip_of_segment, features, find_onsets
from gunshot.dsp.resample import resample
from gunshot.recipe import CODE_VERSION, Recipe

GOLDEN = Path(__file__).with_name("clips.json")

SR = 44_100
DURATION_S = 4.0
SHOTS = (
    (0.91234, 0.5, 30.0),
    (2.10057, 0.2, 80.0),
    (2.25171, 0.1, 60.0),
    (3.30999, 0.02, 40.0),
)  # time [s], level, decay [1/s]
SEGMENTS = {
    "whole": Segment(),
    "second shot": Segment(1.9, 2.4, 2.24),
    "weak shot": Segment(3.1, 3.6),
    "steady": Segment(1.3, 1.8),
}


def uniform_noise(n: int, seed: int) -> NDArray[np.float64]:
    """Numbers in [-1, 1) from a generator of integers, the same on every machine and under every NumPy."""
    values, state = np.empty(n), seed
    for index in range(n):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        values[index] = (state >> 33) / 2**30 - 1.0
    return values


def recording() -> NDArray[np.float64]:
    """Noise and a hum at 44.1 kHz with four decaying shots, one of them weak, two close together."""
    n = round(DURATION_S * SR)
    y = 1e-3 * uniform_noise(n, 1)
    y += [2e-3 * math.sin(2.0 * math.pi * 150.0 * index / SR) for index in range(n)]
    hiss = uniform_noise(n, 2)
    for time_s, level, decay in SHOTS:
        first = round(time_s * SR)
        t_s = np.arange(n - first) / SR
        y[first:] += level * np.exp(-decay * t_s) * (hiss[: n - first] + 0.5 * np.cos(2.0 * np.pi * 400.0 * t_s))
    return y


def compute() -> dict[str, Any]:
    """Everything that is written down, computed anew."""
    recipe = Recipe()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "golden.wav"
        sf.write(path, recording(), SR, subtype="PCM_24")
        with Recording(str(path)) as opened:
            clips = {name: clip_of_segment(opened, segment, recipe) for name, segment in SEGMENTS.items()}
            onsets = find_onsets(resample(opened.read(), SR, recipe.sr_hz), recipe, from_start=True)
    return {
        "code_version": CODE_VERSION,
        "recipe_digest": recipe.digest,
        "onset_samples": onsets.sample.tolist(),
        "onset_strengths_db": rounded(onsets.strength_db, 3),
        "clips": {
            name: {
                "onset_sample": round(clip.onset_s * recipe.sr_hz),
                "strength_db": round(clip.strength_db, 3),
                "is_onset": clip.is_onset,
                "padded_s": round(clip.padded_s, 6),
                "waveform_rms": float(f"{np.sqrt(np.mean(np.square(clip.y, dtype=np.float64))):.5g}"),
                "waveform": rounded(clip.y[recipe.lead_samples :: 97], 6),
                "log_mel": [rounded(band, 3) for band in features(clip.y[None], recipe)[0][::5, ::4]],
            }
            for name, clip in clips.items()
        },
    }


def rounded(values: NDArray[Any], digits: int) -> list[float]:
    """For a file that a person can read and compare."""
    return [round(float(value), digits) for value in values]


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(compute(), indent=1) + "\n", encoding="utf-8")
    print(f"{GOLDEN} written for code version {CODE_VERSION}")
