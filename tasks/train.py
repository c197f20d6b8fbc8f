"""Stages of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from gunshot.augment.field import FieldRule
from gunshot.challenge import Challenge, challenge
from gunshot.division import SplitPlan
from gunshot.models.catalogue import model_rule
from gunshot.progress import shown_by
from gunshot.review.service import ServiceFigures
from gunshot.training import train_model
from tasks.artifacts import stage
from tasks.retries import TRANSIENT

if TYPE_CHECKING:
    from gunshot.models.fit import Epoch

__all__ = ["compare_with_champion", "train_bundle"]


@task(name="train-bundle", task_run_name="train {model}", **TRANSIENT)
def train_bundle(
    store: str,
    model: str,
    out: str,
    *,
    plan: SplitPlan,
    copies: Sequence[str],
    field: FieldRule | None,
    epochs: int | None,
    patience: int | None,
    seed: int,
    max_fpr: float,
    operating_point: str | None = None,
    labels: str | None = None,
) -> str:
    """Train a model; see `gunshot.training.train_model`.

    Parameters
    ----------
    store, model, out : str
        The committed store, the model's name, the bundle's folder.
    plan : SplitPlan
        How rows are divided.
    copies : sequence of str
        Stores of distorted copies of the training rows.
    field : FieldRule or None
        Distorts the training rows anew in each epoch.
    epochs : int or None
        Passes; the model's own number if None.
    patience : int or None
        Stop after so many epochs without a lower validation loss.
    seed : int
        Of weights and order.
    max_fpr : float
        False-alarm rate on the validation rows that the default threshold keeps to.
    operating_point : str or None
        What it keeps to instead, by `gunshot.evaluation.rules`.
    labels : str or None
        A committed store of further rows.

    Returns
    -------
    str
        Digest of the bundle.
    """
    total = max(1, model_rule(model).epochs and (epochs or model_rule(model).epochs))
    with stage(f"train-{model}", total, "epochs") as advance:

        def on_epoch(epoch: Epoch) -> None:
            then = "; now threshold and audit" if epoch.number == total else ""
            advance(1, note=f"loss {epoch.loss:.3f}, validation {epoch.validation_loss:.3f}{then}")

        bundle = train_model(
            store,
            model,
            out,
            plan=plan,
            labels_uri=labels,
            copies=copies,
            field=field,
            patience=patience,
            epochs=epochs,
            seed=seed,
            max_fpr=max_fpr,
            operating_point=operating_point,
            on_epoch=on_epoch,
        )
        if not model_rule(model).epochs:
            advance()
    return bundle.digest


@task(name="compare-with-champion", cache_policy=NO_CACHE, **TRANSIENT)
def compare_with_champion(
    champion: str, challenger: str, store: str, labels: str | None, service: ServiceFigures | None
) -> Challenge:
    """Hold a new model against the one in use; see `gunshot.challenge.challenge`.

    Parameters
    ----------
    champion, challenger : str
        Bundles.
    store : str
        The committed store.
    labels : str or None
        A store of further rows.
    service : ServiceFigures or None
        What a review says.

    Returns
    -------
    Challenge
        What changed; it is noted in the challenger's bundle too.
    """
    with shown_by(stage):
        found, _ = challenge(champion, challenger, store, labels, service)
    return found
