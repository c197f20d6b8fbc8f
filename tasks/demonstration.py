"""Stages of the demonstration that make its sound."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from gunshot.demonstration import make_archive, make_corpus
from tasks.artifacts import stage
from tasks.retries import TRANSIENT

__all__ = ["synthetic_archive", "synthetic_corpus"]


@task(name="synthetic-corpus", **TRANSIENT)
def synthetic_corpus(out: str, seed: int) -> str:
    """Write the labelled synthetic clips; see `gunshot.demonstration.make_corpus`."""
    with stage("corpus", 1, "synthetic corpora") as advance:
        folder = make_corpus(Path(out), seed)
        advance()
    return str(folder)


@task(name="synthetic-archive", **TRANSIENT)
def synthetic_archive(out: str, seed: int) -> tuple[str, dict[str, list[float]]]:
    """Write long recordings with planted shots; see `gunshot.demonstration.make_archive`."""
    with stage("archive", 1, "synthetic archives") as advance:
        folder, truth = make_archive(Path(out), seed)
        advance()
    return str(folder), truth
