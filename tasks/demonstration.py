"""Stages of the demonstration that make its sound."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from gunshot.demonstration import make_archive, make_corpus
from gunshot.progress import shown_by
from tasks.artifacts import stage
from tasks.retries import TRANSIENT

__all__ = ["synthetic_archive", "synthetic_corpus"]


@task(name="synthetic-corpus", **TRANSIENT)
def synthetic_corpus(out: str, seed: int) -> str:
    """Write the labelled synthetic clips; see `gunshot.demonstration.make_corpus`."""
    with shown_by(stage):
        folder = make_corpus(Path(out), seed)
    return str(folder)


@task(name="synthetic-archive", **TRANSIENT)
def synthetic_archive(out: str, seed: int) -> tuple[str, dict[str, list[float]]]:
    """Write long recordings with planted shots; see `gunshot.demonstration.make_archive`."""
    with shown_by(stage):
        folder, truth = make_archive(Path(out), seed)
    return str(folder), truth
