"""The whole pipeline in one flow: corpus, store, three models, evaluation, scoring, report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from flows.cluster import open_cluster
from flows.clusters.choice import choose_profile
from flows.evaluate import figures
from flows.forms import FlowParameters, checked_flow, field, run_name
from flows.preprocess import preprocess
from flows.score import ScoreSummary, score
from flows.train import train
from gunshot.augment.chain import AugmentRule
from gunshot.demonstration import (
    ARCHIVE_TOLERANCE_S,
    DEMONSTRATED,
    REAL_ASSIGNMENTS,
    SYNTHETIC_MAX_FPR,
    held_out_archive,
)
from gunshot.division import SplitPlan
from gunshot.evaluate import Evaluation, evaluate_detections, write_evaluations
from gunshot.models.catalogue import DEFAULT_MODEL
from gunshot.reporting import ReportInputs, ScoredArchive
from gunshot.split import parse_assignment
from gunshot.storage import delete_tree, join, write_bytes
from gunshot.store.read import open_store
from gunshot.training import DEFAULT_MAX_FPR
from tasks import artifacts
from tasks.augment import augment_training_rows
from tasks.demonstration import synthetic_archive, synthetic_corpus
from tasks.evaluate import draw_report, evaluate_models

__all__ = ["DemoParameters", "DemoSummary", "demo"]


@dataclass(frozen=True)
class DemoSummary:
    """What the demonstration left.

    Attributes
    ----------
    report : str
        The page to open.
    metrics : dict
        The content of ``metrics.json``.
    """

    report: str
    metrics: dict[str, Any]

    def lines(self) -> list[str]:
        """Key figures, for a person."""
        found = self.metrics["archive"]
        archive = (
            f"{'archive':<10} {found['n_recordings']} recordings, {found['hours']:.2f} h: {found['n_detections']} "
            "detections"
        )
        if found["truth"]:  # recordings of which nobody knows all shots have none
            archive += (
                f"; of {found['truth']['n_events']} known shots {found['truth']['n_matched']} found, "
                f"{found['truth']['false_alarms_per_hour']:.1f} false alarms an hour"
            )
        return [*figures(self.metrics), archive]


class DemoParameters(FlowParameters):
    """Parameters of `demo`."""

    out: str = field("The folder that everything goes to.", default="demo", min_length=1)
    audio: str | None = field(
        "Labelled recordings, a folder with a labels.csv; synthetic sound if empty.", default=None
    )
    seed: int = field("Of everything that is drawn.", default=0, ge=0, lt=2**32)
    workers: int | None = field(
        "Local workers, 0 for none; if empty as many as this machine is set to have, or one a core.", default=None, ge=0
    )
    scheduler: str | None = field("Address of a Dask scheduler to use instead.", default=None)
    cluster: str | None = field("A cluster profile to use instead: a shipped one's name, or a YAML file.", default=None)


@checked_flow(name="demo", flow_run_name=run_name("demo", "out"))
def demo(given: DemoParameters) -> DemoSummary:
    """Run everything on a small corpus; the models and the report are made anew each time.

    Parameters
    ----------
    given : DemoParameters
        The flow's parameters.

    Returns
    -------
    DemoSummary
        The report and its figures.
    """
    out, audio, seed = given.out, given.audio, given.seed
    where = (given.workers, given.scheduler, given.cluster)
    choose_profile(*where)  # a mistake in it is told before anything is deleted
    times: list[tuple[str, float]] = []
    store = join(out, "store.zarr")
    for old in ("store.zarr", "results", "models"):
        delete_tree(join(out, old))
    source = audio
    if source is None:
        with _timed("corpus", times):
            source = synthetic_corpus(join(out, "corpus"), seed)
    with open_cluster(*where) as address:
        with _timed("preprocess", times):
            preprocess([source], store, workers=None if address else 0, scheduler=address)
        with _timed("train", times):
            models = _train_all(store, out, seed, SYNTHETIC_MAX_FPR if audio is None else DEFAULT_MAX_FPR, address)
        with _timed("evaluate", times):
            evaluations = evaluate_models(store, models)
        default = next(item for item in evaluations if item.bundle.name == DEFAULT_MODEL)
        with _timed("score", times):
            archive, summary = _score(out, store, default, audio is not None, seed, address)
    metrics = write_evaluations(out, evaluations, DEFAULT_MODEL) | {"archive": _archive_figures(archive, summary)}
    write_bytes(join(out, "metrics.json"), json.dumps(metrics, indent=1).encode())
    report = _report(out, store, evaluations, archive, audio, seed, times)
    artifacts.link("demo-report", report, "The report: the pipeline from recordings to detections")
    return DemoSummary(report, metrics)


@contextmanager
def _timed(name: str, times: list[tuple[str, float]]) -> Iterator[None]:
    began = monotonic()
    yield
    times.append((name, monotonic() - began))


def _plan(seed: int) -> SplitPlan:
    return SplitPlan("group", tuple(parse_assignment(text) for text in REAL_ASSIGNMENTS), seed)


def _train_all(store: str, out: str, seed: int, max_fpr: float, scheduler: str | None) -> list[str]:
    """Train the models that are shown; the distorted copies are made once and shared."""
    models = []
    for name in DEMONSTRATED:
        folder = join(out, "models", name)
        train(
            store,
            folder,
            name,
            assign=list(REAL_ASSIGNMENTS),
            seed=seed,
            max_fpr=max_fpr,
            workers=None if scheduler else 0,
            scheduler=scheduler,
        )
        models.append(folder)
    return models


def _score(
    out: str, store: str, default: Evaluation, is_real: bool, seed: int, scheduler: str | None
) -> tuple[ScoredArchive, ScoreSummary]:
    if is_real:
        inputs, truth = held_out_archive(open_store(store), default)
        what = "all recordings whose every clip is held out for the test"
    else:
        folder, truth = synthetic_archive(join(out, "archive"), seed)
        inputs, what = [folder], "synthetic recordings with planted shots"
    results = join(out, "results")
    summary = score(list(inputs), default.bundle.uri, results, workers=None if scheduler else 0, scheduler=scheduler)
    metrics = evaluate_detections(results, truth, default.bundle.digest, ARCHIVE_TOLERANCE_S) if truth else None
    uris = frozenset(inputs if is_real else truth)
    return ScoredArchive(results=results, what=what, uris=uris, truth=truth, metrics=metrics), summary


def _archive_figures(archive: ScoredArchive, summary: ScoreSummary) -> dict[str, Any]:
    return {
        "what": archive.what,
        "n_recordings": summary.n_listed,
        "states": summary.states,
        "hours": summary.listened_s / 3600,
        "n_detections": summary.n_detections,
        "truth": None if archive.metrics is None else archive.metrics.as_dict(),
    }


def _report(
    out: str,
    store: str,
    evaluations: list[Evaluation],
    archive: ScoredArchive,
    audio: str | None,
    seed: int,
    times: list[tuple[str, float]],
) -> str:
    (copies,) = augment_training_rows(store, _plan(seed), AugmentRule(seed=seed), None)
    page = draw_report(
        ReportInputs(
            title="Gunshots in recordings: a first look",
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            store=store,
            evaluations=evaluations,
            default=DEFAULT_MODEL,
            copies=copies,
            archive=archive,
            command=f"gunshot demo --out {out} --seed {seed}" + (f" --audio {audio}" if audio else ""),
            seed=seed,
            stages=times,
        )
    )
    report = join(out, "report.html")
    write_bytes(report, page.encode())
    return report
