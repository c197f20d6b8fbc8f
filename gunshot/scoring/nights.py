"""Nights: what was heard at which site, and whether a night is unlike those before it.

Conventions
-----------
A night is named by the day on which it begins and lasts from noon to noon of local solar time (UTC plus an hour for
each 15 degrees of longitude), or of UTC where the position is not known: recorders listen in the dark, and a date line
at midnight would cut each night in two. Recordings without a known start have no night and are totalled under "".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gunshot.errors import StorageError

__all__ = [
    "FOUND_COLUMNS",
    "NIGHT_COLUMNS",
    "N_SCORE_BINS",
    "PSI_SHIFTED",
    "Drift",
    "Nights",
    "count_scores",
    "drift_of_nights",
    "night_of",
    "nights_table",
    "population_stability",
]

N_SCORE_BINS = 20
"""Bins over [0, 1] in which a recording's candidates are counted by score."""

PSI_SHIFTED = 0.25
"""From this on two distributions are called different."""

NIGHT_COLUMNS = (
    "uri", "etag", "site", "start_utc", "longitude", "state", "read_s", "silent_s", "n_candidates", "n_detections",
    "score_counts",
)  # fmt: skip
"""Columns of the ledger that are read."""

FOUND_COLUMNS = ("uri", "etag", "n_shots", "score")
"""Columns of the detections that are read."""

_SUMS = ("n", "bad", "heard_s", "candidates", "found", "shots", "best")
_LEAST_CANDIDATES = 200
_USABLE = ("ok", "short", "silent")
_AT_A_TIME = 10_000

Counts = NDArray[np.int64]
_Night = tuple[str, str]  # site and night


@dataclass(frozen=True, slots=True)
class Drift:
    """How a night's candidates differ from earlier ones.

    Attributes
    ----------
    site, night : str
        Where and when.
    n_candidates : int
        Of that night.
    psi_before : float or None
        Population stability index against all earlier nights of the site; None where there are too few candidates.
    psi_training : float or None
        The same against the other sounds of the model's validation rows.
    rate_ratio : float or None
        Candidates an hour over those of the earlier nights.
    """

    site: str
    night: str
    n_candidates: int
    psi_before: float | None
    psi_training: float | None
    rate_ratio: float | None

    @property
    def is_shifted(self) -> bool:
        """Whether the night is unlike those before it."""
        return self.psi_before is not None and self.psi_before >= PSI_SHIFTED


def night_of(start_utc: datetime | None, longitude: float | None) -> str:
    """Name the night that a time lies in.

    Parameters
    ----------
    start_utc : datetime or None
        The time.
    longitude : float or None
        Of the recorder [degrees east].

    Returns
    -------
    str
        ISO date of the evening; empty where the time is not known.

    Examples
    --------
    >>> from datetime import UTC
    >>> night_of(datetime(2026, 11, 23, 2, 30, tzinfo=UTC), None)
    '2026-11-22'
    >>> night_of(datetime(2026, 11, 23, 2, 30, tzinfo=UTC), 151.2)  # past noon in Sydney
    '2026-11-23'
    """
    if start_utc is None:
        return ""
    local = start_utc + timedelta(hours=(longitude or 0.0) / 15.0)
    return (local - timedelta(hours=12)).date().isoformat()


def count_scores(score: NDArray[np.float32]) -> Counts:
    """Count scores by how high they are.

    Parameters
    ----------
    score : ndarray of shape (n,), float32
        In [0, 1].

    Returns
    -------
    ndarray of shape (N_SCORE_BINS,), int64
        Equal bins over [0, 1]; 1 falls into the last.

    Examples
    --------
    >>> import numpy as np
    >>> count_scores(np.array([0.0, 0.01, 1.0], np.float32))[[0, 1, -1]].tolist()
    [2, 0, 1]
    """
    places = np.minimum(np.asarray(score, dtype=np.float64) * N_SCORE_BINS, N_SCORE_BINS - 1).astype(np.int64)
    return np.bincount(places, minlength=N_SCORE_BINS)


def population_stability(counts: Counts, reference: Counts) -> float:
    """Population stability index of two histograms.

    Parameters
    ----------
    counts, reference : ndarray of shape (n_bins,), int64
        How many fall into each bin.

    Returns
    -------
    float
        The sum of ``(p - q) ln(p / q)`` over the bins; 0 for equal shares.

    Notes
    -----
    Kullback and Leibler's divergence in both directions; in use in credit scoring, where 0.1 is a small and 0.25 a
    large shift (Siddiqi 2006, "Credit Risk Scorecards"). Half a count is added to each bin, so that empty ones have a
    logarithm.

    Examples
    --------
    >>> import numpy as np
    >>> population_stability(np.array([10, 10]), np.array([100, 100]))
    0.0
    >>> population_stability(np.array([90, 10]), np.array([50, 50])) > 0.25
    True
    """
    p, q = (np.asarray(c, dtype=np.float64) + 0.5 for c in (counts, reference))
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((p - q) * np.log(p / q)))


