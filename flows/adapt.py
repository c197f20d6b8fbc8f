"""The flow from a trained network and a few labelled shots of a site to a network for that site."""

from __future__ import annotations

from prefect import flow

from gunshot.adaptation.adapt import DEFAULT_MAY_LOSE, check_parameters
from gunshot.adaptation.kept import Adaptation
from tasks import artifacts
from tasks.adapt import adapt_bundle

__all__ = ["adapt"]


@flow(name="adapt", flow_run_name="adapt {out}")
def adapt(
    model: str,
    labels: str,
    out: str,
    background: list[str] | None = None,
    store: str | None = None,
    operating_point: str | None = None,
    may_lose: float = DEFAULT_MAY_LOSE,
    seed: int = 0,
) -> Adaptation:
    """Go on training a network on a site's sound, check that it has forgotten nothing, and write it with a threshold.

    Parameters
    ----------
    model : str
        The bundle to begin with; a network.
    labels : str
        Label table of the site: 5 shots or more, and other sounds if there are any.
    out : str
        The new bundle's folder.
    background : list of str, optional
        Files, folders, globs or prefixes of unlabelled sound of the site.
    store : str, optional
        The store that the model was trained on: it is rehearsed, and its held-out rows check.
    operating_point : str, optional
        What the new threshold keeps to; "10 a day" with `background`, else what the model's own does.
    may_lose : float
        Largest fall of the recall of any source.
    seed : int
        Of the division and all draws.

    Returns
    -------
    Adaptation
        Before and after, at the site and by source.
    """
    check_parameters(model, out, operating_point, may_lose, seed)
    done = adapt_bundle(
        model, labels, out, background=background or [], store=store, operating_point=operating_point,
        may_lose=may_lose, seed=seed,
    )  # fmt: skip
    artifacts.markdown("adapted-bundle", "\n".join(f"    {line}" for line in done.lines()), "The adapted bundle")
    return done
