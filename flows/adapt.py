"""The flow from a trained network and a few labelled shots of a site to a network for that site."""

from __future__ import annotations

from flows.forms import FlowParameters, checked_flow, field, run_name
from gunshot.adaptation.adapt import DEFAULT_MAY_LOSE, check_parameters
from gunshot.adaptation.kept import Adaptation
from gunshot.models.registry import resolve_model
from tasks import artifacts
from tasks.adapt import adapt_bundle

__all__ = ["AdaptParameters", "adapt"]


class AdaptParameters(FlowParameters):
    """Parameters of `adapt`."""

    model: str = field("The bundle to begin with; a network.", min_length=1)
    labels: str = field("Label table of the site: 5 shots or more, and other sounds if there are any.", min_length=1)
    out: str = field("The new bundle's folder.", min_length=1)
    background: list[str] | None = field(
        "Files, folders, globs or prefixes of unlabelled sound of the site.", default=None
    )
    store: str | None = field(
        "The store that the model was trained on: it is rehearsed, and its held-out rows check.", default=None
    )
    operating_point: str | None = field(
        "What the new threshold keeps to; '10 a day' with background, else what the model's own does.", default=None
    )
    may_lose: float = field("Largest fall of the recall of any source.", default=DEFAULT_MAY_LOSE, ge=0, le=1)
    seed: int = field("Of the division and all draws.", default=0, ge=0, lt=2**32)


@checked_flow(name="adapt", flow_run_name=run_name("adapt", "out"))
def adapt(given: AdaptParameters) -> Adaptation:
    """Go on training a network on a site's sound, check that it has forgotten nothing, and write it with a threshold.

    Parameters
    ----------
    given : AdaptParameters
        The flow's parameters.

    Returns
    -------
    Adaptation
        Before and after, at the site and by source.
    """
    model = resolve_model(given.model)
    check_parameters(model, given.out, given.operating_point, given.may_lose, given.seed)
    done = adapt_bundle(
        model, given.labels, given.out, background=given.background or [], store=given.store,
        operating_point=given.operating_point, may_lose=given.may_lose, seed=given.seed,
    )  # fmt: skip
    artifacts.markdown("adapted-bundle", "\n".join(f"    {line}" for line in done.lines()), "The adapted bundle")
    return done
