"""Forms, `gunshot doctor`, `gunshot metrics` and the mistakes of `gunshot up`: what needs no server of its own."""

from __future__ import annotations

import importlib
import json
import os
import re
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.utilities.callables import parameter_schema
from prometheus_client.parser import text_string_to_metric_families

from flows.forms import LONGEST_S, FlowParameters
from flows.operations.doctor import examine
from flows.operations.metrics import METRICS
from flows.operations.up import Place, Stopped, ended_well
from gunshot.errors import LeaseError, ManifestError, ParameterError
from gunshot.scoring.results.tables import write_batch
from gunshot.storage import lease

Gunshot = Callable[..., Any]
FLOWS = ("preprocess", "train", "adapt", "evaluate", "reproduce", "score", "demo")
ROOT = Path(__file__).resolve().parents[2]


def flow_of(name: str) -> Any:
    return getattr(importlib.import_module(f"flows.{name}"), name)


class TestForms:
    @pytest.mark.parametrize("name", FLOWS)
    def test_the_form_is_the_model(self, name: str) -> None:
        flow = flow_of(name)
        model: type[FlowParameters] = flow.fn.parameters
        schema = parameter_schema(flow)
        assert list(schema.properties) == list(model.model_fields)
        own = model.model_json_schema()["properties"]
        for field, about in schema.properties.items():
            assert about["description"].endswith(".")
            for bound in (
                "default",
                "minimum",
                "maximum",
                "exclusiveMinimum",
                "exclusiveMaximum",
                "pattern",
                "minItems",
            ):
                assert about.get(bound) == own[field].get(bound), (field, bound)
        assert set(schema.required) == {field for field, about in model.model_fields.items() if about.is_required()}

    @pytest.mark.parametrize("name", FLOWS)
    def test_every_flow_ends_some_day_and_names_its_runs(self, name: str) -> None:
        flow = flow_of(name)
        assert flow.timeout_seconds == LONGEST_S
        assert callable(flow.flow_run_name)

    MISTAKES = (
        ("train", {"store": "s", "out": "o", "epochs": 0}, "--epochs must be 1 or more; got 0"),
        ("train", {"store": "s", "out": "o", "seed": -1}, "--seed must be 0 or more, below 2^32; got -1"),
        (
            "train",
            {"store": "s", "out": "o", "split": "x"},
            "--split is not right: input should be 'group' or 'random'",
        ),
        ("score", {"inputs": [], "model": "m", "out": "o"}, "--inputs is not right: list should have at least 1 item"),
        ("score", {"inputs": ["a"], "model": "m", "out": "o", "wait_s": -1}, "--wait-s must be 0 s or more; got -1"),
        (
            "evaluate",
            {"store": "s", "models": ["m"], "out": "o", "candidates_per_hour": 0},
            "must be more than 0; got 0",
        ),
    )

    @pytest.mark.parametrize(("name", "given", "line"), MISTAKES, ids=str)
    def test_a_call_with_a_bad_value_is_refused_before_there_is_a_run(
        self, name: str, given: dict[str, Any], line: str
    ) -> None:
        with pytest.raises(ParameterError) as raised:
            flow_of(name)(**given)  # no server is started for it
        assert line in str(raised.value)
        assert "\n" not in str(raised.value)


class TestLog:
    """What a run's log shows of an error that says what to do."""

    @staticmethod
    def fail(tmp_path: Path) -> BaseException:
        nowhere = str(tmp_path / "nowhere")
        with disable_run_logger(), pytest.raises(ManifestError, match="nowhere: it does not exist") as raised:
            flow_of("score").fn(inputs=[nowhere], model="field", out=str(tmp_path / "out"), plan=True)
        return raised.value

    def test_of_a_deployment_it_is_the_line_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "7")
        error = self.fail(tmp_path)
        shown = "".join(traceback.format_exception(error))
        assert shown.count("Traceback") == 1
        assert "list_files" not in shown

    def test_who_calls_it_in_python_sees_where_it_comes_from(self, tmp_path: Path) -> None:
        shown = "".join(traceback.format_exception(self.fail(tmp_path)))
        assert shown.count("Traceback") > 1
        assert "list_files" in shown


