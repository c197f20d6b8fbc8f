"""The main figures of held-out rows as a section: at the threshold, at fixed false-alarm rates, and a recorder-day.

Conventions: those of `gunshot.report.held_out`.
"""

from __future__ import annotations

from collections.abc import Mapping

from gunshot.evaluation.bootstrap import GroupInterval
from gunshot.evaluation.fixed_fpr import FixedFprRecall
from gunshot.evaluation.rates import AlarmRate
from gunshot.evaluation.reported import ReportedFigures
from gunshot.report.blocks import Block, Cell, Section, Table
from gunshot.report.words import UNDEFINED, count, percent

__all__ = ["headline_section"]

_OVER_GROUPS = (
    "A range over clips holds for more clips of the same sessions. Clips of one session are right or wrong together: "
    "the range over groups draws whole groups; of the two the wider is the one to rely on."
)


def headline_section(figures: Mapping[str, ReportedFigures]) -> Section:
    """Write the main figures.

    Parameters
    ----------
    figures : mapping of str to ReportedFigures
        By split, in the order to show.

    Returns
    -------
    Section
        Its tables have a row a split.
    """
    fixed = {split: of.fixed_fpr for split, of in figures.items() if of.fixed_fpr}
    return Section(
        id="held-out",
        name="Held-out figures",
        blocks=[
            _at_threshold(figures),
            *([_at_fixed_rates(fixed)] if fixed else []),
            _recorder_day({split: of.alarms for split, of in figures.items()}),
        ],
    )


def _pair(interval: tuple[float, float] | None) -> str:
    return UNDEFINED if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"


def _groups(interval: GroupInterval | None) -> Cell:
    if interval is None:
        return (UNDEFINED,)
    return (_pair(interval.pair) if interval.pair else interval.method, f"{count(interval.n_groups)} groups")


def _at_threshold(figures: Mapping[str, ReportedFigures]) -> Block:
    rows, sentences = [], []
    for split, of in figures.items():
        m = of.metrics
        for name, rate, exact, groups, counted in (
            ("found", m.recall, m.recall_interval, m.recall_over_groups, f"{m.true_positives} of {m.n_gunshots}"),
            ("false alarms", m.fpr, m.fpr_interval, m.fpr_over_groups, f"{m.false_positives} of {m.n_others}"),
        ):
            rows.append([(split,), (name,), (percent(rate),), (counted,), (_pair(exact),), _groups(groups)])
        sentences.append(
            f"Of the {split} clips the model finds {percent(m.recall)} of the gunshots, and {percent(m.fpr)} of the "
            "other sounds raise a false alarm."
        )
    header = ("Split", "Figure", "Rate", "Counted", "95% over clips (exact)", "95% over groups")
    return Block(
        heading="At its threshold",
        sentences=sentences,
        table=Table(header=header, rows=rows, n_text=2),
        note=_OVER_GROUPS,
    )


def _at_fixed_rates(fixed: Mapping[str, tuple[FixedFprRecall, ...]]) -> Block:
    rows, sentences = [], []
    for split, figures in fixed.items():
        for it in figures:
            groups = _groups(it.over_groups)
            rows.append(
                [
                    (split,), (percent(it.max_fpr),), (percent(it.recall), _pair(it.recall_interval)), groups,
                    (count(it.n_others),), (count(it.n_allowed),), (percent(it.fpr_limit),),
                ]
            )  # fmt: skip
            sentences.append(_fixed_words(split, it))
    header = (
        *("Split", "False alarms allowed", "Recall", "95% over groups"),
        *("Other sounds", "May be called", "Rate shown below"),
    )
    return Block(
        heading="At a fixed false-alarm rate",
        sentences=sentences,
        table=Table(header=header, rows=rows),
        note="The cut is found on these rows: these figures compare models, and set no threshold. “Rate shown below” "
        "is the upper 95% limit of the false-alarm rate that so many other sounds can show.",
    )


def _fixed_words(split: str, it: FixedFprRecall) -> str:
    found = (
        f"Where {percent(it.max_fpr)} of the {split} other sounds may be called, {percent(it.recall)} of the gunshots "
        "are found"
    )
    if it.is_bounded:
        return f"{found}; {count(it.n_allowed)} of {count(it.n_others)} other sounds may be."
    return (
        f"{found}; that is none of {count(it.n_others)} other sounds, too few to show this rate: they show one below "
        f"{percent(it.fpr_limit)}."
    )


def _recorder_day(alarms: Mapping[str, AlarmRate]) -> Block:
    rows, sentences = [], []
    for split, it in alarms.items():
        if it.false_alarms_per_day is None or it.interval is None:
            sentences.append(f"There are no other sounds among the {split} clips to tell false alarms by.")
            continue
        low, high = it.interval
        sentences.append(
            f"By the {split} clips, a recorder that brings {it.candidates_per_hour:,.0f} candidates an hour raises "
            f"{_number(it.false_alarms_per_day)} false alarms a day (95%: {_number(low)} to {_number(high)})"
            f"{_precision_words(it)}."
        )
        over_groups = f"groups: {_numbers(it.interval_over_groups)}" if it.interval_over_groups else ""
        alarm_cell = tuple(
            line for line in (_number(it.false_alarms_per_day), _numbers(it.interval), over_groups) if line
        )
        expected = [
            (percent(p.precision), _pair(p.interval))
            if p.precision is not None and p.interval
            else (percent(p.precision),)
            for p in it.precision
        ]
        rows.append([(split,), alarm_cell, *expected])
    shots = next(iter(alarms.values())).precision
    header = ("Split", "False alarms a day", *(f"Precision at {_shots(it.shots_per_day)} a day" for it in shots))
    return Block(
        heading="A recorder-day",
        sentences=sentences,
        table=Table(header=header, rows=rows) if rows else None,
        note="Precision here is the share of calls that are shots, for as many true shots a day. The number of "
        "candidates an hour is given (--candidates-per-hour); the other sounds here stand for what the recorder hears.",
    )


def _precision_words(it: AlarmRate) -> str:
    told = [p for p in it.precision if p.precision is not None]
    if not told:
        return ""
    middle = told[len(told) // 2]
    return (
        f"; with {_shots(middle.shots_per_day, 'true ')} a day, {percent(middle.precision)} of its calls would be shots"
    )


def _shots(per_day: float, which: str = "") -> str:
    return f"{per_day:g} {which}shot{'' if per_day == 1 else 's'}"


def _number(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def _numbers(interval: tuple[float, float] | None) -> str:
    return UNDEFINED if interval is None else f"{_number(interval[0])} to {_number(interval[1])}"
