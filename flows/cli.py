"""The command line: a thin face over the flows.

Conventions
-----------
Nothing heavy is imported before a command runs: ``gunshot --help`` needs click alone. Progress goes to the error
stream, the summary (or with ``--json`` one JSON object) to the output. Exit codes: 0 done, 1 the run failed, 2 bad
usage or bad input.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from flows.commands.adapt import adapt
from flows.commands.completion import complete_paths, completion
from flows.commands.datasets import datasets
from flows.commands.deploy import deploy
from flows.commands.doctor import doctor
from flows.commands.export import export
from flows.commands.metrics import metrics
from flows.commands.models import model_option, models, registry_option
from flows.commands.options import (
    AUDIO_HELP,
    cluster_options,
    failed_option,
    finish,
    inputs_argument,
    json_option,
    labels_option,
    said_failures,
    said_states,
)
from flows.commands.peers import peers
from flows.commands.report import report
from flows.commands.reproduce import reproduce
from flows.commands.results import results
from flows.commands.review import review
from flows.commands.score import score
from flows.commands.store import store
from flows.commands.synthesize import synthesize
from flows.commands.up import up
from gunshot import __version__
from gunshot.errors import (
    DatasetError,
    GunshotError,
    LeaseError,
    RunError,
    StorageError,
    StoreDamagedError,
)

__all__ = ["cli", "main"]

_RUN_FAILED: tuple[type[GunshotError], ...] = (
    RunError,
    StorageError,
    DatasetError,
    LeaseError,
    StoreDamagedError,
)

_ENVIRONMENT = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the flows print their own lines
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "DO_NOT_TRACK": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def main() -> None:
    """Run a command; a user's mistake is one line and an exit code, never a traceback."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        cli.main(prog_name="gunshot", standalone_mode=False)
    except click.ClickException as error:
        _show(error)
        sys.exit(2)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except GunshotError as error:
        click.echo(f"gunshot: {error}", err=True)
        sys.exit(1 if isinstance(error, _RUN_FAILED) else 2)
    except OSError as error:  # a disk that is full, a folder that may not be written
        click.echo(f"gunshot: {error}", err=True)
        sys.exit(1)


