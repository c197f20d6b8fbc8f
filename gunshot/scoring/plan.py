"""The plan: batches of what is not done.

Conventions
-----------
A batch is the unit of work: plain data, idempotent, with a name that follows from its recordings and the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from gunshot.scoring.results import Key
from gunshot.scoring.targets import Target

__all__ = ["ScoringBatch", "plan_scoring"]

_BATCH_BYTES = 256 * 2**20
_BATCH_RECORDINGS = 64


@dataclass(frozen=True, slots=True)
class ScoringBatch:
    """A unit of work.

    Attributes
    ----------
    name : str
        Of its objects in the results.
    targets : tuple of Target
        Its recordings.
    """

    name: str
    targets: tuple[Target, ...]


def plan_scoring(
    targets: Iterable[Target], done: set[Key], *, model_digest: str, recipe_digest: str
) -> tuple[ScoringBatch, ...]:
    """Batches of what is not done.

    Parameters
    ----------
    targets : iterable of Target
        All recordings.
    done : set of tuple
        From `gunshot.scoring.results.done_keys`.
    model_digest, recipe_digest : str
        Of the bundle.

    Returns
    -------
    tuple of ScoringBatch
        Of at most 64 recordings or 256 MiB each.
    """
    batches: list[ScoringBatch] = []
    held: list[Target] = []
    for target in targets:
        if (target.uri, target.etag, model_digest, recipe_digest) in done:
            continue
        if held and (len(held) == _BATCH_RECORDINGS or sum(t.size for t in held) + target.size > _BATCH_BYTES):
            batches.append(_batch(held, model_digest, recipe_digest))
            held = []
        held.append(target)
    if held:
        batches.append(_batch(held, model_digest, recipe_digest))
    return tuple(batches)


def _batch(targets: list[Target], model_digest: str, recipe_digest: str) -> ScoringBatch:
    identity = repr([(t.uri, t.etag) for t in targets] + [model_digest, recipe_digest])
    return ScoringBatch(hashlib.sha256(identity.encode()).hexdigest()[:16], tuple(targets))
