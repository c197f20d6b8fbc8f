"""The table of the random sample from below the threshold: where it is, and how it is read.

Conventions
-----------
``review/sample.csv`` beside the tables of results is a label table; `gunshot.scoring.morning` writes it, people and
`gunshot.review` read it. Score and inclusion begin with ``x_``: they are no columns of a label table.
"""

from __future__ import annotations

import csv
import io
from typing import Any

from gunshot.errors import StorageError
from gunshot.storage import join, read_bytes

__all__ = ["SAMPLE_COLUMNS", "read_sample", "sample_uri"]

SAMPLE_COLUMNS = ("path", "start_s", "end_s", "label", "x_score", "x_inclusion")
"""Of the table, in their order."""

Row = dict[str, Any]


def sample_uri(results: str) -> str:
    """Where the sample from below the threshold is.

    Parameters
    ----------
    results : str
        The results.

    Returns
    -------
    str
        Its address.
    """
    return join(results, "review/sample.csv")


def read_sample(results: str) -> list[Row]:
    """Read the sample from below the threshold.

    Parameters
    ----------
    results : str
        Where the tables are.

    Returns
    -------
    list of dict
        ``path``, ``start_s``, ``end_s``, ``label``, ``score`` and ``inclusion``, in the order drawn.

    Raises
    ------
    StorageError
        If there is none, or it is not what scoring wrote.
    """
    uri = sample_uri(results)
    try:
        return [
            {
                "path": row["path"].removeprefix("'"), "start_s": float(row["start_s"]), "end_s": float(row["end_s"]),
                "label": (row["label"] or "").strip(), "score": float(row["x_score"]),
                "inclusion": float(row["x_inclusion"]),
            }
            for row in csv.DictReader(io.StringIO(read_bytes(uri).decode("utf-8-sig"), newline=""))
        ]  # fmt: skip
    except (KeyError, ValueError, TypeError) as error:
        raise StorageError(f"{uri} is not the sample that gunshot score wrote ({error}); move it away") from error
