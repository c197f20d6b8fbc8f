"""What a team is told each morning: nights, failures, listening, drift, and a sample to check.

Conventions
-----------
It tells the results of one model and rule as they are, all nights of them, not what the last run did: a rerun that
scores nothing writes the same bytes. ``summary.json`` and ``nights.csv`` lie beside the tables, the sample in
``review/sample.csv``, a label table; as soon as a person has put a label into it, it is left alone.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gunshot.models.bundle import Bundle
from gunshot.scoring.failures import Failures
from gunshot.scoring.hours import HOURS_COLUMNS, ListeningHours
from gunshot.scoring.keys import Provenance
from gunshot.scoring.nights import FOUND_COLUMNS, NIGHT_COLUMNS, Drift, Nights, count_scores
from gunshot.scoring.results.csvfiles import csv_cell
from gunshot.scoring.results.objects import listed, read_parts, tables
from gunshot.scoring.results.schemas import CANDIDATE_SCHEMA
from gunshot.scoring.results.tries import endings
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.sample_table import SAMPLE_COLUMNS, sample_uri
from gunshot.scoring.sampling import sample_below
from gunshot.scoring.timestamps import Deployments
from gunshot.scoring.timestamps.deployments import NO_DEPLOYMENTS
from gunshot.storage import absolute, exists, join, read_all, read_bytes, write_bytes

__all__ = ["SAMPLE_ROWS", "Morning", "drift_sentences", "tell_morning"]

SAMPLE_ROWS = 50
"""Candidates below the threshold that a person is asked to check."""

Row = dict[str, Any]

_PROVENANCE = ("model_digest", "recipe_digest", "rule")
_RECORDED = tuple(dict.fromkeys([*NIGHT_COLUMNS, *HOURS_COLUMNS, "path", "reason", *_PROVENANCE]))
_SAMPLED = ("uri", "etag", "channel", "onset_s", "score", "inclusion")
_TABLES = 200


@dataclass(frozen=True)
class Morning:
    """What is told.

    Attributes
    ----------
    results, model, model_digest, rule : str
        Of what.
    totals : dict
        ``recordings``, ``states`` (they add up to the recordings), ``detections``, ``shots``, ``hours_listened``.
    nights : list of dict
        `gunshot.scoring.nights.nights_table`: they add up to the totals.
    failures : list of dict
        ``state``, ``reason``, ``recordings`` and ``examples``, the most frequent first.
    listening : list of dict
        `gunshot.scoring.hours.listening_hours`.
    drift : list of dict
        `gunshot.scoring.nights.Drift`, by site and night.
    sentences : list of str
        What of the drift a person should know; empty where nothing has shifted.
    sample : dict
        ``path``, ``rows``, and ``labelled``: of them with a label. Path is empty where there is no sample.
    """

    results: str
    model: str
    model_digest: str
    rule: str
    totals: Row
    nights: list[Row]
    failures: list[Row]
    listening: list[Row]
    drift: list[Row]
    sentences: list[str]
    sample: Row


def tell_morning(results: str, bundle: Bundle, rule: ScoringRule, deployments: Deployments = NO_DEPLOYMENTS) -> Morning:
    """Read the results of a model and rule, and write what they tell; whoever calls holds the lease.

    Parameters
    ----------
    results : str
        Where the tables are.
    bundle : Bundle
        The model.
    rule : ScoringRule
        The rule.
    deployments : Deployments
        Says the time zones of sites.

    Returns
    -------
    Morning
        Also written as ``summary.json``, ``nights.csv`` and, where the rule has a sample, ``review/sample.csv``.

    Raises
    ------
    StorageError
        If the tables cannot be read, or a file cannot be written.
    """
    provenance = Provenance(bundle.digest, bundle.recipe.digest, rule.canonical)
    season = _Season(ListeningHours(deployments.time_zones()))
    there = listed(results, "detections")
    for name, parts in groupby(endings(results, _RECORDED), key=itemgetter(0)):
        nights = season.add(provenance.rows_of(table) for _, table in parts)
        if nights and name in there:  # detections lie under the name of their recordings
            for table in read_parts(results, "detections", name, [*FOUND_COLUMNS, *_PROVENANCE]):
                season.nights.add_detections(provenance.rows_of(table), nights)
    drifts, by_night = season.nights.drifts(_training_counts(bundle)), season.nights.table()
    morning = Morning(
        results=results,
        model=bundle.name,
        model_digest=bundle.digest,
        rule=rule.canonical,
        totals={
            "recordings": season.states.total(),
            "states": dict(sorted(season.states.items())),
            "detections": sum(night["detections"] for night in by_night),
            "shots": sum(night["shots"] for night in by_night),
            "hours_listened": round(sum(night["hours listened"] for night in by_night), 2),
        },
        nights=by_night,
        failures=season.failures.rows(),
        listening=_plain(season.hours.table().to_pylist()),
        drift=[_drift_row(drift) for drift in drifts],
        sentences=drift_sentences(drifts),
        sample=_write_sample(results, provenance, bundle) if rule.sample else _NO_SAMPLE,
    )
    write_bytes(join(results, "summary.json"), (json.dumps(vars(morning), indent=1) + "\n").encode())
    names = list(by_night[0]) if by_night else []
    write_bytes(join(results, "nights.csv"), _csv(names, [[row[name] for name in names] for row in by_night]))
    return morning


_NO_SAMPLE: Row = {"path": "", "rows": 0, "labelled": 0}


@dataclass
class _Season:
    """Sums over the recordings of a model and rule, object after object."""

    hours: ListeningHours
    nights: Nights = field(default_factory=Nights)
    failures: Failures = field(default_factory=Failures)
    states: Counter[str] = field(default_factory=Counter)

    def add(self, recordings: Iterable[pa.Table]) -> dict[tuple[str, str], tuple[str, str]]:
        """Count what an object of the ledger holds; gives the nights of recordings with detections."""
        with_detections: dict[tuple[str, str], tuple[str, str]] = {}
        for table in recordings:
            with_detections |= self.nights.add(table)
            self.hours.add(table)
            self.failures.add(table)
            for each in pc.value_counts(table.column("state")).to_pylist():
                self.states[each["values"]] += each["counts"]
        return with_detections


def _training_counts(bundle: Bundle) -> Any:
    rows = bundle.validation_rows()
    return None if rows is None else count_scores(rows.score[rows.label == 0])


def drift_sentences(drifts: Sequence[Drift]) -> list[str]:
    """Say in words which sites' latest night is unlike those before it.

    Parameters
    ----------
    drifts : sequence of Drift
        By site and night.

    Returns
    -------
    list of str
        One for each such site.
    """
    latest = {drift.site: drift for drift in drifts}
    sentences = []
    for drift in latest.values():
        if drift.is_shifted:
            rate = f", {drift.rate_ratio:.1f} times as many an hour" if drift.rate_ratio is not None else ""
            sentences.append(
                f"{drift.site or 'Site not known'}, night of {drift.night}: the candidates are unlike those of earlier "
                f"nights (index {drift.psi_before:.2f}{rate}): listen to some, for the error rates that were measured "
                "may not hold; weather, a new sound or a damaged microphone are the usual causes"
            )
    return sentences


def _drift_row(drift: Drift) -> Row:
    figures = {"psi_before": drift.psi_before, "psi_training": drift.psi_training, "rate_ratio": drift.rate_ratio}
    rounded = {name: None if value is None else round(value, 3) for name, value in figures.items()}
    return {
        "site": drift.site, "night": drift.night, "n_candidates": drift.n_candidates, **rounded,
        "shifted": drift.is_shifted,
    }  # fmt: skip


def _plain(rows: list[Row]) -> list[Row]:
    """Rows as JSON has them."""
    return [
        {
            name: value.isoformat()
            if hasattr(value, "isoformat")
            else round(value, 3)
            if type(value) is float
            else value
            for name, value in row.items()
        }
        for row in rows
    ]


def _write_sample(results: str, provenance: Provenance, bundle: Bundle) -> Row:
    """Write the sample to check, unless a person has begun to."""
    uri = sample_uri(results)
    if exists(uri):
        there = list(csv.DictReader(io.StringIO(read_bytes(uri).decode())))
        labelled = sum(bool((row.get("label") or "").strip()) for row in there)
        if labelled or _is_reviewed(results):
            return {"path": uri, "rows": len(there), "labelled": labelled}
    clip, threshold = bundle.recipe.clip, bundle.operating_point.threshold
    sample = sample_below(_below(results, provenance, threshold), threshold, SAMPLE_ROWS)
    rows = [
        [
            absolute(row["uri"]),
            round(max(0.0, row["onset_s"] - clip.lead_s), 4),
            round(row["onset_s"] - clip.lead_s + clip.length_s, 4),
            "", round(row["score"], 6), row["inclusion"],
        ]
        for row in sample.to_pylist()
    ]  # fmt: skip
    write_bytes(uri, _csv(SAMPLE_COLUMNS, rows))
    return {"path": uri, "rows": len(rows), "labelled": 0}


def _below(results: str, provenance: Provenance, threshold: float) -> pa.Table:
    """Candidates below the threshold."""
    found = [CANDIDATE_SCHEMA.empty_table().select([*_SAMPLED, *_PROVENANCE])]
    for _, table in tables(results, "candidates", [*_SAMPLED, *_PROVENANCE]):
        found.append(provenance.rows_of(table.filter(pc.less(table.column("score"), threshold))))
        if len(found) == _TABLES:  # small tables take more than their rows
            found = [pa.concat_tables(found).combine_chunks()]
    return pa.concat_tables(found).select(list(_SAMPLED)).combine_chunks()


def _is_reviewed(results: str) -> bool:
    """Whether someone has decided on a sound of the sample in `gunshot review`: another draw would lose that."""
    folder = join(results, "review/decisions")
    if not exists(folder):
        return False
    return any(read_all(folder, (".jsonl",), parse=lambda content: b'"drawn": "sample"' in content).values())


def _csv(names: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()