def _show(error: click.ClickException) -> None:
    """One line like those of our own errors, and where to read more; a group without a command shows its help."""
    message = error.format_message()
    if "\n" in message:
        error.show()
        return
    context = error.ctx if isinstance(error, click.UsageError) else None
    more = f"; see '{context.command_path} --help'" if context else ""
    click.echo(f"gunshot: {message.rstrip('.')}{more}", err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gunshot")
def cli() -> None:
    """Find gunshots in large sound archives.

    \b
    A first look:     gunshot demo
    Your recordings:  gunshot score ARCHIVE --model field --out results
                      gunshot review results
    Your own model:   gunshot preprocess FOLDER --labels labels.csv --store features.zarr
                      gunshot train --store features.zarr --out model
                      gunshot score ARCHIVE --model model --out results
    Keys that help:   gunshot completion --help
    """  # noqa: D301  (click reads the backspace: keep these lines as they are)


@cli.command()
@click.option("--out", default="demo", show_default=True, metavar="DIR", help="Where everything goes.")
@click.option(
    "--audio", metavar="DIR", help="Labelled recordings (a folder with labels.csv) instead of synthetic sound."
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="The same seed gives the same.")
@cluster_options
@json_option
def demo(as_json: bool, **parameters: Any) -> None:
    """Run the whole pipeline on a small corpus and write a report.

    \b
    Example:  gunshot demo --out demo
    """  # noqa: D301
    from flows.demo import demo as run

    summary = run(**parameters)
    finish(summary, [*summary.lines(), f"report: {summary.report}"], as_json)


@cli.command(epilog=AUDIO_HELP)
@inputs_argument
@click.option("--out", required=True, metavar="FILE.parquet", help="Where the manifest goes.")
@labels_option
@json_option
def manifest(inputs: tuple[str, ...], out: str, labels: str | None, as_json: bool) -> None:
    """List recordings and their labels as one table.

    \b
    Example:  gunshot manifest recordings/ --out manifest.parquet
    """  # noqa: D301
    from gunshot.manifest.sources import build_manifest
    from gunshot.manifest.table import counts_table, dataset_table, manifest_digest, write_manifest
    from tasks.progress import briefly, to_place

    with briefly("manifest", None, "files") as advance:
        table = build_manifest(list(inputs), labels=labels, progress=to_place(advance))
    write_manifest(table, out)
    summary = {"manifest": out, "n_rows": table.num_rows, "digest": manifest_digest(table)}
    finish(summary, [dataset_table(table), "", counts_table(table), f"manifest: {out}"], as_json)


@cli.command(epilog=AUDIO_HELP, short_help="Cut clips from recordings into a store of features.")
@inputs_argument
@click.option("--store", required=True, metavar="URI", help="The feature store.")
@labels_option
@click.option("--recipe", metavar="TOML", help="Feature configuration; the default one if not given.")
@cluster_options
@failed_option
@click.option(
    "--file-limit-s", type=float, default=300.0, show_default=True, metavar="S", help="Longest time for one recording."
)
@click.option("--plan", "only_plan", is_flag=True, help="Say what a run would do, and do nothing.")
@json_option
def preprocess(inputs: tuple[str, ...], only_plan: bool, as_json: bool, **parameters: Any) -> None:
    """Cut clips from recordings and write them with their features into a store; a rerun does only what is missing.

    \b
    Example:  gunshot preprocess recordings/ --labels labels.csv --store features.zarr
              gunshot preprocess s3://bucket/recordings --store s3://bucket/features.zarr --plan
    """  # noqa: D301
    if only_plan:
        from gunshot.preprocess.plan import plan_preprocess

        names = ("store", "labels", "recipe", "workers")
        plan = plan_preprocess(list(inputs), **{name: parameters[name] for name in names})
        finish(plan, plan.lines(), as_json)
        return
    from flows.preprocess import preprocess as run

    summary = run(inputs=list(inputs), **parameters)
    lines = [
        f"{summary.n_rows} rows = {said_states(summary.states)}; {summary.n_computed} computed now",
        *said_failures(summary.failures),
        f"store: {summary.store}",
    ]
    finish(summary, lines, as_json)


@cli.command()
@click.option("--store", required=True, metavar="URI", help="The feature store.")
@click.option(
    "--model", default="small-cnn", show_default=True, metavar="NAME", help="Or logistic, paper-cnn, field-cnn."
)
@click.option("--out", required=True, metavar="DIR", help="The bundle's folder.")
@click.option(
    "--labels", metavar="CSV|RESULTS", help="Clips to train on too: a label table, or results that were reviewed."
)
@click.option("--archive", metavar="ROOT", help="Where the recordings that were reviewed are now, if they have moved.")
@click.option(
    "--champion",
    metavar="MODEL",
    help="The model in use: groups that it has met keep their split; tells shots won and lost against it.",
)
@registry_option
@click.option(
    "--split",
    type=click.Choice(["group", "random"]),
    default="group",
    show_default=True,
    help="Whole groups are divided into training, validation and test, or row by row.",
)
@click.option(
    "--assign", multiple=True, metavar="GLOB=SPLIT", help="Place rows by path: train, validation, test or unseen."
)
@click.option("--augment", type=click.Choice(["none", "paper", "field"]), help="The model's own if not given.")
@click.option("--epochs", type=int, metavar="N", help="Passes over the training rows; the model's own if not given.")
@click.option("--patience", type=int, metavar="N", help="Stop after N epochs without a lower validation loss.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="The same seed gives the same.")
@click.option(
    "--operating-point",
    metavar="NAME|NUMBER",
    help="What the threshold keeps to: 'miss 1%', '10 a day', 'fpr 0.2%' (the default), or a threshold.",
)
@click.option("--max-fpr", type=float, metavar="RATE", help="Short for --operating-point 'fpr RATE'.")
@cluster_options
@json_option
def train(
    assign: tuple[str, ...], champion: str | None, registry: str | None, as_json: bool, **parameters: Any
) -> None:
    """Train a model on a store, and on labels beside it.

    \b
    Example:  gunshot train --store features.zarr --model field-cnn --out models/mine
              gunshot train --store features.zarr --labels results --champion models/mine --out models/next
              gunshot train --store features.zarr --labels results --archive s3://bucket/archive --out models/next
    """  # noqa: D301
    from flows.train import train as run
    from gunshot.models.registry import resolve_model

    if champion is not None:
        champion = resolve_model(champion, registry)
    summary = run(assign=list(assign), champion=champion, **parameters)
    finish(summary.as_dict(), summary.lines(), as_json)


@cli.command(short_help="Measure a model on a store's held-out rows; writes a report.")
@click.option("--store", required=True, metavar="URI", help="The feature store.")
@model_option
@click.option("--out", required=True, metavar="DIR", help="Where metrics.json, predictions.parquet and report.html go.")
@click.option(
    "--candidates-per-hour",
    type=click.FloatRange(min=0, min_open=True),
    default=1300.0,
    show_default=True,
    metavar="N",
    help="Candidates that a recorder brings, for the false alarms a day.",
)
@click.option(
    "--shots-per-day",
    type=click.FloatRange(min=0),
    multiple=True,
    metavar="N",
    help="True shots a day for which the precision is told; may be given again. [default: 1, 10, 100]",
)
@json_option
def evaluate(
    store: str, model: str, out: str, candidates_per_hour: float, shots_per_day: tuple[float, ...], as_json: bool
) -> None:
    """Evaluate a model on a store's held-out rows and write a report.

    \b
    Example:  gunshot evaluate --store features.zarr --model models/mine --out evaluation
    """  # noqa: D301
    from flows.evaluate import evaluate as run
    from flows.evaluate import figures

    metrics = run(
        store=store, models=[model], out=out, candidates_per_hour=candidates_per_hour,
        shots_per_day=list(shots_per_day) or None,
    )  # fmt: skip
    finish(metrics, [*figures(metrics), f"report: {out}/report.html"], as_json)


_COMMANDS = (
    score, synthesize, datasets, store, results, reproduce, models, peers, adapt, export, review, report, up, deploy,
    doctor, metrics, completion,
)  # fmt: skip
for group in _COMMANDS:
    cli.add_command(group)
complete_paths(cli)