class TestLease:
    def test_who_waits_gets_it_when_it_is_given_back(self, tmp_path: Path) -> None:
        said: list[str] = []
        began = threading.Event()

        def hold() -> None:
            with lease(str(tmp_path), length_s=2.0):
                began.set()
                released.wait(120)

        released = threading.Event()
        holder = threading.Thread(target=hold)
        holder.start()
        began.wait(120)

        def told(line: str) -> None:
            said.append(line)
            released.set()  # it is told while the other holds it

        with lease(str(tmp_path), length_s=2.0, wait_s=600.0, say=told) as held:
            held.check()
        holder.join()
        assert len(said) == 1
        assert "is being written by process" in said[0]

    def test_the_time_is_over_some_day(self, tmp_path: Path) -> None:
        with (
            lease(str(tmp_path), length_s=2.0),
            pytest.raises(LeaseError),
            lease(str(tmp_path), length_s=2.0, wait_s=0.5),
        ):
            pass


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two recordings in the ledger, one of them unreadable."""
    head = {"uri": "/a", "size": 1, "etag": "1", "reason": "", "sr": 12_000, "n_channels": 1, "duration_s": 1.0}
    sound = {"silent_s": 0.0, "clipped_s": 0.0, "n_candidates": 7, "score_counts": [7] + [0] * 19, "run_id": ""}
    place = {"site": "", "recorder": "", "latitude": None, "longitude": None, "time_uncertainty_s": None}
    model = {"threshold": 0.5, "model": "m", "model_digest": "1", "recipe_digest": "2", "rule": "r"}
    shared = head | sound | place | model | {"time_source": "not known", "start_utc": None}
    good = {"path": "a.wav", "state": "ok", "read_s": 3600.0, "n_detections": 2}
    bad = {"path": "b.wav", "state": "unreadable", "read_s": 0.0, "n_detections": 0}
    recordings = [shared | good | {"start_utc": datetime(2026, 11, 22, tzinfo=UTC)}, shared | bad]
    out = tmp_path / "results"
    write_batch(str(out), "one", [], recordings)
    return out


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither the environment names one nor Prefect's settings, as they do once a test of this process has had one."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        yield


class TestMetrics:
    def test_the_ledger_is_told(self, results: Path, gunshot: Gunshot, tmp_path: Path, no_server: None) -> None:
        place = tmp_path / "gunshot.prom"
        ended = gunshot("metrics", "--results", results, "--results", tmp_path / "none", "--textfile", place)
        assert ended.code == 0, ended.err
        found = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(place.read_text())
            for sample in family.samples
        }
        assert found["gunshot_recordings", str(results), "ok"] == 1
        assert found["gunshot_recordings", str(results), "unreadable"] == 1
        assert found["gunshot_listened_seconds", str(results)] == 3600
        assert found["gunshot_detections", str(results)] == 2
        assert found["gunshot_lag_seconds", str(results)] > 0
        assert found["gunshot_source_up", str(results)] == 1

    def test_nothing_to_tell_of_is_a_mistake(self, gunshot: Gunshot, no_server: None) -> None:
        ended = gunshot("metrics")
        assert ended.code == 2
        assert ended.err.startswith("gunshot: nothing to tell of: give --results URI")

    def test_the_dashboard_asks_for_metrics_that_exist(self) -> None:
        dashboard = json.loads((ROOT / "deployments" / "grafana" / "gunshot.json").read_text())
        queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        queries += [each["query"] for each in dashboard["templating"]["list"]]
        named = {name for query in queries for name in re.findall(r"gunshot_\w+", query)}
        assert named <= set(METRICS)
        assert all(re.search(r"gunshot_\w+", panel["targets"][0]["expr"]) for panel in dashboard["panels"])
        labels = {label for query in queries for label in re.findall(r"(\w+)=~", query)}
        assert labels <= {label for _, of in METRICS.values() for label in of}


class TestDoctor:
    def test_what_is_at_fault_is_told_with_a_remedy(self, gunshot: Gunshot, tmp_path: Path, no_server: None) -> None:
        missing = tmp_path / "none"
        ended = gunshot("doctor", missing, "--model", tmp_path / "no-model", "--json")
        assert ended.code == 1
        found = json.loads(ended.out)
        faults = {each["what"]: each for each in found["findings"] if each["state"] == "fault"}
        assert {str(missing), "model"} <= set(faults)
        assert found["faults"] == len(faults)
        assert all(each["remedy"] for each in faults.values())
        assert {"Python", "memory", "disk", "Prefect server"} <= {each["what"] for each in found["findings"]}

    def test_a_server_that_is_not_there_is_a_fault(self, gunshot: Gunshot, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
        ended = gunshot("doctor", "--model", "no-model")
        assert ended.code == 1
        assert re.search(r"^fault +Prefect server +http://127.0.0.1:9/api does not answer.*gunshot up", ended.out, re.M)

    def test_another_version_no_worker_and_another_clock_are_told_with_what_to_do(self) -> None:
        with HTTPServer(("127.0.0.1", 0), _OldServer) as http:
            threading.Thread(target=http.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{http.server_port}/api"
            found = {each.what: each for each in examine([], model="no-model", server=address, scheduler=None)}
            http.shutdown()
        server, pool, clock = (found[what] for what in ("Prefect server", "work pool", "clock"))
        assert (server.state, server.remedy) == ("warning", "use one version on both sides")
        assert "has version 0.1, here is " in server.said
        assert (pool.state, pool.said) == ("warning", "gunshot has no worker that is online")
        assert "prefect worker start --pool gunshot" in pool.remedy
        assert (clock.state, clock.remedy) == ("fault", "set it by NTP")
        assert abs(float(clock.said.split()[0].replace(",", "")) - 7200) < 60

    def test_little_memory_and_disk_are_told(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        for name in ("_FEW_MEMORY_BYTES", "_FEW_FREE_BYTES", "_LEAST_FREE_BYTES"):
            monkeypatch.setattr(f"flows.operations.doctor.{name}", 10**18)  # more than any machine has
        monkeypatch.chdir(tmp_path)
        found = {each.what: each for each in examine([], model="no-model", server=None, scheduler=None)}
        assert (found["memory"].state, found["disk"].state) == ("warning", "fault")
        assert "--workers 1" in found["memory"].remedy
        assert "Disk full" in found["disk"].remedy

    def test_a_server_that_asks_for_a_password_is_no_server_that_is_not_there(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PREFECT_API_AUTH_STRING", raising=False)
        monkeypatch.setattr(_OldServer, "code", 401)
        with HTTPServer(("127.0.0.1", 0), _OldServer) as http:
            threading.Thread(target=http.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{http.server_port}/api"
            found = list(examine([], model="no-model", server=address, scheduler=None))
            http.shutdown()
        (server,) = [each for each in found if each.what == "Prefect server"]
        assert server.state == "fault"
        assert "asks for a password" in server.said
        assert server.remedy.startswith("set PREFECT_API_AUTH_STRING")


class _OldServer(BaseHTTPRequestHandler):
    """A Prefect server of another version, two hours late, with a work pool without workers."""

    code = 200

    def do_GET(self) -> None:
        self._answer("0.1" if self.path.endswith("/version") else True)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer([{"name": "gone", "status": "OFFLINE"}])

    def _answer(self, content: Any) -> None:
        self.send_response(self.code)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(time.time() - 7200, usegmt=True)

    def log_message(self, *_: Any) -> None:
        pass


class TestUpMistakes:
    def test_a_port_that_is_taken(self, gunshot: Gunshot, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            ended = gunshot("up", "--home", tmp_path / "home", "--port", port)
        assert ended.code == 2
        assert ended.err == (
            f"gunshot: --port {port} is taken on 127.0.0.1; stop what listens there, or give another --port\n"
        )

    def test_a_home_that_cannot_be(self, gunshot: Gunshot, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        ended = gunshot("up", "--home", tmp_path / "file" / "home")
        assert ended.code == 2
        assert ended.err.startswith(f"gunshot: --home {tmp_path}/file/home cannot be written: Not a directory; give a")

    def test_a_home_that_another_one_uses(self, gunshot: Gunshot, tmp_path: Path) -> None:
        import fcntl

        with (tmp_path / "up.lock").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(str(os.getpid()))
            file.flush()
            ended = gunshot("up", "--home", tmp_path)
        assert ended.code == 2
        assert f"is in use by process {os.getpid()}; stop that 'gunshot up'" in ended.err

    def test_only_loopback_is_not_told_of(self) -> None:
        assert all(Place(Path(), host).is_loopback for host in ("127.0.0.1", "::1", "localhost", "127.3.2.1"))
        assert not any(Place(Path(), host).is_loopback for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"))

    def test_exit_codes(self) -> None:
        assert (ended_well(Stopped(2)), ended_well(Stopped(15))) == (130, 0)


def test_metrics_are_served_on_loopback(results: Path) -> None:
    from prometheus_client import CollectorRegistry, start_http_server

    from flows.operations.metrics import GunshotCollector

    registry = CollectorRegistry()
    registry.register(GunshotCollector([str(results)], None))
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        told = httpx.get(f"http://127.0.0.1:{server.server_port}/metrics", timeout=180).text
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert f'gunshot_detections{{results="{results}"}} 2.0' in told


class TestLogs:
    @pytest.mark.slow
    def test_lines_for_machines_say_what_was_done_to_what(
        self, gunshot: Gunshot, write_noise: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        prefect_server: None,
    ) -> None:  # fmt: skip
        write_noise(tmp_path / "a" / "one.wav")
        (tmp_path / "a" / "bad.wav").write_bytes(b"no sound")
        monkeypatch.setenv("GUNSHOT_LOG_FORMAT", "json")
        words = ("score", tmp_path / "a", "--model", "field", "--out", tmp_path / "r", "--workers", "0")
        ended = gunshot(*words, "--max-failed-fraction", "1")
        assert ended.code == 0, ended.err
        lines = [json.loads(line) for line in ended.err.splitlines() if line.startswith("{")]
        (failed,) = [line for line in lines if line["event"] == "recording-failed"]
        assert failed["recording"] == "bad.wav"
        assert failed["state"] == "unreadable"
        assert failed["run"].startswith("score ")
        batches = [line for line in lines if line["event"] == "batch-scored"]
        assert sum(sum(line["states"].values()) for line in batches) == 2
        assert all(line["partition"] and line["run_id"] == failed["run_id"] for line in batches)
