"""Scoring on workers is scoring here, wherever the workers are."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from gunshot.models.registry import resolve_model
from gunshot.scoring.job import prepare_scoring
from gunshot.scoring.results import read_table
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.score import score_batch
from tasks.fanout import fan_out
from tasks.score import score_batches

N_FILES = 70  # two batches


def write_archive(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(N_FILES):
        y = 0.01 * rng.standard_normal(12_000)
        y[6_000] = 0.9
        sf.write(folder / f"{number:03d}.wav", y, 12_000)


@pytest.mark.usefixtures("elsewhere")
def test_relative_recordings_are_those_of_the_flows_folder_and_stay_as_they_were_given(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    write_archive(here / "archive")
    model, rule = resolve_model("field"), ScoringRule(sample=0.5)
    job = prepare_scoring(["archive"], model, rule)
    for out, scheduler in (("workers", cluster), ("here", None)):
        score_batches.fn(model, job.bundle.digest, out, job.plan(out), scheduler, None, rule)
    for kind in ("recordings", "detections", "candidates"):
        workers, alone = (read_table(out, kind) for out in ("workers", "here"))
        assert alone.num_rows
        assert workers.equals(alone)
        assert set(workers["uri"].to_pylist()) <= {f"archive/{number:03d}.wav" for number in range(N_FILES)}

    # what killed a worker is opened by a child of another one
    apart = partial(score_batch, model, job.bundle.digest, str(here / "apart"), rule=rule, file_limit_s=300, apart=True)
    assert sum(outcome.states["ok"] for outcome in fan_out(cluster, apart, job.plan("apart"))) == N_FILES
    assert read_table("apart", "recordings").equals(read_table("here", "recordings"))
