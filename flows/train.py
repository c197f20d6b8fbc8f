"""The flow from a store to a trained bundle."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from flows.cluster import open_cluster
from flows.clusters.choice import choose_profile
from flows.forms import FlowParameters, checked_flow, field, run_name
from flows.labels import StoredLabels, reviewed_results, store_labels
from gunshot.augment.chain import AugmentRule
from gunshot.augment.field import FieldRule
from gunshot.challenge import Challenge, check_champion, check_held_out, service_in_review
from gunshot.division import SplitPlan, splits_of
from gunshot.errors import ParameterError
from gunshot.evaluation.rules import parse_rule
from gunshot.models.bundle import load_bundle
from gunshot.models.catalogue import DEFAULT_MODEL, model_rule
from gunshot.models.registry import resolve_model
from gunshot.split import SPLITS, parse_assignment
from gunshot.store.joined import open_joined
from gunshot.store.read import open_store
from gunshot.training import DEFAULT_MAX_FPR
from tasks import artifacts
from tasks.augment import augment_training_rows
from tasks.train import compare_with_champion, train_bundle

__all__ = ["TrainParameters", "TrainSummary", "train"]


class TrainParameters(FlowParameters):
    """Parameters of `train`."""

    store: str = field("The committed feature store.", min_length=1)
    out: str = field("The bundle's folder.", min_length=1)
    model: str = field("logistic, small-cnn, paper-cnn or field-cnn.", default=DEFAULT_MODEL)
    labels: str | None = field(
        "A label table (CSV) or reviewed results: their clips are joined with the store's rows.", default=None
    )
    archive: str | None = field("Where the recordings that were reviewed are now, if they have moved.", default=None)
    champion: str | None = field(
        "The model in use: groups that it has met keep their split, and it is compared with the new one.", default=None
    )
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
    workers: int | None = field(
        "Local workers, 0 for none; if empty as many as this machine is set to have, or one a core.", default=None, ge=0
    )
    scheduler: str | None = field("Address of a Dask scheduler to use instead.", default=None)
    cluster: str | None = field("A cluster profile to use instead: a shipped one's name, or a YAML file.", default=None)


@dataclass(frozen=True)
class TrainSummary:
    """What a training gave.

    Attributes
    ----------
    bundle : str
        The bundle's folder.
    digest : str
        Of the model.
    labels : StoredLabels or None
        What became of the labels; None where there were none.
    label_rows : dict of str to int
        The labels' clips by split.
    champion : Challenge or None
        What changed against the champion; None where there was none.
    """

    bundle: str
    digest: str
    labels: StoredLabels | None = None
    label_rows: dict[str, int] = dataclasses.field(default_factory=dict)
    champion: Challenge | None = None

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        labels = None
        if self.labels is not None:
            labels = dataclasses.asdict(self.labels) | {"splits": self.label_rows}
        champion = None if self.champion is None else self.champion.as_dict()
        return {"bundle": self.bundle, "digest": self.digest, "labels": labels, "champion": champion}

    def lines(self) -> list[str]:
        """The summary for a person."""
        lines = []
        if self.labels is not None:
            splits = " + ".join(f"{count} {split}" for split, count in self.label_rows.items()) or "none"
            lines += [*self.labels.lines(), f"clips of the labels, by group: {splits}"]
        if self.champion is not None:
            lines += self.champion.lines()
        return [*lines, f"bundle: {self.bundle} ({self.digest})"]


@checked_flow(name="train", flow_run_name=run_name("train", "model"))
def train(given: TrainParameters) -> TrainSummary:
    """Split the rows, augment the training side, train a model and write its bundle.

    Parameters
    ----------
    given : TrainParameters
        The flow's parameters.

    Returns
    -------
    TrainSummary
        The bundle, and what labels and champion have to do with it.
    """
    store, model, out, seed = given.store, given.model, given.out, given.seed
    where = (given.workers, given.scheduler, given.cluster)
    choose_profile(*where)  # a mistake in it is told before any work, and if there is none
    augment = given.augment or model_rule(model).augment
    if augment == "field" and model_rule(model).input == "waveform":
        raise ParameterError(f"--augment field is for networks; train {model} with 'paper' or 'none'")
    max_fpr = _checked_max_fpr(given.max_fpr, given.operating_point)
    champion = None if given.champion is None else resolve_model(given.champion)
    _check_labels(given, champion)
    assignments = tuple(parse_assignment(text) for text in given.assign or ())
    plan = SplitPlan(given.split, assignments, seed, keep=champion)
    labels = None
    if given.labels is not None:
        labels = store_labels(given.labels, out, open_store(store).recipe, where, archive=given.archive)
    added = None if labels is None else labels.preprocessed.store
    splits = splits_of(open_joined(store, added), plan)  # what cannot be divided is an error before any training
    service = None
    if champion is not None:
        check_held_out(champion, store, added, plan)
        results = None if given.labels is None else reviewed_results(given.labels)
        service = None if results is None else service_in_review(results, champion)
    copies: list[str] = []
    if augment == "paper":
        with open_cluster(*where) as address:
            copies = augment_training_rows(store, plan, AugmentRule(kind=augment, seed=seed), address, added)
    digest = train_bundle(
        store, model, out, plan=plan, copies=copies, field=FieldRule(seed=seed) if augment == "field" else None,
        epochs=given.epochs, patience=given.patience, seed=seed, max_fpr=max_fpr,
        operating_point=given.operating_point, labels=added,
    )  # fmt: skip
    found = None if champion is None else compare_with_champion(champion, out, store, added, service)
    point = load_bundle(out).operating_point
    artifacts.markdown(
        "trained-bundle",
        f"`{model}` {digest}: {point.name}, threshold {point.threshold:.4f}, recall {point.recall:.3f} at a "
        f"false-alarm rate of {point.fpr:.4f} on {point.n_gunshots} + {point.n_others} validation rows. "
        f"{point.guarantee or point.note}",
        "The trained bundle",
    )
    of_labels = [] if labels is None else splits[-labels.preprocessed.n_rows :].tolist()
    label_rows = {split: of_labels.count(split) for split in SPLITS if split in of_labels}
    return TrainSummary(out, digest, labels, label_rows, found)


def _check_labels(given: TrainParameters, champion: str | None) -> None:
    """What can be told of labels and champion before any work."""
    if given.archive is not None and (given.labels is None or reviewed_results(given.labels) is None):
        raise ParameterError(
            f"--archive {given.archive} says where the recordings of reviewed results are now: give --labels RESULTS "
            "with it, or leave it out; a label table's own paths say where its recordings are"
        )
    if given.labels is not None:
        if given.split == "random":
            raise ParameterError(
                "--labels are divided by group, so that no night stands on both sides; leave --split random out"
            )
        reviewed_results(given.labels)
    if champion is not None:
        if champion.rstrip("/") == given.out.rstrip("/"):
            raise ParameterError(f"--out {given.out} is the champion's own folder; give another, so that both remain")
        check_champion(champion, given.store, given.split)


def _checked_max_fpr(max_fpr: float | None, operating_point: str | None) -> float:
    if max_fpr is not None and operating_point is not None:
        raise ParameterError(
            f"--max-fpr {max_fpr:g} and --operating-point {operating_point!r} both set the threshold; give one of them"
        )
    if operating_point is not None:
        parse_rule(operating_point)
    return DEFAULT_MAX_FPR if max_fpr is None else max_fpr
