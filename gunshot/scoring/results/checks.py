"""Results looked into, and held against themselves.

Conventions
-----------
Objects are read one after the other and recordings known by their keys, so the memory does not grow with the
detections. What a fault costs is scoring a batch again: to repair is to forget the batch, and the next run scores it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from gunshot.errors import StorageError, TransientStorageError
from gunshot.scoring.keys import KEY, Keys, Provenance
from gunshot.scoring.results.merging import remove_replaced
from gunshot.scoring.results.objects import address, listed, read_object, snapshot
from gunshot.scoring.results.schemas import KINDS
from gunshot.scoring.results.tries import endings, is_judged
from gunshot.storage import delete

__all__ = ["Fault", "ModelCounts", "ResultsInfo", "forget", "results_info", "verify_results"]

_MODEL = ("model", "model_digest", "recipe_digest", "threshold", "rule")
_GROUP = ("uri", "model_digest", "recipe_digest", "rule")


@dataclass(slots=True)
class ModelCounts:
    """What a model has scored.

    Attributes
    ----------
    model, model_digest, recipe_digest, rule : str
        With what.
    threshold : float
        From which score on a clip counts.
    states : dict
        Recordings by state.
    listened_s : float
        Sound read [s].
    n_detections : int
        In all of them.
    """

    model: str
    model_digest: str
    recipe_digest: str
    threshold: float
    rule: str
    states: Counter[str] = field(default_factory=Counter)
    listened_s: float = 0.0
    n_detections: int = 0


@dataclass(frozen=True, slots=True)
class ResultsInfo:
    """What results hold.

    Attributes
    ----------
    results : str
        Where they are.
    models : tuple of ModelCounts
        By name and digest.
    n_objects : dict
        Objects by table, those that do not count among them.
    n_counting : int
        Objects of the ledger that count.
    """

    results: str
    models: tuple[ModelCounts, ...]
    n_objects: dict[str, int]
    n_counting: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it must be.

    Attributes
    ----------
    name : str
        The batch.
    what : str
        One line.
    """

    name: str
    what: str


def results_info(results: str) -> ResultsInfo:
    """Sum up what results hold.

    Parameters
    ----------
    results : str
        Where the tables are.

    Returns
    -------
    ResultsInfo
        By model.

    Raises
    ------
    StorageError
        If there are none, or they cannot be read.
    """
    models: dict[tuple[Any, ...], ModelCounts] = {}
    columns = [*_MODEL, "state", "read_s", "n_detections"]
    for _, table in endings(results, columns):
        sums = table.group_by([*_MODEL, "state"]).aggregate(
            [("state", "count"), ("read_s", "sum"), ("n_detections", "sum")]
        )
        for row in sums.to_pylist():
            counts = models.setdefault(key := tuple(row[name] for name in _MODEL), ModelCounts(*key))
            counts.states[row["state"]] += row["state_count"]
            counts.listened_s += row["read_s_sum"]
            counts.n_detections += row["n_detections_sum"]
    n_objects: dict[str, int] = {kind: len(listed(results, kind)) for kind in KINDS}
    if not n_objects["recordings"]:
        raise StorageError(f"no results at {results}: it holds no recordings/*.parquet; check the address")
    ordered = tuple(models[key] for key in sorted(models))
    return ResultsInfo(results, ordered, n_objects, len(snapshot(results).live))


