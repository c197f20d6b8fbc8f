"""The Kubernetes profile against the schemas of the operator and of Kubernetes; there is none here to run it on."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution, entry_points
from pathlib import Path
from time import sleep
from types import SimpleNamespace
from typing import Any

import jsonschema
import pydantic
import pytest
import yaml
from distributed import Client

from flows.cluster import open_cluster
from flows.clusters.kubernetes import cluster_resource
from flows.clusters.profiles import KubernetesProfile
from flows.clusters.workers import ONE_THREAD
from gunshot.errors import RunError

PROFILES: dict[str, dict[str, Any]] = {
    "smallest": {"workers": 3},
    "adaptive": {"adaptive": {"minimum": 2, "maximum": 40}},
    "everything": {
        "workers": 12,
        "namespace": "sound",
        "name": "night",
        "worker": {"cpu": "500m", "memory": "3Gi"},
        "scheduler": {"cpu": "2", "memory": "8Gi"},
        "idle_timeout_s": 900,
        "env": {"AWS_ENDPOINT_URL": "http://s3:8333", "OMP_NUM_THREADS": "9"},
        "secrets": ["bucket", "more"],
        "service_account": "listener",
    },
}


def resource(name: str) -> dict[str, Any]:
    profile = KubernetesProfile.model_validate({"kind": "kubernetes", "image": "gunshot:1"} | PROFILES[name])
    return cluster_resource(profile, "gunshot-1234")


def container(name: str, role: str) -> dict[str, Any]:
    found: dict[str, Any] = resource(name)["spec"][role]["spec"]["containers"][0]
    return found


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return published_schema("daskcluster")


def published_schema(kind: str) -> dict[str, Any]:
    """What Kubernetes checks such a thing by, and more: a key that it would drop without a word is an error here."""
    files = distribution("dask-kubernetes").files or []
    (path,) = [Path(str(file.locate())) for file in files if str(file).endswith(f"crds/{kind}.yaml")]
    (version,) = yaml.safe_load(path.read_text())["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    # what Kubernetes knows by itself of everything
    found["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    return _closed(found)


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(item) for key, item in node.items()}
    if isinstance(node.get("properties"), dict) and "additionalProperties" not in node:
        closed["additionalProperties"] = bool(node.get("x-kubernetes-preserve-unknown-fields"))
    return closed


class TestResource:
    @pytest.mark.parametrize("name", PROFILES)
    def test_it_is_what_the_operator_takes(self, name: str, schema: dict[str, Any]) -> None:
        jsonschema.validate(resource(name), schema)

    def test_the_schema_sees_a_key_that_is_not_kubernetes(self, schema: dict[str, Any]) -> None:
        wrong = resource("smallest")
        wrong["spec"]["worker"]["spec"]["containers"][0]["envfrom"] = []
        with pytest.raises(jsonschema.ValidationError, match="envfrom"):
            jsonschema.validate(wrong, schema)

    def test_numbers_and_sizes_are_the_profiles(self) -> None:
        assert resource("smallest")["spec"]["worker"]["replicas"] == 3
        assert resource("adaptive")["spec"]["worker"]["replicas"] == 2
        assert resource("everything")["spec"]["idleTimeout"] == 900
        worker, scheduler = ({"cpu": "500m", "memory": "3Gi"}, {"cpu": "2", "memory": "8Gi"})
        assert container("everything", "worker")["resources"] == {"requests": worker, "limits": worker}
        assert container("everything", "scheduler")["resources"] == {"requests": scheduler, "limits": scheduler}
        assert {container("everything", role)["image"] for role in ("worker", "scheduler")} == {"gunshot:1"}

    @pytest.mark.parametrize("role", ["worker", "scheduler"])
    def test_the_images_entry_point_is_not_run(self, role: str) -> None:
        found = container("smallest", role)
        assert found["command"] == ["dask", role]
        assert "dask" not in " ".join(found["args"]).lower().replace("$(dask_worker_name)", "")

    @pytest.mark.parametrize("role", ["worker", "scheduler"])
    def test_dask_has_the_command_and_takes_its_arguments(self, role: str) -> None:
        # the operator's own template names commands that Dask has dropped: ask Dask itself
        (found,) = entry_points(group="dask_cli", name=role)
        known = {option for parameter in found.load().params for option in [*parameter.opts, *parameter.secondary_opts]}
        words = [word for word in container("smallest", role)["args"] if word.startswith("--")]
        assert words
        assert set(words) <= known

    def test_workers_have_one_thread_whatever_the_profile_says_and_secrets_are_theirs_alone(self) -> None:
        worker, scheduler = container("everything", "worker"), container("everything", "scheduler")
        environment = {item["name"]: item["value"] for item in worker["env"]}
        assert environment == ONE_THREAD | {"AWS_ENDPOINT_URL": "http://s3:8333"}
        assert worker["args"][worker["args"].index("--nthreads") + 1] == "1"
        assert worker["envFrom"] == [{"secretRef": {"name": "bucket"}}, {"secretRef": {"name": "more"}}]
        assert "envFrom" not in scheduler
        assert "AWS_ENDPOINT_URL" not in {item["name"] for item in scheduler["env"]}
        assert resource("everything")["spec"]["worker"]["spec"]["serviceAccountName"] == "listener"


class TestWhatTheOperatorMakesOfIt:
    """By the operator's own code, held against the models that Kubernetes' client is generated with from its API."""

    @pytest.fixture(params=PROFILES)
    def made(self, request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
        from dask_kubernetes.operator.controller import controller as operator

        spec, name, none = resource(request.param)["spec"], "gunshot-1234", dict[str, str]()
        worker = (f"{name}-default", "sound", name, "0123456789", spec["worker"]["spec"], none, none)
        return {
            "scheduler": operator.build_scheduler_deployment_spec(name, spec["scheduler"]["spec"], none, none),
            "service": operator.build_scheduler_service_spec(name, spec["scheduler"]["service"], none, none),
            "worker": operator.build_worker_deployment_spec(*worker),
            "group": operator.build_default_worker_group_spec(name, spec["worker"], none, none),
        }

    @pytest.mark.parametrize(
        ("role", "model"), [("scheduler", "Deployment"), ("service", "Service"), ("worker", "Deployment")]
    )
    def test_kubernetes_takes_it_and_drops_nothing(
        self, made: dict[str, dict[str, Any]], role: str, model: str
    ) -> None:
        assert understood(model, made[role]) == made[role]

    def test_a_worker_group_is_what_the_operator_takes(self, made: dict[str, dict[str, Any]]) -> None:
        jsonschema.validate(made["group"], published_schema("daskworkergroup"))

    def test_the_service_leads_to_the_scheduler_and_its_probes_ask_a_port_that_it_has(
        self, made: dict[str, dict[str, Any]]
    ) -> None:
        pod = made["scheduler"]["spec"]["template"]
        assert made["service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        (container,) = pod["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        assert {container[f"{kind}Probe"]["httpGet"]["port"] for kind in ("liveness", "readiness")} <= ports
        assert {port["targetPort"] for port in made["service"]["spec"]["ports"]} <= ports

    def test_a_worker_is_told_its_name_and_its_scheduler(self, made: dict[str, dict[str, Any]]) -> None:
        (container,) = made["worker"]["spec"]["template"]["spec"]["containers"]
        environment = {item["name"]: item["value"] for item in container["env"]}
        assert environment["DASK_SCHEDULER_ADDRESS"] == "tcp://gunshot-1234-scheduler.sound.svc.cluster.local:8786"
        assert container["args"][container["args"].index("--name") + 1] == "$(DASK_WORKER_NAME)"
        assert environment["DASK_WORKER_NAME"] == made["worker"]["metadata"]["name"]

    @pytest.mark.parametrize("mistake", [{"image": 5}, {"name": None}, {"ports": [{"containerPort": "http"}]}], ids=str)
    def test_the_models_refuse_what_is_missing_or_of_another_type(
        self, made: dict[str, dict[str, Any]], mistake: dict[str, Any]
    ) -> None:
        made["worker"]["spec"]["template"]["spec"]["containers"][0].update(mistake)
        with pytest.raises(pydantic.ValidationError):
            understood("Deployment", made["worker"])

    def test_the_models_drop_what_they_do_not_know(self, made: dict[str, dict[str, Any]]) -> None:
        made["worker"]["spec"]["template"]["spec"]["containers"][0]["envfrom"] = []
        assert understood("Deployment", made["worker"]) != made["worker"]


class Api(ThreadingHTTPServer):
    """Kubernetes' API as far as something that is not there is changed, and then made."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[tuple[str, str, Any]] = []


