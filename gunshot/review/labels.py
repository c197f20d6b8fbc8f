"""From decisions to a label table: what people agree on, in groups that keep a shot on one side.

Conventions
-----------
A sound has a label where everyone who decided on it says the same; where someone is unsure, or two disagree, it has
none and is counted. A group is a site and a night, since several recorders may have heard one shot, or the recording
where either is not known. A segment begins `LEAD_S` before the detection's onset, as clips do, so that the clip cut
from it is the one that was scored.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gunshot.errors import ParameterError
from gunshot.recipe import ClipRule
from gunshot.review.decision_log import read_decisions
from gunshot.review.decisions import Decision, Sound, latest
from gunshot.review.queue import check_archive, recording_uri
from gunshot.scoring.results.csvfiles import csv_cell
from gunshot.storage import absolute, write_bytes

__all__ = ["LEAD_S", "LabelCounts", "agreed", "hard_negatives", "label_rows", "write_label_table"]

LEAD_S = ClipRule().lead_s
"""How long before its onset a segment begins [s]."""

_COLUMNS = (
    "path", "start_s", "end_s", "label", "sound", "source", "group", "earlier_path", "x_score", "x_who", "x_note",
    "x_drawn",
)  # fmt: skip
_PATHS = {"path", "earlier_path"}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What became of the sounds that were decided on.

    Attributes
    ----------
    n_decided : int
        Sounds that someone decided on; the sum of the next four.
    n_gunshots, n_others : int
        With a label, before `n_written` of them were chosen.
    n_unsure : int
        Someone was unsure.
    n_disagreed : int
        Some say gunshot, some say not.
    n_groups : int
        Groups of the rows written.
    n_written : int
        Rows of the table.
    """

    n_decided: int
    n_gunshots: int
    n_others: int
    n_unsure: int
    n_disagreed: int
    n_groups: int
    n_written: int

    def lines(self, out: str) -> list[str]:
        """The summary for a person.

        Parameters
        ----------
        out : str
            Where the table is.

        Returns
        -------
        list of str
            Counts that add up.
        """
        return [
            f"{self.n_decided} sounds decided = {self.n_gunshots} gunshot + {self.n_others} not "
            f"+ {self.n_unsure} unsure + {self.n_disagreed} on which people disagree; the last two are left out",
            f"label table: {out}, {self.n_written} rows in {self.n_groups} groups",
        ]


def agreed(people: Mapping[str, Decision]) -> str:
    """What people say of a sound together.

    Parameters
    ----------
    people : mapping of str to Decision
        Each person's last word; not empty.

    Returns
    -------
    str
        ``gunshot`` or ``not`` where all say so, ``unsure`` where someone is, else ``disagreed``.
    """
    said = {decision.label for decision in people.values()}
    if "unsure" in said:
        return "unsure"
    return said.pop() if len(said) == 1 else "disagreed"


def label_rows(decided: Mapping[Sound, Mapping[str, Decision]], archive: str | None = None) -> list[Row]:
    """Rows of a label table.

    Parameters
    ----------
    decided : mapping
        Each person's last word by sound (`gunshot.review.decisions.latest`).
    archive : str, optional
        Root below which the recordings are now, if they have moved; then a row has their ``earlier_path`` too.

    Returns
    -------
    list of dict
        A row a sound that all agree on, by path and time.

    Raises
    ------
    StorageError
        If a recording's path does not lie below `archive`.
    """
    rows = []
    for people in decided.values():
        label = agreed(people)
        if label in {"gunshot", "not"}:
            rows.append(_row(label, [people[who] for who in sorted(people)], archive))
    return sorted(rows, key=lambda row: (row["path"], row["start_s"], row["label"]))


def _row(label: str, decisions: list[Decision], archive: str | None) -> Row:
    first = decisions[0]
    kinds = list(dict.fromkeys(each.kind for each in decisions if each.kind))
    # of a sample the segment is the clip already; a detection begins at its onset
    start_s = first.start_s if first.drawn == "sample" else first.start_s - LEAD_S
    return {
        "path": absolute(recording_uri(first, archive)),
        "earlier_path": "" if archive is None else absolute(first.uri),
        "start_s": round(max(0.0, start_s), 4), "end_s": round(first.end_s, 4), "label": int(label == "gunshot"),
        "sound": kinds[0] if len(kinds) == 1 else "", "source": "review", "group": group_of(first),
        "x_score": first.score, "x_who": ", ".join(each.who for each in decisions),
        "x_note": "; ".join(each.note for each in decisions if each.note), "x_drawn": first.drawn,
    }  # fmt: skip


def group_of(decision: Decision) -> str:
    """The group of a sound.

    Parameters
    ----------
    decision : Decision
        About it.

    Returns
    -------
    str
        Site and night, or the recording where either is not known.
    """
    return f"{decision.site} {decision.night}" if decision.site and decision.night else decision.uri


def hard_negatives(rows: Iterable[Row], n: int) -> list[Row]:
    """Sounds that are no gunshots and that the model is surest of: what the next training needs most.

    Parameters
    ----------
    rows : iterable of dict
        Of a label table.
    n : int
        At most so many.

    Returns
    -------
    list of dict
        The highest scores first.
    """
    others = [row for row in rows if row["label"] == 0]
    return sorted(others, key=lambda row: (-row["x_score"], row["path"], row["start_s"]))[:n]


def write_label_table(results: str, out: str, *, hard: int | None = None, archive: str | None = None) -> LabelCounts:
    """Make a label table of all decisions on results.

    Parameters
    ----------
    results : str
        The results that were reviewed.
    out : str
        Where the table goes.
    hard : int, optional
        Only so many of the rows that are no gunshots, those with the highest scores.
    archive : str, optional
        Root below which the recordings are now, if they have moved.

    Returns
    -------
    LabelCounts
        What is in it and what was left out.

    Raises
    ------
    ParameterError
        If nobody has decided, or no decision gives a row.
    StorageError
        If the decisions cannot be read, `archive` does not exist or a recording's path does not lie below it, or the
        table cannot be written.
    """
    check_archive(archive)
    decided = latest(read_decisions(results))
    said = [agreed(people) for people in decided.values()]
    if not decided:
        raise ParameterError(f"nobody has decided anything in {results}: run gunshot review {results} first")
    rows = label_rows(decided, archive)
    if hard is not None:
        rows = hard_negatives(rows, hard)
    if not rows:
        what = "no decision says 'not'" if hard is not None else "all decisions are unsure or disagree"
        raise ParameterError(f"{results}: {what}; there is nothing to write to {out}")
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    # a path is written as it is, for it is read again; what people typed must not run in a spreadsheet
    writer.writerows([row[name] if name in _PATHS else csv_cell(row[name]) for name in _COLUMNS] for row in rows)
    write_bytes(out, text.getvalue().encode())
    return LabelCounts(
        n_decided=len(decided), n_gunshots=said.count("gunshot"), n_others=said.count("not"),
        n_unsure=said.count("unsure"), n_disagreed=said.count("disagreed"), n_groups=len({r["group"] for r in rows}),
        n_written=len(rows),
    )  # fmt: skip
