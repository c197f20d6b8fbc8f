"""The adapted bundle: its threshold, its calibration, its history, and what is said of it.

Conventions
-----------
The threshold is chosen on rows that fitted nothing, with the new model's scores: the background's checking part where
there is one, else the validation rows. Those are the store's, or synthetic ones where no store was given, and the
site's checking rows. The bundle keeps the digest of the model it came from, and that one's own history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gunshot.adaptation.checks import Change, CheckRows
from gunshot.adaptation.held import HeldRows, joined_splits
from gunshot.adaptation.site import Background, SiteRows, suspects_table
from gunshot.clips import features
from gunshot.errors import ParameterError
from gunshot.evaluation.calibration import fit_calibration
from gunshot.evaluation.choice import ScoredRows, choose_point, choose_points
from gunshot.evaluation.metrics import classification_metrics
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.evaluation.rules import DEFAULT_RULES, PointRule, parse_rule
from gunshot.evaluation.site_threshold import refit_threshold
from gunshot.models.bundle import Bundle, save_bundle
from gunshot.models.scorers import Scorer, scorer_of
from gunshot.models.splits import read_splits
from gunshot.storage import delete, join, write_bytes
from gunshot.training import DEFAULT_MAX_FPR, versions

__all__ = ["SUSPECTS_NAME", "Adaptation", "Kept", "keep"]

SUSPECTS_NAME = "suspects.csv"
"""Name of the table of suspects in the bundle."""

_MOST_SHOWN = 5


class Kept(NamedTuple):
    """What the bundle is made from, beside its weights.

    Attributes
    ----------
    parent : Bundle
        The model before.
    site : SiteRows
        Labelled rows.
    checks : ndarray of shape (n,), bool
        Which of them checked.
    heard : Background or None
        The site's unlabelled sound.
    held : HeldRows or None
        Rows of the store.
    sets : tuple of CheckRows
        What both models were compared on.
    changes : tuple of Change
        How they differ.
    """

    parent: Bundle
    site: SiteRows
    checks: NDArray[np.bool_]
    heard: Background | None
    held: HeldRows | None
    sets: tuple[CheckRows, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Adaptation:
    """What an adaptation did.

    Attributes
    ----------
    bundle, digest, parent : str
        The new bundle's folder and digest, and the digest of the model before.
    step : float
        How far from the old weights to the fitted ones, in (0, 1].
    n_shots, n_others, n_checking : int
        Labelled rows of the site that were used, and how many of both only checked.
    listened_h : float
        Background [h].
    thresholds : tuple of (float, float)
        Before and after.
    operating_point : str
        Name of the new one, with its guarantee or why there is none.
    site_found : tuple of (int, int, int)
        Checking shots of the site found before and after, each at its own threshold, and how many there are.
    alarms_a_day : tuple of (float, float) or None
        Called candidates of the background's checking part, before and after, each at its own threshold.
    changes : tuple of Change
        By source, at one false-alarm rate.
    refused : tuple of str
        Larger steps that broke a bound.
    suspects : tuple of str
        The likeliest suspects in words; all are in `suspects_uri`.
    n_suspects : int
        How many there are.
    suspects_uri : str
        Empty where there is none.
    failures : tuple of str
        Rows and recordings that could not be used.
    """

    bundle: str
    digest: str
    parent: str
    step: float
    n_shots: int
    n_others: int
    n_checking: int
    listened_h: float
    thresholds: tuple[float, float]
    operating_point: str
    site_found: tuple[int, int, int]
    alarms_a_day: tuple[float, float] | None
    changes: tuple[Change, ...]
    refused: tuple[str, ...]
    suspects: tuple[str, ...]
    n_suspects: int
    suspects_uri: str
    failures: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The adaptation as lines for a person.

        Returns
        -------
        list of str
            Counts, a table by source, the threshold, and what to listen to.
        """
        fitted = self.n_shots + self.n_others - self.n_checking
        lines = [
            f"site: {self.n_shots} shots + {self.n_others} others = {fitted} fitted + {self.n_checking} checking",
            *(f"  not used: {failure}" for failure in self.failures[:_MOST_SHOWN]),
        ]
        if not self.n_checking:
            lines.append("  too few groups of shots to keep some for checking: what it finds here is not checked")
        lines += [f"  refused: {reason}" for reason in self.refused]
        lines += [f"step {self.step:g} from the old weights to the fitted ones", *_table(self.changes)]
        if self.n_checking:
            before, after, n = self.site_found
            lines.append(f"site, each at its own threshold: {before} of {n} checking shots before, {after} after")
        if self.alarms_a_day:
            before_a_day, after_a_day = self.alarms_a_day
            lines.append(f"site, candidates called a day: {before_a_day:.3g} before, {after_a_day:.3g} after")
        lines.append(f"threshold {self.thresholds[0]:.4f} -> {self.thresholds[1]:.4f}; {self.operating_point}")
        if self.n_suspects:
            lines.append(f"{self.n_suspects} candidates of the background may be shots; label them and adapt again:")
            lines += [f"  {text}" for text in self.suspects]
            lines.append(f"  all: {self.suspects_uri}")
        return [*lines, f"bundle: {self.bundle} ({self.parent} -> {self.digest})"]


