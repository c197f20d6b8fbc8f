"""Does a model hear the shot, or the recorder? Shortcuts, clips without their onset, random against grouped splits.

Conventions
-----------
Everything is fitted on ``train`` rows and judged on the rows of one other split, the validation rows unless said
otherwise: test rows are not looked at. A shortcut's figure is the area under the ROC curve (AUC) of a small classifier
that reads nothing else: a tree of depth 3 for one shortcut, a forest of 40 of depth 6 for several together.

The rule of the warnings. A figure *counts* when its AUC is at least 0.75 and more than three standard errors above
chance; the standard error is that of the Mann-Whitney statistic under chance, ``sqrt((a + b + 1) / (12 a b))`` with *a*
and *b* groups of each class (Hanley and McNeil, 1982, Radiology 143, with rows of a group taken as one).

- A shortcut that counts is *close* when its AUC is within 0.10 of the model's own on the same rows (of 1 where no model
  is given).
- On the lead alone a model must not tell the classes: any figure that counts is told.
- With the onset cut out, a figure that counts and lies within 0.02 of the model's own is told: what is left after
  150 ms is echo, and should tell less than the blast.
- A random split that gains 0.05 of AUC or more over a split by group is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from gunshot.errors import ParameterError, TrainingError
from gunshot.evaluation.audit_report import AuditReport, Figure, audit_lines, audit_warnings
from gunshot.evaluation.shortcuts import Shortcut, lead_only, shortcuts_of, without_onset
from gunshot.evaluation.splitgap import split_gap
from gunshot.recipe import Recipe

__all__ = ["AuditReport", "Figure", "audit", "audit_lines", "rows_to_audit"]

LEAST_AUC = 0.75
CLOSE = 0.10
CLOSE_WITHOUT_ONSET = 0.02
LEAK = 0.05
N_ERRORS = 3.0

_MOST_ROWS = 5000
_MOST_SCORED = 600  # a network may take milliseconds a clip, and each is scored three times

Score = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class _Judged:
    """The judged rows, and when a figure on them counts."""

    where: NDArray[np.intp]
    label: NDArray[np.int8]
    chance_error: float

    def counts(self, auc: float) -> bool:
        return auc >= LEAST_AUC and auc - 0.5 > N_ERRORS * self.chance_error

    def figure(self, name: str, what: str, score: NDArray[Any], threshold: float, near: float) -> Figure:
        auc = float(roc_auc_score(self.label, score))
        accuracy = float(balanced_accuracy_score(self.label, score >= threshold))
        return Figure(name, what, auc, accuracy, self.counts(auc) and auc >= near)


def rows_to_audit(
    splits: NDArray[np.str_], *, judged: str = "validation", most: int = _MOST_ROWS, seed: int = 0
) -> NDArray[np.intp]:
    """Rows that an audit needs: at most so many, so that its cost does not grow with the store.

    Parameters
    ----------
    splits : ndarray of shape (n_rows,), str
        Split of every row of a store.
    judged : str
        The split to judge on.
    most : int
        Rows in all; the judged rows get up to a third of it.
    seed : int
        Of the choice.

    Returns
    -------
    ndarray of shape (n,), intp
        Increasing row numbers of ``train`` and `judged`.
    """
    rng = np.random.default_rng(seed)
    held = rng.permutation(np.flatnonzero(splits == judged))[: max(1, most // 3)]
    train = rng.permutation(np.flatnonzero(splits == "train"))[: max(1, most - held.size)]
    return np.sort(np.concatenate([train, held]))


def audit(
    rows: pa.Table,
    waveforms: NDArray[np.float32],
    label: NDArray[np.int8],
    splits: NDArray[np.str_],
    *,
    recipe: Recipe,
    score: Score | None = None,
    threshold: float = 0.5,
    judged: str = "validation",
    log_mels: NDArray[np.float32] | None = None,
    own: Mapping[str, float] | None = None,
    seed: int = 0,
) -> AuditReport:
    """Look for what tells the classes apart without the sound.

    Parameters
    ----------
    rows : pyarrow.Table
        A row a clip, with ``group``, ``sr`` and ``duration_s``, as a store holds them.
    waveforms : ndarray of shape (n, n_samples), float32
        The clips; see `rows_to_audit` for a choice among many.
    label : ndarray of shape (n,), int8
        1 gunshot, 0 other.
    splits : ndarray of shape (n,), str
        Rows of other splits than ``train`` and `judged` are left out.
    recipe : Recipe
        What made the clips.
    score : callable, optional
        The model: from waveforms to scores. Without it shortcuts are held against a perfect one.
    threshold : float
        From which score on the model calls a gunshot.
    judged : str
        The split to judge on.
    log_mels : ndarray of shape (n, n_mels, n_frames), float32, optional
        Spectrograms of the clips; computed where not given.
    own : mapping of str to float, optional
        The model's own AUC by ``random`` and ``grouped`` splitting, where somebody has trained both.
    seed : int
        Of the small classifiers and folds.

    Returns
    -------
    AuditReport
        Plain data and warnings.

    Raises
    ------
    ParameterError
        If the arguments differ in length.
    TrainingError
        If the train or the judged rows lack a class.

    Notes
    -----
    For 5,000 clips of half a second a few seconds, most of them the model's own scoring.
    """
    if not rows.num_rows == len(waveforms) == len(label) == len(splits):
        raise ParameterError(
            f"rows, waveforms, label and splits must have one entry a clip each; got {rows.num_rows}, "
            f"{len(waveforms)}, {len(label)} and {len(splits)}: take all from the same rows"
        )
    group = np.asarray(rows.column("group").to_pylist(), dtype=str)
    train, held = _rows_of("train", splits, label), _judged(judged, splits, label, group)
    sounds = () if score is None else _sounds(score, threshold, waveforms, label, group, held, recipe, seed)
    near = (sounds[0].auc if sounds else 1.0) - CLOSE
    found = _shortcuts(shortcuts_of(rows, waveforms, recipe), label, train, held, near, seed)
    used = np.sort(np.concatenate([train, held.where]))
    mels = None if log_mels is None else log_mels[used]
    gap = split_gap(waveforms[used], label[used], group[used], recipe=recipe, log_mels=mels, own=own, seed=seed)
    said = audit_warnings(judged, found, sounds, gap, LEAK)
    return AuditReport(judged, train.size, held.where.size, found, sounds, gap, tuple(said))


def _rows_of(split: str, splits: NDArray[np.str_], label: NDArray[np.int8]) -> NDArray[np.intp]:
    where = np.flatnonzero(splits == split)
    if set(label[where].tolist()) != {0, 1}:
        raise TrainingError(f"an audit needs both classes among the {split} rows; got {where.size} rows; give others")
    return where


def _judged(split: str, splits: NDArray[np.str_], label: NDArray[np.int8], group: NDArray[np.str_]) -> _Judged:
    where = _rows_of(split, splits, label)
    return _of_rows(where, label, group)


def _of_rows(where: NDArray[np.intp], label: NDArray[np.int8], group: NDArray[np.str_]) -> _Judged:
    a, b = (len(set(group[where][label[where] == value].tolist())) for value in (0, 1))
    return _Judged(where, label[where], float(np.sqrt((a + b + 1) / (12.0 * a * b))))


def _shortcuts(
    shortcuts: tuple[Shortcut, ...],
    label: NDArray[np.int8],
    train: NDArray[np.intp],
    held: _Judged,
    near: float,
    seed: int,
) -> tuple[Figure, ...]:
    """Each alone, those in the clip together, and all together; the best first."""
    leaf = max(2, train.size // 100)
    tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=leaf, class_weight="balanced", random_state=seed)
    forest = RandomForestClassifier(
        n_estimators=40, max_depth=6, min_samples_leaf=leaf, class_weight="balanced", random_state=seed
    )
    trials = [(it.name, it.what, it.columns, tree) for it in shortcuts]
    in_clip = np.hstack([it.columns for it in shortcuts if it.in_clip])
    trials.append(("together_in_clip", "all of these that the clip carries, together", in_clip, forest))
    every = np.hstack([it.columns for it in shortcuts])
    trials.append(("together", "all of these and the recording's header, together", every, forest))
    figures = []
    for name, what, columns, small in trials:
        small.fit(columns[train], label[train])
        figures.append(held.figure(name, what, small.predict_proba(columns[held.where])[:, 1], 0.5, near))
    return tuple(sorted(figures, key=lambda figure: -figure.auc))


def _sounds(
    score: Score,
    threshold: float,
    waveforms: NDArray[np.float32],
    label: NDArray[np.int8],
    group: NDArray[np.str_],
    held: _Judged,
    recipe: Recipe,
    seed: int,
) -> tuple[Figure, ...]:
    """What the model says of the clips as they are, without their onset, and of what was before it."""
    some = _both_classes(held, seed)
    judged = _of_rows(some, label, group)
    y = waveforms[some]
    intact = judged.figure("intact", "the clips as they are", score(y), threshold, np.inf)
    figures = [intact]
    near = intact.auc - CLOSE_WITHOUT_ONSET
    cut = score(without_onset(y, recipe))
    figures.append(
        judged.figure("without_onset", "the loudest 150 ms replaced by the sound beside", cut, threshold, near)
    )
    lead = lead_only(y, recipe)
    if lead is not None:
        figures.append(judged.figure("lead", "only what was before the onset", score(lead), threshold, 0.0))
    return tuple(figures)


def _both_classes(held: _Judged, seed: int) -> NDArray[np.intp]:
    """At most so many judged rows, half of each class where there are enough."""
    rng = np.random.default_rng(seed)
    classes = [rng.permutation(held.where[held.label == value]) for value in (0, 1)]
    half = _MOST_SCORED // 2
    spare = [max(0, half - rows.size) for rows in classes]
    return np.sort(np.concatenate([classes[0][: half + spare[1]], classes[1][: half + spare[0]]]))