class _Answers(BaseHTTPRequestHandler):
    server: Api

    def _answer(self, code: int, content: dict[str, Any] | None = None) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
        self.server.asked.append((self.command, self.path, body))
        said = json.dumps(content or body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def do_GET(self) -> None:
        self._answer(200, {"major": "1", "minor": "33", "gitVersion": "v1.33.0"})

    def do_PATCH(self) -> None:
        self._answer(404, {"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "none"})

    def do_POST(self) -> None:
        self._answer(201)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    with Api() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "me", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "sound"}}],
        }  # fmt: skip
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        yield server
        server.shutdown()


class TestAdaptive:
    """What dask-kubernetes makes of ``adaptive``, and what the operator then asks of the scheduler."""

    def made(self, api: Api) -> dict[str, Any]:
        """The autoscaler that is sent when `open_kubernetes` calls ``adapt``."""
        from dask_kubernetes.operator import KubeCluster

        asked = PROFILES["adaptive"]["adaptive"]
        asyncio.run(KubeCluster._adapt(SimpleNamespace(name="gunshot-1234", namespace="sound"), **asked))
        (way, path, autoscaler) = api.asked[-1]
        assert (way, path) == ("POST", "/apis/kubernetes.dask.org/v1/namespaces/sound/daskautoscalers")
        assert isinstance(autoscaler, dict)
        return autoscaler

    def test_the_autoscaler_is_what_the_operator_takes(self, api: Api) -> None:
        autoscaler, schema = self.made(api), published_schema("daskautoscaler")
        jsonschema.validate(autoscaler, schema)
        # its cluster is found by this name, not by labels
        assert autoscaler["spec"] == {"cluster": "gunshot-1234", "minimum": 2, "maximum": 40}
        for mistake in ({"minimum": "2"}, {"workers": 3}, {"cluster": None}):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(autoscaler | {"spec": autoscaler["spec"] | mistake}, schema)

    def test_kubernetes_keeps_its_name_and_drops_what_dask_kubernetes_puts_beside_it(self, api: Api) -> None:
        kept = understood("ObjectMeta", self.made(api)["metadata"])
        assert kept == {"name": "gunshot-1234", "namespace": "sound"}

    def test_the_scheduler_answers_how_many_workers_it_wants(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from dask_kubernetes.operator.controller import controller as operator

        async def address_of(*_: object, port_name: str = "tcp-comm", **__: object) -> str:
            return http if port_name == "http-dashboard" else address

        monkeypatch.setattr(operator, "get_scheduler_address", address_of)
        with open_cluster(1) as address, Client(address, set_as_default=False) as client:
            services = client.scheduler_info(n_workers=0)["services"]
            http = f"http://127.0.0.1:{services['dashboard']}"
            assert asyncio.run(operator.get_desired_workers("gunshot-1234-scheduler", "sound")) == 0
            waits = [client.submit(sleep, 1, pure=False) for _ in range(30)]
            while asyncio.run(operator.get_desired_workers("gunshot-1234-scheduler", "sound")) < 2:
                assert not waits[-1].done()


def understood(model: str, thing: dict[str, Any]) -> Any:
    """What Kubernetes' client takes a thing for; raises where a field is missing or of another type."""
    import kubernetes.client

    read = getattr(kubernetes.client, f"V1{model}").from_dict(thing)
    return kubernetes.client.ApiClient().sanitize_for_serialization(read)


def test_the_longest_name_of_a_cluster_is_one_that_the_operator_takes() -> None:
    from dask_kubernetes.operator.validation import validate_cluster_name

    longest = KubernetesProfile.model_validate(
        {"kind": "kubernetes", "image": "gunshot:1", "workers": 1, "name": "n" * 30}
    ).name
    validate_cluster_name(f"{longest}-01234567")  # as `open_kubernetes` calls it
    with pytest.raises(pydantic.ValidationError):
        KubernetesProfile.model_validate({"kind": "kubernetes", "image": "gunshot:1", "workers": 1, "name": "n" * 31})


def test_without_kubernetes_it_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    path = tmp_path / "profile.yaml"
    path.write_text("{kind: kubernetes, image: gunshot, workers: 1, wait_s: 5}")
    with pytest.raises(RunError, match=r"cannot reach Kubernetes \(") as caught, open_cluster(cluster=str(path)):
        pass
    assert "\n" not in str(caught.value)