class Nights:
    """What was heard by site and night, of recordings that come in parts, in any order."""

    def __init__(self) -> None:
        self._heard: dict[_Night, dict[str, float]] = {}
        self._counts: dict[_Night, Counts] = {}
        self._read_s: dict[_Night, float] = {}

    def add(self, recordings: pa.Table) -> dict[tuple[str, str], _Night]:
        """Count recordings.

        Parameters
        ----------
        recordings : pyarrow.Table
            Rows of one model, with `NIGHT_COLUMNS`.

        Returns
        -------
        dict
            The night of each recording with detections, by its address and etag.
        """
        with_detections: dict[tuple[str, str], _Night] = {}
        for row in _columns(recordings, NIGHT_COLUMNS):
            uri, etag, site, start, longitude, state, read_s, silent_s, n_candidates, n_detections, score_counts = row
            key = (site, night_of(start, longitude))
            sums = self._heard.setdefault(key, dict.fromkeys(_SUMS, 0.0))
            sums["n"] += 1
            sums["bad"] += state not in _USABLE
            sums["heard_s"] += 0.0 if state == "silent" else read_s - silent_s
            sums["candidates"] += n_candidates
            if n_detections:
                with_detections[uri, etag] = key
            if key[1] and score_counts is not None:
                counts = self._counts.setdefault(key, np.zeros(N_SCORE_BINS, np.int64))
                counts += np.asarray(score_counts, np.int64)
                self._read_s[key] = self._read_s.get(key, 0.0) + read_s
        return with_detections

    def add_detections(self, detections: pa.Table, night_of_recording: Mapping[tuple[str, str], _Night]) -> None:
        """Count detections; a night is its recordings': one that lasts past noon keeps its detections with it.

        Parameters
        ----------
        detections : pyarrow.Table
            Rows of the same model, with `FOUND_COLUMNS`.
        night_of_recording : mapping
            From `add`, of their recordings.

        Raises
        ------
        StorageError
            If a recording is not among these.
        """
        for uri, etag, n_shots, score in _columns(detections, FOUND_COLUMNS):
            if (uri, etag) not in night_of_recording:
                raise StorageError(f"{uri} has detections of which the ledger does not know: gunshot results verify")
            sums = self._heard[night_of_recording[uri, etag]]
            sums["found"] += 1
            sums["shots"] += n_shots
            sums["best"] = max(sums["best"], score)

    def table(self) -> list[dict[str, Any]]:
        """Sum up.

        Returns
        -------
        list of dict
            ``site``, ``night``, ``recordings``, ``not usable``, ``hours listened``, ``candidates an hour``,
            ``detections``, ``shots`` and ``best score``, by site and night; the recordings add up to those given.
        """
        return [
            {
                "site": site, "night": night, "recordings": int(sums["n"]), "not usable": int(sums["bad"]),
                "hours listened": round(sums["heard_s"] / 3600, 2),
                "candidates an hour": round(3600 * sums["candidates"] / sums["heard_s"]) if sums["heard_s"] > 0 else 0,
                "detections": int(sums["found"]), "shots": int(sums["shots"]), "best score": round(sums["best"], 3),
            }
            for (site, night), sums in sorted(self._heard.items())
        ]  # fmt: skip

    def drifts(self, training: Counts | None = None) -> list[Drift]:
        """Hold each night's candidates against those before it.

        Parameters
        ----------
        training : ndarray of shape (N_SCORE_BINS,), int64, optional
            Scores of other sounds among the model's validation rows, counted alike.

        Returns
        -------
        list of Drift
            By site and night; nights that are not known are left out.
        """
        return _drifts(self._counts, self._read_s, training)


def nights_table(recordings: pa.Table, detections: pa.Table) -> list[dict[str, Any]]:
    """Count what was heard by site and night.

    Parameters
    ----------
    recordings, detections : pyarrow.Table
        Rows of one model, as `gunshot.scoring.results` has them.

    Returns
    -------
    list of dict
        From `Nights.table`.
    """
    nights = Nights()
    nights.add_detections(detections, nights.add(recordings))
    return nights.table()


def drift_of_nights(recordings: pa.Table, training: Counts | None = None) -> list[Drift]:
    """Hold each night's candidates against those before it.

    Parameters
    ----------
    recordings : pyarrow.Table
        Rows of one model.
    training : ndarray of shape (N_SCORE_BINS,), int64, optional
        As for `Nights.drifts`.

    Returns
    -------
    list of Drift
        From `Nights.drifts`.
    """
    nights = Nights()
    nights.add(recordings)
    return nights.drifts(training)


def _drifts(counts: dict[_Night, Counts], heard_s: dict[_Night, float], training: Counts | None) -> list[Drift]:
    drifts: list[Drift] = []
    before, before_s, site_before = np.zeros(N_SCORE_BINS, np.int64), 0.0, ""
    for (site, night), of_night in sorted(counts.items()):
        if site != site_before:
            before, before_s, site_before = np.zeros(N_SCORE_BINS, np.int64), 0.0, site
        rate, rate_before = (
            n / s if s > 0 else 0.0 for n, s in ((of_night.sum(), heard_s[site, night]), (before.sum(), before_s))
        )
        drifts.append(
            Drift(
                site,
                night,
                int(of_night.sum()),
                _psi(of_night, before),
                _psi(of_night, training),
                rate / rate_before if rate_before > 0 else None,
            )
        )
        before, before_s = before + of_night, before_s + heard_s[site, night]
    return drifts


def _psi(counts: Counts, reference: Counts | None) -> float | None:
    if reference is None or min(counts.sum(), reference.sum()) < _LEAST_CANDIDATES:
        return None
    return population_stability(counts, reference)


def _columns(table: pa.Table, names: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    """Rows, some thousand at a time: as Python's objects a table takes ten times the memory."""
    for part in table.select(list(names)).to_batches(max_chunksize=_AT_A_TIME):
        yield from zip(*(column.to_pylist() for column in part.columns), strict=True)
