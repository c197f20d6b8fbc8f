"""Stages of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task

from gunshot.augment.field import FieldRule
from gunshot.models.catalogue import model_rule
from gunshot.training import SplitPlan, train_model
from tasks.artifacts import stage
from tasks.retries import TRANSIENT

if TYPE_CHECKING:
    from gunshot.models.fit import Epoch

__all__ = ["train_bundle"]


@task(name="train-bundle", task_run_name="train {model}", **TRANSIENT)
def train_bundle(
    store: str,
    model: str,
    out: str,
    *,
    plan: SplitPlan,
    copies: str | None,
    field: FieldRule | None,
    epochs: int | None,
    patience: int | None,
    seed: int,
    max_fpr: float,
    operating_point: str | None = None,
) -> str:
    """Train a model; see `gunshot.training.train_model`.

    Parameters
    ----------
    store, model, out : str
        The committed store, the model's name, the bundle's folder.
    plan : SplitPlan
        How rows are divided.
    copies : str or None
        Store of distorted copies of the training rows.
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

    Returns
    -------
    str
        Digest of the bundle.
    """
    total = max(1, model_rule(model).epochs and (epochs or model_rule(model).epochs))
    with stage(f"train-{model}", total, "epochs") as advance:

        def on_epoch(epoch: Epoch) -> None:
            advance(1, note=f"loss {epoch.loss:.3f}, validation {epoch.validation_loss:.3f}")

        bundle = train_model(
            store,
            model,
            out,
            plan=plan,
            copies_uri=copies,
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
