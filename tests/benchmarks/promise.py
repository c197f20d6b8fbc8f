"""Whether the promise of an operating point is kept on sound that it was not chosen on.

``python tests/benchmarks/promise.py STORE MODEL [RULE ...]``: the rows that trained nothing of the model (validation,
test and unseen) are divided into halves by group, twenty times. On one half the rule chooses its threshold and
promises; on the other the mean loss of a group is measured. A rule whose bound is not within its limit promises
nothing, and is counted as that.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from gunshot.evaluate.rows import splits_for
from gunshot.evaluation.choice import ScoredRows, choose_point
from gunshot.evaluation.rules import parse_rule
from gunshot.models.bundle import load_bundle
from gunshot.store.read import open_store

N_DIVISIONS = 20


def mean_loss(lost: NDArray[np.bool_], group: NDArray[np.str_]) -> float:
    """Mean over the groups of the share of a group's rows that are lost."""
    _, inverse = np.unique(group, return_inverse=True)
    return float(np.mean(np.bincount(inverse, lost) / np.bincount(inverse)))


def main(store_uri: str, model: str, rules: list[str]) -> None:
    store, bundle = open_store(store_uri), load_bundle(model)
    splits = np.asarray(splits_for(store, bundle).of_row)
    held = np.flatnonzero((splits != "train") & (splits != ""))
    label = np.asarray([-1 if value is None else value for value in store.column("label")], dtype=np.int8)[held]
    group = np.asarray(store.column("group"), dtype=np.str_)[held]
    score = bundle.score(store.waveforms(held))
    for text in rules:
        rule, kept, promised, lines = parse_rule(text), 0, 0, []
        for seed in range(N_DIVISIONS):
            names = np.random.default_rng([7, seed]).permutation(np.unique(group))
            chosen = np.isin(group, names[::2])
            point = choose_point(
                ScoredRows(label[chosen], score[chosen], tuple(group[chosen].tolist()), "one half"), rule
            )
            if point.bound is None or not point.bound.holds:
                continue
            rest = ~chosen & (label == (1 if rule.kind == "miss" else 0))
            called = score[rest] >= point.threshold
            loss = mean_loss(~called if rule.kind == "miss" else called, group[rest])
            promised += 1
            kept += loss <= rule.share
            lines.append(loss)
        worst = f", largest loss {max(lines):.4f}" if lines else ""
        print(f"{text:12} promised in {promised} of {N_DIVISIONS} halves, kept in {kept}{worst}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:] or ["miss 10%", "miss 20%", "fpr 2%", "fpr 5%"])
