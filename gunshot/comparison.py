"""Two models on the same held-out rows: what the one finds that the other does not.

Conventions
-----------
Each model calls at its own threshold. ``won`` and ``lost`` are the second model's, seen from the first: a shot is won
if only the second finds it, lost if only the first does; a false alarm is won if only the first raises it, lost if only
the second does. The p-values are of McNemar's exact test (McNemar 1947, Psychometrika 12:153; the exact form is the
sign test of the rows on which the two differ). Rows are taken as independent; one shot heard by several sensors is
several rows, so p is too small where they fail together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from gunshot.errors import RunError, TrainingError
from gunshot.evaluate import Evaluation, evaluate_bundle, evaluate_rows
from gunshot.models.bundle import load_bundle
from gunshot.store.joined import open_joined
from gunshot.store.layout import check_recipe

__all__ = ["Comparison", "LostShot", "Pairs", "check_promotion", "compare_bundles", "compare_evaluations"]

_HELD_OUT = ("test", "unseen")
_MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows of one class, by which of two models is right.

    Attributes
    ----------
    both, won, lost, neither : int
        Rows that both, only the second, only the first, or none of them has right.
    """

    both: int
    won: int
    lost: int
    neither: int

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.both + self.won + self.lost + self.neither

    @property
    def p(self) -> float:
        """Two-sided p of McNemar's exact test: 1 where the two never differ."""
        differing = self.won + self.lost
        return float(binomtest(self.won, differing, 0.5).pvalue) if differing else 1.0

    def as_dict(self) -> dict[str, float]:
        """Counts and p, as JSON takes them."""
        return {**asdict(self), "n": self.n, "p": self.p}


