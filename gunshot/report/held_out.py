"""The figures of held-out rows as sections of the page: the main figures, breakdowns, confusers, known and new sounds.

Conventions: those of `gunshot.evaluation.metrics`. Every table is preceded by a sentence that says what it shows, with
its main figure. A range without a word beside it is an exact 95 % interval over clips; one "over groups" counts
sessions, not clips (`gunshot.evaluation.bootstrap`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gunshot.evaluation.bootstrap import GroupInterval
from gunshot.evaluation.breakdown import UNKNOWN
from gunshot.evaluation.confusers import ConfuserMatrix
from gunshot.evaluation.leave_out import SourceRecall
from gunshot.evaluation.level import SNR_BANDS_DB, STRENGTH_BANDS_DB, all_bands
from gunshot.evaluation.metrics import ClassificationMetrics
from gunshot.evaluation.open_set import OpenSet
from gunshot.evaluation.reported import ReportedFigures
from gunshot.report.blocks import Block, Cell, Section, Table
from gunshot.report.headline import headline_section
from gunshot.report.reliability_plot import reliability_section
from gunshot.report.words import UNDEFINED, count, percent

__all__ = ["held_out_sections", "range_words"]

MAX_CONFUSERS = 15
MAX_PARTS = 30
MAX_NEW_SOUNDS = 20

_NAMES = {
    "source": "source",
    "device": "device",
    "firearm": "firearm",
    "snr": "estimated SNR",
    "onset_strength": "onset strength",
    "sample_rate": "sample rate",
    "distance": "distance",
}
"""Breakdowns that are shown, in this order; those by folder are in metrics.json alone."""

_ORDERED = {"snr": all_bands(SNR_BANDS_DB), "onset_strength": all_bands(STRENGTH_BANDS_DB)}

_HEADER = ("Gunshots", "Missed", "Recall", "Other sounds", "False alarms", "FPR")


def held_out_sections(
    figures: Mapping[str, ReportedFigures], unseen_sources: Sequence[SourceRecall] = ()
) -> list[Section]:
    """Write the figures of one model's held-out rows as sections.

    Parameters
    ----------
    figures : mapping of str to ReportedFigures
        By split, in the order to show.
    unseen_sources : sequence of SourceRecall
        As `gunshot.evaluation.leave_out.unseen_source_recalls`.

    Returns
    -------
    list of Section
        None where there are no figures.
    """
    if not figures:
        return []
    found = [
        headline_section(figures),
        Section(
            id="breakdowns",
            name="Breakdowns",
            blocks=[block for split, of in figures.items() for block in _breakdowns(split, of)],
        ),
        Section(
            id="confusers",
            name="What raises false alarms",
            blocks=[_confusers(split, of.confusers) for split, of in figures.items()],
        ),
        Section(
            id="new-sounds",
            name="Known and new sounds",
            blocks=[*(_open_set(split, of.open_set) for split, of in figures.items()), _unseen(unseen_sources)],
        ),
        reliability_section(figures),
    ]
    return [section for section in found if section.blocks]


def range_words(interval: tuple[float, float] | None) -> str:
    """Write an interval of rates.

    Parameters
    ----------
    interval : tuple of (float, float) or None
        In [0, 1].

    Returns
    -------
    str
        Empty for None.
    """
    return "" if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"


def _rate(value: float | None, exact: tuple[float, float] | None, over_groups: GroupInterval | None) -> Cell:
    """A rate with both kinds of interval, those there are."""
    pair = None if over_groups is None else over_groups.pair
    return tuple(
        line for line in (percent(value), range_words(exact), f"groups: {range_words(pair)}" if pair else "") if line
    )


def _metric_cells(m: ClassificationMetrics) -> list[Cell]:
    return [
        (count(m.n_gunshots),),
        (count(m.false_negatives) if m.n_gunshots else UNDEFINED,),
        _rate(m.recall, m.recall_interval, m.recall_over_groups),
        (count(m.n_others),),
        (count(m.false_positives) if m.n_others else UNDEFINED,),
        _rate(m.fpr, m.fpr_interval, m.fpr_over_groups),
    ]


def _metrics_table(first: str, parts: Sequence[tuple[str, ClassificationMetrics]]) -> Table:
    shown = parts[:MAX_PARTS]
    # where there is no other sound at all, as among firearms, nothing is said of them
    n_columns = len(_HEADER) if any(m.n_others for _, m in parts) else len(_HEADER) // 2
    return Table(
        header=(first, *_HEADER[:n_columns]),
        rows=[[(name,), *_metric_cells(m)[:n_columns]] for name, m in shown],
        n_more=len(parts) - len(shown),
    )


def _breakdowns(split: str, figures: ReportedFigures) -> list[Block]:
    blocks = []
    for key, name in _NAMES.items():
        parts = figures.breakdowns.get(key, {})
        if not set(parts) - {UNKNOWN}:
            continue
        blocks.append(
            Block(
                heading=f"By {name}, {split} clips",
                sentences=[_spread(name, parts)],
                table=_metrics_table(name[0].upper() + name[1:], _in_order(key, parts)),
            )
        )
    return blocks


def _in_order(key: str, parts: Mapping[str, ClassificationMetrics]) -> list[tuple[str, ClassificationMetrics]]:
    """Bands from quiet to loud, all else by its number of rows."""
    if key in _ORDERED:
        return [(name, parts[name]) for name in _ORDERED[key] if name in parts]
    return sorted(parts.items(), key=lambda part: (-part[1].n, part[0]))


def _spread(name: str, parts: Mapping[str, ClassificationMetrics]) -> str:
    """The best and the worst part, in words."""
    said = []
    recalls = sorted((m.recall, part, m.n_gunshots) for part, m in parts.items() if m.recall is not None)
    if len(recalls) > 1:
        (low, least, n_least), (high, most, n_most) = recalls[0], recalls[-1]
        said.append(
            f"Of the gunshots, {percent(low)} ({least}, of {count(n_least)}) to {percent(high)} ({most}, of "
            f"{count(n_most)}) are found."
        )
    alarms = sorted((m.fpr, part, m.n_others) for part, m in parts.items() if m.fpr is not None)
    if len(alarms) > 1:
        worst, part, n = alarms[-1]
        said.append(
            f"Most false alarms per other sound: {percent(worst)} ({part}, of {count(n)})."
            if worst
            else "No other sound raises a false alarm."
        )
    return " ".join(said) or f"All clips of a class that is here have one {name}: there is nothing to compare."


def _confusers(split: str, matrix: ConfuserMatrix) -> Block:
    raising = matrix.raising
    heading = f"{split[0].upper()}{split[1:]} clips"
    if not matrix.sounds:
        return Block(heading=heading, sentences=[f"There are no other sounds among the {split} clips."])
    if not raising:
        n = sum(sound.n for sound in matrix.sounds)
        return Block(
            heading=heading, sentences=[f"None of {count(n)} other sounds of {_kinds(matrix)} raises a false alarm."]
        )
    shown, worst = raising[:MAX_CONFUSERS], raising[0]
    total = sum(sound.n_alarms for sound in raising)
    return Block(
        heading=heading,
        sentences=[
            f"Of {_kinds(matrix)} of other sound, {count(len(raising))} "
            f"{'raises' if len(raising) == 1 else 'raise'} false alarms; the worst is “{worst.sound}” with "
            f"{count(worst.n_alarms)} of all {count(total)} false alarms, from "
            f"{count(worst.n)} clips."
        ],
        table=Table(
            header=("Sound", "False alarms", "Clips", "Rate", *matrix.bands),
            rows=[
                [
                    (sound.sound or UNKNOWN,),
                    (count(sound.n_alarms),),
                    (count(sound.n),),
                    (percent(sound.rate),),
                    *((f"{alarms}/{n}" if n else "",) for alarms, n in sound.bands),
                ]
                for sound in shown
            ],
            n_more=len(raising) - len(shown),
        ),
        note="The right columns are bands of the estimated SNR: false alarms / clips in each.",
    )


def _kinds(matrix: ConfuserMatrix) -> str:
    return f"{count(len(matrix.sounds))} kinds" if len(matrix.sounds) > 1 else "one kind"


def _open_set(split: str, found: OpenSet | None) -> Block:
    heading = f"{split[0].upper()}{split[1:]} clips"
    if found is None:
        return Block(
            heading=heading,
            sentences=["Which sounds are new is not known: the model was trained on another store."],
        )
    parts = [(name, m) for name, m in (("known", found.known), ("new", found.new)) if m is not None]
    if found.new is None:
        return Block(
            heading=heading,
            sentences=[f"All {split} clips are of sounds that the model was trained on, by their names."],
            table=_metrics_table("Sounds", parts),
        )
    names = [f"{sound or UNKNOWN} ({'gunshot' if label else 'other'})" for sound, label in found.new_sounds]
    more = f", and {count(len(names) - MAX_NEW_SOUNDS)} more" if len(names) > MAX_NEW_SOUNDS else ""
    return Block(
        heading=heading,
        sentences=[
            f"{count(found.new.n)} clips are of sounds that no training clip has by name and label: recall "
            f"{percent(found.new.recall)}, false alarms {percent(found.new.fpr)} on them."
        ],
        table=_metrics_table("Sounds", parts),
        note=f"New: {', '.join(names[:MAX_NEW_SOUNDS])}{more}.",
    )


def _unseen(recalls: Sequence[SourceRecall]) -> Block:
    heading = "Sources never met"
    if not recalls:
        return Block(
            heading=heading,
            sentences=["No source of gunshots here is new to the model, by its name."],
        )
    names = sorted({recall.source for recall in recalls})
    sentences = [
        f"The model was trained on no gunshot of {', '.join(names)}. The recall on each is told at fixed false-alarm "
        "rates, whose cut is found on these rows: it compares models, and sets no threshold."
    ]
    rows = []
    for it in recalls:
        over_groups = it.figure.over_groups
        rows.append(
            [
                (it.source,),
                ("its own" if it.negatives == "own" else "all held-out",),
                (percent(it.figure.max_fpr),),
                (count(it.figure.n_gunshots),),
                _rate(it.figure.recall, it.figure.recall_interval, over_groups),
                (count(it.figure.n_others),),
                (percent(it.figure.fpr_limit),),
            ]
        )
    header = ("Source", "Other sounds from", "FPR", "Gunshots", "Recall", "Other sounds", "FPR is shown below")
    return Block(heading=heading, sentences=sentences, table=Table(header=header, rows=rows, n_text=2))
