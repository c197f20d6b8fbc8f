"""The flow from a store and trained bundles to figures and a report."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from flows.forms import FlowParameters, checked_flow, field, run_name
from gunshot.evaluate import model_names, write_evaluations
from gunshot.evaluation.rates import DEFAULT_CANDIDATES_PER_HOUR, DEFAULT_SHOTS_PER_DAY
from gunshot.evaluation.reported import BaseRates
from gunshot.models.registry import resolve_model
from gunshot.reporting import ReportInputs
from gunshot.storage import join, write_bytes
from tasks import artifacts
from tasks.evaluate import draw_report, evaluate_models

__all__ = ["EvaluateParameters", "evaluate", "figures"]


class EvaluateParameters(FlowParameters):
    """Parameters of `evaluate`."""

    store: str = field("The committed feature store.", min_length=1)
    models: list[str] = field("Bundles; the first is the default.", min_length=1)
    out: str = field("Where metrics.json, predictions.parquet and report.html go.", min_length=1)
    candidates_per_hour: float = field(
        "Candidates that one recorder brings, for the false alarms a day [1/h].",
        default=DEFAULT_CANDIDATES_PER_HOUR,
        gt=0,
    )
    shots_per_day: list[Annotated[float, Field(ge=0)]] | None = field(
        "True shots a recorder-day for which the precision is told [1/day]; 1, 10 and 100 if empty.", default=None
    )


@checked_flow(name="evaluate", flow_run_name=run_name("evaluate", "models"))
def evaluate(given: EvaluateParameters) -> dict[str, Any]:
    """Evaluate bundles on the rows of a store that they were not trained on.

    Parameters
    ----------
    given : EvaluateParameters
        The flow's parameters.

    Returns
    -------
    dict
        The content of ``metrics.json``.
    """
    store, out = given.store, given.out
    models = [resolve_model(model) for model in given.models]
    base_rates = BaseRates(given.candidates_per_hour, tuple(given.shots_per_day or DEFAULT_SHOTS_PER_DAY))
    evaluations = evaluate_models(store, models, base_rates)
    default = model_names(evaluations)[0]
    metrics = write_evaluations(out, evaluations, default)
    page = draw_report(
        ReportInputs(
            title=f"Evaluation of {default}",
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            store=store,
            evaluations=evaluations,
            default=default,
            command=_command(store, models[0], out, base_rates),
            seed=evaluations[0].bundle.details["training"]["seed"],
        )
    )
    write_bytes(join(out, "report.html"), page.encode())
    artifacts.link("evaluation-report", join(out, "report.html"), "The report: figures, plots, mistakes")
    artifacts.markdown("evaluation", "\n\n".join(figures(metrics)), "Held-out figures")
    return metrics


def _command(store: str, model: str, out: str, base_rates: BaseRates) -> str:
    """The command that does it again; what is as it is by default is left out."""
    command = f"gunshot evaluate --store {store} --model {model} --out {out}"
    if base_rates.candidates_per_hour != DEFAULT_CANDIDATES_PER_HOUR:
        command += f" --candidates-per-hour {base_rates.candidates_per_hour:g}"
    if base_rates.shots_per_day != DEFAULT_SHOTS_PER_DAY:
        command += "".join(f" --shots-per-day {shots:g}" for shots in base_rates.shots_per_day)
    return command


def figures(metrics: dict[str, Any]) -> list[str]:
    """The key figures as lines for a person.

    Parameters
    ----------
    metrics : dict
        The content of ``metrics.json``.

    Returns
    -------
    list of str
        A line a model and split.
    """
    lines = []
    for name, splits in metrics["models"].items():
        for split in ("test", "unseen"):
            if split in splits:
                found = splits[split]
                lines.append(
                    f"{name:<10} {split:<7} {found['n']:>6} clips  accuracy {_rate(found['accuracy'])}  "
                    f"recall {_rate(found['recall'])}  false alarms {_rate(found['fpr'])}  missed {_rate(found['fnr'])}"
                )
                lines += _recorder_day(name, split, splits)
    if metrics["synthetic"]:
        lines.append("synthetic sound: no figure here is accuracy on real recordings")
    return lines


def _recorder_day(name: str, split: str, model: dict[str, Any]) -> list[str]:
    day = model.get("figures", {}).get(split, {}).get("recorder_day")
    if day is None or day["false_alarms_per_day"] is None:
        return []
    low, high = day["interval"]
    return [
        f"{name:<10} {split:<7} a recorder-day at {day['candidates_per_hour']:,.0f} candidates an hour: "
        f"{day['false_alarms_per_day']:,.0f} false alarms (95%: {low:,.0f} to {high:,.0f})"
    ]


def _rate(value: float | None) -> str:
    return "  -   " if value is None else f"{value:.4f}"