@dataclass(frozen=True, slots=True)
class LostShot:
    """A shot that only the first model finds.

    Attributes
    ----------
    path, source, sound : str
        Of the row.
    onset_s : float
        Where it begins in the recording [s].
    scores : tuple of (float, float)
        Of both models.
    """

    path: str
    source: str
    sound: str
    onset_s: float
    scores: tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """Two models on the same rows.

    Attributes
    ----------
    store : str
        The rows' store.
    models : tuple of (dict, dict)
        URI, digest and threshold of each.
    shots, alarms : Pairs
        Gunshots, and other sounds.
    by_source : dict of str to (Pairs, Pairs)
        The same, by source.
    lost_shots : tuple of LostShot
        All shots that only the first model finds, by path.
    """

    store: str
    models: tuple[dict[str, Any], dict[str, Any]]
    shots: Pairs
    alarms: Pairs
    by_source: dict[str, tuple[Pairs, Pairs]]
    lost_shots: tuple[LostShot, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return {
            "store": self.store,
            "models": list(self.models),
            "shots": self.shots.as_dict(),
            "alarms": self.alarms.as_dict(),
            "by_source": {
                name: {"shots": shots.as_dict(), "alarms": alarms.as_dict()}
                for name, (shots, alarms) in self.by_source.items()
            },
            "lost_shots": [asdict(shot) for shot in self.lost_shots],
        }

    def lines(self) -> list[str]:
        """The comparison as lines for a person.

        Returns
        -------
        list of str
            A table by source, the test's p, and up to ten shots that were lost.
        """
        first, second = self.models
        width = max(len("all sources"), *map(len, self.by_source))
        head = f"{'':<{width}}  {'shots':>6} {'found':>6} {'found':>6} {'won':>5} {'lost':>5}"
        head += f"  {'others':>6} {'alarms':>6} {'alarms':>6} {'won':>5} {'lost':>5}"
        rows = [*self.by_source.items(), ("all sources", (self.shots, self.alarms))]
        return [
            *(f"{which}: {model['uri']} ({model['digest']}, threshold {model['threshold']:.4f})"
              for which, model in (("A", first), ("B", second))),
            head,
            f"{'':<{width}}  {'':>6} {'A':>6} {'B':>6} {'by B':>5} {'by B':>5}"
            f"  {'':>6} {'A':>6} {'B':>6} {'by B':>5} {'by B':>5}",
            *(f"{name:<{width}}  {_cells(shots, right=True)}  {_cells(alarms, right=False)}"
              for name, (shots, alarms) in rows),
            f"McNemar's exact p: shots {self.shots.p:.3g}, false alarms {self.alarms.p:.3g}",
            *self.lost_lines(),
        ]  # fmt: skip

    def lost_lines(self) -> list[str]:
        """Up to ten shots that only the first model finds, a line each."""
        shown = [
            f"  lost: {shot.path} at {shot.onset_s:.3f} s ({shot.source}: {shot.sound}), "
            f"score {shot.scores[0]:.3f} -> {shot.scores[1]:.3f}"
            for shot in self.lost_shots[:_MOST_SHOWN]
        ]
        more = len(self.lost_shots) - len(shown)
        return shown + ([f"  ... and {more} more"] if more else [])


def _cells(pairs: Pairs, *, right: bool) -> str:
    """Rows, those that count for A and for B, and what B wins and loses."""
    first, second = pairs.both + pairs.lost, pairs.both + pairs.won
    if not right:
        first, second = pairs.n - first, pairs.n - second
    return f"{pairs.n:>6} {first:>6} {second:>6} {pairs.won:>5} {pairs.lost:>5}"


def compare_bundles(store: str, first: str, second: str, *, labels: str | None = None) -> Comparison:
    """Score the same held-out rows with two models and count where they differ.

    Parameters
    ----------
    store : str
        The committed store.
    first, second : str
        The bundles; both must read its recipe.
    labels : str, optional
        A store of further rows, joined with those of `store`.

    Returns
    -------
    Comparison
        On the rows that neither was trained or chosen on.

    Raises
    ------
    StoreError
        If the store cannot be read, or has another recipe than a bundle.
    BundleError
        If a bundle cannot be loaded.
    TrainingError
        If no row is held out from both.
    """
    if labels is None:
        return compare_evaluations(store, evaluate_bundle(store, first), evaluate_bundle(store, second))
    rows, bundles = open_joined(store, labels), [load_bundle(uri) for uri in (first, second)]
    for bundle in bundles:
        check_recipe(rows.header, bundle.recipe)
    evaluations = [evaluate_rows(rows, bundle) for bundle in bundles]
    return compare_evaluations(rows.header.uri, evaluations[0], evaluations[1])


def compare_evaluations(store: str, first: Evaluation, second: Evaluation) -> Comparison:
    """Count where two evaluations of one store differ.

    Parameters
    ----------
    store : str
        Their store.
    first, second : Evaluation
        What each model says of its rows.

    Returns
    -------
    Comparison
        On the rows that are held out in both.

    Raises
    ------
    TrainingError
        If there is none.
    """
    held_out = [
        {row["row"]: row for row in evaluation.predictions.to_pylist() if row["split"] in _HELD_OUT}
        for evaluation in (first, second)
    ]
    shared = sorted(held_out[0].keys() & held_out[1].keys())
    if not shared:
        raise TrainingError(
            f"{store}: no row is held out from both {first.bundle.uri} and {second.bundle.uri}; give a store of "
            "recordings that neither was trained on"
        )
    rows = [held_out[0][row] for row in shared]
    label = np.asarray([row["label"] for row in rows], dtype=bool)
    source = np.asarray([row["source"] for row in rows])
    called = [np.asarray([found[row]["called"] for row in shared], dtype=bool) for found in held_out]
    right = called[0] == label, called[1] == label
    everything = np.ones(len(rows), dtype=bool)
    lost = np.flatnonzero(label & right[0] & ~right[1])
    lost_shots = [
        LostShot(
            path=rows[i]["path"], source=rows[i]["source"], sound=rows[i]["sound"], onset_s=rows[i]["onset_s"],
            scores=(held_out[0][shared[i]]["score"], held_out[1][shared[i]]["score"]),
        )
        for i in lost
    ]  # fmt: skip
    return Comparison(
        store=store,
        models=(_identity(first), _identity(second)),
        shots=_pairs(right, everything & label),
        alarms=_pairs(right, everything & ~label),
        by_source={
            str(name): (_pairs(right, (source == name) & label), _pairs(right, (source == name) & ~label))
            for name in np.unique(source)
        },
        lost_shots=tuple(sorted(lost_shots, key=lambda shot: (shot.path, shot.onset_s))),
    )


def _identity(evaluation: Evaluation) -> dict[str, Any]:
    bundle = evaluation.bundle
    return {"uri": bundle.uri, "digest": bundle.digest, "threshold": bundle.operating_point.threshold}


def _pairs(right: Sequence[NDArray[np.bool_]], where: NDArray[np.bool_]) -> Pairs:
    first, second = (of_model[where] for of_model in right)
    return Pairs(
        int(np.sum(first & second)),
        int(np.sum(~first & second)),
        int(np.sum(first & ~second)),
        int(np.sum(~first & ~second)),
    )


def check_promotion(comparison: Comparison) -> None:
    """Refuse a challenger that misses shots which the champion finds.

    Parameters
    ----------
    comparison : Comparison
        The champion first, the challenger second.

    Raises
    ------
    RunError
        If a shot is lost, however many are won.
    """
    if comparison.lost_shots:
        raise RunError(
            f"not promoted: of {comparison.shots.n} held-out shots it misses {comparison.shots.lost} that the champion "
            f"finds, and finds {comparison.shots.won} that the champion misses; give --force to promote it all the same"
        )
