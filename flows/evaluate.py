"""The flow from a store and trained bundles to figures and a report."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import flow

from gunshot.evaluate import write_evaluations
from gunshot.reporting import ReportInputs, write_up
from gunshot.storage import join, write_bytes
from tasks import artifacts
from tasks.evaluate import evaluate_models

__all__ = ["evaluate", "figures"]


@flow(name="evaluate", flow_run_name="evaluate {models}")
def evaluate(store: str, models: list[str], out: str) -> dict[str, Any]:
    """Evaluate bundles on the rows of a store that they were not trained on.

    Parameters
    ----------
    store : str
        The committed store.
    models : list of str
        Bundles; the first is the default.
    out : str
        Where ``metrics.json``, ``predictions.parquet`` and ``report.html`` go.

    Returns
    -------
    dict
        The content of ``metrics.json``.
    """
    evaluations = evaluate_models(store, models)
    default = evaluations[0].bundle.name
    metrics = write_evaluations(out, evaluations, default)
    page = write_up(
        ReportInputs(
            title=f"Evaluation of {default}",
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            store=store,
            evaluations=evaluations,
            default=default,
            command=f"gunshot evaluate --store {store} --model {models[0]} --out {out}",
            seed=evaluations[0].bundle.details["training"]["seed"],
        )
    )
    write_bytes(join(out, "report.html"), page.encode())
    artifacts.markdown("evaluation", "\n\n".join(figures(metrics)), "Held-out figures")
    return metrics


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
    if metrics["synthetic"]:
        lines.append("synthetic sound: no figure here is accuracy on real recordings")
    return lines


def _rate(value: float | None) -> str:
    return "  -   " if value is None else f"{value:.4f}"
