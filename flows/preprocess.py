"""The flow from recordings to a committed feature store."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow, get_run_logger

from flows.cluster import open_cluster
from flows.clusters.choice import choose_profile
from gunshot.errors import ParameterError, RunError
from gunshot.manifest.sources import build_manifest
from gunshot.recipe import read_recipe
from gunshot.storage import delete_leftovers, lease
from gunshot.store.generations import prepare_generation, publish
from gunshot.store.layout import USABLE_STATES, StoreHeader
from gunshot.store.records import failed_rows, record_states
from gunshot.store.write import commit_store
from tasks import artifacts
from tasks.preprocess import preprocess_partitions

__all__ = ["PreprocessSummary", "preprocess"]

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


@flow(name="preprocess", flow_run_name="preprocess {store}")
def preprocess(
    inputs: list[str],
    store: str,
    labels: str | None = None,
    recipe: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    cluster: str | None = None,
    max_failed_fraction: float = 0.1,
    file_limit_s: float = 300.0,
) -> PreprocessSummary:
    """Read recordings and write their clips and features; a rerun does only what is missing.

    Parameters
    ----------
    inputs : list of str
        Files, folders, globs or s3:// prefixes.
    store : str
        Where the feature store is, or will be.
    labels : str, optional
        A label table (CSV).
    recipe : str, optional
        A recipe (TOML); the default one if not given.
    workers : int, optional
        Local workers; one a core if not given, 0 for none.
    scheduler : str, optional
        Address of a Dask scheduler to use instead.
    cluster : str, optional
        A cluster profile to use instead: the name of a shipped one, or a YAML file.
    max_failed_fraction : float
        More failed rows than this fail the run, and the store stays uncommitted.
    file_limit_s : float
        A recording that a worker is busy with for longer is timed out [s].

    Returns
    -------
    PreprocessSummary
        Counts that reconcile.
    """
    choose_profile(workers, scheduler, cluster)  # a mistake in it is told before any work, and if there is none
    if not 0 <= max_failed_fraction <= 1:
        raise ParameterError(f"--max-failed-fraction must lie in [0, 1]; got {max_failed_fraction:g}")
    if not file_limit_s > 0:
        raise ParameterError(f"--file-limit-s must be more than 0 s; got {file_limit_s:g}")
    rules = read_recipe(recipe)
    with artifacts.stage("list", None, "rows") as advance:
        manifest = build_manifest(inputs, labels=labels, probe=False)  # each file is opened once, on a worker
        advance(manifest.num_rows)
    with lease(store) as held:
        header = prepare_generation(store, manifest, rules)
        with open_cluster(workers, scheduler, cluster) as address:
            computed = preprocess_partitions(header.uri, address, file_limit_s)
        summary = _summary(store, header, computed)
        if summary.failures:
            artifacts.table("preprocess-failures", summary.failures, "Rows that are not ok, with reasons")
        _check_failures(summary, max_failed_fraction)
        held.check()
        delete_leftovers(store)  # of workers that were killed
        commit_store(header)
        publish(store, header)
    get_run_logger().info("%d rows: %s", summary.n_rows, summary.states)
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
