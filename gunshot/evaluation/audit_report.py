"""What an audit found, as plain data and in words.

Conventions
-----------
AUC is the area under the ROC curve, 0.5 is chance. The rule that makes a figure close is in `gunshot.evaluation.audit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gunshot.evaluation.splitgap import SplitGap

__all__ = ["AuditReport", "Figure", "audit_lines", "audit_warnings"]


@dataclass(frozen=True, slots=True)
class Figure:
    """How well something tells the classes apart on the judged rows.

    Attributes
    ----------
    name : str
        Short name, as in ``model.json``.
    what : str
        In words.
    auc, balanced_accuracy : float
        Area under the ROC curve, and the mean of recall and of other sounds called so; in [0, 1], 0.5 is chance.
    is_close : bool
        Whether the rule of `gunshot.evaluation.audit` finds it too near to the model's own.
    """

    name: str
    what: str
    auc: float
    balanced_accuracy: float
    is_close: bool


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found.

    Attributes
    ----------
    judged : str
        Name of the judged split.
    n_train, n_judged : int
        Rows.
    shortcuts : tuple of Figure
        From each shortcut alone and from several together, the best first.
    sounds : tuple of Figure
        The model's own: on the clips as they are, with the onset cut out, on the lead alone. Empty without a model.
    split_gap : SplitGap or None
        Random against grouped splitting; None where there are too few groups.
    warnings : tuple of str
        Sentences; empty where nothing is close.
    """

    judged: str
    n_train: int
    n_judged: int
    shortcuts: tuple[Figure, ...]
    sounds: tuple[Figure, ...]
    split_gap: SplitGap | None
    warnings: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The figures, as JSON takes them.

        Returns
        -------
        dict
            For ``model.json``, under ``audit``.
        """
        return asdict(self) | {
            "shortcuts": [asdict(figure) for figure in self.shortcuts],
            "sounds": [asdict(figure) for figure in self.sounds],
            "warnings": list(self.warnings),
        }


def audit_warnings(
    judged: str, shortcuts: Sequence[Figure], sounds: Sequence[Figure], gap: SplitGap | None, leak: float
) -> list[str]:
    """The sentences for what is close.

    Parameters
    ----------
    judged : str
        Name of the judged split.
    shortcuts, sounds : sequence of Figure
        As in `AuditReport`; the first sound is the clips as they are.
    gap : SplitGap or None
        Random against grouped splitting.
    leak : float
        From which gain on a random split is told [AUC].

    Returns
    -------
    list of str
        Empty where nothing is close.
    """
    own = sounds[0].auc if sounds else None
    beside = "" if own is None else f"; the model reaches {own:.3f}"
    said = [
        f"From {figure.what} alone, without the sound, gunshots are told from other sounds with an AUC of "
        f"{figure.auc:.3f} on {judged} rows{beside}."
        for figure in shortcuts
        if figure.is_close and not figure.name.startswith("together")
    ]
    together = [figure for figure in shortcuts if figure.is_close and figure.name == "together_in_clip"]
    if together and not said:
        said.append(
            f"From bandwidth, noise floor, padding, silence, level and offset together, without the sound, gunshots "
            f"are told with an AUC of {together[0].auc:.3f} on {judged} rows{beside}."
        )
    for figure in sounds:
        if figure.is_close and figure.name == "lead":
            said.append(
                f"The model tells the classes with an AUC of {figure.auc:.3f} from what was before the onset: it "
                "knows the recorder or the place, not only the sound."
            )
        elif figure.is_close:
            said.append(
                f"With the loudest 150 ms of each clip taken out the model still reaches an AUC of {figure.auc:.3f}"
                f"{beside}: it hardly needs the sound."
            )
    return said + ([gap.warning(leak)] if gap is not None and gap.leaks(leak) else [])


def audit_lines(figures: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, str, str, str]]]:
    """An audit in words, for a report.

    Parameters
    ----------
    figures : mapping
        What `AuditReport.as_dict` gave, as ``model.json`` holds it under ``audit``.

    Returns
    -------
    sentences : list of str
        The warnings, or one sentence that there is none, and how a random split differs from one by group.
    rows : list of tuple of str
        What was read, AUC, balanced accuracy, and "close" where the rule says so.
    """
    sentences = list(figures["warnings"]) or [
        "No shortcut that was looked for comes close to the model: sample rate, duration, bandwidth, noise floor, "
        "zero padding, trailing silence, level and offset, alone and together."
    ]
    gap = figures["split_gap"]
    if gap is not None:
        sentences.append(
            f"A linear probe reaches an AUC of {gap['random_auc']:.3f} where rows are split at random, and "
            f"{gap['grouped_auc']:.3f} where they are split by group."
        )
    named = [(f"the model, {it['what']}", it) for it in figures["sounds"]]
    named += [(it["what"], it) for it in figures["shortcuts"]]
    rows = [
        (what, f"{it['auc']:.3f}", f"{it['balanced_accuracy']:.3f}", "close" if it["is_close"] else "")
        for what, it in named
    ]
    return sentences, rows
