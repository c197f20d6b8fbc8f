"""The data set as the report shows it: a table in the manner of the source paper, and counts.

Conventions: label 1 is a gunshot, label 0 any other sound; durations in seconds, sample rates in Hz.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gunshot.errors import ParameterError

__all__ = ["DatasetRow", "DatasetSummary", "GroupCount"]


@dataclass(frozen=True, kw_only=True)
class DatasetRow:
    """One clip as the data set lists it.

    Parameters
    ----------
    file_name : str
        Name of the file, without its folder.
    sample_rate_hz : int
        Sample rate of the file [Hz].
    duration_s : float
        Duration [s].
    label : int
        1 for a gunshot, 0 for any other sound.
    group : str
        Rows of one group are never split between training and test.

    Raises
    ------
    ParameterError
        If the label is neither 0 nor 1.
    """

    file_name: str
    sample_rate_hz: int
    duration_s: float
    label: int
    group: str = ""

    def __post_init__(self) -> None:
        """Refuse a label that no count would hold."""
        if self.label not in (0, 1):
            raise ParameterError(
                f"label of {self.file_name!r} must be 0 (other) or 1 (gunshot); got {self.label!r}: "
                "leave rows without a label out"
            )


@dataclass(frozen=True, kw_only=True)
class GroupCount:
    """How many clips of each class share a value.

    Parameters
    ----------
    value : str
        The sample rate, group, ... as shown.
    n_gunshots, n_others : int
        Clips of each class.
    """

    value: str
    n_gunshots: int
    n_others: int


@dataclass(frozen=True, kw_only=True)
class DatasetSummary:
    """The data set as a table's first and last rows, with counts.

    Parameters
    ----------
    n_gunshots, n_others : int
        Clips of each class.
    total_duration_s : float
        Sum of the durations [s].
    head, tail : sequence of (int, DatasetRow)
        First and last rows, each with its row number.
    by_sample_rate, by_group : sequence of GroupCount
        Counts, the largest first.
    """

    n_gunshots: int
    n_others: int
    total_duration_s: float
    head: Sequence[tuple[int, DatasetRow]] = ()
    tail: Sequence[tuple[int, DatasetRow]] = ()
    by_sample_rate: Sequence[GroupCount] = ()
    by_group: Sequence[GroupCount] = ()

    @classmethod
    def from_rows(cls, rows: Sequence[DatasetRow], n_head: int = 5, n_tail: int = 4) -> DatasetSummary:
        """Count the rows of a data set and keep its first and last ones.

        Parameters
        ----------
        rows : sequence of DatasetRow
            All clips, in the order of the table.
        n_head, n_tail : int
            Rows to show from either end; fewer where there are fewer, none twice.

        Returns
        -------
        DatasetSummary
            Counts of all rows, and the rows at either end.
        """
        numbered = list(enumerate(rows))
        rates = ((f"{row.sample_rate_hz:,} Hz", row.label) for row in rows)
        return cls(
            n_gunshots=sum(row.label == 1 for row in rows),
            n_others=sum(row.label == 0 for row in rows),
            total_duration_s=float(sum(row.duration_s for row in rows)),
            head=tuple(numbered[:n_head]),
            tail=tuple(numbered[max(n_head, len(rows) - n_tail) :]),
            by_sample_rate=_counts(rates),
            by_group=_counts((row.group, row.label) for row in rows if row.group),
        )


def _counts(values: Iterable[tuple[str, int]]) -> tuple[GroupCount, ...]:
    """Count (value, label) pairs by value, the largest first, equal ones by name."""
    counted = Counter(values)
    names = {name for name, _ in counted}
    groups = [GroupCount(value=n, n_gunshots=counted[n, 1], n_others=counted[n, 0]) for n in names]
    return tuple(sorted(groups, key=lambda group: (-group.n_gunshots - group.n_others, group.value)))
