"""What a random split seems to gain over a split by group: a linear probe trained both ways.

Conventions
-----------
The probe is a ridge regression (closed form, so it takes milliseconds) on log-mel spectrograms averaged over blocks of
2 bands and 4 frames. Both ways use the same rows, two folds of five each (fewer where there are fewer groups), and the
same classes in proportion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gunshot.clips import features
from gunshot.recipe import Recipe

__all__ = ["SplitGap", "split_gap"]

_FOLDS, _USED_FOLDS = 5, 2
_BANDS, _FRAMES = 2, 4
_RIDGE = 100.0  # columns are standardised: as much as a hundred rows that say nothing


@dataclass(frozen=True, slots=True)
class SplitGap:
    """Random against grouped splitting.

    Attributes
    ----------
    random_auc, grouped_auc : float
        Of the linear probe; area under the ROC curve, mean over folds.
    own_random_auc, own_grouped_auc : float or None
        Of the model itself, where somebody has trained it both ways.
    n_groups, n_rows : int
        What was divided.
    """

    random_auc: float
    grouped_auc: float
    own_random_auc: float | None
    own_grouped_auc: float | None
    n_groups: int
    n_rows: int

    def leaks(self, least: float) -> bool:
        """Whether a random split gains at least so much, for the probe or the model.

        Parameters
        ----------
        least : float
            AUC.

        Returns
        -------
        bool
            True where it does.
        """
        return any(random - grouped >= least for random, grouped in self._pairs())

    def warning(self, least: float) -> str:
        """The sentence for it.

        Parameters
        ----------
        least : float
            As for `leaks`.

        Returns
        -------
        str
            For whoever it is that gains.
        """
        random, grouped = next(pair for pair in self._pairs() if pair[0] - pair[1] >= least)
        who = "The model" if (random, grouped) == (self.own_random_auc, self.own_grouped_auc) else "A linear probe"
        return (
            f"{who} reaches an AUC of {random:.3f} where rows are split at random but {grouped:.3f} where they are "
            "split by group: figures of a random split are too good by what it remembers of recordings."
        )

    def _pairs(self) -> list[tuple[float, float]]:
        pairs = [(self.random_auc, self.grouped_auc)]
        if self.own_random_auc is not None and self.own_grouped_auc is not None:
            pairs.insert(0, (self.own_random_auc, self.own_grouped_auc))
        return pairs


def split_gap(
    waveforms: NDArray[np.float32],
    label: NDArray[np.int8],
    group: NDArray[np.str_],
    *,
    recipe: Recipe,
    log_mels: NDArray[np.float32] | None = None,
    own: Mapping[str, float] | None = None,
    seed: int = 0,
) -> SplitGap | None:
    """Train the probe both ways.

    Parameters
    ----------
    waveforms : ndarray of shape (n, n_samples), float32
        Clips.
    label : ndarray of shape (n,), int8
        1 gunshot, 0 other.
    group : ndarray of shape (n,), str
        Rows that a split by group never divides.
    recipe : Recipe
        What made the clips.
    log_mels : ndarray of shape (n, n_mels, n_frames), float32, optional
        Their spectrograms; computed where not given.
    own : mapping of str to float, optional
        The model's own AUC by ``random`` and ``grouped`` splitting.
    seed : int
        Of the folds.

    Returns
    -------
    SplitGap or None
        None where a class has a single group.
    """
    fewest = min(len(set(group[label == value].tolist())) for value in (0, 1))
    folds = min(_FOLDS, fewest)
    if folds < 2:
        return None
    x = _pooled(features(waveforms, recipe) if log_mels is None else log_mels)
    aucs: list[float] = []
    for kind, groups in ((StratifiedKFold, None), (StratifiedGroupKFold, group)):
        parts = kind(folds, shuffle=True, random_state=seed).split(x, label, groups)
        used = [(train, test) for train, test in parts if len(set(label[test].tolist())) == 2][:_USED_FOLDS]
        if not used:
            return None
        aucs.append(float(np.mean([_probe(x, label, train, test) for train, test in used])))
    own = own or {}
    random_auc, grouped_auc = aucs
    return SplitGap(
        random_auc, grouped_auc, own.get("random"), own.get("grouped"), len(set(group.tolist())), len(label)
    )


def _pooled(log_mels: NDArray[np.float32]) -> NDArray[np.float32]:
    n, n_mels, n_frames = log_mels.shape
    bands, frames = max(1, n_mels // _BANDS), max(1, n_frames // _FRAMES)
    cut = log_mels[:, : bands * (n_mels // bands), : frames * (n_frames // frames)]
    blocks = cut.reshape(n, bands, n_mels // bands, frames, n_frames // frames)
    return np.asarray(blocks.mean(axis=(2, 4)).reshape(n, -1), dtype=np.float32)


def _probe(x: NDArray[np.float32], label: NDArray[np.int8], train: NDArray[np.intp], test: NDArray[np.intp]) -> float:
    model = make_pipeline(StandardScaler(), RidgeClassifier(_RIDGE, class_weight="balanced"))
    model.fit(x[train], label[train])
    return float(roc_auc_score(label[test], model.decision_function(x[test])))
