"""What an evaluation writes: ``metrics.json`` and ``predictions.parquet``."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gunshot.evaluate.bundles import Evaluation
from gunshot.storage import join, write_bytes

__all__ = ["model_names", "write_evaluations"]


def model_names(evaluations: Sequence[Evaluation]) -> list[str]:
    """Name models so that two of one kind stay two.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        One a model.

    Returns
    -------
    list of str
        The bundle's name, or its name and digest where several bundles have that name; in the order given.
    """
    digests = {(item.bundle.name, item.bundle.digest) for item in evaluations}
    n_of_name = Counter(name for name, _ in digests)
    return [
        f"{item.bundle.name} {item.bundle.digest}" if n_of_name[item.bundle.name] > 1 else item.bundle.name
        for item in evaluations
    ]


def write_evaluations(out: str, evaluations: Sequence[Evaluation], default: str) -> dict[str, Any]:
    """Write ``metrics.json`` and ``predictions.parquet``.

    Parameters
    ----------
    out : str
        The folder.
    evaluations : sequence of Evaluation
        One a model.
    default : str
        Name of the model that is used unless another is asked for (`model_names`).

    Returns
    -------
    dict
        The content of ``metrics.json``.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    # the same bundle given twice is one model
    named = dict(zip(model_names(evaluations), evaluations, strict=True))
    metrics: dict[str, Any] = {
        "default": default,
        "synthetic": any(evaluation.is_synthetic for evaluation in evaluations),
        "models": {name: evaluation.as_dict() for name, evaluation in named.items()},
    }
    buffer = io.BytesIO()
    table = pa.concat_tables([_predictions(evaluation, name) for name, evaluation in named.items()])
    pq.write_table(table, buffer, compression="zstd")
    write_bytes(join(out, "predictions.parquet"), buffer.getvalue())
    write_bytes(join(out, "metrics.json"), json.dumps(metrics, indent=1).encode())
    return metrics


def _predictions(evaluation: Evaluation, name: str) -> pa.Table:
    table = evaluation.predictions
    if name == evaluation.bundle.name:
        return table
    return table.set_column(table.column_names.index("model"), "model", pa.array([name] * table.num_rows))
