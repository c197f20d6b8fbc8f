"""What a run of scoring would do, before anything is written.

Conventions
-----------
The time is measured, not assumed: some recordings, spread over those that are to be scored, are scored here and thrown
away; what their bytes took is scaled to all bytes. Hours are scaled alike, since none is known before it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from gunshot.models.bundle import Bundle
from gunshot.scoring.period import Period
from gunshot.scoring.plan import ScoringPlan
from gunshot.scoring.recording import score_recordings
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.targets import Target

__all__ = ["ScoringEstimate", "estimate_scoring"]

_SAMPLE = 8
_LONGEST_S = 60.0


@dataclass(frozen=True)
class ScoringEstimate:
    """What there is to do.

    Attributes
    ----------
    n_listed, n_done, n_recordings : int
        Recordings of the period, and of them those that the ledger has and those that would be scored.
    n_again : int
        Of those to be scored, recordings that earlier runs have tried in vain.
    n_left, n_outside, n_unknown : int
        Files that may still be written to, recordings of another period, and recordings of `n_listed` whose start is
        not known before they are read.
    sound_bytes : int
        Size of what would be scored [bytes].
    hours : float or None
        Sound in it, by the recordings that were measured [h]; None where none could be read.
    n_measured : int
        Recordings that were scored for it.
    workers : int
        Workers that the estimate is for.
    estimated_s : float
        Time of the run [s].
    """

    n_listed: int
    n_done: int
    n_recordings: int
    n_again: int
    n_left: int
    n_outside: int
    n_unknown: int
    sound_bytes: int
    hours: float | None
    n_measured: int
    workers: int
    estimated_s: float

    def lines(self) -> list[str]:
        """Describe the estimate for a person.

        Returns
        -------
        list of str
            A few lines.
        """
        beside = [
            (self.n_again, "of these tried again: earlier runs did not get through them"),
            (self.n_outside, "outside of the period"), (self.n_left, "left for the next run: changed a moment ago"),
            (self.n_unknown, "included although their start is not known before they are read"),
        ]  # fmt: skip
        minutes, seconds = divmod(round(self.estimated_s), 60)
        hours = "hours not known" if self.hours is None else f"about {self.hours:,.2f} h of sound"
        return [
            f"recordings  {self.n_listed} = {self.n_done} done + {self.n_recordings} to score",
            *(f"            {count} {what}" for count, what in beside if count),
            f"bytes       {self.sound_bytes / 1e6:,.1f} MB to read, {hours}",
            f"time        about {minutes} min {seconds} s on {self.workers} workers (measured on {self.n_measured} "
            "recordings)",
        ]


def estimate_scoring(
    plan: ScoringPlan, period: Period, bundle: Bundle, rule: ScoringRule | None = None, *, workers: int = 1
) -> ScoringEstimate:
    """Measure some recordings and scale to all; nothing is written.

    Parameters
    ----------
    plan : ScoringPlan
        What would be scored.
    period : Period
        Of which recordings it was planned.
    bundle : Bundle
        The model.
    rule : ScoringRule, optional
        What of the recordings is scored.
    workers : int
        Workers to estimate for; 1 or more.

    Returns
    -------
    ScoringEstimate
        At most 8 recordings are measured, and no further one is begun after a minute.
    """
    sizes = plan.sizes()
    n_first = sizes.size - plan.n_again  # the others come last, and may hang
    chosen = plan.take(np.unique(np.linspace(0, max(0, n_first - 1), min(_SAMPLE, n_first)).astype(np.int64)))
    n_measured, n_bytes, read_s, elapsed_s = _measured(chosen, bundle, rule)
    scale = float(sizes.sum()) / n_bytes if n_bytes else 0.0
    return ScoringEstimate(
        n_listed=len(period.targets),
        n_done=len(period.targets) - plan.n_recordings,
        n_recordings=plan.n_recordings,
        n_again=plan.n_again,
        n_left=period.targets.n_left,
        n_outside=period.n_outside,
        n_unknown=period.n_unknown,
        sound_bytes=int(sizes.sum()),
        hours=read_s * scale / 3600 if read_s or not sizes.size else None,
        n_measured=n_measured,
        workers=workers,
        estimated_s=elapsed_s * scale / workers,
    )


def _measured(targets: Sequence[Target], bundle: Bundle, rule: ScoringRule | None) -> tuple[int, int, float, float]:
    """Recordings, bytes, sound [s] and time [s]."""
    if not targets:
        return 0, 0, 0.0, 0.0
    # filterbanks are made once a worker: what the smallest one takes the first time does not count
    list(score_recordings([min(targets, key=lambda target: target.size)], bundle, rule))
    began = perf_counter()
    taken: list[Target] = []

    def some() -> Iterator[Target]:
        for target in targets:
            if taken and perf_counter() - began > _LONGEST_S:
                return
            taken.append(target)
            yield target

    read_s = sum(float(found.row["read_s"]) for found in score_recordings(some(), bundle, rule))
    return len(taken), sum(target.size for target in taken), read_s, perf_counter() - began
