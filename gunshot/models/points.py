"""The operating points of a bundle, and the rows they were chosen on.

Conventions
-----------
Each point has its own digest, of weights, recipe, calibration and threshold: another threshold is another model to the
ledger. A point that a bundle does not hold is chosen when it is asked for, on the validation rows that lie beside the
weights in ``validation.parquet``: label, score and group, no sound.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gunshot.errors import BundleError, ParameterError
from gunshot.evaluation.calibration import Calibration
from gunshot.evaluation.choice import ScoredRows, choose_point
from gunshot.evaluation.operating_point import OperatingPoint
from gunshot.evaluation.rules import parse_rule
from gunshot.recipe import Recipe

__all__ = ["ROWS_NAME", "find_point", "point_digest", "read_points", "read_rows", "rows_table"]

ROWS_NAME = "validation.parquet"
"""Name of the validation rows in a bundle."""


def point_digest(weights: bytes, recipe: Recipe, calibration: Calibration, threshold: float) -> str:
    """Return the digest of a model at a threshold.

    Parameters
    ----------
    weights : bytes
        The trained weights.
    recipe : Recipe
        The clips it reads.
    calibration : Calibration
        From its scores to probabilities.
    threshold : float
        In [0, 1].

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    rest = f"{recipe.digest}{json.dumps(calibration.as_dict(), sort_keys=True)}{threshold!r}"
    return hashlib.sha256(weights + rest.encode()).hexdigest()[:16]


def rows_table(rows: ScoredRows) -> bytes:
    """Write validation rows as Parquet.

    Parameters
    ----------
    rows : ScoredRows
        Rows that trained nothing.

    Returns
    -------
    bytes
        Columns ``label`` (int8), ``score`` (float32) and ``group`` (text, null where groups tell nothing).
    """
    group = pa.nulls(len(rows.label), pa.string()) if rows.group is None else pa.array(rows.group, pa.string())
    columns = {"label": pa.array(rows.label, pa.int8()), "score": pa.array(rows.score, pa.float32()), "group": group}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata({"split": rows.split}), buffer, compression="zstd")
    return buffer.getvalue()


def read_rows(content: bytes) -> ScoredRows:
    """Read back what `rows_table` wrote.

    Parameters
    ----------
    content : bytes
        Of ``validation.parquet``.

    Returns
    -------
    ScoredRows
        As they were written.

    Raises
    ------
    ValueError
        If it is not such a table.
    """
    table = pq.read_table(io.BytesIO(content), columns=["label", "score", "group"])
    group = table.column("group").to_pylist()
    return ScoredRows(
        np.asarray(table.column("label").to_numpy(), dtype=np.int8),
        np.asarray(table.column("score").to_numpy(), dtype=np.float32),
        None if None in group else tuple(group),
        (table.schema.metadata or {})[b"split"].decode(),
    )


def read_points(details: Mapping[str, Any]) -> tuple[tuple[OperatingPoint, ...], OperatingPoint]:
    """Read the points of ``model.json``.

    Parameters
    ----------
    details : mapping
        The whole of it.

    Returns
    -------
    points : tuple of OperatingPoint
        All.
    default : OperatingPoint
        The one named by ``default``.

    Raises
    ------
    ValueError, KeyError, TypeError
        If they cannot be.
    """
    points = tuple(OperatingPoint.from_dict(figures) for figures in details["operating_points"])
    names = [point.name for point in points]
    if len(set(names)) != len(names):
        raise ValueError(f"two operating points of one name among {', '.join(names)}")
    if details["default"] not in names:
        raise ValueError(f"default {details['default']!r} is none of the operating points {', '.join(names)}")
    return points, points[names.index(details["default"])]


def find_point(points: Sequence[OperatingPoint], rows: ScoredRows | None, text: str, uri: str) -> OperatingPoint:
    """Find the operating point that a user asks for, or choose it.

    Parameters
    ----------
    points : sequence of OperatingPoint
        Those of the bundle.
    rows : ScoredRows or None
        Its validation rows.
    text : str
        A name, a rule of `gunshot.evaluation.rules`, or a threshold.
    uri : str
        The bundle, for messages.

    Returns
    -------
    OperatingPoint
        One of `points`, or a new one.

    Raises
    ------
    ParameterError
        If the text is neither a name nor a rule.
    BundleError
        If it is not there and there are no rows to choose it on.
    """
    held = {point.name: point for point in points}
    if text in held:
        return held[text]
    try:
        rule = parse_rule(text)
    except ParameterError as error:
        raise ParameterError(f"{error}; {uri} holds {_quoted(held)}") from error
    if rule.name in held:
        return held[rule.name]
    if rows is None:
        raise BundleError(f"{uri}: no rows to choose operating point {rule.name!r} on; it holds {_quoted(held)}")
    return choose_point(rows, rule)


def _quoted(names: Mapping[str, OperatingPoint]) -> str:
    return ", ".join(repr(name) for name in names)
