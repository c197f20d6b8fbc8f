"""What the model may have missed: candidates below the threshold, drawn at random for a person to check.

Conventions
-----------
Two draws. Scoring keeps a candidate with the probability that the rule says (`ScoringRule.sample`), by a digest of
recording, content, channel and onset: the same ones in every run. Of those, `sample_below` draws some for a person, the
same number whatever the archive's size, in strata by score. ``inclusion`` is the probability of a candidate's being
there, by the first draw in ``candidates/`` and by both in the sample; so a checked shot stands for 1 / inclusion.

References
----------
Horvitz and Thompson 1952, J. Am. Stat. Assoc. 47:663-685, for the estimate; Sarndal, Swensson and Wretman 1992, "Model
Assisted Survey Sampling", section 9.3, for two draws. Fay and Feuer 1997, Stat. Med. 16:791-801, for the interval of a
weighted sum of counts.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import chi2

from gunshot.errors import ParameterError
from gunshot.scoring.rule import ScoringRule

__all__ = ["MissEstimate", "estimated_misses", "inclusions", "sample_below"]

_BOUNDS = (0.25, 0.5, 0.75)  # of the threshold: misses are denser near it
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class MissEstimate:
    """Shots below the threshold, by those that a person found in the sample.

    Attributes
    ----------
    n_checked, n_shots : int
        Rows with a label, and shots among them.
    misses : float
        Estimate of the shots below the threshold in all that was scored.
    low, high : float
        Interval of 95% confidence.
    """

    n_checked: int
    n_shots: int
    misses: float
    low: float
    high: float


def inclusions(
    uri: str,
    etag: str,
    channel: int | None,
    onset_s: NDArray[np.float64],
    score: NDArray[np.float32],
    threshold: float,
    rule: ScoringRule,
) -> NDArray[np.float64]:
    """With which probability each candidate of a channel is kept; 0 for those that are not.

    Parameters
    ----------
    uri, etag : str
        The recording and its content.
    channel : int or None
        The channel; None is the mean of all.
    onset_s : ndarray of shape (n,), float64
        Onsets [s].
    score : ndarray of shape (n,), float32
        Scores.
    threshold : float
        Where there is no floor, from here on nothing is kept: those are detections.
    rule : ScoringRule
        Its floor and its sample.

    Returns
    -------
    ndarray of shape (n,), float64
        1 from the floor on; below, `ScoringRule.sample` for those that are drawn. What is drawn below a floor does not
        depend on the threshold, so another threshold leaves the estimate right.
    """
    probability = np.zeros(score.size)
    if rule.sample > 0:
        below = score < (threshold if rule.floor is None else rule.floor)
        digest = hashlib.blake2b(f"{uri}\0{etag}\0{channel}\0".encode(), digest_size=8)
        for row in np.flatnonzero(below):
            hashed = digest.copy()
            hashed.update(f"{onset_s[row]:.6f}".encode())
            if int.from_bytes(hashed.digest(), "big") < rule.sample * 2**64:
                probability[row] = rule.sample
    if rule.floor is not None:
        probability[score >= rule.floor] = 1.0
    return probability


def sample_below(candidates: pa.Table, threshold: float, n: int, seed: int = 0) -> pa.Table:
    """Draw candidates below the threshold for a person to check.

    Parameters
    ----------
    candidates : pyarrow.Table
        Of the results, of one model and rule; with ``score`` and ``inclusion``.
    threshold : float
        Those below it.
    n : int
        How many; one a stratum at least, for what nobody looks at cannot be estimated, and all where there are fewer.
    seed : int
        Other draws for other seeds.

    Returns
    -------
    pyarrow.Table
        The same columns, in random order, so that whoever stops early has checked a random part. ``inclusion`` is now
        that of both draws. Strata are quarters of the threshold; each gets a share by the square root of the candidates
        that it stands for, which is best (Neyman) where every stratum hides as many shots.

    Raises
    ------
    ParameterError
        If `n` is negative.
    """
    if n < 0:
        raise ParameterError(f"the sample to check must have 0 rows or more; got {n}")
    # whatever runs and batches they come from, the same candidates give the same draw
    keys = [(name, "ascending") for name in ("uri", "etag", "channel", "onset_s")]
    place_of = pc.sort_indices(candidates, sort_keys=keys).to_numpy()
    score = np.asarray(candidates.column("score").to_numpy(), dtype=np.float64)[place_of]
    inclusion = np.array(candidates.column("inclusion").to_numpy(), dtype=np.float64)[place_of]
    strata: dict[tuple[int, float], list[int]] = defaultdict(list)
    for row in np.flatnonzero(score < threshold).tolist():
        stratum = int(np.searchsorted(np.multiply(_BOUNDS, threshold), score[row], side="right"))
        strata[stratum, inclusion[row]].append(row)
    rng = np.random.default_rng(seed)
    groups = [strata[key] for key in sorted(strata)]
    sizes = np.array([len(group) for group in groups], dtype=np.int64)
    stands_for = sizes / np.array([probability for _, probability in sorted(strata)], dtype=np.float64)
    drawn: list[int] = []
    shares = _shares(np.sqrt(stands_for), sizes, max(n, len(groups)) if n else 0)
    for group, share in zip(groups, shares, strict=True):
        inclusion[group] *= share / len(group)
        drawn += rng.choice(group, share, replace=False).tolist()
    order = rng.permutation(np.array(drawn, dtype=np.int64))
    sample = candidates.take(pa.array(place_of[order]))
    place = sample.schema.get_field_index("inclusion")
    return sample.set_column(place, sample.schema.field(place), pa.array(inclusion[order]))


def _shares(weight: NDArray[np.float64], most: NDArray[np.int64], n: int) -> list[int]:
    """Divide `n` by weight, at least one each where it goes round, none more than it has."""
    shares = np.zeros(most.size, dtype=np.int64)
    for _ in range(min(n, int(most.sum()))):
        # the one that is farthest behind its due (D'Hondt), those that have none before all others
        due = np.where(shares < most, weight / (shares + 1e-9), -1.0)
        shares[int(np.argmax(due))] += 1
    return [int(share) for share in shares]


def estimated_misses(labels: Iterable[Mapping[str, Any]]) -> MissEstimate:
    """Estimate the shots below the threshold from checked candidates.

    Parameters
    ----------
    labels : iterable of mapping
        Rows of the sample: ``label`` (1 a gunshot, 0 not, None or empty not checked) and ``inclusion``.

    Returns
    -------
    MissEstimate
        Each shot counts 1 / inclusion (Horvitz and Thompson). Where only a part of the rows of one inclusion was
        checked, that part is taken for all of them. The interval takes shots as counts of Poisson, which spread no less
        than draws do, and is Fay and Feuer's; with no shot found it still ends at 3.69 times the largest weight.

    Raises
    ------
    ParameterError
        If nothing is checked, or nothing of the rows of one inclusion.

    Examples
    --------
    >>> found = estimated_misses([{"label": 1, "inclusion": 0.1}] * 2 + [{"label": 0, "inclusion": 0.1}] * 48)
    >>> found.misses, round(found.low, 1), round(found.high, 1)
    (20.0, 2.4, 72.2)
    """
    rows = [(label, float(row["inclusion"])) for row in labels for label in [_label(row["label"])]]
    n_rows = Counter(inclusion for _, inclusion in rows)
    n_checked = Counter(inclusion for label, inclusion in rows if label is not None)
    if not rows or n_checked.keys() != n_rows.keys():
        left = sorted(n_rows.keys() - n_checked.keys())
        where = f" of those with inclusion {left[0]:g}" if n_checked else ""
        raise ParameterError(
            f"label must be 1 or 0 in at least one row{where}; all are empty: check some, then estimate"
        )
    weight = {inclusion: n_rows[inclusion] / n_checked[inclusion] / inclusion for inclusion in n_rows}
    of_shots = np.array([weight[inclusion] for label, inclusion in rows if label == 1])
    low, high = _interval(of_shots, max(weight.values()))
    return MissEstimate(n_checked.total(), of_shots.size, float(of_shots.sum()), low, high)


def _label(value: object) -> int | None:
    text = "" if value is None else str(value).strip()
    if text not in {"", "0", "1"}:
        raise ParameterError(f"label must be 1 (gunshot), 0 (other) or empty; got {text!r}")
    return int(text) if text else None


def _interval(weights: NDArray[np.float64], largest: float) -> tuple[float, float]:
    """Fay and Feuer's gamma interval of a sum of weighted counts."""
    tail = (1 - _CONFIDENCE) / 2
    total, variance = float(weights.sum()), float(np.square(weights).sum())
    low = variance / (2 * total) * chi2.ppf(tail, 2 * total**2 / variance) if total else 0.0
    total, variance = total + largest, variance + largest**2
    high = variance / (2 * total) * chi2.ppf(1 - tail, 2 * total**2 / variance)
    return float(low), float(high)
