"""What holds of workers, wherever they are: one thread, the same versions, and certificates that are asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
import yaml
from distributed import Client, LocalCluster, Security

import flows.clusters.workers as workers_module
from flows.cluster import open_cluster
from flows.clusters.workers import ONE_THREAD, plan_threads
from gunshot.errors import ParameterError, RunError
from tasks.fanout import fan_out

QUIET: dict[str, Any] = {
    "host": "127.0.0.1",
    "dashboard_address": None,
    "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"},
    "threads_per_worker": 1,
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "_ANSWER_WITHIN_S", 2)


def environment(address: str) -> dict[str, str | None]:
    names = tuple(ONE_THREAD)
    with Client(address, set_as_default=False) as client:
        (found,) = client.run(lambda: {name: os.environ.get(name) for name in names}).values()
    return dict(found)


class TestOneThread:
    def test_local_workers_are_held_to_it_whatever_this_process_has(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "7")
        monkeypatch.setenv("NUMBA_NUM_THREADS", "7")
        before = dask.config.get("distributed.nanny.pre-spawn-environ")  # another test may hold a cluster open
        with open_cluster(1) as address:
            assert address is not None
            assert environment(address) == ONE_THREAD
            with Client(address, set_as_default=False) as client:
                client.restart()  # and those that come after them
            assert environment(address) == ONE_THREAD
        assert os.environ["OMP_NUM_THREADS"] == "7"
        assert dask.config.get("distributed.nanny.pre-spawn-environ") == before

    def test_what_workers_are_given_is_not_left_in_the_flows_own_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ONE_THREAD:
            monkeypatch.delenv(name, raising=False)
        with open_cluster(1) as address:
            assert environment(address) == ONE_THREAD
            assert not set(ONE_THREAD) & set(os.environ)
        assert not set(ONE_THREAD) & set(os.environ)

    def test_others_workers_that_are_not_are_told_of_in_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        loose = ONE_THREAD | {"NUMBA_NUM_THREADS": "4", "TF_NUM_INTEROP_THREADS": ""}
        with (
            LocalCluster(n_workers=1, env=loose, **QUIET) as cluster,
            open_cluster(scheduler=cluster.scheduler_address),
        ):
            (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
        assert "1 of 1 workers" in line
        assert "lacks NUMBA_NUM_THREADS=1 TF_NUM_INTEROP_THREADS=1)" in line

    def test_others_workers_that_are_give_no_warning(self, capsys: pytest.CaptureFixture[str]) -> None:
        with open_cluster(1) as address, open_cluster(scheduler=address):
            assert "warning" not in capsys.readouterr().err


class TestVersions:
    @pytest.mark.parametrize("name", ["dask", "gunshot"])
    def test_another_version_is_told_in_one_line(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def newer(packages: list[str]) -> dict[str, Any]:
            found: dict[str, Any] = original(packages)
            found["packages"] = found["packages"] | {name: "9999.1"}
            return found

        original = workers_module.get_versions
        with open_cluster(1) as address:
            monkeypatch.setattr(workers_module, "get_versions", newer)
            with pytest.raises(RunError) as caught, open_cluster(scheduler=address):
                pass
        line = str(caught.value)
        assert f"{name} {original(['gunshot'])['packages'][name]} (here 9999.1)" in line
        assert line.endswith("use one environment or image for the flow, the scheduler and the workers")
        assert "\n" not in line

    def test_a_patch_release_of_python_is_no_other_version(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def patched(packages: list[str]) -> dict[str, Any]:
            found: dict[str, Any] = original(packages)
            major, minor, *_ = found["host"]["python"].split(".")
            return found | {"host": found["host"] | {"python": f"{major}.{minor}.99.final.0"}}

        original = workers_module.get_versions
        with open_cluster(1) as address:
            monkeypatch.setattr(workers_module, "get_versions", patched)
            with open_cluster(scheduler=address) as found:
                assert found == address


def test_a_fan_out_gives_a_cluster_as_much_as_it_will_have_workers_for() -> None:
    # it is by the work that waits that a queue or an autoscaler starts workers
    def unit(item: int) -> int:
        return item

    read: list[int] = []

    def items() -> Iterator[int]:
        for item in range(200):
            read.append(item)
            yield item

    with open_cluster(1) as address:
        assert address is not None
        plan_threads(address, 20)
        results = fan_out(address, unit, items())
        next(results)
        assert 60 <= len(read) <= 61
        assert sorted([0, *results])[-1] == 199


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Two pairs that do not trust each other."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    folder = tmp_path_factory.mktemp("certificates")
    found = {}
    for name in ("ours", "theirs"):
        certificate, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "2", "-subj", f"/CN={name}", "-out", str(certificate), "-keyout", str(key),
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        found[name] = {"ca_file": str(certificate), "cert_file": str(certificate), "key_file": str(key)}
    return found


@pytest.fixture(scope="module")
def encrypted(certificates: dict[str, dict[str, str]]) -> Iterator[str]:
    """A scheduler and a worker that speak to holders of our certificate alone."""
    ours = certificates["ours"]
    files = {"tls_ca_file": ours["ca_file"]}
    for role in ("client", "scheduler", "worker"):
        files |= {f"tls_{role}_cert": ours["cert_file"], f"tls_{role}_key": ours["key_file"]}
    security = Security(require_encryption=True, **files)
    with LocalCluster(n_workers=1, protocol="tls://", security=security, env=ONE_THREAD, **QUIET) as cluster:
        yield cluster.scheduler_address


def tls_profile(folder: Path, address: str, tls: dict[str, str]) -> str:
    path = folder / "tls.yaml"
    path.write_text(yaml.safe_dump({"kind": "address", "address": address, "tls": tls}))
    return str(path)


class TestEncryption:
    def test_certificates_of_a_profile_reach_the_fan_out(
        self, encrypted: str, certificates: dict[str, dict[str, str]], tmp_path: Path
    ) -> None:
        assert encrypted.startswith("tls://")
        with open_cluster(cluster=tls_profile(tmp_path, encrypted, certificates["ours"])) as address:
            assert sorted(fan_out(address, abs, range(10))) == list(range(10))
            with open_cluster(scheduler=address) as inner:  # as the flows inside another one open it
                assert inner == encrypted
        assert Security().tls_client_cert is None

    def test_certificates_of_dasks_own_configuration_do(
        self, encrypted: str, certificates: dict[str, dict[str, str]]
    ) -> None:
        ours = certificates["ours"]
        names = {"ca-file": ours["ca_file"], "client.cert": ours["cert_file"], "client.key": ours["key_file"]}
        with (
            dask.config.set({f"distributed.comm.tls.{name}": value for name, value in names.items()}),
            open_cluster(scheduler=encrypted) as address,
        ):
            assert sorted(fan_out(address, abs, range(10))) == list(range(10))

    def test_without_certificates_it_is_told_what_is_missing(self, encrypted: str) -> None:
        with pytest.raises(ParameterError) as caught, open_cluster(scheduler=encrypted):
            pass
        assert str(caught.value).startswith(f"the scheduler at {encrypted!r} asks for certificates and there are none")
        assert "\n" not in str(caught.value)

    @pytest.mark.usefixtures("impatient")
    def test_other_certificates_are_refused_in_one_line(
        self, encrypted: str, certificates: dict[str, dict[str, str]], tmp_path: Path
    ) -> None:
        profile = tls_profile(tmp_path, encrypted, certificates["theirs"])
        with pytest.raises(ParameterError, match="no Dask scheduler answers") as caught, open_cluster(cluster=profile):
            pass
        assert "\n" not in str(caught.value)
        assert "use certificates that both sides trust" in str(caught.value)

    @pytest.mark.usefixtures("impatient")
    def test_who_speaks_in_clear_is_not_heard(self, encrypted: str) -> None:
        clear = encrypted.replace("tls://", "tcp://")
        with pytest.raises(ParameterError, match="no Dask scheduler answers"), open_cluster(scheduler=clear):
            pass


def test_tensorflow_is_not_imported_with_what_workers_need() -> None:
    # the whole of it, in a process of its own; tests/clusters asks real workers
    code = "import gunshot.preprocess, gunshot.augmentation, tasks.fanout, sys; print('tensorflow' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
