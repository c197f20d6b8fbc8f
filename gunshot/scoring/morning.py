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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gunshot.models.bundle import Bundle
from gunshot.scoring.hours import listening_hours
from gunshot.scoring.keys import Provenance
from gunshot.scoring.nights import Drift, count_scores, drift_of_nights, nights_table
from gunshot.scoring.results.csvfiles import csv_cell
from gunshot.scoring.results.schemas import Kind
from gunshot.scoring.results.tables import read_table
from gunshot.scoring.rule import ScoringRule
from gunshot.scoring.sample_table import SAMPLE_COLUMNS, sample_uri
from gunshot.scoring.sampling import sample_below
from gunshot.scoring.timestamps import Deployments
from gunshot.scoring.timestamps.deployments import NO_DEPLOYMENTS
from gunshot.storage import absolute, exists, join, read_all, read_bytes, write_bytes

__all__ = ["SAMPLE_ROWS", "Morning", "drift_sentences", "failures_by_reason", "tell_morning"]

SAMPLE_ROWS = 50
"""Candidates below the threshold that a person is asked to check."""

Row = dict[str, Any]

_EXAMPLES = 3


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
    recordings, detections = (_of(results, kind, provenance) for kind in ("recordings", "detections"))
    drifts = drift_of_nights(recordings, _training_counts(bundle))
    nights = nights_table(recordings, detections)
    states = {each["values"]: each["counts"] for each in pc.value_counts(recordings.column("state")).to_pylist()}
    morning = Morning(
        results=results,
        model=bundle.name,
        model_digest=bundle.digest,
        rule=rule.canonical,
        totals={
            "recordings": recordings.num_rows,
            "states": dict(sorted(states.items())),
            "detections": detections.num_rows,
            "shots": sum(night["shots"] for night in nights),
            "hours_listened": round(sum(night["hours listened"] for night in nights), 2),
        },
        nights=nights,
        failures=failures_by_reason(recordings),
        listening=_plain(listening_hours(recordings, time_zones=deployments.time_zones()).to_pylist()),
        drift=[_drift_row(drift) for drift in drifts],
        sentences=drift_sentences(drifts),
        sample=_write_sample(results, _of(results, "candidates", provenance), bundle) if rule.sample else _NO_SAMPLE,
    )
    write_bytes(join(results, "summary.json"), (json.dumps(vars(morning), indent=1) + "\n").encode())
    names = list(nights[0]) if nights else []
    write_bytes(join(results, "nights.csv"), _csv(names, [[row[name] for name in names] for row in nights]))
    return morning


_NO_SAMPLE: Row = {"path": "", "rows": 0, "labelled": 0}


def _of(results: str, kind: Kind, provenance: Provenance) -> pa.Table:
    table = read_table(results, kind)
    is_ours = pc.and_(
        pc.equal(table.column("model_digest"), provenance.model_digest),
        pc.and_(
            pc.equal(table.column("recipe_digest"), provenance.recipe_digest),
            pc.equal(table.column("rule"), provenance.rule),
        ),
    )
    return table.filter(is_ours)


def _training_counts(bundle: Bundle) -> Any:
    rows = bundle.validation_rows()
    return None if rows is None else count_scores(rows.score[rows.label == 0])


def failures_by_reason(recordings: pa.Table) -> list[Row]:
    """Recordings that are not ``ok``, by state and reason.

    Parameters
    ----------
    recordings : pyarrow.Table
        Of the ledger.

    Returns
    -------
    list of dict
        ``state``, ``reason``, ``recordings`` and ``examples``, the first three paths; the most frequent first.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    failed = recordings.filter(pc.not_equal(recordings.column("state"), "ok")).select(["state", "reason", "path"])
    for state, reason, path in zip(*(column.to_pylist() for column in failed.columns), strict=True):
        groups.setdefault((state, reason), []).append(path)
    rows: list[Row] = [
        {"state": state, "reason": reason, "recordings": len(paths), "examples": ", ".join(sorted(paths)[:_EXAMPLES])}
        for (state, reason), paths in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row["recordings"], row["state"], row["reason"]))


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


def _write_sample(results: str, candidates: pa.Table, bundle: Bundle) -> Row:
    """Write the sample to check, unless a person has begun to."""
    uri = sample_uri(results)
    if exists(uri):
        there = list(csv.DictReader(io.StringIO(read_bytes(uri).decode())))
        labelled = sum(bool((row.get("label") or "").strip()) for row in there)
        if labelled or _is_reviewed(results):
            return {"path": uri, "rows": len(there), "labelled": labelled}
    clip = bundle.recipe.clip
    sample = sample_below(candidates, bundle.operating_point.threshold, SAMPLE_ROWS)
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
