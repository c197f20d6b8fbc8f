"""``gunshot results``: what scoring has left, whether it is whole, and how it is kept."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any

import click

from flows.commands.models import model_option
from flows.commands.options import shown

__all__ = ["results"]

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
_uri = click.argument("uri", metavar="RESULTS")


def _finish(content: Any, lines: list[str], as_json: bool) -> None:
    found = dataclasses.asdict(content) if dataclasses.is_dataclass(content) else content
    click.echo(json.dumps(found) if as_json else "\n".join(lines))


@click.group(short_help="Look into the results of scoring, check them, merge them.")
def results() -> None:
    """Look into the results of scoring, check them, or make fewer objects of them.

    \b
    Example:  gunshot results info results
    """  # noqa: D301


@results.command(short_help="Print what results hold: recordings, hours, detections.")
@_uri
@_json
def info(uri: str, as_json: bool) -> None:
    """Print what results hold: recordings by state, hours and detections of each model.

    \b
    Example:  gunshot results info results
    """  # noqa: D301
    from gunshot.scoring.results.checks import results_info

    found = results_info(uri)
    lines = []
    for each in found.models:
        states = " + ".join(f"{count} {state}" for state, count in sorted(each.states.items()))
        lines += [
            f"{each.model} {each.model_digest} (threshold {each.threshold:g}, {each.rule})",
            f"  recordings  {each.states.total()}: {states}",
            f"  listened    {each.listened_s / 3600:,.2f} h",
            f"  detections  {each.n_detections}",
        ]
    objects = ", ".join(f"{count} {kind}" for kind, count in found.n_objects.items())
    lines.append(f"objects: {objects}; {found.n_counting} of the ledger count")
    _finish(found, lines, as_json)


@results.command(short_help="Hold the tables of results against each other.")
@_uri
@click.option("--repair", is_flag=True, help="Forget what is at fault, so that the next run scores it again.")
@_json
def verify(uri: str, repair: bool, as_json: bool) -> None:
    """Hold the tables of results against each other; exit code 1 if they disagree.

    \b
    Example:  gunshot results verify results
              gunshot results verify results --repair && gunshot score ARCHIVE --model field --out results
    """  # noqa: D301
    from gunshot.scoring.results.checks import forget, results_info, verify_results
    from gunshot.storage import lease
    from tasks.progress import progress

    n_removed = 0
    with lease(uri) if repair else contextlib.nullcontext():
        n_recordings = None if repair else sum(each.states.total() for each in results_info(uri).models)
        with progress("verify", n_recordings, "recordings") as advance:
            faults = list(verify_results(uri, advance))
        if repair:
            n_removed = forget(uri, faults)
    content = {"results": uri, "faults": [dataclasses.asdict(fault) for fault in faults], "n_removed": n_removed}
    lines = [f"{fault.name}: {fault.what}" for fault in faults]
    if not faults:
        lines.append(f"{uri} is whole")
    elif repair:
        lines.append(f"{n_removed} objects removed; run gunshot score again")
    else:
        lines.append(f"{len(faults)} faults; --repair removes those objects, and the next run scores them again")
    _finish(content, lines, as_json)
    if faults and not repair:
        raise SystemExit(1)


@results.command(short_help="Merge the many small objects of runs into few large ones.")
@_uri
@_json
@shown
def compact(uri: str, as_json: bool) -> None:
    """Merge the many small objects that runs write into few large ones.

    \b
    Example:  gunshot results compact results
    """  # noqa: D301
    from gunshot.scoring.results.merging import merge_objects
    from gunshot.storage import lease

    with lease(uri) as held:
        done = merge_objects(uri, check=held.check)
    _finish(done, [f"{done.n_before} objects of the ledger are {done.n_after}; {done.n_removed} removed"], as_json)


@results.command(short_help="Make detections at another threshold; reads no recording.")
@_uri
@model_option
@click.option("--operating-point", required=True, metavar="NAME|NUMBER", help="The operating point that is wanted.")
@click.option(
    "--scored-at", metavar="NAME|NUMBER", help="At which the recordings were scored; the model's default if not given."
)
@click.option(
    "--channels", default="mix", show_default=True, metavar="mix|each|N", help="As the recordings were scored."
)
@click.option("--exhaustive", is_flag=True, help="As the recordings were scored.")
@click.option("--keep-candidates", type=float, required=True, metavar="SCORE", help="As the recordings were scored.")
@click.option(
    "--sample", type=float, default=0.0, show_default=True, metavar="P", help="As the recordings were scored."
)
@_json
@shown
def rethreshold(
    uri: str,
    model: str,
    operating_point: str,
    scored_at: str | None,
    keep_candidates: float,
    as_json: bool,
    **rule: Any,
) -> None:
    """Make detections at another operating point from candidates that were kept; no recording is read.

    \b
    Example:  gunshot results rethreshold results --model field --keep-candidates 0.05 --operating-point "10 a day"
    """  # noqa: D301
    from uuid import uuid4

    from gunshot.models.bundle import load_bundle
    from gunshot.scoring.results import write_csv
    from gunshot.scoring.results.rethreshold import rethreshold as run
    from gunshot.scoring.rule import ScoringRule
    from gunshot.storage import lease

    scored_with, bundle = load_bundle(model, scored_at), load_bundle(model, operating_point)
    with lease(uri):
        done = run(uri, scored_with, bundle, ScoringRule(floor=keep_candidates, **rule), run_id=uuid4().hex)
        for kind in ("detections", "recordings"):
            write_csv(uri, kind)
    lines = [
        f"{done.n_recordings} recordings, {done.n_detections} detections at {bundle.operating_point.threshold:g}; "
        f"{done.n_there} were there",
    ]
    _finish(done, lines, as_json)


@results.command(short_help="Join detections of several recorders into incidents.")
@_uri
@click.option("--out", required=True, metavar="CSV", help="Where the table goes.")
@click.option(
    "--temperature-c", type=float, default=20.0, show_default=True, metavar="C", help="Of the air, for the sound's way."
)
@_json
def incidents(uri: str, out: str, temperature_c: float, as_json: bool) -> None:
    """Join detections of several recorders into incidents, and write them as CSV.

    \b
    Example:  gunshot results incidents results --out incidents.csv
    """  # noqa: D301
    from gunshot.scoring.incidents import find_incidents
    from gunshot.scoring.results import read_table
    from gunshot.scoring.results.csvfiles import write_table

    table = find_incidents(read_table(uri, "detections"), temperature_c=temperature_c)
    write_table(table, out)
    n_joined = sum(count > 1 for count in table.column("n_detections").to_pylist())
    content = {"incidents": out, "n_incidents": table.num_rows, "n_joined": n_joined}
    _finish(content, [f"{table.num_rows} incidents, {n_joined} of several detections", f"incidents: {out}"], as_json)


@results.command(short_help="Tell how long each recorder listened, day by day.")
@_uri
@click.option("--model", metavar="DIGEST", help="Of which model, where the results hold several.")
@click.option("--deployments", metavar="CSV", help="Says the time zones of sites; days are UTC without.")
@click.option("--out", metavar="CSV", help="Where the table goes; it is printed if not given.")
@_json
def hours(uri: str, model: str | None, deployments: str | None, out: str | None, as_json: bool) -> None:
    """Tell how long each recorder listened, day by day: "no shots" is not "not listening".

    \b
    Example:  gunshot results hours results
    """  # noqa: D301
    from gunshot.scoring.hours import listening_hours
    from gunshot.scoring.results.csvfiles import table_csv, write_table
    from gunshot.scoring.timestamps import load_deployments

    zones = load_deployments(deployments).time_zones() if deployments else None
    table = listening_hours(_of_one_model(uri, model), time_zones=zones)
    if out is not None:
        write_table(table, out)
    rows = [{name: str(v) if name == "day" and v else v for name, v in row.items()} for row in table.to_pylist()]
    _finish({"hours": rows}, [f"hours: {out}"] if out else table_csv(table).splitlines(), as_json)


def _of_one_model(uri: str, model: str | None) -> Any:
    import pyarrow.compute as pc

    from gunshot.errors import ParameterError
    from gunshot.scoring.results import read_table

    table = read_table(uri, "recordings")
    digests = sorted(set(table.column("model_digest").to_pylist()))
    chosen = [digest for digest in digests if digest.startswith(model or "")]
    if len(chosen) > 1 or (model and not chosen):
        raise ParameterError(f"--model must name one of {', '.join(digests)} in {uri}; got {model or 'none'}")
    if not chosen:
        return table
    table = table.filter(pc.equal(table.column("model_digest"), chosen[0]))
    rules = sorted(set(table.column("rule").to_pylist()))
    return table.filter(pc.equal(table.column("rule"), rules[0]))  # each rule has read the same sound


@results.command(short_help="Estimate the shots below the threshold from a sample.")
@click.argument("table", metavar="SAMPLE.csv")
@_json
def misses(table: str, as_json: bool) -> None:
    """Estimate the shots below the threshold from a sample that a person has labelled.

    \b
    Example:  gunshot results misses results/review/sample.csv
    """  # noqa: D301
    import csv
    import io

    from gunshot.errors import ManifestError
    from gunshot.scoring.sampling import estimated_misses
    from gunshot.storage import read_bytes

    reader = csv.DictReader(io.StringIO(read_bytes(table).decode("utf-8-sig", "replace")))
    if lacking := sorted({"label", "x_inclusion"} - set(reader.fieldnames or ())):
        raise ManifestError(f"{table}: column {lacking[0]!r} is missing; give the sample that gunshot score wrote")
    found = estimated_misses({"label": row["label"], "inclusion": row["x_inclusion"]} for row in reader)
    lines = [
        f"{found.n_shots} shots among {found.n_checked} checked sounds from below the threshold",
        f"about {found.misses:,.0f} shots missed in all that was scored (95%: {found.low:,.0f} to {found.high:,.0f})",
    ]
    _finish(found, lines, as_json)


@results.command()
@_uri
@click.option("--out", required=True, metavar="CSV", help="Where the label table goes.")
@click.option(
    "--hard-negatives",
    "hard",
    type=click.IntRange(1),
    metavar="N",
    help="Only the N sounds with the highest scores that are no gunshots.",
)
@click.option("--archive", metavar="ROOT", help="Where the recordings are now, if they have moved.")
@_json
@shown
def labels(uri: str, out: str, hard: int | None, archive: str | None, as_json: bool) -> None:
    """Make a label table of what people decided in gunshot review.

    \b
    Example:  gunshot results labels results --out labels.csv
              gunshot results labels results --out labels.csv --archive s3://bucket/archive
              gunshot train --store features.zarr --labels labels.csv --out models/next
    """  # noqa: D301
    from gunshot.review.labels import write_label_table

    counts = write_label_table(uri, out, hard=hard, archive=archive)
    _finish(counts, counts.lines(out), as_json)


@results.command(short_help="Tell precision and recall in service, by what was reviewed.")
@_uri
@click.option("--model", metavar="NAME|DIGEST", help="Of which model, where the results hold several.")
@_json
@shown
def service(uri: str, model: str | None, as_json: bool) -> None:
    """Tell precision and recall in service by what people decided in gunshot review, with intervals.

    \b
    Example:  gunshot results service results
    """  # noqa: D301
    from gunshot.review.service import service_figures

    figures = service_figures(uri, model)
    _finish(figures, figures.lines(), as_json)
