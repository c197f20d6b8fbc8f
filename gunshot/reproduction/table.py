"""Finished cells gathered: accuracy over seeds, confusion matrices, the paper's figures, and leakage as a number.

Conventions
-----------
A *line* is a cell without its seed: its runs are the seeds. Spread is the sample standard deviation over the runs
(``ddof=1``), None for one run. *Leakage* is the mean accuracy of the random split less that of the split by group: what
a model seems to gain by having heard the test recordings in training.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from gunshot import __version__
from gunshot.augment.chain import AugmentRule
from gunshot.evaluation.intervals import exact_interval
from gunshot.models.catalogue import model_rule
from gunshot.reproduction.cells import Cell, cell_uri, read_cell
from gunshot.reproduction.page import html_page, markdown_page
from gunshot.reproduction.paper import THRESHOLD, paper_figure
from gunshot.storage import join, write_bytes
from gunshot.store.read import FeatureStore, open_store
from gunshot.synthetic.corpus import SOURCE

__all__ = ["gather", "missing_cells", "write_table"]

Json = dict[str, Any]


def missing_cells(store: FeatureStore, out: str, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Cells that are not finished.

    Parameters
    ----------
    store : FeatureStore
        The store.
    out : str
        The reproduction's folder.
    cells : sequence of Cell
        The plan.

    Returns
    -------
    tuple of Cell
        In the plan's order.
    """
    return tuple(cell for cell in cells if read_cell(cell_uri(store, out, cell)) is None)


def gather(store: FeatureStore, cells: Sequence[Cell], found: Sequence[Mapping[str, Any]]) -> Json:
    """Make the content of ``table.json``.

    Parameters
    ----------
    store : FeatureStore
        The store.
    cells : sequence of Cell
        The plan.
    found : sequence of mapping
        Figures of each cell, in the same order.

    Returns
    -------
    dict
        Plain data: what was done, a line a model, data, split and number of epochs, and leakage.
    """
    runs: defaultdict[tuple[str, str, str, int | None], list[Mapping[str, Any]]] = defaultdict(list)
    for cell, figures in zip(cells, found, strict=True):
        runs[cell.model, cell.data, cell.split, cell.epochs].append(figures)
    lines = [_line(*key, figures) for key, figures in runs.items()]
    rows = store.column("source")
    return {
        "kind": found[0]["set"]["kind"],
        "synthetic": SOURCE in rows,
        "store": {
            "uri": store.header.uri,
            "manifest_digest": store.header.manifest_digest,
            "recipe_digest": store.recipe.digest,
        },
        "version": __version__,
        "seeds": sorted({cell.seed for cell in cells}),
        "threshold": THRESHOLD,
        "noise_snr_db": AugmentRule(kind="paper").snr_db,
        "rules": {name: asdict(model_rule(name)) for name in sorted({cell.model for cell in cells})},
        "sets": {str(it["cell"]["seed"]): it["set"] for it in found},
        "lines": lines,
        "leakage": _leakage(lines),
        "elapsed_s": round(sum(it["elapsed_s"] for it in found), 1),
    }


def _line(model: str, data: str, split: str, epochs: int | None, figures: Sequence[Mapping[str, Any]]) -> Json:
    accuracies = [it["metrics"]["accuracy"] for it in figures]
    total = {name: sum(it["metrics"]["confusion"][name] for it in figures) for name in ("tn", "fp", "fn", "tp")}
    paper = paper_figure(model, data, epochs)
    return {
        "model": model,
        "data": data,
        "split": split,
        "epochs": epochs,
        "paper": None
        if paper is None
        else {"accuracy": list(paper.accuracy), "printed": paper.printed, "confusion": paper.confusion},
        "accuracy": {
            "mean": float(np.mean(accuracies)),
            "spread": float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None,
            "least": min(accuracies),
            "most": max(accuracies),
            "interval": exact_interval(total["tn"] + total["tp"], sum(total.values())),
        },
        "confusion": total,
        "runs": [
            {
                "seed": it["cell"]["seed"],
                "accuracy": it["metrics"]["accuracy"],
                "roc_auc": it["metrics"]["roc_auc"],
                "confusion": it["metrics"]["confusion"],
                **it["rows"],
            }
            for it in figures
        ],
    }


def _leakage(lines: Sequence[Json]) -> list[Json]:
    """Random less grouped, for every model and kind of training rows."""
    mean = {(it["model"], it["data"], it["epochs"], it["split"]): it["accuracy"]["mean"] for it in lines}
    return [
        {
            "model": model,
            "data": data,
            "epochs": epochs,
            "random": value,
            "group": mean[model, data, epochs, "group"],
            "leakage": value - mean[model, data, epochs, "group"],
        }
        for (model, data, epochs, split), value in mean.items()
        if split == "random" and (model, data, epochs, "group") in mean
    ]


def write_table(store_uri: str, out: str, cells: Sequence[Cell]) -> Json:
    """Write ``table.json``, ``table.md`` and ``table.html`` from finished cells.

    Parameters
    ----------
    store_uri, out : str
        The committed store and the reproduction's folder.
    cells : sequence of Cell
        The plan; all finished.

    Returns
    -------
    dict
        The content of ``table.json``.

    Raises
    ------
    ValueError
        If a cell is not finished.
    StorageError
        If they cannot be written.
    """
    store = open_store(store_uri)
    found = [read_cell(cell_uri(store, out, cell)) for cell in cells]
    missing = [cell.name for cell, figures in zip(cells, found, strict=True) if figures is None]
    if missing:
        raise ValueError(f"{len(missing)} cells are not finished, such as {missing[0]}")
    table = gather(store, cells, [figures for figures in found if figures is not None])
    write_bytes(join(out, "table.json"), json.dumps(table, indent=1).encode())
    write_bytes(join(out, "table.md"), markdown_page(table).encode())
    write_bytes(join(out, "table.html"), html_page(table).encode())
    return table
