"""The Kubernetes profile against the operator's own published schema; there is no Kubernetes here to run it on."""

from __future__ import annotations

from importlib.metadata import distribution, entry_points
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

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
    """What Kubernetes checks a DaskCluster by, and more: a key that it would drop without a word is an error here."""
    files = distribution("dask-kubernetes").files or []
    (path,) = [Path(str(file.locate())) for file in files if str(file).endswith("crds/daskcluster.yaml")]
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


def test_without_kubernetes_it_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    path = tmp_path / "profile.yaml"
    path.write_text("{kind: kubernetes, image: gunshot, workers: 1, wait_s: 5}")
    with pytest.raises(RunError, match=r"cannot reach Kubernetes \(") as caught, open_cluster(cluster=str(path)):
        pass
    assert "\n" not in str(caught.value)
