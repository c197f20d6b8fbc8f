"""Stages of evaluation."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from gunshot.evaluate import Evaluation, evaluate_bundle
from gunshot.evaluation.reported import BaseRates
from gunshot.progress import shown_by
from gunshot.reporting import ReportInputs, write_up
from tasks.artifacts import stage
from tasks.retries import TRANSIENT

__all__ = ["draw_report", "evaluate_models"]


@task(name="evaluate-bundles", cache_policy=NO_CACHE, **TRANSIENT)
def evaluate_models(store: str, models: list[str], base_rates: BaseRates | None = None) -> list[Evaluation]:
    """Score a store's held-out rows with each bundle.

    Parameters
    ----------
    store : str
        The committed store.
    models : list of str
        Bundles.
    base_rates : BaseRates, optional
        What one recorder brings in a day.

    Returns
    -------
    list of Evaluation
        In the order of `models`.
    """
    with shown_by(stage):
        return [evaluate_bundle(store, model, base_rates) for model in models]


def draw_report(inputs: ReportInputs) -> str:
    """Make the report page; see `gunshot.reporting.write_up`.

    Parameters
    ----------
    inputs : ReportInputs
        What it is made of.

    Returns
    -------
    str
        One self-contained HTML page.
    """
    with shown_by(stage):
        return write_up(inputs)