def verify_results(results: str, advance: Callable[[int], None] = lambda _: None) -> Iterator[Fault]:
    """Hold the tables against each other.

    Parameters
    ----------
    results : str
        Where the tables are.
    advance : callable
        Is told how many recordings were looked at.

    Yields
    ------
    Fault
        Objects that cannot be read or have other columns; batches whose detections are not as many as their recordings
        say; recordings that are done twice; objects that do not count, left by runs that were killed.

    Raises
    ------
    TransientStorageError
        If the store does not answer.
    """
    now = snapshot(results)
    there = {kind: set(listed(results, kind)) for kind in KINDS}
    keys: list[Keys] = []
    owners: list[str] = []
    for name in now.live:
        try:
            ledger = read_object(results, "recordings", name)
            fault = _disagreement(results, name, ledger, there)
        except TransientStorageError:
            raise
        except StorageError as error:
            yield Fault(name, str(error))
            continue
        if fault:
            yield Fault(name, fault)
        keys.append(_done_keys(ledger))
        owners.append(name)
        advance(ledger.num_rows)
    yield from _twice(keys, owners)
    for kind in KINDS:
        for name in sorted(there[kind] - set(now.live)):
            why = "replaced by a merged object" if name in now.replaced else "no rows in the ledger: a run was killed"
            yield Fault(name, f"{kind}/{name}.parquet is left over: {why}")


def _disagreement(results: str, name: str, ledger: pa.Table, there: dict[Any, set[str]]) -> str:
    """How a batch's tables disagree; empty where they agree."""
    if name not in there["detections"]:
        return f"detections/{name}.parquet is not there"
    rules = ledger.column("rule").unique().to_pylist()
    has_candidates = any("floor=" in rule or "sample=" in rule for rule in rules)
    if has_candidates and name not in there["candidates"]:
        return f"candidates/{name}.parquet is not there"
    if has_candidates:
        read_object(results, "candidates", name)
    said = _counts(ledger, [("n_detections", "sum")])
    found = _counts(read_object(results, "detections", name), [("uri", "count")])
    for key in sorted(said.keys() | found.keys()):
        if said.get(key, 0) != found.get(key, 0):
            return f"{key[0]}: {said.get(key, 0)} detections by the ledger, {found.get(key, 0)} in the table"
    return ""


def _counts(table: pa.Table, what: list[tuple[str, str]]) -> dict[tuple[str, ...], int]:
    """A number for each recording and what it was scored with; all contents of a file together."""
    rows = table.group_by(list(_GROUP)).aggregate(what).to_pylist()
    name = "_".join(what[0])
    return {tuple(row[part] for part in _GROUP): row[name] for row in rows}


def _done_keys(ledger: pa.Table) -> Keys:
    """Keys of what is judged in an object, by whatever models; what a try has failed on may be there again."""
    done = ledger.filter(is_judged(ledger)).select(["uri", "etag", "model_digest", "recipe_digest", "rule"])
    found = [
        Provenance(model, recipe, rule).keys([uri], [etag])
        for uri, etag, model, recipe, rule in zip(*(column.to_pylist() for column in done.columns), strict=True)
    ]
    return np.concatenate([np.empty(0, dtype=KEY), *found])


def _twice(keys: list[Keys], owners: list[str]) -> Iterator[Fault]:
    """Recordings that are done in two objects, or twice in one."""
    if not keys:
        return
    everything = np.concatenate(keys)
    owner = np.repeat(np.arange(len(keys)), [part.size for part in keys])
    order = np.argsort(everything, kind="stable")
    is_same = everything[order[1:]] == everything[order[:-1]]
    pairs = Counter(zip(owner[order[1:]][is_same].tolist(), owner[order[:-1]][is_same].tolist(), strict=True))
    for (later, earlier), count in sorted(pairs.items()):
        yield Fault(owners[later], f"{count} of its recordings are done in {owners[earlier]} too")


def forget(results: str, faults: Sequence[Fault]) -> int:
    """Remove what is at fault, so that the next run scores it again; whoever calls holds the lease.

    Parameters
    ----------
    results : str
        Where the tables are.
    faults : sequence of Fault
        From :func:`verify_results`.

    Returns
    -------
    int
        Objects that were removed.

    Raises
    ------
    StorageError
        If one cannot be removed.
    """
    # what a merged object has replaced goes before it, or would count again; then the ledger's, without which the
    # others count for nothing
    n_removed = remove_replaced(results)
    for kind in reversed(KINDS):
        there = listed(results, kind)
        for name in sorted({fault.name for fault in faults} & set(there)):
            delete(address(results, kind, name))
            n_removed += 1
    return n_removed
