"""Recordings that are not ``ok``, by state and reason."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Failures", "failures_by_reason"]

_EXAMPLES = 3

Row = dict[str, Any]


class Failures:
    """Recordings that are not ``ok``, of tables that come in parts, in any order."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._examples: dict[tuple[str, str], list[str]] = {}

    def add(self, recordings: pa.Table) -> None:
        """Count those of a table.

        Parameters
        ----------
        recordings : pyarrow.Table
            Of the ledger, with ``state``, ``reason`` and ``path``.
        """
        failed = recordings.filter(pc.not_equal(recordings.column("state"), "ok")).select(["state", "reason", "path"])
        for state, reason, path in zip(*(column.to_pylist() for column in failed.columns), strict=True):
            key = (state, reason)
            self._counts[key] = self._counts.get(key, 0) + 1
            self._examples[key] = sorted([*self._examples.get(key, []), path])[:_EXAMPLES]

    def rows(self) -> list[Row]:
        """Sum up.

        Returns
        -------
        list of dict
            ``state``, ``reason``, ``recordings`` and ``examples``, the first three paths; the most frequent first.
        """
        rows: list[Row] = [
            {
                "state": state,
                "reason": reason,
                "recordings": count,
                "examples": ", ".join(self._examples[state, reason]),
            }
            for (state, reason), count in self._counts.items()
        ]
        return sorted(rows, key=lambda row: (-row["recordings"], row["state"], row["reason"]))


def failures_by_reason(recordings: pa.Table) -> list[Row]:
    """Recordings that are not ``ok``, by state and reason.

    Parameters
    ----------
    recordings : pyarrow.Table
        Of the ledger.

    Returns
    -------
    list of dict
        From `Failures.rows`.
    """
    failures = Failures()
    failures.add(recordings)
    return failures.rows()
