"""What a run of scoring was asked for, loaded and listed.

Conventions
-----------
Everything that can be wrong with what a user gave is found here, before there are workers or results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gunshot.models.bundle import Bundle, load_bundle
from gunshot.scoring.keys import Provenance
from gunshot.scoring.period import Period, in_period
from gunshot.scoring.plan import ScoringPlan, plan_scoring
from gunshot.scoring.results.ledger import known_keys
from gunshot.scoring.results.tries import MOST_TRIES
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.targets import list_targets
from gunshot.scoring.timestamps import Deployments, load_deployments
from gunshot.scoring.timestamps.deployments import NO_DEPLOYMENTS

__all__ = ["ScoringJob", "prepare_scoring"]


@dataclass(frozen=True)
class ScoringJob:
    """What is scored with what.

    Attributes
    ----------
    bundle : Bundle
        The model.
    rule : ScoringRule
        What of the recordings.
    deployments : Deployments
        Where recorders stood, and how their clocks ran.
    period : Period
        The recordings.
    """

    bundle: Bundle
    rule: ScoringRule
    deployments: Deployments
    period: Period

    @property
    def provenance(self) -> Provenance:
        """With what they are scored, to the ledger."""
        return Provenance(self.bundle.digest, self.bundle.recipe.digest, self.rule.canonical)

    def plan(self, results: str, most_tries: int = MOST_TRIES) -> ScoringPlan:
        """Batches of what is not done.

        Parameters
        ----------
        results : str
            Where the ledger is, or will be.
        most_tries : int
            Runs that try a recording which fails in a way that may pass.

        Returns
        -------
        ScoringPlan
            The batches.
        """
        done, tried = known_keys(results, self.provenance, most_tries)
        return plan_scoring(self.period.targets, done, self.provenance, tried)


def prepare_scoring(
    inputs: Sequence[str],
    model: str,
    rule: ScoringRule,
    *,
    operating_point: str | None = None,
    settle_s: float = 0.0,
    deployments: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> ScoringJob:
    """Load the model and list the recordings.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, globs or s3:// prefixes.
    model : str
        The bundle.
    rule : ScoringRule
        What of the recordings is scored.
    operating_point : str, optional
        Which of the bundle's; its default if not given.
    settle_s : float
        Local files that were changed within so many seconds are left [s].
    deployments : str, optional
        A CSV that says where recorders stood.
    since, until : datetime, optional
        Only recordings that start in this period, or whose start is not known.

    Returns
    -------
    ScoringJob
        Checked.

    Raises
    ------
    ParameterError, ManifestError, BundleError, StorageError
        If something of it cannot be used.
    """
    places = load_deployments(deployments) if deployments else NO_DEPLOYMENTS
    bundle = load_bundle(model, operating_point)
    return ScoringJob(bundle, rule, places, in_period(list_targets(inputs, settle_s=settle_s), since, until, places))
