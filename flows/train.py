"""The flow from a store to a trained bundle."""

from __future__ import annotations

from typing import Literal

from prefect import flow

from flows.cluster import open_cluster
from flows.clusters.choice import choose_profile
from gunshot.augment.chain import AugmentRule
from gunshot.augment.field import FieldRule
from gunshot.errors import ParameterError
from gunshot.evaluation.rules import parse_rule
from gunshot.models.bundle import load_bundle
from gunshot.models.catalogue import DEFAULT_MODEL, model_rule
from gunshot.split import parse_assignment
from gunshot.store.read import open_store
from gunshot.training import DEFAULT_MAX_FPR, SplitPlan, splits_of
from tasks import artifacts
from tasks.augment import augment_training_rows
from tasks.train import train_bundle

__all__ = ["train"]


@flow(name="train", flow_run_name="train {model}")
def train(
    store: str,
    out: str,
    model: str = DEFAULT_MODEL,
    split: Literal["group", "random"] = "group",
    assign: list[str] | None = None,
    augment: Literal["none", "paper", "field"] | None = None,
    epochs: int | None = None,
    patience: int | None = None,
    seed: int = 0,
    max_fpr: float | None = None,
    operating_point: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    cluster: str | None = None,
) -> str:
    """Split the rows, augment the training side, train a model and write its bundle.

    Parameters
    ----------
    store : str
        The committed store.
    out : str
        The bundle's folder.
    model : str
        One of the catalogue.
    split : {"group", "random"}
        What is never divided between training and test.
    assign : list of str, optional
        ``GLOB=SPLIT``: rows placed by their path.
    augment : {"none", "paper", "field"}, optional
        ``paper`` doubles the training rows by copies with Gaussian noise, ``field`` distorts them anew in each epoch
        (`gunshot.augment.field`); the model's own if not given.
    epochs : int, optional
        Passes; the model's own number if not given.
    patience : int, optional
        Stop after so many epochs without a lower validation loss, and keep the best.
    seed : int
        Of the split, the copies, the weights and the order.
    max_fpr : float, optional
        False-alarm rate on the validation rows that the default threshold keeps to; 0.002 if nothing else is asked for.
    operating_point : str, optional
        What it keeps to instead, such as "miss 1%", "10 a day" or "0.7"; see `gunshot.evaluation.rules`.
    workers, scheduler, cluster : optional
        Where the copies are made; one of them.

    Returns
    -------
    str
        Digest of the bundle.
    """
    choose_profile(workers, scheduler, cluster)  # a mistake in it is told before any work, and if there is none
    augment = augment or model_rule(model).augment
    if augment == "field" and model_rule(model).input == "waveform":
        raise ParameterError(f"--augment field is for networks; train {model} with 'paper' or 'none'")
    for name, value in (("epochs", epochs), ("patience", patience)):
        if value is not None and value < 1:
            raise ParameterError(f"--{name} must be 1 or more; got {value}")
    if not 0 <= seed < 2**32:
        raise ParameterError(f"--seed must be 0 or more, below 2^32; got {seed}")
    max_fpr = _checked_max_fpr(max_fpr, operating_point)
    plan = SplitPlan(split, tuple(parse_assignment(text) for text in assign or ()), seed)
    splits_of(open_store(store), plan)  # a store that cannot be divided is an error before any work
    copies = None
    if augment == "paper":
        with open_cluster(workers, scheduler, cluster) as address:
            copies = augment_training_rows(store, plan, AugmentRule(kind=augment, seed=seed), address)
    digest = train_bundle(
        store, model, out, plan=plan, copies=copies, field=FieldRule(seed=seed) if augment == "field" else None,
        epochs=epochs, patience=patience, seed=seed, max_fpr=max_fpr, operating_point=operating_point,
    )  # fmt: skip
    point = load_bundle(out).operating_point
    artifacts.markdown(
        "trained-bundle",
        f"`{model}` {digest}: {point.name}, threshold {point.threshold:.4f}, recall {point.recall:.3f} at a "
        f"false-alarm rate of {point.fpr:.4f} on {point.n_gunshots} + {point.n_others} validation rows. "
        f"{point.guarantee or point.note}",
        "The trained bundle",
    )
    return digest


def _checked_max_fpr(max_fpr: float | None, operating_point: str | None) -> float:
    if max_fpr is not None and operating_point is not None:
        raise ParameterError(
            f"--max-fpr {max_fpr:g} and --operating-point {operating_point!r} both set the threshold; give one of them"
        )
    if operating_point is not None:
        parse_rule(operating_point)
    max_fpr = DEFAULT_MAX_FPR if max_fpr is None else max_fpr
    if not 0 <= max_fpr <= 1:
        raise ParameterError(f"--max-fpr must lie in [0, 1]; got {max_fpr:g}")
    return max_fpr