def _table(changes: tuple[Change, ...]) -> list[str]:
    names = [f"{change.rows}/{change.source}" for change in changes]
    width = max(len("at one false-alarm rate"), *map(len, names))
    lines = [
        f"{'at one false-alarm rate':<{width}}  {'shots':>6} {'before':>6} {'after':>6} {'won':>4} {'lost':>4} "
        f"{'fall':>7} {'95%':>7}       {'others':>6} {'before':>6} {'after':>6}"
    ]
    for name, c in zip(names, changes, strict=True):
        fall = f"{c.fall:>7.3f} {c.fall_bound:>7.3f}" if c.n_shots else f"{'':>15}"
        fall += " area" if c.measure == "area" else "     "
        lines.append(
            f"{name:<{width}}  {c.n_shots:>6} {c.found_before:>6} {c.found_after:>6} {c.won:>4} {c.lost:>4} {fall}  "
            f"{c.n_others:>6} {c.alarms_before:>6} {c.alarms_after:>6}"
        )
    return lines


def keep(
    kept: Kept, weights: bytes, network: bytes, out: str, operating_point: str | None, how: Mapping[str, Any]
) -> Adaptation:
    """Choose the new threshold and write the bundle.

    Parameters
    ----------
    kept : Kept
        What it is made from.
    weights, network : bytes
        The new network, exported and for training to go on from.
    out : str
        The bundle's folder.
    operating_point : str or None
        What the threshold keeps to.
    how : mapping
        How it was fitted, for the bundle's history.

    Returns
    -------
    Adaptation
        For people.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    parent, heard, site = kept.parent, kept.heard, kept.site
    scorer = scorer_of(parent.name, weights, parent.recipe)
    rows = _validation(kept, scorer)
    alarms = None if heard is None else scorer(heard.checked)
    point = _point(parent, rows, heard, alarms, operating_point)
    training = dict(parent.details.get("training") or {})
    for name, column in (("sources", "source"), ("licenses", "license")):
        if isinstance(training.get(name, []), list):
            training[name] = sorted({*training.get(name, []), *(row[column] for row in site.rows)} - {""})
    details = {
        "training": training,
        "adaptation": {
            "parent": {"digest": parent.digest, "uri": parent.uri, "adaptation": parent.details.get("adaptation")},
            **how,
            "site": _counts(kept),
            "changes": [asdict(change) for change in kept.changes],
        },
        "validation": classification_metrics(rows.label, rows.score, point.threshold).as_dict(),
        "versions": versions(),
    }
    suspects_uri = ""
    delete(join(out, SUSPECTS_NAME))  # of an earlier adaptation into the same folder
    if heard is not None and heard.suspects:
        suspects_uri = join(out, SUSPECTS_NAME)
        write_bytes(suspects_uri, suspects_table(heard.suspects, parent.recipe))
    bundle = save_bundle(
        out, model=parent.name, weights=weights, recipe=parent.recipe, operating_point=point, details=details,
        splits=joined_splits(read_splits(parent.uri), site, kept.checks),
        operating_points=choose_points(rows, DEFAULT_RULES), validation=rows,
        calibration=fit_calibration(rows.label, rows.score, group=rows.group), network=network,
    )  # fmt: skip
    return _told(kept, bundle, scorer, alarms, how, suspects_uri)


def _counts(kept: Kept) -> dict[str, Any]:
    label = kept.site.label
    return {
        "n_shots": int(np.sum(label == 1)), "n_others": int(np.sum(label == 0)),
        "n_checking": int(kept.checks.sum()), "n_groups": len(np.unique(kept.site.group)),
        "background_h": 0.0 if kept.heard is None else round(kept.heard.listened_h, 4),
        "n_background_fitted": 0 if kept.heard is None else len(kept.heard.waveform),
        "n_suspects": 0 if kept.heard is None else len(kept.heard.suspects),
    }  # fmt: skip


def _validation(kept: Kept, scorer: Scorer) -> ScoredRows:
    """Rows that fitted nothing, with the new scores: the store's or synthetic ones, and the site's."""
    held, recipe = kept.held, kept.parent.recipe
    where = None if held is None else held.split == "validation"
    if held is not None and where is not None and len(set(held.label[where].tolist())) == 2:
        x, label, group, name = held.checked[where], held.label[where], held.group[where], "validation"
    else:
        made = kept.sets[0]
        x, label, group, name = made.x, made.label, None, "synthetic"
    if kept.checks.any():
        x = np.concatenate([x, features(kept.site.waveform[kept.checks], recipe)])
        label = np.concatenate([label, kept.site.label[kept.checks]])
        group = None if group is None else np.concatenate([group, kept.site.group[kept.checks]])
        name = f"{name} and site"
    before = kept.parent.validation_rows()
    if before is None or before.group is None:  # split at random: groups tell nothing about rows to come
        group = None
    return ScoredRows(label, scorer(x), None if group is None else tuple(group.tolist()), name)


def _point(
    parent: Bundle, rows: ScoredRows, heard: Background | None, alarms: NDArray[np.float32] | None, asked: str | None
) -> OperatingPoint:
    rule = parse_rule(asked) if asked is not None else _usual(parent, heard)
    if heard is not None and alarms is not None and rule.kind == "day":
        return refit_threshold(alarms, heard.checked_h, rule.value, rows)
    return choose_point(rows, rule)


def _usual(parent: Bundle, heard: Background | None) -> PointRule:
    if heard is not None:
        return PointRule("day", 10)
    try:
        return parse_rule(parent.operating_point.name.removeprefix("site "))
    except ParameterError:
        return PointRule("fpr", DEFAULT_MAX_FPR)


def _told(
    kept: Kept, bundle: Bundle, scorer: Scorer, alarms: NDArray[np.float32] | None, how: Mapping[str, Any], uri: str
) -> Adaptation:
    parent, site, heard, point = kept.parent, kept.site, kept.heard, bundle.operating_point
    thresholds = parent.operating_point.threshold, point.threshold
    x = features(site.waveform[kept.checks & (site.label == 1)], parent.recipe)
    found = [int(np.sum(s(x) >= t)) if len(x) else 0 for s, t in zip((parent.scorer, scorer), thresholds, strict=True)]
    alarms_a_day = None
    if heard is not None and alarms is not None:
        of_day = 24.0 / heard.checked_h
        before = parent.score_inputs(heard.checked)
        called = (before >= thresholds[0], alarms >= thresholds[1])
        alarms_a_day = float(called[0].sum()) * of_day, float(called[1].sum()) * of_day
    suspects = () if heard is None else heard.suspects
    counts = _counts(kept)
    return Adaptation(
        bundle=bundle.uri, digest=bundle.digest, parent=parent.digest, step=how["step"], n_shots=counts["n_shots"],
        n_others=counts["n_others"], n_checking=counts["n_checking"],
        listened_h=0.0 if heard is None else heard.listened_h, thresholds=thresholds,
        operating_point=f"{point.name}: {point.guarantee or point.note or 'no guarantee'}",
        site_found=(found[0], found[1], len(x)), alarms_a_day=alarms_a_day, changes=kept.changes,
        refused=tuple(how["refused"]),
        suspects=tuple(f"{s.uri} at {s.onset_s:.3f} s, score {s.score:.3f}" for s in suspects[:_MOST_SHOWN]),
        n_suspects=len(suspects), suspects_uri=uri,
        failures=site.failures + (() if heard is None else heard.failures),
    )  # fmt: skip
