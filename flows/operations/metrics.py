"""What Prometheus is told of results and runs: numbers as they are when they are asked for.

Conventions
-----------
All are gauges but one thing: none of them is counted in this process, so each is what the ledger and the server say at
the moment, and falls when results are removed. Names carry their unit. What cannot be read is absent, and
``gunshot_source_up`` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flows.operations.server import connect
from flows.operations.specification import TAG
from gunshot.errors import GunshotError
from gunshot.scoring.results import endings

__all__ = ["METRICS", "GunshotCollector"]

METRICS = {
    "gunshot_recordings": ("Recordings in the ledger.", ["results", "state"]),
    "gunshot_listened_seconds": ("Sound that was read.", ["results"]),
    "gunshot_detections": ("Detections in the ledger.", ["results"]),
    "gunshot_newest_recording_timestamp_seconds": ("Start of the newest recording.", ["results"]),
    "gunshot_lag_seconds": ("Time since the newest recording began.", ["results"]),
    "gunshot_runs": ("Runs of deployments of this project.", ["flow", "state"]),
    "gunshot_runs_waiting": ("Runs that should have begun and have not.", ["flow"]),
    "gunshot_last_completed_timestamp_seconds": ("End of the newest run that was completed.", ["flow"]),
    "gunshot_last_run_seconds": ("How long that run took.", ["flow"]),
    "gunshot_source_up": ("Whether results, or the Prefect server, could be read: 1 or 0.", ["source"]),
}
"""Every metric: what it is, and its labels."""

_COLUMNS = ("state", "read_s", "n_detections", "start_utc")
_WAITING = ("Late", "Pending", "AwaitingConcurrencySlot", "AwaitingRetry")


class GunshotCollector(Collector):
    """Reads ledgers and the server whenever it is asked.

    Parameters
    ----------
    results : iterable of str
        Results of scoring.
    server : str or None
        API of the Prefect server; None leaves the runs out.
    """

    def __init__(self, results: Iterable[str], server: str | None) -> None:
        self._results = tuple(results)
        self._server = server

    def describe(self) -> Iterator[Metric]:
        """All metrics without values: a registry asks for them before there is anything to read."""
        yield from _families().values()

    def collect(self) -> Iterator[Metric]:
        """All metrics as they are now."""
        families = _families()
        for uri in self._results:
            _read(families, uri, lambda uri=uri: _add_results(families, uri))
        if self._server is not None:
            _read(families, "prefect", lambda: _add_runs(families, self._server))
        yield from families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    return {name: GaugeMetricFamily(name, about, labels=labels) for name, (about, labels) in METRICS.items()}


def _read(families: dict[str, GaugeMetricFamily], source: str, add: Any) -> None:
    try:
        add()
        up = 1
    except (GunshotError, OSError):
        up = 0
    families["gunshot_source_up"].add_metric([source], up)


def _add_results(families: dict[str, GaugeMetricFamily], uri: str) -> None:
    import pyarrow.compute as pc

    states: Counter[str] = Counter()
    listened_s, n_detections, newest = 0.0, 0, None
    for _, table in endings(uri, _COLUMNS):
        states.update(table.column("state").to_pylist())
        listened_s += pc.sum(table.column("read_s")).as_py() or 0.0
        n_detections += pc.sum(table.column("n_detections")).as_py() or 0
        start = pc.max(table.column("start_utc")).as_py()
        newest = max(filter(None, (newest, start)), default=None)
    for state, count in sorted(states.items()):
        families["gunshot_recordings"].add_metric([uri, state], count)
    families["gunshot_listened_seconds"].add_metric([uri], listened_s)
    families["gunshot_detections"].add_metric([uri], n_detections)
    if newest is not None:
        families["gunshot_newest_recording_timestamp_seconds"].add_metric([uri], newest.timestamp())
        lag_s = (datetime.now(UTC) - newest).total_seconds()
        families["gunshot_lag_seconds"].add_metric([uri], lag_s)


def _add_runs(families: dict[str, GaugeMetricFamily], address: str | None) -> None:
    with connect(address) as server:
        names = {flow["id"]: flow["name"] for flow in server.all_of("flows")}
        of_this_project = {"deployments": {"tags": {"all_": [TAG]}}}
        runs = [run for run in server.all_of("flow_runs", of_this_project) if not _is_to_come(run)]
    counts = Counter((names[run["flow_id"]], run["state_name"]) for run in runs)
    for (flow, state), count in sorted(counts.items()):
        families["gunshot_runs"].add_metric([flow, state], count)
    for flow in sorted({names[run["flow_id"]] for run in runs}):
        waiting = sum(counts[flow, state] for state in _WAITING)
        families["gunshot_runs_waiting"].add_metric([flow], waiting)
        done = [run for run in runs if names[run["flow_id"]] == flow and run["state_type"] == "COMPLETED"]
        if done:
            last = max(done, key=lambda run: run["end_time"])
            ended = datetime.fromisoformat(last["end_time"])
            families["gunshot_last_completed_timestamp_seconds"].add_metric([flow], ended.timestamp())
            families["gunshot_last_run_seconds"].add_metric([flow], last["total_run_time"])


def _is_to_come(run: dict[str, Any]) -> bool:
    return bool(run["state_name"] == "Scheduled")
