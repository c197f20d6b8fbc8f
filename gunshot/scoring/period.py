"""Recordings of a period, told before anything of them is read.

Conventions
-----------
A recording belongs to the period in which it starts, as far as its name and the table of deployments tell; what its
header says is not known before it is read. One whose start is not known so belongs to every period: it is scored rather
than forgotten, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from gunshot.errors import ParameterError
from gunshot.scoring.targets import Targets
from gunshot.scoring.timestamps import Deployments, recording_start
from gunshot.scoring.timestamps.deployments import NO_DEPLOYMENTS

__all__ = ["Period", "in_period"]


@dataclass(frozen=True, slots=True)
class Period:
    """Recordings of a period.

    Attributes
    ----------
    targets : Targets
        Those that start in it, and those of which it is not known.
    n_outside : int
        Recordings that start outside of it.
    n_unknown : int
        Of `targets`, those without a known start.
    """

    targets: Targets
    n_outside: int = 0
    n_unknown: int = 0


def in_period(
    targets: Targets,
    since: datetime | None,
    until: datetime | None,
    deployments: Deployments = NO_DEPLOYMENTS,
) -> Period:
    """Recordings that start in a period.

    Parameters
    ----------
    targets : Targets
        All that were listed.
    since, until : datetime or None
        From `since` on and before `until`; None is open, and a time without an offset is UTC.
    deployments : Deployments
        Where recorders stood, and how their clocks ran.

    Returns
    -------
    Period
        In the same order; all of them where both ends are open.

    Raises
    ------
    ParameterError
        If the period ends before it begins.
    """
    if since is None and until is None:
        return Period(targets)
    first, last = _utc(since), _utc(until)
    if first is not None and last is not None and last <= first:
        raise ParameterError(f"--until must be after --since = {first.isoformat()}; got {last.isoformat()}")
    rows, n_unknown = [], 0
    for row, path in enumerate(targets.table.column("path").to_pylist()):
        start = recording_start(path, deployments=deployments).utc
        n_unknown += start is None
        if start is None or ((first is None or start >= first) and (last is None or start < last)):
            rows.append(row)
    kept = targets.table.take(pa.array(np.array(rows, dtype=np.int64))).combine_chunks()
    return Period(Targets(kept, targets.n_left, targets.folder), len(targets) - len(rows), n_unknown)


def _utc(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
