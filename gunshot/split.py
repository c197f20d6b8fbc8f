"""Groups into training, validation, test and unseen rows.

Conventions
-----------
``train`` fits weights, ``validation`` chooses thresholds and epochs, ``test`` is reported. ``unseen`` is reported
apart: sources
that neither training nor choice has touched. Splitting is by group, so that one shot heard by six sensors, or cuts
of one
recording, never stand on both sides; ``random`` splits row by row, as the paper did, and leaks what groups would
keep apart.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from gunshot.errors import ParameterError, TrainingError

__all__ = ["SPLITS", "Assignment", "SplitName", "assign_splits", "parse_assignment"]

SplitName = Literal["train", "validation", "test", "unseen"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
"""The names of the splits."""

Assignment = tuple[str, SplitName]
"""A glob over paths, and the split of the rows it matches."""

_TEST_FOLDS = 5  # 80/20, as in the paper
_VALIDATION_FOLDS = 8  # a tenth of all, out of the training side


def parse_assignment(text: str) -> Assignment:
    """Read ``GLOB=SPLIT``.

    Parameters
    ----------
    text : str
        For instance ``livefire/FP7/*=test``.

    Returns
    -------
    tuple
        Glob and split.

    Raises
    ------
    ParameterError
        If it is not of that form.

    Examples
    --------
    >>> parse_assignment("livefire/FP7/*=test")
    ('livefire/FP7/*', 'test')
    """
    glob, _, name = text.rpartition("=")
    for split in SPLITS:
        if glob and name == split:
            return glob, split
    raise ParameterError(f"--assign must be GLOB=SPLIT with SPLIT one of {', '.join(SPLITS)}; got {text!r}")


def assign_splits(
    path: Sequence[str],
    group: Sequence[str],
    label: NDArray[np.int8],
    stratum: Sequence[str],
    *,
    by: Literal["group", "random"] = "group",
    assignments: Sequence[Assignment] = (),
    kept: Sequence[str] | None = None,
    seed: int = 0,
) -> NDArray[np.str_]:
    """Assign each row to a split.

    Parameters
    ----------
    path, group : sequence of str, length n
        Path and group of each row.
    label : ndarray of shape (n,), int8
        1 gunshot, 0 other.
    stratum : sequence of str, length n
        What is kept in proportion beside the label: the source of each row.
    by : {"group", "random"}
        What is never divided.
    assignments : sequence of (glob, split)
        Rows whose path matches go where it says, the first match first, and take their groups with them; the rest
        is divided 70 / 10 / 20.
    kept : sequence of str, optional
        For each row the split that it had before and keeps unless an assignment moves its group; empty for those that
        are new. The same for all rows of a group.
    seed : int
        Of the shuffling.

    Returns
    -------
    ndarray of shape (n,), str
        The split of each row.

    Raises
    ------
    TrainingError
        If there are too few groups, a class is missing, or an assignment divides a group.
    """
    splits = np.full(len(path), "", dtype="<U10")
    for index, name in enumerate(path):
        splits[index] = next((split for glob, split in assignments if fnmatchcase(name, glob)), "")
    groups = np.asarray(group) if by == "group" else np.arange(len(path)).astype(str)
    _follow_group(splits, groups)
    if kept is not None:
        splits = np.where(splits == "", np.asarray(kept, dtype="<U10"), splits)
    strata = np.char.add(np.char.add(np.asarray(stratum, dtype=str), "|"), label.astype(str))
    for split, folds, left in (("test", _TEST_FOLDS, 2), ("validation", _VALIDATION_FOLDS, 1)):
        rest = np.flatnonzero(splits == "")
        if rest.size:
            splits[rest[_one_fold(strata[rest], groups[rest], label[rest], folds, left, by, seed)]] = split
    splits[splits == ""] = "train"
    _check_classes(splits, label)
    return splits


def _one_fold(
    strata: NDArray[np.str_],
    groups: NDArray[np.str_],
    label: NDArray[np.int8],
    folds: int,
    left: int,
    by: str,
    seed: int,
) -> NDArray[np.intp]:
    """Rows of one fold of `folds`, its strata in proportion as far as the groups allow.

    It holds every class, and leaves `left` groups of each.
    """
    units = "groups" if by == "group" else "rows"
    remedy = "name more groups in the label table, or use --split random" if by == "group" else "give more recordings"
    classes = set(label.tolist())
    folds = min(folds, _fewest_groups(groups, label, classes))
    if folds <= left:
        raise TrainingError(
            f"training, validation and test need at least 3 {units} of each class, those that --assign places not "
            f"counted, and one class has fewer; {remedy}"
        )
    # sources are kept in proportion where they can be; where they are too small for it, the classes are
    for kept in (strata, label.astype(str)):
        for rest, fold in _folded(kept, groups, folds, by, seed):
            if set(label[fold].tolist()) == classes and _fewest_groups(groups[rest], label[rest], classes) >= left:
                return fold
    raise TrainingError(f"the {units} are too uneven to give training, validation and test both classes; {remedy}")


def _fewest_groups(groups: NDArray[np.str_], label: NDArray[np.int8], classes: set[int]) -> int:
    return min(len(set(groups[label == value])) for value in classes)


def _folded(
    strata: NDArray[np.str_], groups: NDArray[np.str_], folds: int, by: str, seed: int
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    kind = StratifiedGroupKFold if by == "group" else StratifiedKFold
    with warnings.catch_warnings():
        # a source with fewer rows than folds cannot be in all of them: wanted, not worth a warning
        warnings.filterwarnings("ignore", message="The least populated class")
        try:
            return list(
                kind(folds, shuffle=True, random_state=seed).split(strata, strata, groups if by == "group" else None)
            )
        except ValueError:  # every stratum has fewer rows than there are folds
            return []


def _follow_group(splits: NDArray[np.str_], groups: NDArray[np.str_]) -> None:
    """Unassigned rows of an assigned group go with it; a group assigned to two splits is an error."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for split, group in zip(splits, groups, strict=True):
        if split:
            found[str(group)].add(str(split))
    divided = sorted(f"{group} ({', '.join(sorted(names))})" for group, names in found.items() if len(names) > 1)
    if divided:
        raise TrainingError(
            f"--assign puts {len(divided)} groups into more than one split: {', '.join(divided[:3])}; assign whole "
            f"groups"
        )
    for index, group in enumerate(groups):
        if group in found:
            splits[index] = next(iter(found[str(group)]))


def _check_classes(splits: NDArray[np.str_], label: NDArray[np.int8]) -> None:
    for split in ("train", "validation", "test"):
        found = set(label[splits == split].tolist())
        if found != {0, 1}:
            missing = "gunshots" if 1 not in found else "other sounds"
            raise TrainingError(
                f"no {missing} in the {split} split; give more groups, or place them with --assign GLOB={split}"
            )
