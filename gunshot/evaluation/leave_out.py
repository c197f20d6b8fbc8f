"""Sources that training has never met: the splits that hold one out, and the figures on it.

Conventions
-----------
- Holding a source out takes all its rows of the class asked for, and every row that shares a group with one of them,
  out of training, validation and test. The source's own rows become ``unseen``; rows of other sources that shared a
  group with it are in no split (``""``).
- The rest keeps its split. So the test rows of all other sources are there in every fold, and the models of two folds
  differ by the source alone.
- A source of gunshots alone has no false alarms to count. Its recall at a fixed false-alarm rate is then taken
  against the pooled held-out negatives: all other sounds of the test and unseen rows. The figure says so
  (`SourceRecall.negatives`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gunshot.errors import ParameterError
from gunshot.evaluation.fixed_fpr import FixedFprRecall, fixed_fpr_recall
from gunshot.evaluation.rows import labelled_scores

__all__ = ["SourceFold", "SourceRecall", "hold_out_source", "leave_one_source_out", "unseen_source_recalls"]

HeldOut = Literal["all", "gunshots", "others"]

_LABELS: dict[HeldOut, tuple[int, ...]] = {"all": (0, 1), "gunshots": (1,), "others": (0,)}


@dataclass(frozen=True)
class SourceFold:
    """One source held out.

    Attributes
    ----------
    source : str
        Which.
    splits : ndarray of shape (n,), str
        Split of each row: as given, ``unseen`` for the source, ``""`` for what shares a group with it.
    """

    source: str
    splits: NDArray[np.str_]


@dataclass(frozen=True)
class SourceRecall:
    """The recall on a source that the model was not trained on, at a fixed false-alarm rate.

    Attributes
    ----------
    source : str
        Which.
    negatives : {"own", "pooled"}
        Where the other sounds come from: the same source, or all held-out rows.
    figure : FixedFprRecall
        The figure.
    """

    source: str
    negatives: Literal["own", "pooled"]
    figure: FixedFprRecall

    def as_dict(self) -> dict[str, Any]:
        """The figure as JSON takes it.

        Returns
        -------
        dict
            Plain numbers and text.
        """
        return {"source": self.source, "negatives": self.negatives, **self.figure.as_dict()}


def hold_out_source(
    held: str,
    label: ArrayLike,
    source: Sequence[str],
    group: Sequence[str],
    splits: Sequence[str] | NDArray[np.str_],
    rows: HeldOut = "all",
) -> NDArray[np.str_]:
    """Return the splits with a source held out entirely.

    Parameters
    ----------
    held : str
        The source.
    label : array_like of shape (n,), integer
        1 gunshot, 0 other; anything else (a row without a label) is in neither class.
    source, group : sequence of str, length n
        Of each row.
    splits : sequence of str, length n
        The split of each row as it is (`gunshot.split.assign_splits`); ``""`` for rows in none.
    rows : {"all", "gunshots", "others"}
        What of the source is held out: everything, or its rows of one class (unseen positives, unseen negatives).

    Returns
    -------
    ndarray of shape (n,), str
        By the conventions of this module.

    Raises
    ------
    ParameterError
        If the columns differ in length, or the source has no such row.

    Examples
    --------
    >>> hold_out_source(
    ...     "range", [1, 1, 0], ["range", "street", "street"], ["a", "a", "b"], ["train", "train", "test"]
    ... ).tolist()
    ['unseen', '', 'test']
    """
    labels, sources, groups = np.asarray(label), np.asarray(source), np.asarray(group)
    result = np.asarray(splits).astype("<U10")
    _check_sizes(label=labels.size, source=sources.size, group=groups.size, splits=result.size)
    is_held = (sources == held) & _of_class(labels, rows) & (result != "")
    if not is_held.any():
        known = ", ".join(sorted(set(sources.tolist())))
        raise ParameterError(f"held={held!r} has no row to hold out (rows={rows!r}); sources are: {known}")
    result[np.isin(groups, groups[is_held])] = ""
    result[is_held] = "unseen"
    return result


def _check_sizes(**sizes: int) -> None:
    if len(set(sizes.values())) > 1:
        raise ParameterError(f"columns must have one value a row each; got {sizes}: take them from one table")


def _of_class(labels: NDArray[Any], rows: HeldOut) -> NDArray[np.bool_]:
    if rows not in _LABELS:
        raise ParameterError(f"rows must be one of {', '.join(_LABELS)}; got {rows!r}")
    return np.isin(labels, _LABELS[rows])


def leave_one_source_out(
    label: ArrayLike,
    source: Sequence[str],
    group: Sequence[str],
    splits: Sequence[str] | NDArray[np.str_],
    rows: HeldOut = "all",
) -> Iterator[SourceFold]:
    """Yield one fold a source, in sorted order.

    Parameters
    ----------
    label : array_like of shape (n,), integer
        1 gunshot, 0 other.
    source, group : sequence of str, length n
        Of each row.
    splits : sequence of str, length n
        The split of each row as it is.
    rows : {"all", "gunshots", "others"}
        What of the source is held out; sources without such a row give no fold.

    Yields
    ------
    SourceFold
        Where the rows that are left to train on, and those to choose on, still hold both classes: a source without
        which nothing can be trained gives none.

    Raises
    ------
    ParameterError
        If the columns differ in length, or `rows` is none of the three.
    """
    labels = np.asarray(label)
    _check_sizes(label=labels.size, source=len(source), group=len(group), splits=len(splits))
    of_class = _of_class(labels, rows) & (np.asarray(splits) != "")
    for held in sorted({str(name) for name in np.asarray(source)[of_class]}):
        found = hold_out_source(held, labels, source, group, splits, rows)
        if all(set(labels[found == split]) >= {0, 1} for split in ("train", "validation")):
            yield SourceFold(held, found)


def unseen_source_recalls(
    label: ArrayLike,
    score: ArrayLike,
    source: Sequence[str],
    group: Sequence[str],
    trained: Iterable[tuple[str, int]],
    max_fprs: Sequence[float],
) -> list[SourceRecall]:
    """Return the recall on each source whose gunshots were not trained on, at fixed false-alarm rates.

    Parameters
    ----------
    label, score : array_like of shape (n,)
        The held-out rows of all sources: test and unseen.
    source, group : sequence of str, length n
        Of each row.
    trained : iterable of (str, int)
        Source and label of what the model was trained on.
    max_fprs : sequence of float
        The rates.

    Returns
    -------
    list of SourceRecall
        By source, rate, then negatives: against the source's own other sounds where it has any, and against all
        held-out ones where there are any.

    Raises
    ------
    ParameterError
        If labels or scores are not what they must be.
    """
    labels, scores = labelled_scores(label, score)
    sources, seen = np.asarray(source, dtype=object), set(trained)
    found = []
    for name in sorted({str(it) for it in sources[labels == 1]}):
        if (name, 1) in seen:
            continue
        gunshots = (sources == name) & (labels == 1)
        pools: tuple[tuple[Literal["own", "pooled"], NDArray[np.bool_]], ...] = (
            ("own", (sources == name) & (labels == 0)),
            ("pooled", labels == 0),
        )
        for max_fpr in max_fprs:
            for kind, others in pools:
                rows = np.flatnonzero(gunshots | others)
                if others.any():
                    groups = [group[row] for row in rows.tolist()]
                    figure = fixed_fpr_recall(labels[rows], scores[rows], max_fpr, groups)
                    found.append(SourceRecall(name, kind, figure))
    return found
