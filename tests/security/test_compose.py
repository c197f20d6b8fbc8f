"""What the stack's configuration promises; `make stack-test` asks the running stack."""

from __future__ import annotations

import importlib.util
import os
import re
import ssl
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from distributed import Client, LocalCluster, Security

from flows.operations.automations import HEARTBEAT_S
from flows.operations.specification import SHIPPED_FILE, load_flow, read_deployments

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STATELESS = {name for name, service in SERVICES.items() if "gunshot:" in service["image"]}


def script(name: str) -> ModuleType:
    """One of the stack's scripts, which are in no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docker" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "secrets"
    assert script("make_secrets").write(folder)
    return folder


def profile(folder: Path, name: str) -> dict[str, str]:
    settings: dict[str, str] = tomllib.loads((folder / f"{name}.toml").read_text())["profiles"]["stack"]
    return settings


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_no_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert name == "postgres" or "cap_add" not in service
    assert "privileged" not in service
    assert not [
        volume for volume in service.get("volumes", []) if volume.startswith(("/", "."))
    ]  # no folder of the host


def test_only_loopback_is_published_and_what_is_inside_has_no_way_out() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"prefect-server", "s3"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if "front" in service["networks"]} == set(published)


def test_what_serves_is_watched_restarted_and_waited_for() -> None:
    once = {name for name, service in SERVICES.items() if service["restart"] == "no"}
    assert once == {"certificates", "init"}
    for name in set(SERVICES) - once:
        assert SERVICES[name]["restart"] == "unless-stopped"
        # the project's own image has its check; the role says what it asks
        assert (
            SERVICES[name].get("healthcheck", {}).get("test") or SERVICES[name]["environment"]["GUNSHOT_ROLE"] == name
        )
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            ends = "service_completed_successfully" if other in once else "service_healthy"
            assert how["condition"] == ends


def test_every_image_is_of_a_named_version() -> None:
    for service in SERVICES.values():
        tag = service["image"].rstrip("}").rpartition(":")[2]
        assert any(character.isdigit() for character in tag), service["image"]


def test_what_a_site_sets_reaches_the_deployments(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in SERVICES["init"]["environment"].items()}
    for name in [name for name in os.environ if name.startswith("GUNSHOT_")]:
        monkeypatch.delenv(name)
    for name, value in (given | {"GUNSHOT_NIGHTLY": "1 2 * * *", "GUNSHOT_MODEL": "s3://b/model"}).items():
        monkeypatch.setenv(name, value)
    held = {spec.name: spec for spec in read_deployments(ROOT / "docker" / "prefect.yaml").deployments}
    shipped = {spec.name: spec for spec in read_deployments(SHIPPED_FILE).deployments}
    for name, spec in held.items():
        load_flow(spec).validate_parameters(spec.parameters)
        for about in ("tags", "entrypoint", "work_pool", "concurrency_limit"):
            assert getattr(spec, about) == getattr(shipped[name], about)
    assert [schedule.cron for schedule in held["score-nightly"].schedules] == ["1 2 * * *"]
    assert held["score-backfill"].schedules == []
    nightly, backfill = (held[name].parameters for name in ("score-nightly", "score-backfill"))
    assert backfill == nightly | {"plan": True}  # the same rule, or the ledger would take all for new
    assert nightly["model"] == "s3://b/model"
    assert nightly["wait_s"] == shipped["score-nightly"].parameters["wait_s"]


def test_what_is_told_of_a_run_leads_to_its_page() -> None:
    environment = SERVICES["prefect-server"]["environment"]
    assert environment["PREFECT_UI_URL"] + "/api" == environment["PREFECT_UI_API_URL"]


def test_runs_give_signs_of_life_as_often_as_the_automation_counts_on() -> None:
    assert SERVICES["prefect-worker"]["environment"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(HEARTBEAT_S)


@pytest.mark.slow
def test_prefect_asks_for_a_login_and_a_token(secrets: Path) -> None:
    server = SERVICES["prefect-server"]
    assert server["environment"]["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    assert server["environment"]["PREFECT_PROFILES_PATH"] == "/run/secrets/prefect_server"
    assert len(profile(secrets, "prefect_server")["PREFECT_SERVER_API_AUTH_STRING"]) > 30
    assert (
        profile(secrets, "prefect_client")["PREFECT_API_AUTH_STRING"]
        == profile(secrets, "prefect_server")["PREFECT_SERVER_API_AUTH_STRING"]
    )
    # as Prefect itself reads them
    code = (
        "from prefect.settings import get_current_settings\n"
        "print(get_current_settings().server.api.auth_string.get_secret_value())"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=environment | {"PREFECT_PROFILES_PATH": str(secrets / "prefect_server.toml")},
    ).stdout  # fmt: skip
    assert told.strip() == profile(secrets, "prefect_server")["PREFECT_SERVER_API_AUTH_STRING"]


def test_no_password_is_in_an_environment_and_no_container_has_one_that_it_does_not_use() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            is_secret = any(word in name for word in ("PASSWORD", "AUTH", "KEY", "TOKEN", "SECRET", "CREDENTIALS"))
            assert not is_secret or value.startswith(("/run/secrets/", "/tls/")), name
    assert SERVICES["dask-worker"]["secrets"] == ["s3_credentials"]
    assert "secrets" not in SERVICES["dask-scheduler"]
    users = {
        secret: [n for n, s in SERVICES.items() if secret in s.get("secrets", [])] for secret in COMPOSE["secrets"]
    }
    assert users["postgres_password"] == ["postgres"]
    assert users["prefect_server"] == users["redis_password"] == ["prefect-server"]


def test_the_server_gets_the_password_of_redis_from_its_file_as_its_package_reads_it(
    secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SERVICES["prefect-server"]["entrypoint"] == ["python", "/opt/gunshot/docker/serve.py"]
    (tmp_path / "prefect").write_text('#!/bin/sh\necho "$PREFECT_REDIS_MESSAGING_PASSWORD" "$@" > told\n')
    (tmp_path / "prefect").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    code = (
        f"import sys, pathlib; sys.path.insert(0, {str(ROOT / 'docker')!r}); import serve\n"
        f"serve.PASSWORD = pathlib.Path({str(secrets / 'redis_password')!r}); serve.main()"
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([sys.executable, "-c", code, "server", "start"], check=True, env=os.environ | {"PATH": path})
    password = (secrets / "redis.conf").read_text().split()[1]
    assert (tmp_path / "told").read_text().split() == [password, "server", "start"]


def test_secrets_are_kept_and_entered_by_their_owner_alone(secrets: Path) -> None:
    before = {file.name: file.read_bytes() for file in secrets.iterdir()}
    assert secrets.stat().st_mode & 0o077 == 0
    assert script("make_secrets").write(secrets) is False
    assert {file.name: file.read_bytes() for file in secrets.iterdir()} == before
    assert {Path(each["file"]).name.rstrip("}") for each in COMPOSE["secrets"].values()} <= set(before)
    ignored = subprocess.run(["git", "check-ignore", "docker/secrets/s3_credentials"], cwd=ROOT, capture_output=True)
    assert ignored.returncode == 0
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"  # nothing enters an image that is not named


def test_half_a_set_of_secrets_is_refused(secrets: Path, tmp_path: Path) -> None:
    (tmp_path / "s3_credentials").write_bytes((secrets / "s3_credentials").read_bytes())
    with pytest.raises(SystemExit, match="has some secrets, but not"):
        script("make_secrets").write(tmp_path)


def test_nothing_is_told_to_anybody() -> None:
    assert SERVICES["prefect-server"]["environment"]["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert "-master.telemetry=false" in SERVICES["s3"]["command"]
    image = (ROOT / "docker" / "Dockerfile").read_text()
    assert "PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1" in image


def test_dask_asks_for_certificates_of_this_stack() -> None:
    for name in ("dask-scheduler", "dask-worker"):
        assert SERVICES[name]["environment"]["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true"
        # each has its own volume, and so its own key alone
        assert SERVICES[name]["volumes"] == [f"tls-{name.removeprefix('dask-')}:/tls:ro,nocopy"]
    assert SERVICES["prefect-worker"]["volumes"] == ["tls-client:/tls:ro,nocopy"]


@pytest.mark.slow
def test_the_stacks_certificates_let_its_parts_in_and_nobody_else(tmp_path: Path) -> None:
    certificates = script("certificates")
    assert not certificates.are_good(tmp_path)
    certificates.make(tmp_path)
    assert certificates.are_good(tmp_path)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.rglob("key.pem")} == {0o400}
    assert len({file.read_bytes() for file in tmp_path.rglob("key.pem")}) == 3
    certificates.make(other := tmp_path / "other")

    def security(folder: Path) -> Security:
        roles = {
            f"tls_{role}_{kind}": str(folder / role / f"{kind}.pem")
            for role in certificates.ROLES
            for kind in ("cert", "key")
        }
        return Security(require_encryption=True, tls_ca_file=str(folder / "client" / "ca.pem"), **roles)

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, host="127.0.0.1", protocol="tls://",
        security=security(tmp_path), dashboard_address=None,
    ) as cluster:  # fmt: skip
        with Client(cluster.scheduler_address, security=security(tmp_path), set_as_default=False) as client:
            assert client.submit(sum, [1, 2]).result(timeout=60) == 3
        host, _, port = cluster.scheduler_address.removeprefix("tls://").partition(":")
        stranger = security(other).get_connection_args("client")["ssl_context"]
        with pytest.raises(ssl.SSLError), _connected(host, int(port), stranger) as line:
            line.recv(1)


def _connected(host: str, port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    import socket

    plain = socket.create_connection((host, port), timeout=30)
    try:
        return context.wrap_socket(plain)
    except BaseException:
        plain.close()
        raise
