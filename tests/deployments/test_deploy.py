"""`gunshot deploy` on a real server: what the file says is there, once, and nothing else of this project."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.clusters.choice import LOCAL_WORKERS
from flows.operations.automations import PREFIX
from flows.operations.server import Server, connect
from flows.operations.specification import SHIPPED_FILE, TAG, load_flow, read_deployments
from gunshot.errors import ParameterError, RunError
from tests.deployments.webhook import listening, save_block

Deploy = Callable[..., dict[str, str]]
CONFIG: dict[str, Any] = yaml.safe_load(SHIPPED_FILE.read_text())


class TestFile:
    def test_every_deployment_has_the_tag_by_which_it_is_removed_and_a_flow(self) -> None:
        for spec in read_deployments(SHIPPED_FILE).deployments:
            assert TAG in spec.tags
            assert load_flow(spec).name in spec.name

    MISTAKES = (
        ({"schedules": [{"slug": "x"}]}, "deployment only: schedules: 0: value error, give cron or interval"),
        ({"schedule": "daily"}, "deployment only: schedule: extra inputs are not permitted"),
        ({"concurrency_limit": {"limit": 0}}, "deployment only: concurrency_limit: limit: "),
        ({"work_pool": None}, "deployment only: work_pool: "),
        ({"entrypoint": "flows.score.score"}, "deployment only: entrypoint: "),
    )

    @pytest.mark.parametrize(("mistake", "line"), MISTAKES, ids=str)
    def test_a_mistake_names_its_place(self, mistake: dict[str, Any], line: str, tmp_path: Path) -> None:
        place = tmp_path / "prefect.yaml"
        one = {"name": "only", "entrypoint": "flows/score.py:score", "work_pool": {"name": "p"}}
        place.write_text(yaml.safe_dump({"name": "x", "deployments": [one | mistake]}))
        with pytest.raises(ParameterError) as raised:
            read_deployments(place)
        assert str(raised.value).startswith(f"{place}: {line}")
        assert "\n" not in str(raised.value)

    def test_a_flow_that_is_not_there_is_a_mistake(self, tmp_path: Path) -> None:
        place = tmp_path / "prefect.yaml"
        one = {"name": "only", "entrypoint": "flows/score.py:sing", "work_pool": {"name": "p"}}
        place.write_text(yaml.safe_dump({"name": "x", "deployments": [one]}))
        with pytest.raises(ParameterError, match=r"deployment only: no flow at flows/score.py:sing"):
            load_flow(read_deployments(place).deployments[0])


class TestVariables:
    ONE: dict[str, Any] = {"name": "only", "entrypoint": "flows/score.py:score", "work_pool": {"name": "p"}}  # noqa: RUF012

    def read(self, tmp_path: Path, **of_it: Any) -> Any:
        place = tmp_path / "prefect.yaml"
        place.write_text(yaml.safe_dump({"name": "x", "deployments": [self.ONE | of_it]}))
        return read_deployments(place).deployments[0]

    def test_they_are_what_the_environment_has(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SITE_BUCKET", "field")
        monkeypatch.setenv("SITE_CRON", "{{ $SITE_BUCKET }} 6 * * *")  # what is put in is not looked at again
        parameters = {"inputs": ["s3://{{ $SITE_BUCKET }}/a", "{{$SITE_BUCKET}}"], "sample": 0.5, "model": "{{ x }}"}
        spec = self.read(tmp_path, parameters=parameters, schedules=[{"cron": "{{ $SITE_CRON }}", "slug": "s"}])
        assert spec.parameters == {"inputs": ["s3://field/a", "field"], "sample": 0.5, "model": "{{ x }}"}
        assert spec.schedules[0].cron == "{{ $SITE_BUCKET }} 6 * * *"

    def test_one_that_is_not_set_is_a_mistake_that_names_its_place(self, tmp_path: Path) -> None:
        with pytest.raises(ParameterError) as raised:
            self.read(tmp_path, parameters={"inputs": ["a", "{{ $NOT_SET_HERE }}"]})
        line = "deployment only: parameters: inputs: 1: NOT_SET_HERE is not set in the environment; export it"
        assert str(raised.value) == f"{tmp_path / 'prefect.yaml'}: {line}"


def test_a_server_that_is_not_there_is_one_line() -> None:
    with connect("http://127.0.0.1:9/api") as server, pytest.raises(RunError, match=r"does not answer.*is it running"):
        server.ask("GET", "/health")


@pytest.fixture
def server(prefect_server: None) -> Iterator[Server]:
    with connect() as server:
        yield server


@pytest.fixture
def deployed(server: Server, tmp_path: Path) -> Deploy:
    """Applies a configuration; what became of each thing."""
    from flows.operations.deploy import deploy

    def apply(config: dict[str, Any] = CONFIG, **options: Any) -> dict[str, str]:
        place = tmp_path / "prefect.yaml"
        place.write_text(yaml.safe_dump(config))
        changes = deploy(server, read_deployments(place), folder=tmp_path, **options)
        return {f"{change.kind} {change.name}": change.done for change in changes}

    return apply


def _with(name: str, **changed: Any) -> dict[str, Any]:
    deployments = [each | changed if each["name"] == name else each for each in CONFIG["deployments"]]
    return CONFIG | {"deployments": deployments}


@pytest.fixture
def webhook(server: Server) -> Iterator[list[bytes]]:
    """What is sent to a block `custom-webhook/ops`."""
    with listening() as (url, got):
        save_block(url)
        yield got


@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestServer:
    def test_again_changes_nothing_and_the_schedule_makes_runs(self, server: Server, deployed: Deploy) -> None:
        deployed()
        again = deployed()
        assert set(again.values()) == {"unchanged"}
        assert {f"deployment {each['name']}" for each in CONFIG["deployments"]} < set(again)
        held = server.ask("GET", "/deployments/name/score/score-nightly")
        assert held["global_concurrency_limit"]["limit"] == 1
        assert held["concurrency_options"]["collision_strategy"] == "ENQUEUE"
        assert held["parameters"] == next(
            each["parameters"] for each in CONFIG["deployments"] if each["name"] == "score-nightly"
        )
        # Prefect's scheduler with a newer SQLAlchemy than its own tests know inserts no runs at all
        server.ask("POST", f"/deployments/{held['id']}/schedule", {"min_runs": 3})
        runs = server.all_of("flow_runs", {"deployments": {"id": {"any_": [held["id"]]}}})
        assert [run["state_name"] for run in runs if run["auto_scheduled"]]

    def test_what_is_changed_is_changed_and_what_is_gone_is_removed(self, server: Server, deployed: Deploy) -> None:
        deployed()
        other = {"name": "mine", "flow_id": server.ask("POST", "/flows/", {"name": "other"})["id"], "tags": ["mine"]}
        server.ask("POST", "/deployments/", other)
        done = deployed(_with("demo", description="Another.", parameters={"out": "d"}))
        assert {name for name, what in done.items() if what != "unchanged"} == {"deployment demo"}
        less = CONFIG | {"deployments": [each for each in CONFIG["deployments"] if each["name"] != "demo"]}
        done = deployed(less)
        assert {name: what for name, what in done.items() if what != "unchanged"} == {"deployment demo": "removed"}
        names = {held["name"] for held in server.all_of("deployments")}
        assert "mine" in names
        assert "demo" not in names

    def test_a_schedule_that_somebody_paused_stays_paused(self, server: Server, deployed: Deploy) -> None:
        deployed()
        held = server.ask("GET", "/deployments/name/score/score-nightly")
        (schedule,) = held["schedules"]
        server.ask("PATCH", f"/deployments/{held['id']}/schedules/{schedule['id']}", {"active": False})
        assert set(deployed().values()) == {"unchanged"}
        assert deployed(_with("score-nightly", description="New."))["deployment score-nightly"] == "changed"
        (schedule,) = server.ask("GET", f"/deployments/{held['id']}")["schedules"]
        assert not schedule["active"]
        deployed()

    def test_workers_of_the_machine_are_no_parameter_that_a_run_has_to_take_back(
        self, server: Server, deployed: Deploy
    ) -> None:
        given = {"inputs": ["a"], "model": "field", "out": "r", "workers": 4}
        deployed(_with("score-backfill", parameters=given), workers=1)
        for name in ("score-nightly", "score-backfill", "preprocess"):
            held = server.ask("GET", f"/deployments/name/{name.partition('-')[0]}/{name}")
            assert held["job_variables"]["env"] == {LOCAL_WORKERS: "1"}
            assert "workers" not in held["parameters"]
        assert "env" not in server.ask("GET", "/deployments/name/evaluate/evaluate")["job_variables"]
        assert set(deployed(_with("score-backfill", parameters=given), workers=1).values()) == {"unchanged"}
        deployed()
        assert "env" not in server.ask("GET", "/deployments/name/score/score-nightly")["job_variables"]

    def test_parameters_that_do_not_fit_change_nothing(self, server: Server, deployed: Deploy) -> None:
        deployed()
        before = server.ask("GET", "/deployments/name/score/score-nightly")["updated"]
        with pytest.raises(ParameterError, match="deployment score-nightly: its parameters do not fit"):
            deployed(_with("score-nightly", description="New.", parameters={"inputs": [], "model": "m", "out": "r"}))
        assert server.ask("GET", "/deployments/name/score/score-nightly")["updated"] == before

    def test_the_form_refuses_a_bad_value_before_there_is_a_run(self, server: Server, deployed: Deploy) -> None:
        deployed()
        held = server.ask("GET", "/deployments/name/train/train")
        n_before = server.ask("POST", "/flow_runs/count", {})
        with pytest.raises(RunError, match="epochs"):
            server.ask("POST", f"/deployments/{held['id']}/create_flow_run", {"parameters": {"epochs": 0}})
        assert server.ask("POST", "/flow_runs/count", {}) == n_before

    def test_whom_runs_are_told_to_is_kept_until_it_is_taken_back(
        self, server: Server, deployed: Deploy, webhook: list[bytes]
    ) -> None:
        done = deployed(notify="custom-webhook/ops")
        told = {f"automation {kind} runs" for kind in ("failed", "crashed", "late")}
        assert {done[name] for name in told} <= {"created", "changed"}
        for notify, what in ((None, "unchanged"), ("custom-webhook/ops", "unchanged"), ("", "removed")):
            done = deployed(notify=notify)
            assert {done[name] for name in told} == {what}
        names = {held["name"] for held in server.all_of("automations")}
        assert f"{PREFIX}runs without a sign of life" in names
        with pytest.raises(ParameterError, match="no such block"):
            deployed(notify="slack-webhook/none")

    def test_a_run_that_fails_is_told(self, server: Server, deployed: Deploy, webhook: list[bytes]) -> None:
        from time import monotonic, sleep

        deployed(notify="custom-webhook/ops")
        try:
            held = server.ask("GET", "/deployments/name/demo/demo")
            run = server.ask("POST", f"/deployments/{held['id']}/create_flow_run", {"state": {"type": "PENDING"}})
            state = {"type": "FAILED", "message": "the bucket is gone"}
            ends = monotonic() + 900
            while not webhook and monotonic() < ends:  # the server takes a moment to learn of new automations
                server.ask("POST", f"/flow_runs/{run['id']}/set_state", {"state": {"type": "RUNNING"}, "force": True})
                server.ask("POST", f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
                for _ in range(10):
                    sleep(1)
                    if webhook:
                        break
            assert webhook
            assert "the bucket is gone" in json.loads(webhook[0])["text"]
            assert run["name"] in json.loads(webhook[0])["text"]
        finally:
            deployed(notify="")
