"""The flow from a store to a trained bundle."""

from __future__ import annotations

from typing import Literal

from flows.cluster import open_cluster
from flows.clusters.choice import choose_profile
from flows.forms import FlowParameters, checked_flow, field, run_name
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

__all__ = ["TrainParameters", "train"]


class TrainParameters(FlowParameters):
    """Parameters of `train`."""

    store: str = field("The committed feature store.", min_length=1)
    out: str = field("The bundle's folder.", min_length=1)
    model: str = field("logistic, small-cnn, paper-cnn or field-cnn.", default=DEFAULT_MODEL)
    split: Literal["group", "random"] = field("What is never divided between training and test.", default="group")
    assign: list[str] | None = field("GLOB=SPLIT: rows placed by their path.", default=None)
    augment: Literal["none", "paper", "field"] | None = field(
        "paper: copies with Gaussian noise; field: distorted anew in each epoch; the model's own if empty.",
        default=None,
    )
    epochs: int | None = field("Passes over the training rows; the model's own number if empty.", default=None, ge=1)
    patience: int | None = field(
        "Stop after so many epochs without a lower validation loss, and keep the best.", default=None, ge=1
    )
    seed: int = field("Of the split, the copies, the weights and the order.", default=0, ge=0, lt=2**32)
    max_fpr: float | None = field(
        "False-alarm rate on the validation rows that the default threshold keeps to; 0.002 if nothing is asked for.",
        default=None,
        ge=0,
        le=1,
    )
    operating_point: str | None = field(
        "What it keeps to instead, such as 'miss 1%', '10 a day' or '0.7'.", default=None
    )
    workers: int | None = field("Local workers; one a core if empty, 0 for none.", default=None, ge=0)
    scheduler: str | None = field("Address of a Dask scheduler to use instead.", default=None)
    cluster: str | None = field("A cluster profile to use instead: a shipped one's name, or a YAML file.", default=None)


@checked_flow(name="train", flow_run_name=run_name("train", "model"))
def train(given: TrainParameters) -> str:
    """Split the rows, augment the training side, train a model and write its bundle.

    Parameters
    ----------
    given : TrainParameters
        The flow's parameters.

    Returns
    -------
    str
        Digest of the bundle.
    """
    store, model, out, seed = given.store, given.model, given.out, given.seed
    where = (given.workers, given.scheduler, given.cluster)
    choose_profile(*where)  # a mistake in it is told before any work, and if there is none
    augment = given.augment or model_rule(model).augment
    if augment == "field" and model_rule(model).input == "waveform":
        raise ParameterError(f"--augment field is for networks; train {model} with 'paper' or 'none'")
    max_fpr = _checked_max_fpr(given.max_fpr, given.operating_point)
    plan = SplitPlan(given.split, tuple(parse_assignment(text) for text in given.assign or ()), seed)
    splits_of(open_store(store), plan)  # a store that cannot be divided is an error before any work
    copies = None
    if augment == "paper":
        with open_cluster(*where) as address:
            copies = augment_training_rows(store, plan, AugmentRule(kind=augment, seed=seed), address)
    digest = train_bundle(
        store, model, out, plan=plan, copies=copies, field=FieldRule(seed=seed) if augment == "field" else None,
        epochs=given.epochs, patience=given.patience, seed=seed, max_fpr=max_fpr,
        operating_point=given.operating_point,
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
    return DEFAULT_MAX_FPR if max_fpr is None else max_fpr
