"""What is known of a site: labelled clips, and the candidates of its unlabelled sound.

Conventions
-----------
Clips are cut by the code of training and scoring. Labelled rows are divided by group, background by recording (or, of a
single recording, by its first and second half of time): the one part is fitted on, the other checks. A candidate of
the background counts as another sound unless the model finds it likely to be a shot: such a one is a suspect, which a
person should hear; it trains nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gunshot.audio.decode import Recording
from gunshot.clips import features
from gunshot.errors import AudioError, TrainingError
from gunshot.manifest.sources import build_manifest
from gunshot.models.bundle import Bundle
from gunshot.preprocess.rows import clips_of_rows
from gunshot.progress import steps
from gunshot.recipe import Recipe
from gunshot.scoring.gate import stream_candidates
from gunshot.scoring.targets import Target, list_targets

__all__ = ["Background", "SiteRows", "Suspect", "checked_rows", "read_background", "read_site", "suspects_table"]

FEWEST_GROUPS = 4
"""With fewer groups of shots than this a site is fitted on all of them, and nothing is left to check on."""

LIKELY = 0.5
"""A candidate of this score, or one that the model calls, is a suspect."""

_CHECKED_FRACTION = 0.25
_MOST_CLIPS = 4096


@dataclass(frozen=True)
class SiteRows:
    """Labelled clips of a site.

    Attributes
    ----------
    waveform : ndarray of shape (n, n_samples), float32
        Clips at the recipe's rate.
    label : ndarray of shape (n,), int8
        1 gunshot, 0 other.
    group : ndarray of shape (n,), str
        Rows that are never divided.
    rows : tuple of dict
        What the table says of each: ``uri``, ``path``, ``start_s``, ``end_s``, ``source``, ``license``, and others.
    failures : tuple of str
        Rows that gave no clip, with the reason.
    """

    waveform: NDArray[np.float32]
    label: NDArray[np.int8]
    group: NDArray[np.str_]
    rows: tuple[dict[str, Any], ...]
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A candidate of the background that may be a shot.

    Attributes
    ----------
    uri : str
        Its recording.
    onset_s : float
        Where it begins [s].
    score : float
        What the model says of it, before adaptation.
    """

    uri: str
    onset_s: float
    score: float


@dataclass(frozen=True)
class Background:
    """Candidates of a site's unlabelled sound.

    Attributes
    ----------
    waveform : ndarray of shape (n, n_samples), float32
        Clips of the part that is fitted on, suspects left out; at most 4,096, drawn from the seed.
    checked : ndarray of shape (m, n_mels, n_frames), float32
        Log-mel spectrograms of all candidates of the other part, suspects among them.
    checked_h, listened_h : float
        Sound of that part, and in all [h].
    suspects : tuple of Suspect
        Of both parts, the likeliest first.
    failures : tuple of str
        Recordings that could not be read, with the reason.
    """

    waveform: NDArray[np.float32]
    checked: NDArray[np.float32]
    checked_h: float
    listened_h: float
    suspects: tuple[Suspect, ...]
    failures: tuple[str, ...]


def read_site(labels: str, recipe: Recipe) -> SiteRows:
    """Cut the clips of a label table.

    Parameters
    ----------
    labels : str
        The table; its paths are relative to it, absolute, or URIs.
    recipe : Recipe
        How clips are cut.

    Returns
    -------
    SiteRows
        At least one shot among them.

    Raises
    ------
    ManifestError
        If the table is wrong, or names files that do not exist.
    TrainingError
        If it has no usable row of a gunshot.
    """
    listed = build_manifest([], labels=labels, probe=False).to_pylist()
    clips, rows, failures = [], [], []
    for index, record, clip in clips_of_rows(enumerate(listed), recipe):
        row = listed[index]
        if clip is None:
            failures.append(f"{row['path']}: {record['state']}: {record['reason']}")
        else:
            clips.append(clip.y)
            rows.append(row)
    label = np.asarray([row["label"] for row in rows], dtype=np.int8)
    if not np.any(label == 1):
        why = f"; {len(failures)} rows cannot be used, the first is {failures[0]}" if failures else ""
        raise TrainingError(f"label table {labels}: no gunshot to adapt to; give rows with label 1{why}")
    group = np.asarray([row["group"] or row["path"] for row in rows], dtype=np.str_)
    return SiteRows(np.stack(clips), label, group, tuple(rows), tuple(failures))


def checked_rows(site: SiteRows, seed: int) -> NDArray[np.bool_]:
    """Choose the groups that a site is checked on: a quarter of those with shots, and of the others.

    Parameters
    ----------
    site : SiteRows
        The labelled clips.
    seed : int
        Of the choice.

    Returns
    -------
    ndarray of shape (n,), bool
        True where a row checks. With fewer than `FEWEST_GROUPS` groups of shots no row does.
    """
    with_shots = np.unique(site.group[site.label == 1])
    if len(with_shots) < FEWEST_GROUPS:
        return np.zeros(len(site.label), dtype=np.bool_)
    rng = np.random.default_rng([seed, 0])
    chosen: list[str] = []
    for groups in (with_shots, np.setdiff1d(site.group, with_shots)):
        chosen += rng.permutation(groups)[: int(len(groups) * _CHECKED_FRACTION)].tolist()
    return np.isin(site.group, chosen)


