"""What of a recording is scored, beside what model and recipe say.

Conventions
-----------
A rule is plain data that goes to the workers. Whatever changes results is part of its `canonical` text, and so of the
ledger's key: recordings scored by another rule are not done.
"""

from __future__ import annotations

from dataclasses import dataclass

from gunshot.errors import ParameterError

__all__ = ["ScoringRule"]


@dataclass(frozen=True, slots=True)
class ScoringRule:
    """How recordings are scored.

    Attributes
    ----------
    channels : str
        ``mix`` is the mean of all channels, ``each`` scores every channel by itself, and a number as text is one
        channel, counted from 0.
    exhaustive : bool
        Sliding clips, a quarter of their length apart, instead of the gate's onsets: slow, and blind to nothing.
    floor : float or None
        Keep all candidates from this score on, whatever the threshold.
    sample : float
        Probability with which a candidate below the floor is kept, or below the threshold where there is no floor; from
        it misses are estimated (`gunshot.scoring.sampling`).

    Raises
    ------
    ParameterError
        If a value is not one of these.

    Examples
    --------
    >>> ScoringRule(channels="1", floor=0.1).canonical
    'channels=1 floor=0.1'
    """

    channels: str = "mix"
    exhaustive: bool = False
    floor: float | None = None
    sample: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        number = self.channels.isascii() and self.channels.isdecimal()
        if self.channels not in ("mix", "each") and not (number and str(int(self.channels)) == self.channels):
            raise ParameterError(
                f"--channels must be mix, each or the number of a channel, counted from 0; got {self.channels!r}"
            )
        if self.floor is not None and not 0.0 <= self.floor <= 1.0:
            raise ParameterError(f"--keep-candidates must be a score in [0, 1]; got {self.floor:g}")
        if not 0.0 <= self.sample <= 1.0:
            raise ParameterError(f"--sample must be a probability in [0, 1]; got {self.sample:g}")

    @property
    def keeps_candidates(self) -> bool:
        """Whether ``candidates/`` is written."""
        return self.floor is not None or self.sample > 0

    @property
    def canonical(self) -> str:
        """The rule as text: equal for rules that give equal results, and for no others."""
        parts = [f"channels={self.channels}"]
        if self.exhaustive:
            parts.append("exhaustive")
        if self.floor is not None:
            parts.append(f"floor={float(self.floor)!r}")
        if self.sample > 0:
            parts.append(f"sample={float(self.sample)!r}")
        return " ".join(parts)
