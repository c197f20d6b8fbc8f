"""The flow from recordings to a committed feature store."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from prefect import get_run_logger

from flows.cluster import open_cluster
from flows.clusters.choice import choose_profile
from flows.forms import FlowParameters, checked_flow, field, run_name
from gunshot.errors import RunError
from gunshot.manifest.sources import build_manifest
from gunshot.recipe import Recipe, read_recipe
from gunshot.storage import delete_leftovers, lease
from gunshot.store.generations import prepare_generation, publish
from gunshot.store.layout import USABLE_STATES, StoreHeader
from gunshot.store.records import failed_rows, record_states
from gunshot.store.write import commit_store
from tasks import artifacts
from tasks.logs import event
from tasks.preprocess import preprocess_partitions

__all__ = [
    "DEFAULT_FAILED_FRACTION",
    "DEFAULT_FILE_LIMIT_S",
    "PreprocessParameters",
    "PreprocessSummary",
    "fill_store",
    "preprocess",
]

DEFAULT_FAILED_FRACTION = 0.1
"""More failed rows than this fail a run."""

DEFAULT_FILE_LIMIT_S = 300.0
"""A recording that a worker is busy with for longer is timed out [s]."""

_MOST_FAILURES = 1000


@dataclass(frozen=True)
class PreprocessSummary:
    """What a run of preprocessing did.

    Attributes
    ----------
    store : str
        The committed store.
    n_rows, n_computed : int
        Rows of the manifest, and of them computed by this run; the rest was there.
    states : dict
        Rows by state; they add up to `n_rows`.
    failures : list of dict
        ``path``, ``state`` and ``reason`` of rows that are not ``ok``, the first thousand.
    """

    store: str
    n_rows: int
    n_computed: int
    states: dict[str, int]
    failures: list[dict[str, str]]


class PreprocessParameters(FlowParameters):
    """Parameters of `preprocess`."""

    inputs: list[str] = field("Files, folders, globs or s3:// prefixes with labelled recordings.")
    store: str = field("Where the feature store is, or will be.", min_length=1)
    labels: str | None = field("A label table (CSV).", default=None)
    recipe: str | None = field("A recipe (TOML); the default one if empty.", default=None)
    workers: int | None = field(
        "Local workers, 0 for none; if empty as many as this machine is set to have, or one a core.", default=None, ge=0
    )
    scheduler: str | None = field("Address of a Dask scheduler to use instead.", default=None)
    cluster: str | None = field("A cluster profile to use instead: a shipped one's name, or a YAML file.", default=None)
    max_failed_fraction: float = field(
        "More failed rows than this fail the run, and the store stays uncommitted.",
        default=DEFAULT_FAILED_FRACTION,
        ge=0,
        le=1,
    )
    file_limit_s: float = field(
        "A recording that a worker is busy with for longer is timed out [s].", default=DEFAULT_FILE_LIMIT_S, gt=0
    )
    wait_s: float = field("How long to wait for a run that writes the same store to end [s].", default=0.0, ge=0)


@checked_flow(name="preprocess", flow_run_name=run_name("preprocess", "store"))
def preprocess(given: PreprocessParameters) -> PreprocessSummary:
    """Read recordings and write their clips and features; a rerun does only what is missing.

    Parameters
    ----------
    given : PreprocessParameters
        The flow's parameters.

    Returns
    -------
    PreprocessSummary
        Counts that reconcile.
    """
    store, where = given.store, (given.workers, given.scheduler, given.cluster)
    choose_profile(*where)  # a mistake in it is told before any work, and if there is none
    rules = read_recipe(given.recipe)
    with artifacts.stage("list", None, "rows") as advance:
        manifest = build_manifest(
            given.inputs, labels=given.labels, probe=False
        )  # each file is opened once, on a worker
        advance(manifest.num_rows)
    summary = fill_store(
        store, manifest, rules, where, file_limit_s=given.file_limit_s, max_failed_fraction=given.max_failed_fraction,
        wait_s=given.wait_s,
    )  # fmt: skip
    get_run_logger().info("%d rows: %s", summary.n_rows, summary.states)
    return summary


def fill_store(
    store: str,
    manifest: pa.Table,
    recipe: Recipe,
    where: tuple[int | None, str | None, str | None],
    *,
    file_limit_s: float = DEFAULT_FILE_LIMIT_S,
    max_failed_fraction: float = DEFAULT_FAILED_FRACTION,
    wait_s: float = 0.0,
) -> PreprocessSummary:
    """Write the clips of a manifest into a store and commit it; what is there already is not done again.

    Parameters
    ----------
    store : str
        Where the store is, or will be.
    manifest : pyarrow.Table
        The rows.
    recipe : Recipe
        The recipe.
    where : tuple of (int or None, str or None, str or None)
        Workers, scheduler and cluster profile, as in `flows.cluster.open_cluster`.
    file_limit_s : float
        A recording that a worker is busy with for longer is timed out [s].
    max_failed_fraction : float
        More failed rows than this are an error.
    wait_s : float
        How long to wait for a run that writes the same store [s].

    Returns
    -------
    PreprocessSummary
        Counts that reconcile.

    Raises
    ------
    RunError
        If too many rows failed; the store stays uncommitted.
    StoreError, StorageError, LeaseError
        If the store cannot be written, or is another's.
    """
    with lease(store, wait_s=wait_s, say=artifacts.say) as held:
        header = prepare_generation(store, manifest, recipe)
        with open_cluster(*where) as address:
            computed = preprocess_partitions(header.uri, address, file_limit_s)
        summary = _summary(store, header, computed)
        for row in summary.failures:
            event("recording-failed", recording=row["path"], state=row["state"], reason=row["reason"])
        if summary.failures:
            artifacts.table("preprocess-failures", summary.failures, "Rows that are not ok, with reasons")
        _check_failures(summary, max_failed_fraction)
        held.check()
        delete_leftovers(store)  # of workers that were killed
        commit_store(header)
        publish(store, header)
    return summary


def _summary(store: str, header: StoreHeader, computed: int) -> PreprocessSummary:
    failures = [row for row, _ in zip(failed_rows(header), range(_MOST_FAILURES), strict=False)]
    return PreprocessSummary(store, header.n_rows, computed, record_states(header), failures)


def _check_failures(summary: PreprocessSummary, max_failed_fraction: float) -> None:
    failed = summary.n_rows - sum(summary.states.get(state, 0) for state in USABLE_STATES)
    if failed > max_failed_fraction * summary.n_rows or failed == summary.n_rows:
        raise RunError(
            f"{failed} of {summary.n_rows} rows failed, more than --max-failed-fraction {max_failed_fraction:g} allows "
            f"({_examples(summary.failures)}); {summary.store} is not committed"
        )


def _examples(failures: list[dict[str, str]]) -> str:
    bad = [row for row in failures if row["state"] not in USABLE_STATES]
    return "; ".join(f"{row['path']}: {row['state']}, {row['reason']}" for row in bad[:3])
