"""The flow from a store to a trained bundle."""

from __future__ import annotations

from typing import Literal

from prefect import flow

from flows.cluster import open_cluster
from flows.clusters.choice import choose_profile
from gunshot.augment.chain import AugmentRule
from gunshot.errors import ParameterError
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
    augment: Literal["none", "paper"] = "paper",
    epochs: int | None = None,
    seed: int = 0,
    max_fpr: float = DEFAULT_MAX_FPR,
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
    augment : {"none", "paper"}
        Whether the training rows are doubled by copies with Gaussian noise.
    epochs : int, optional
        Passes; the model's own number if not given.
    seed : int
        Of the split, the copies, the weights and the order.
    max_fpr : float
        False-alarm rate on the validation rows that the threshold keeps to.
    workers, scheduler, cluster : optional
        Where the copies are made; one of them.

    Returns
    -------
    str
        Digest of the bundle.
    """
    choose_profile(workers, scheduler, cluster)  # a mistake in it is told before any work, and if there is none
    model_rule(model)
    if epochs is not None and epochs < 1:
        raise ParameterError(f"--epochs must be 1 or more; got {epochs}")
    if not 0 <= seed < 2**32:
        raise ParameterError(f"--seed must be 0 or more, below 2^32; got {seed}")
    if not 0 <= max_fpr <= 1:
        raise ParameterError(f"--max-fpr must lie in [0, 1]; got {max_fpr:g}")
    plan = SplitPlan(split, tuple(parse_assignment(text) for text in assign or ()), seed)
    splits_of(open_store(store), plan)  # a store that cannot be divided is an error before any work
    copies = None
    if augment != "none":
        with open_cluster(workers, scheduler, cluster) as address:
            copies = augment_training_rows(store, plan, AugmentRule(kind=augment, seed=seed), address)
    digest = train_bundle(store, model, out, plan=plan, copies=copies, epochs=epochs, seed=seed, max_fpr=max_fpr)
    point = load_bundle(out).operating_point
    artifacts.markdown(
        "trained-bundle",
        f"`{model}` {digest}: threshold {point.threshold:.4f}, recall {point.recall:.3f} at a false-alarm rate of "
        f"{point.fpr:.4f} on {point.n_gunshots} + {point.n_others} validation rows",
        "The trained bundle",
    )
    return digest
