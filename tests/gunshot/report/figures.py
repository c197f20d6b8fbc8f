"""Figures of made-up rows, for the sections about held-out clips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gunshot.evaluation.reported import ReportedFigures, reported_figures
from gunshot.evaluation.reported_rows import ReportedRows

__all__ = ["AUDIT", "THRESHOLD", "figures_of", "rows_of"]

THRESHOLD = 0.6
KINDS = ("dog bark", "door", "rain", "plastic bag")

AUDIT: dict[str, Any] = {
    "judged": "validation",
    "n_train": 80,
    "n_judged": 40,
    "shortcuts": [
        {"name": "rate", "what": "the sample rate", "auc": 0.52, "balanced_accuracy": 0.5, "is_close": False},
        {"name": "noise", "what": "the noise floor", "auc": 0.97, "balanced_accuracy": 0.9, "is_close": True},
    ],
    "sounds": [{"name": "clip", "what": "whole clips", "auc": 0.98, "balanced_accuracy": 0.93, "is_close": False}],
    "split_gap": None,
    "warnings": ["The noise floor alone tells the classes apart."],
}
"""As ``model.json`` holds one."""


def rows_of(sound: Callable[[int], str] | None = None, n: int = 240, seed: int = 0) -> ReportedRows:
    """Return rows of every level, half of them gunshots; other sounds are of four kinds."""
    rng = np.random.default_rng(seed)
    label = (np.arange(n) % 2).astype(np.int8)
    score = 1.0 / (1.0 + np.exp(-(2.0 * (2 * label - 1) + 1.5 * rng.standard_normal(n))))
    snr = rng.uniform(0, 40, n)
    snr[:3] = np.nan

    def named(number: int) -> str:
        return ("gunshot:9mm" if number % 4 == 1 else "gunshot") if number % 2 else KINDS[number // 2 % len(KINDS)]

    return ReportedRows(
        row=np.arange(n), label=label, score=score, probability=score**1.2,
        path=[f"day{number % 3}/{number}.wav" for number in range(n)],
        sound=[(sound or named)(number) for number in range(n)],
        source=[("range", "street")[number // 7 % 2] for number in range(n)],
        group=[f"g{number // 5}" for number in range(n)],
        device=[("", "phone")[number // 11 % 2] for number in range(n)],
        sr=[(44100, 48000)[number // 13 % 2] for number in range(n)],
        onset_s=np.full(n, 0.5), snr_db=snr, strength_db=rng.uniform(0, 30, n),
    )  # fmt: skip


def figures_of(sound: Callable[[int], str] | None = None, seed: int = 0) -> ReportedFigures:
    """Return all figures of such rows; doors were not trained on."""
    trained = [("dog bark", 0), ("rain", 0), ("plastic bag", 0), ("gunshot", 1), ("gunshot:9mm", 1)]
    return reported_figures(rows_of(sound, seed=seed), THRESHOLD, trained=trained)
