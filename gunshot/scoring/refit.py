"""A model's threshold refitted to a site, from hours of its own sound that nobody has labelled.

Conventions
-----------
What is counted is candidates, as in `gunshot.evaluation.site_threshold`. Recordings that cannot be used are told, and
their hours are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gunshot.errors import ParameterError
from gunshot.evaluation.site_threshold import refit_threshold
from gunshot.models.bundle import Bundle
from gunshot.models.copies import copy_bundle
from gunshot.progress import steps
from gunshot.scoring.recording import score_recordings
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.targets import list_targets

__all__ = ["Refitted", "refit_to_site"]

_USED = frozenset({"ok", "short"})


@dataclass(frozen=True, slots=True)
class Refitted:
    """What a refit gave.

    Attributes
    ----------
    bundle, digest : str
        The new bundle.
    listened_h : float
        Sound that was scored [h].
    n_candidates : int
        Candidates in it.
    thresholds : tuple of float
        Before and after.
    alarms_a_day : tuple of float
        Candidates called a day, before and after [1/day].
    recall : tuple of float
        Of the bundle's own validation rows, before and after.
    note : str
        What is promised, or why nothing is.
    failures : tuple of str
        Recordings that could not be used, with the reason.
    """

    bundle: str
    digest: str
    listened_h: float
    n_candidates: int
    thresholds: tuple[float, float]
    alarms_a_day: tuple[float, float]
    recall: tuple[float, float]
    note: str
    failures: tuple[str, ...]

    def lines(self) -> list[str]:
        """Say it.

        Returns
        -------
        list of str
            For people.
        """
        (old, new), (before, after), (found, finds) = self.thresholds, self.alarms_a_day, self.recall
        return [
            f"{self.listened_h:.2f} h, {self.n_candidates} candidates",
            f"threshold {old:.4f} -> {new:.4f}: {before:.1f} -> {after:.1f} called candidates a day in this sound",
            f"of the shots it was validated on it finds {found:.3f} -> {finds:.3f}",
            self.note,
            *(f"  not used: {failure}" for failure in self.failures),
            f"bundle: {self.bundle} ({self.digest})",
        ]


def refit_to_site(
    bundle: Bundle, background: Sequence[str], out: str, *, max_per_day: float = 10.0, name: str | None = None
) -> Refitted:
    """Write a copy of a model with the lowest threshold that keeps alarms a day within a limit on a site's sound.

    Parameters
    ----------
    bundle : Bundle
        The model.
    background : sequence of str
        Recordings of the site; shots among them only make the threshold stricter.
    out : str
        The copy's folder.
    max_per_day : float
        Called candidates, at most [1/day].
    name : str, optional
        Of the new operating point; "site 10 a day" for 10 if not given.

    Returns
    -------
    Refitted
        For people.

    Raises
    ------
    ParameterError
        If nothing of the background can be scored.
    BundleError
        If the bundle keeps no validation rows, or `out` is its own folder.
    ManifestError
        If an input does not exist or holds no audio.
    StorageError
        If the copy cannot be written.
    """
    validation = bundle.validation_rows()
    if validation is None:
        raise ParameterError(f"{bundle.uri} holds no validation rows to measure a new threshold on; train it again")
    scores, failures, listened_s = [np.empty(0, dtype=np.float32)], [], 0.0
    targets = list_targets(list(background))
    heard_by_one = score_recordings(targets, bundle, ScoringRule(floor=0.0))
    for heard in steps(heard_by_one, "listen", "recordings", len(targets)):
        if heard.row["state"] not in _USED:
            failures.append(f"{heard.row['path']}: {heard.row['reason'] or heard.row['state']}")
            continue
        listened_s += heard.row["read_s"]
        scores.append(np.array([row["score"] for row in heard.candidates], dtype=np.float32))
    if listened_s <= 0:
        raise ParameterError(f"--background holds nothing that can be scored; {'; '.join(failures[:3])}")
    score, hours = np.concatenate(scores), listened_s / 3600.0
    point = refit_threshold(score, hours, max_per_day, validation, name=name)
    copy = copy_bundle(bundle, out, point)
    before = bundle.operating_point
    called = [float(np.sum(score >= threshold)) * 24.0 / hours for threshold in (before.threshold, point.threshold)]
    shots = validation.score[validation.label == 1]
    found = [float(np.mean(shots >= threshold)) for threshold in (before.threshold, point.threshold)]
    return Refitted(
        bundle=out, digest=copy.digest, listened_h=hours, n_candidates=score.size,
        thresholds=(before.threshold, point.threshold), alarms_a_day=(called[0], called[1]),
        recall=(found[0], found[1]), note=point.guarantee or point.note, failures=tuple(failures),
    )  # fmt: skip
