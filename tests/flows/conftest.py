"""A Prefect server for all flow tests, a small labelled corpus, and the command line as a user's shell sees it."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
import soundfile as sf

from gunshot.synthetic import write_corpus
from gunshot.synthetic.audiofiles import AudioFormat


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def gunshot() -> Callable[..., Ended]:
    """Runs the command line in this process."""
    from flows.cli import main

    def run(*arguments: str | Path) -> Ended:
        out, err, code = io.StringIO(), io.StringIO(), 0
        with (
            mock.patch.object(sys, "argv", ["gunshot", *map(str, arguments)]),
            mock.patch.dict(os.environ),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
        return Ended(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 gunshots and 36 other sounds in nine scenes, at the recipe's rate, with their label table."""
    out = tmp_path_factory.mktemp("labelled") / "corpus"
    write_corpus(out, n_gunshots=36, n_others=36, n_groups=9, seed=5, formats=[AudioFormat("WAV", "PCM_16", 12_000)])
    return out


@pytest.fixture(scope="session")
def write_noise() -> Callable[..., Path]:
    """Writes a recording of noise with a few bursts."""

    def make(path: Path, duration_s: float = 3.0, seed: int = 0, level: float = 0.01) -> Path:
        rng = np.random.default_rng(seed)
        y = rng.standard_normal(round(duration_s * 12_000)) * level
        for time_s in np.arange(0.5, duration_s - 0.5, 1.2):
            first = round(time_s * 12_000)
            y[first : first + 2400] += rng.standard_normal(2400) * np.exp(-np.arange(2400) / 400) * 20 * level
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, np.clip(y, -1, 1), 12_000)
        return path

    return make


@pytest.fixture
def plain_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flows as plain functions: what they do is the same, and no server takes its seconds for each mistake."""
    import flows.demo
    import flows.evaluate
    import flows.preprocess
    import flows.score
    import flows.train

    for module in (flows.preprocess, flows.train, flows.evaluate, flows.score, flows.demo):
        for name, value in list(vars(module).items()):
            if type(value).__name__ in {"Flow", "Task"}:
                monkeypatch.setattr(module, name, value.fn)
    monkeypatch.setattr(flows.preprocess, "get_run_logger", lambda: logging.getLogger("tests"))
