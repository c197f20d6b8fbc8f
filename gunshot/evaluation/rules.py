"""What a user may ask of a threshold, read from text.

Conventions
-----------
::

    miss 1%            of the gunshots at most 1% missed, and as few false alarms as that allows
    10 a day           at most 10 false alarms a day at 1,300 candidates an hour
    10 a day at 400 an hour
    fpr 0.2%           of the other sounds at most 0.2% called, and as many gunshots found as that allows
    0.7                this threshold

A share is written with a percent sign or below 1. The first form of each is its name. What is asked for is chosen in
`gunshot.evaluation.choice`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from gunshot.errors import ParameterError

__all__ = ["CANDIDATES_PER_HOUR", "DEFAULT_RULES", "PointRule", "parse_rule"]

CANDIDATES_PER_HOUR = 1300.0
"""Onsets that pass the gate in a city [1/h]; measured, see decisions 7 and 15."""

_NUMBER = r"(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)"
_SHARE = re.compile(rf"(miss|fpr)(?: at most)? {_NUMBER} ?(%?)")
_A_DAY = re.compile(rf"{_NUMBER} ?(?:a|per|/) ?day(?: at {_NUMBER} ?(?:an|per|/) ?hour)?")

_FORMS = "'miss 1%', '10 a day', '10 a day at 400 an hour', 'fpr 0.2%' or a threshold such as 0.7"


@dataclass(frozen=True, slots=True)
class PointRule:
    """What an operating point must keep to.

    Parameters
    ----------
    kind : {"miss", "fpr", "day", "threshold"}
        What `value` limits, or that it is the threshold itself.
    value : float
        A share in [0, 1], false alarms a day > 0, or a threshold in [0, 1].
    candidates_per_hour : float
        For "day": onsets that pass the gate [1/h], > 0.

    Raises
    ------
    ParameterError
        If a number is outside its range.
    """

    kind: Literal["miss", "fpr", "day", "threshold"]
    value: float
    candidates_per_hour: float = CANDIDATES_PER_HOUR

    def __post_init__(self) -> None:
        """Refuse limits that are none."""
        if self.kind == "day":
            for name, value in (("false alarms a day", self.value), ("candidates an hour", self.candidates_per_hour)):
                if not 0.0 < value < math.inf:
                    raise ParameterError(f"{name} of an operating point must be more than 0; got {value:g}")
        elif not 0.0 <= self.value <= 1.0:
            remedy = "a percentage has a percent sign" if self.kind != "threshold" else f"give {_FORMS}"
            raise ParameterError(f"{self.kind} of an operating point must lie in [0, 1]; got {self.value:g}: {remedy}")

    @property
    def name(self) -> str:
        """The text that this rule is known by."""
        if self.kind == "threshold":
            return f"threshold {self.value!r}"
        if self.kind == "day":
            rate = self.candidates_per_hour
            return f"{self.value:.10g} a day" + ("" if rate == CANDIDATES_PER_HOUR else f" at {rate:.10g} an hour")
        return f"{self.kind} {100 * self.value:.10g}%"

    @property
    def per_share(self) -> float:
        """What one limited share amounts to in the unit of `value`: the candidates of a day, or 1."""
        return 24.0 * self.candidates_per_hour if self.kind == "day" else 1.0

    @property
    def share(self) -> float:
        """The limit as a share of the gunshots or of the other sounds."""
        return self.value / self.per_share


DEFAULT_RULES = (PointRule("miss", 0.01), PointRule("miss", 0.05), PointRule("day", 10), PointRule("day", 100))
"""Operating points that every bundle holds beside its default."""


def parse_rule(text: str) -> PointRule:
    """Read what a user asks for.

    Parameters
    ----------
    text : str
        One of the forms above.

    Returns
    -------
    PointRule
        Its `name` is the text's first form.

    Raises
    ------
    ParameterError
        If it has none of the forms, or a number is outside its range.

    Examples
    --------
    >>> parse_rule("miss at most 0.01").name, parse_rule("10 per day").name
    ('miss 1%', '10 a day')
    """
    plain = " ".join(text.lower().split())
    if found := _SHARE.fullmatch(plain):
        kind: Literal["miss", "fpr"] = "miss" if found[1] == "miss" else "fpr"
        if not found[3] and float(found[2]) >= 1.0:
            raise ParameterError(f"operating point {text!r}: write '{kind} {found[2]}%', or a share below 1")
        return PointRule(kind, float(found[2]) / (100.0 if found[3] else 1.0))
    if found := _A_DAY.fullmatch(plain):
        return PointRule("day", float(found[1]), float(found[2]) if found[2] else CANDIDATES_PER_HOUR)
    try:
        return PointRule("threshold", float(plain.removeprefix("threshold ")))
    except ParameterError:
        raise
    except ValueError:
        raise ParameterError(f"operating point {text!r} is none of the forms {_FORMS}") from None