def read_background(inputs: Sequence[str], bundle: Bundle, site: SiteRows, seed: int) -> Background:
    """Find the candidates of a site's unlabelled sound.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, globs or prefixes.
    bundle : Bundle
        The model before adaptation; it tells the suspects.
    site : SiteRows
        Candidates within a clip's length of a labelled row are left out: they are known.
    seed : int
        Of which clips are kept where there are many.

    Returns
    -------
    Background
        With at least one candidate.

    Raises
    ------
    ManifestError
        If an input does not exist or holds no audio.
    TrainingError
        If nothing in it can be read, or it has no candidate.
    """
    targets = list_targets(inputs)
    known = _known_spans(site, bundle.recipe)
    gathered = _Gathered(bundle, np.random.default_rng([seed, 1]))
    for number, target in steps(enumerate(targets), "listen", "recordings", len(targets)):
        gathered.add(target, known.get(target.uri, []), None if len(targets) == 1 else number % 2)
    if not gathered.listened_s:
        raise TrainingError(f"--background: none of {len(targets)} recordings can be read; {gathered.failures[0]}")
    if not gathered.n_candidates:
        raise TrainingError(
            f"--background: no candidate in {len(targets)} recordings ({gathered.listened_s / 3600:.3g} h); give hours "
            "in which something can be heard"
        )
    found = gathered.result()
    if not found.checked_h:
        raise TrainingError(
            f"--background: of {len(targets)} recordings none that is kept for the threshold can be read; "
            f"{gathered.failures[0] if gathered.failures else 'give longer ones'}"
        )
    return found


class _Gathered:
    """What has been found so far; clips to fit on are a sample (Vitter 1985, algorithm R)."""

    def __init__(self, bundle: Bundle, rng: np.random.Generator) -> None:
        self._bundle, self._rng = bundle, rng
        self._clips: list[NDArray[np.float32]] = []
        self._checked: list[NDArray[np.float32]] = [np.empty((0, *bundle.recipe.mel_shape), dtype=np.float32)]
        self._suspects: list[Suspect] = []
        self._n_fitting = 0
        self._checked_s = 0.0
        self._likely = min(LIKELY, bundle.operating_point.threshold)
        self.n_candidates = 0
        self.listened_s = 0.0
        self.failures: list[str] = []

    def add(self, target: Target, known: list[tuple[float, float]], side: int | None) -> None:
        """Read a recording; side 0 is fitted on, 1 checks, None has both, one after the other."""
        read_s = 0.0
        try:
            with Recording(target.uri) as recording:
                middle_s = recording.header.duration_s / 2 if side is None else (np.inf, 0.0)[side]
                for found in stream_candidates(recording, self._bundle.recipe):
                    fresh = np.array([not any(a <= t <= b for a, b in known) for t in found.onset_s], dtype=np.bool_)
                    self._take(target.uri, found.onset_s[fresh], found.waveforms[fresh], middle_s)
                    read_s = found.read_s
        except AudioError as error:  # what came before the fault is kept: it is sound of the site
            self.failures.append(f"{target.path}: {error.state}: {error.reason}")
        self.listened_s += read_s
        self._checked_s += max(0.0, read_s - middle_s) if read_s else 0.0

    def _take(self, uri: str, onset_s: NDArray[np.float64], clips: NDArray[np.float32], middle_s: float) -> None:
        if not len(clips):
            return
        self.n_candidates += len(clips)
        score = self._bundle.score(clips)
        suspect = score >= self._likely
        self._suspects += [Suspect(uri, float(onset_s[i]), float(score[i])) for i in np.flatnonzero(suspect)]
        checks = onset_s >= middle_s
        self._checked.append(features(clips[checks], self._bundle.recipe))
        for clip in clips[~checks & ~suspect]:
            self._n_fitting += 1
            if len(self._clips) < _MOST_CLIPS:
                self._clips.append(clip)
            elif (place := int(self._rng.integers(self._n_fitting))) < _MOST_CLIPS:
                self._clips[place] = clip

    def result(self) -> Background:
        shape = (0, self._bundle.recipe.n_samples)
        return Background(
            waveform=np.stack(self._clips) if self._clips else np.empty(shape, dtype=np.float32),
            checked=np.concatenate(self._checked),
            checked_h=self._checked_s / 3600,
            listened_h=self.listened_s / 3600,
            suspects=tuple(sorted(self._suspects, key=lambda found: (-found.score, found.uri, found.onset_s))),
            failures=tuple(self.failures),
        )


def _known_spans(site: SiteRows, recipe: Recipe) -> dict[str, list[tuple[float, float]]]:
    """Where labelled rows lie in their recordings, with a clip's length on each side; echoes are known too."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for row in site.rows:
        start_s, end_s = row["start_s"] or 0.0, row["end_s"] or np.inf
        spans.setdefault(row["uri"], []).append((start_s - recipe.clip.length_s, end_s + recipe.clip.length_s))
    return spans


def suspects_table(suspects: Sequence[Suspect], recipe: Recipe) -> bytes:
    """Write suspects as a label table whose labels a person has to fill in.

    Parameters
    ----------
    suspects : sequence of Suspect
        The likeliest first.
    recipe : Recipe
        Says how long a clip is.

    Returns
    -------
    bytes
        CSV, UTF-8; ``x_score`` is the score.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "start_s", "end_s", "label", "x_score"))
    rule = recipe.clip
    for found in suspects:
        start_s = max(0.0, found.onset_s - rule.lead_s)
        writer.writerow((found.uri, f"{start_s:.3f}", f"{start_s + rule.length_s:.3f}", "", f"{found.score:.4f}"))
    return text.getvalue().encode()
