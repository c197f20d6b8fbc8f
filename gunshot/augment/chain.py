"""The seeded chain of distortions.

Conventions
-----------
A copy depends on (seed, row) alone: not on the order of rows, the partition, or the worker.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from gunshot.augment.noise import gaussian_noise

__all__ = ["AugmentRule", "distorted_copy"]


class AugmentRule(BaseModel):
    """Which distortion, and from which seed.

    Attributes
    ----------
    kind : {"paper"}
        ``paper``: white Gaussian noise on a copy of every training clip.
    snr_db : float
        Clip over noise [dB]. The paper says "slightly distorting" and gives no level.
    seed : int
        Of all draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["paper"] = "paper"
    snr_db: Annotated[float, Field(ge=-100, le=100)] = 20.0
    seed: Annotated[int, Field(ge=0)] = 0


def distorted_copy(y: NDArray[np.float32], row: int, rule: AugmentRule) -> NDArray[np.float32]:
    """Distort the clip of a row.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float32
        The clip.
    row : int
        Its number in the store.
    rule : AugmentRule
        What to do.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        The copy.
    """
    return gaussian_noise(y, rule.snr_db, np.random.default_rng([rule.seed, row]))
