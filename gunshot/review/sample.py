"""The random sample from below the threshold, as scoring wrote it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from gunshot.errors import StorageError
from gunshot.storage import is_remote, join, read_bytes

__all__ = ["absolute", "read_sample", "sample_uri"]

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


def absolute(uri: str) -> str:
    """An address that holds in any folder.

    Parameters
    ----------
    uri : str
        As it was scored.

    Returns
    -------
    str
        An absolute path, or the URI as it is.
    """
    return uri if is_remote(uri) else str(Path(uri).absolute())
