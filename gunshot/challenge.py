"""A model held against the one it may replace: shots won and lost on held-out rows, and how that one does in service.

Conventions
-----------
The champion is the model in use, the challenger the one that was just trained. Won and lost are the challenger's, by
`gunshot.comparison`, on rows that neither was trained or chosen on. Precision and recall in service are of the model
whose detections were reviewed, by `gunshot.review.service`: of the challenger nothing is known there before it has
scored.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gunshot.comparison import Comparison, Pairs, compare_bundles
from gunshot.division import SplitPlan, splits_of
from gunshot.errors import ParameterError, TrainingError
from gunshot.evaluate import REPORTED_SPLITS, splits_for
from gunshot.models.bundle import Bundle, load_bundle
from gunshot.models.details import note_details
from gunshot.models.splits import splits_by_group
from gunshot.review.service import ServiceFigures, service_figures
from gunshot.store.joined import open_joined
from gunshot.store.read import open_store

__all__ = ["NOTE", "Challenge", "challenge", "check_champion", "check_held_out", "service_in_review"]

NOTE = "champion"
"""Under which name ``model.json`` holds what was found."""


@dataclass(frozen=True)
class Challenge:
    """What a training changed.

    Attributes
    ----------
    comparison : Comparison
        The champion first, the challenger second.
    service : ServiceFigures or None
        Of the detections that were reviewed; None where there was no review, or it does not tell.
    """

    comparison: Comparison
    service: ServiceFigures | None

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return {
            "comparison": self.comparison.as_dict(),
            "service": None if self.service is None else asdict(self.service),
        }

    def lines(self) -> list[str]:
        """What changed, for a person: the sums first, then the table by source, then the service."""
        found = self.comparison
        champion = found.models[0]
        lines = [
            f"against the champion {champion['uri']} ({champion['digest']}), on rows that neither was trained on:",
            f"  {_won(found.shots, 'shots', 'found that it missed', 'missed that it found')}",
            f"  {_won(found.alarms, 'other sounds', 'no longer taken for shots', 'newly taken for shots')}",
            *found.lines(),
        ]
        if self.service is not None:
            lines += [f"in service, by the review of {self.service.results}:"]
            lines += [f"  {line}" for line in self.service.lines()]
        return lines


def _won(pairs: Pairs, what: str, won: str, lost: str) -> str:
    return f"of {pairs.n:,} {what} {pairs.won:,} won ({won}) and {pairs.lost:,} lost ({lost})"


def check_champion(champion: str, store: str, by: str) -> None:
    """Make sure, before any work, that a champion can be compared with a model trained on a store.

    Parameters
    ----------
    champion : str
        Its bundle.
    store : str
        The committed store.
    by : {"group", "random"}
        How rows are to be divided.

    Raises
    ------
    ParameterError
        If rows are divided at random: of each group some would have trained the new model.
    BundleError
        If the champion cannot be loaded.
    StoreError
        If the store cannot be read, or has another recipe than the champion.
    TrainingError
        If some rows of a group have trained the champion and others not.
    """
    if by == "random":
        raise ParameterError("--champion needs rows that are held out by group; leave --split random out")
    bundle = load_bundle(champion)
    groups = set(open_store(store, recipe=bundle.recipe).column("group"))
    divided = [name for name, splits in splits_by_group(champion).items() if len(splits) > 1 and name in groups]
    if divided:
        raise TrainingError(
            f"the champion {champion} was trained with --split random: of {len(divided)} groups of {store} some rows "
            "trained it and others did not; give one that was trained by group, or leave --champion out"
        )


def check_held_out(champion: str, store: str, labels: str | None, plan: SplitPlan) -> None:
    """Make sure that rows will be held out from a champion and from a model that is yet to be trained.

    Parameters
    ----------
    champion : str
        Its bundle.
    store : str
        The committed store.
    labels : str or None
        A store of further rows.
    plan : SplitPlan
        How rows are to be divided.

    Raises
    ------
    TrainingError
        If there are none.
    """
    rows = open_joined(store, labels)
    ours, theirs = splits_of(rows, plan), splits_for(rows, load_bundle(champion)).of_row
    if not np.any(np.isin(ours, REPORTED_SPLITS) & np.isin(theirs, REPORTED_SPLITS)):
        raise TrainingError(
            f"{store}: the champion {champion} was trained or chosen on every group that could be held out; give a "
            "store with groups that it has not met, or leave --champion out"
        )


def service_in_review(results: str, champion: str) -> ServiceFigures | None:
    """How well the model that was reviewed does in service.

    Parameters
    ----------
    results : str
        The results that were reviewed.
    champion : str
        A bundle; its detections count where the results hold several models'.

    Returns
    -------
    ServiceFigures or None
        None where the results hold several models and the champion is none of them.

    Raises
    ------
    StorageError
        If the results cannot be read.
    """
    for model in (load_bundle(champion).digest, None):
        try:
            return service_figures(results, model)
        except ParameterError:  # it has not scored there, or there are several
            continue
    return None


def challenge(
    champion: str, challenger: str, store: str, labels: str | None, service: ServiceFigures | None
) -> tuple[Challenge, Bundle]:
    """Hold a new model against the champion, and note it in the new model's bundle.

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
    challenge : Challenge
        What changed.
    bundle : Bundle
        The challenger's, with it in its details under `NOTE`.

    Raises
    ------
    BundleError, StoreError, StorageError
        If one cannot be read or written.
    TrainingError
        If no row is held out from both.
    """
    found = Challenge(compare_bundles(store, champion, challenger, labels=labels), service)
    return found, note_details(load_bundle(challenger), {NOTE: found.as_dict()})
