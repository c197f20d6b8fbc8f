"""The stage of adaptation."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task

from gunshot.adaptation.adapt import adapt_model
from gunshot.adaptation.kept import Adaptation
from gunshot.progress import shown_by
from tasks.artifacts import stage
from tasks.retries import TRANSIENT

__all__ = ["adapt_bundle"]


@task(name="adapt-bundle", task_run_name="adapt {out}", **TRANSIENT)
def adapt_bundle(
    model: str,
    labels: str,
    out: str,
    *,
    background: Sequence[str],
    store: str | None,
    operating_point: str | None,
    may_lose: float,
    seed: int,
) -> Adaptation:
    """Adapt a network to a site; see `gunshot.adaptation.adapt.adapt_model`.

    Parameters
    ----------
    model, labels, out : str
        The bundle to begin with, the site's label table, the new bundle's folder.
    background : sequence of str
        The site's unlabelled sound; there may be none.
    store : str or None
        The store that the model was trained on.
    operating_point : str or None
        What the new threshold keeps to.
    may_lose : float
        Largest fall of the recall of any source.
    seed : int
        Of all draws.

    Returns
    -------
    Adaptation
        Before and after.
    """
    with shown_by(stage):
        return adapt_model(
            model, labels, out, background=background, store=store, operating_point=operating_point,
            may_lose=may_lose, seed=seed,
        )  # fmt: skip
