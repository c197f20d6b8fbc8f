"""What one would write first: librosa, one row after the other; and the least that any way must do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import librosa
import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from gunshot.recipe import Recipe

Float32 = NDArray[np.float32]


class Row(NamedTuple):
    """A labelled segment, or a whole recording."""

    path: str
    start_s: float | None = None
    end_s: float | None = None


def clips_by_script(rows: Sequence[Row], recipe: Recipe) -> list[tuple[Float32, Float32]]:
    """Load at the recipe's rate, detect onsets, cut from the first one, compute the features."""
    found = []
    for path, start_s, end_s in rows:
        duration_s = None if end_s is None else end_s - (start_s or 0.0)
        y, sr = librosa.load(path, sr=recipe.sr_hz, offset=start_s or 0.0, duration=duration_s)
        onsets = librosa.onset.onset_detect(y=y, sr=sr, units="samples")
        first = max(0, onsets[0] - recipe.lead_samples) if len(onsets) else 0
        clip = librosa.util.fix_length(y[first : first + recipe.n_samples], size=recipe.n_samples)
        mel = librosa.feature.melspectrogram(
            y=clip, sr=sr, n_fft=recipe.mel.n_fft, hop_length=recipe.mel.hop_length, n_mels=recipe.mel.n_mels,
            fmin=recipe.mel.fmin_hz, fmax=recipe.mel.fmax_hz,
        )  # fmt: skip
        found.append((clip, librosa.power_to_db(mel)))
    return found


def decode_and_resample(rows: Sequence[Row], recipe: Recipe) -> int:
    """Nothing but the labelled sound, at the recipe's rate: each file opened once, each segment read at its place."""
    n_samples = 0
    for path, same_file in groupby(rows, key=lambda row: row.path):
        with sf.SoundFile(path) as file:
            for _, start_s, end_s in same_file:
                start = round((start_s or 0.0) * file.samplerate)
                stop = file.frames if end_s is None else min(file.frames, round(end_s * file.samplerate))
                if start:
                    file.seek(start)
                y = file.read(stop - start, dtype="float32", always_2d=True)
                y = y[:, 0] if y.shape[1] == 1 else y.mean(axis=1)
                if file.samplerate != recipe.sr_hz:
                    y = soxr.resample(y, file.samplerate, recipe.sr_hz, quality="HQ")
                n_samples += y.size
    return n_samples
