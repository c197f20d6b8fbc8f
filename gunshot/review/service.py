"""How well a model does in service, by what people decided: precision of its detections, recall by the sample.

Conventions
-----------
A sound counts once, with what all who decided on it agree on; unsure and disagreed ones are counted and left out.
Precision of those reviewed is a plain share. That of all detections is estimated in five bands of score, since whoever
reviews the likeliest first has not drawn at random: each band's share stands for the whole band. Misses below the
threshold come from the random sample (`gunshot.scoring.sampling`). Recall is shots found over shots found and missed;
its limits take the least found with the most missed, and the reverse: at least 90 % confidence for the pair
(Bonferroni). It is that of what the gate passed: a shot without an onset is in no sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import binomtest

from gunshot.errors import ParameterError
from gunshot.evaluation.intervals import CONFIDENCE, exact_interval
from gunshot.review.decision_log import read_decisions
from gunshot.review.decisions import Decision, Sound, latest
from gunshot.review.labels import agreed
from gunshot.review.queue import Item, ReviewQueue, load_queue
from gunshot.scoring.sample_table import read_sample
from gunshot.scoring.sampling import MissEstimate, estimated_misses
from gunshot.storage import absolute

__all__ = ["Band", "ServiceFigures", "service_figures"]

_N_BANDS = 5

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Band:
    """Detections of like scores.

    Attributes
    ----------
    low, high : float
        Least and greatest score.
    n_detections, n_reviewed, n_gunshots : int
        In the band, of them with a label, of those gunshots.
    interval : tuple of (float, float) or None
        Exact 95 % interval of the share of gunshots; None where none was reviewed.
    """

    low: float
    high: float
    n_detections: int
    n_reviewed: int
    n_gunshots: int
    interval: Pair | None


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """How well a model does in service.

    Attributes
    ----------
    results, model, model_digest : str
        Of what.
    threshold : float
        From which score on a clip is called.
    n_detections, n_reviewed, n_gunshots : int
        Detections, of them with a label, of those gunshots.
    n_unsure, n_disagreed : int
        Detections that were decided on and have no label.
    precision : float or None
        Of the detections reviewed.
    precision_interval : tuple of (float, float) or None
        Exact, 95 %.
    found, found_low, found_high : float or None
        Estimate of the shots among all detections; None where a band was not reviewed.
    misses : MissEstimate or None
        Below the threshold; None where the sample was not reviewed.
    recall : float or None
        Of found and missed shots; None where either is not known.
    recall_interval : tuple of (float, float) or None
        At least 90 %.
    bands : tuple of Band
        By score, the highest last.
    """

    results: str
    model: str
    model_digest: str
    threshold: float
    n_detections: int
    n_reviewed: int
    n_gunshots: int
    n_unsure: int
    n_disagreed: int
    precision: float | None
    precision_interval: Pair | None
    found: float | None
    found_low: float | None
    found_high: float | None
    misses: MissEstimate | None
    recall: float | None
    recall_interval: Pair | None
    bands: tuple[Band, ...]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ServiceFigures:
        """Figures as `dataclasses.asdict` has written them, also by way of JSON.

        Parameters
        ----------
        content : mapping
            Values by name.

        Returns
        -------
        ServiceFigures
            The same figures.
        """
        misses = content["misses"]
        return cls(
            **{
                **content,
                "bands": tuple(Band(**{**band, "interval": _pair(band["interval"])}) for band in content["bands"]),
                "misses": None if misses is None else MissEstimate(**misses),
                "precision_interval": _pair(content["precision_interval"]),
                "recall_interval": _pair(content["recall_interval"]),
            }
        )

    def lines(self) -> list[str]:
        """The figures in words.

        Returns
        -------
        list of str
            For a person.
        """
        lines = [
            f"{self.model} {self.model_digest} (threshold {self.threshold:g}): {self.n_detections} detections, "
            f"{self.n_reviewed} reviewed, {self.n_unsure} unsure, {self.n_disagreed} on which people disagree"
        ]
        if self.precision is None or self.precision_interval is None:
            return [*lines, "precision: not known, no detection was reviewed"]
        lines.append(
            f"of those reviewed {self.n_gunshots} are gunshots: {self.precision:.0%} "
            f"(95%: {_span(self.precision_interval)})"
        )
        lines += [
            f"  score {band.low:.3f} to {band.high:.3f}: {band.n_detections} detections, {band.n_gunshots} of "
            f"{band.n_reviewed} reviewed are gunshots" + (f" (95%: {_span(band.interval)})" if band.interval else "")
            for band in self.bands
        ]
        if self.found is not None:
            lines.append(
                f"shots among all detections: about {self.found:,.0f} "
                f"(95%: {self.found_low:,.0f} to {self.found_high:,.0f})"
            )
        else:
            lines.append("shots among all detections: not known, a band of scores was not reviewed")
        return lines + self._below()

    def _below(self) -> list[str]:
        if self.misses is None:
            return ["recall: not known; review the random sample (gunshot review --order sample)"]
        missed = self.misses
        lines = [
            f"below the threshold: {missed.n_shots} shots among {missed.n_checked} checked, so about "
            f"{missed.misses:,.0f} missed in all (95%: {missed.low:,.0f} to {missed.high:,.0f})"
        ]
        if self.recall is not None and self.recall_interval is not None:
            lines.append(f"recall: about {self.recall:.0%} ({_span(self.recall_interval)}; at least 90% confidence)")
        return lines


def _pair(values: Sequence[float] | None) -> Pair | None:
    return None if values is None else (values[0], values[1])


def _span(pair: Pair) -> str:
    return f"{pair[0]:.0%} to {pair[1]:.0%}"


def service_figures(results: str, model: str | None = None) -> ServiceFigures:
    """Hold a model's results against what people decided.

    Parameters
    ----------
    results : str
        Where the tables are.
    model : str, optional
        A model's name or the beginning of its digest; needed where the results hold several.

    Returns
    -------
    ServiceFigures
        With intervals; what cannot be told is None.

    Raises
    ------
    StorageError
        If there are no results, or they cannot be read.
    ParameterError
        If the model must be named.
    """
    queue = load_queue(results, model)
    decided = latest(read_decisions(results))
    detections = [item for item in queue.items if item.drawn == "detection"]
    said = [_said(item, decided) for item in detections]
    bands = _bands(detections, said)
    n_reviewed, n_gunshots = sum(b.n_reviewed for b in bands), sum(b.n_gunshots for b in bands)
    found = _found(bands)
    misses = _misses(results, queue, decided)
    recall, recall_interval = _recall(found, misses)
    return ServiceFigures(
        results=results, model=queue.model, model_digest=queue.model_digest, threshold=queue.threshold,
        n_detections=len(detections), n_reviewed=n_reviewed, n_gunshots=n_gunshots, n_unsure=said.count("unsure"),
        n_disagreed=said.count("disagreed"), precision=n_gunshots / n_reviewed if n_reviewed else None,
        precision_interval=exact_interval(n_gunshots, n_reviewed), found=found[0] if found else None,
        found_low=found[1] if found else None, found_high=found[2] if found else None, misses=misses, recall=recall,
        recall_interval=recall_interval, bands=bands,
    )  # fmt: skip


def _said(item: Item, decided: Mapping[Sound, Mapping[str, Decision]]) -> str:
    people = decided.get(item.sound)
    return agreed(people) if people else ""


def _bands(detections: list[Item], said: list[str]) -> tuple[Band, ...]:
    """Fifths of the detections by score; fewer where there are few."""
    order = sorted(range(len(detections)), key=lambda row: detections[row].score)
    n_bands = min(_N_BANDS, max(1, len(order) // 20))
    bands = []
    for index in range(n_bands if order else 0):
        rows = order[index * len(order) // n_bands : (index + 1) * len(order) // n_bands]
        labels = [said[row] for row in rows if said[row] in {"gunshot", "not"}]
        n_shots = labels.count("gunshot")
        band = detections[rows[0]].score, detections[rows[-1]].score, len(rows), len(labels), n_shots
        bands.append(Band(*band, exact_interval(n_shots, len(labels))))
    return tuple(bands)


def _found(bands: tuple[Band, ...]) -> tuple[float, float, float] | None:
    """Shots among all detections: what is reviewed counts as it is, each band's rest by its share."""
    if not bands or any(not band.n_reviewed for band in bands):
        return None
    sums = [0.0, 0.0, 0.0]
    for band in bands:
        rest = band.n_detections - band.n_reviewed
        # wider than a band's own, so that all bands together are within theirs (Bonferroni)
        exact = binomtest(band.n_gunshots, band.n_reviewed).proportion_ci(1 - (1 - CONFIDENCE) / len(bands))
        for place, share in enumerate((band.n_gunshots / band.n_reviewed, exact.low, exact.high)):
            sums[place] += band.n_gunshots + rest * share
    return sums[0], sums[1], sums[2]


def _misses(results: str, queue: ReviewQueue, decided: Mapping[Sound, Mapping[str, Decision]]) -> MissEstimate | None:
    """What the sample says, by decisions or by labels that were written into it by hand."""
    items = [item for item in queue.items if item.drawn == "sample"]
    if not items:
        return None
    by_place = {(absolute(item.uri), item.start_s): item for item in items}
    rows: list[dict[str, Any]] = []
    for row in read_sample(results):
        item = by_place.get((row["path"], row["start_s"]))
        said = {"gunshot": "1", "not": "0"}.get(_said(item, decided), "") if item else ""
        rows.append({"label": said or row["label"], "inclusion": row["inclusion"]})
    try:
        return estimated_misses(rows)
    except ParameterError:  # nothing of a stratum has been checked yet
        return None


def _recall(found: tuple[float, float, float] | None, misses: MissEstimate | None) -> tuple[float | None, Pair | None]:
    if found is None or misses is None or found[0] + misses.misses <= 0:
        return None, None
    low = found[1] / (found[1] + misses.high) if found[1] + misses.high > 0 else 0.0
    high = found[2] / (found[2] + misses.low) if found[2] + misses.low > 0 else 1.0
    return found[0] / (found[0] + misses.misses), (low, high)
