"""The worst errors of a model, to look at and to hear, as the page shows them.

Conventions: up to `MOST_EXAMPLES` misses and as many false alarms, the worst first. The first `FIRST_EXAMPLES` of each
are open, the others are folded away, and are not printed. A sound is the clip that the model was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gunshot.progress import steps
from gunshot.report.clip_plots import spectrogram_svg
from gunshot.report.content import ReportContent
from gunshot.report.pictures import ErrorExample
from gunshot.report.sounds import flac_address

__all__ = ["FIRST_EXAMPLES", "MOST_EXAMPLES", "Gallery", "Shown", "galleries"]

MOST_EXAMPLES = 30
"""Errors of a kind."""

FIRST_EXAMPLES = 12
"""Of them those that are not folded away."""


@dataclass(frozen=True)
class Shown:
    """An error as the page shows it.

    Attributes
    ----------
    example : ErrorExample
        Name, score, place.
    picture : Markup or None
        Its spectrogram.
    sound : str or None
        Address of its sound.
    """

    example: ErrorExample
    picture: Markup | None
    sound: str | None


@dataclass(frozen=True)
class Gallery:
    """Errors of a kind.

    Attributes
    ----------
    heading, caption : str
        What they are.
    first, rest : sequence of Shown
        Those that are open and those that are folded away.
    """

    heading: str
    caption: str
    first: Sequence[Shown]
    rest: Sequence[Shown]


def galleries(content: ReportContent) -> list[Gallery]:
    """Draw the worst errors of the default model.

    Parameters
    ----------
    content : ReportContent
        Of the page.

    Returns
    -------
    list of Gallery
        Misses and false alarms; kinds without an error are left out.
    """
    misses, alarms = "Gunshots with the lowest scores below", "Other sounds with the highest scores at or above"
    kinds = (
        ("misses", "Worst misses", misses, content.misses),
        ("false-alarms", "Worst false alarms", alarms, content.false_alarms),
    )
    found = []
    for kind, heading, caption, examples in kinds:
        some = examples[:MOST_EXAMPLES]
        drawn = steps(enumerate(some), "draw", heading.lower(), len(some))
        shown = [_shown(example, f"{kind}-{index}") for index, example in drawn]
        if shown:
            caption = f"{caption} the threshold."
            found.append(Gallery(heading, caption, shown[:FIRST_EXAMPLES], shown[FIRST_EXAMPLES:]))
    return found


def _shown(example: ErrorExample, name: str) -> Shown:
    picture = example.picture
    if picture is None:
        return Shown(example, None, None)
    sound = None if picture.waveform is None else flac_address(picture.waveform, picture.sr)
    return Shown(example, spectrogram_svg(picture, name=name), sound)
