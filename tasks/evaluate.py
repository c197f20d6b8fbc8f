"""Stages of evaluation."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from gunshot.evaluate import Evaluation, evaluate_bundle
from gunshot.evaluation.reported import BaseRates
from tasks.artifacts import stage
from tasks.retries import TRANSIENT

__all__ = ["evaluate_models"]


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
    evaluations = []
    with stage("evaluate", len(models), "models") as advance:
        for model in models:
            evaluations.append(evaluate_bundle(store, model, base_rates))
            advance()
    return evaluations
