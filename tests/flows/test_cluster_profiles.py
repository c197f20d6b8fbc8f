"""Cluster profiles: what is shipped is valid, what is wrong is one line, and a choice is one."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.clusters.choice import LOCAL_WORKERS, SHIPPED, choose_profile, read_profile
from flows.clusters.profiles import KINDS, AddressProfile, LocalProfile, SlurmProfile
from flows.clusters.slurm import slurm_options
from gunshot.errors import ParameterError

SLURM = {"kind": "slurm", "cores": 2, "memory": "4GiB", "walltime": "01:00:00", "jobs": 3}
KUBERNETES = {"kind": "kubernetes", "image": "gunshot:1", "workers": 3}


def write(folder: Path, content: object) -> str:
    path = folder / "mine.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


class TestChoice:
    def test_without_arguments_it_is_a_local_cluster(self) -> None:
        assert choose_profile() == LocalProfile()
        assert choose_profile(workers=0) == LocalProfile(workers=0)
        assert choose_profile(scheduler="tcp://h:1") == AddressProfile(address="tcp://h:1")

    def test_what_a_machine_has_is_for_runs_that_say_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(LOCAL_WORKERS, "3")
        assert choose_profile() == LocalProfile(workers=3)
        assert choose_profile(workers=1) == LocalProfile(workers=1)
        assert choose_profile(scheduler="tcp://h:1") == AddressProfile(address="tcp://h:1")
        assert choose_profile(cluster="local") == read_profile("local")
        monkeypatch.setenv(LOCAL_WORKERS, "many")
        with pytest.raises(ParameterError, match=r"^GUNSHOT_LOCAL_WORKERS in the environment must be 0 or more"):
            choose_profile()

    @pytest.mark.parametrize(
        ("arguments", "given"),
        [
            ({"workers": 0, "scheduler": "tcp://h:1"}, "--workers 0 and --scheduler tcp://h:1"),
            ({"workers": 2, "cluster": "slurm"}, "--workers 2 and --cluster slurm"),
            ({"scheduler": "", "cluster": "nowhere"}, "--scheduler  and --cluster nowhere"),
        ],
    )
    def test_two_are_refused(self, arguments: dict[str, object], given: str) -> None:
        with pytest.raises(ParameterError) as caught:
            choose_profile(**arguments)
        assert str(caught.value).endswith(f"give one of them; got {given}")

    @pytest.mark.parametrize("flow", ["preprocess", "train", "score", "demo"])
    def test_flows_refuse_two_before_anything_else(self, flow: str, tmp_path: Path) -> None:
        # the function itself, as the Prefect UI would have it called; what it would read or write is not there
        function = __import__(f"flows.{flow}", fromlist=[flow]).__dict__[flow].fn
        wanted = {"inputs": [str(tmp_path / "none")], "store": str(tmp_path / "s"), "model": "small-cnn", "out": "o"}
        parameters = {name: wanted[name] for name in wanted if name in inspect.signature(function).parameters}
        with pytest.raises(ParameterError, match="give one of them"):
            function(**parameters, workers=1, cluster="slurm")
        assert list(tmp_path.iterdir()) == []


class TestShipped:
    def test_each_kind_has_one(self) -> None:
        assert {path.stem for path in SHIPPED.glob("*.yaml")} == set(KINDS)

    @pytest.mark.parametrize("name", sorted(KINDS))
    def test_it_is_valid_and_of_the_kind_it_is_named_for(self, name: str) -> None:
        assert read_profile(name).kind == name

    @pytest.mark.parametrize("name", sorted(KINDS))
    def test_what_is_commented_out_in_it_is_valid_too(self, name: str, tmp_path: Path) -> None:
        for file in ("ca.pem", "client.pem", "client-key.pem"):
            (tmp_path / file).touch()
        lines = (SHIPPED / f"{name}.yaml").read_text().splitlines()
        keys = [line.removeprefix("# ") for line in lines if line.startswith(("# ",)) and ":" in line.split()[1]]
        indented = [line.removeprefix("# ") for line in lines if line.startswith("#   ")]
        inside = "\n".join([*(line for line in lines if not line.startswith("#")), *keys, *indented])
        profile = read_profile(write(tmp_path, inside.replace("tcp://", "tls://")))
        given = yaml.safe_load(inside)
        assert len(given) > len([line for line in lines if line and line[0] not in "# "])
        assert profile.model_fields_set >= set(given)

    def test_an_unknown_name_is_told_with_those_there_are(self) -> None:
        with pytest.raises(ParameterError, match=r"\(address, kubernetes, local, slurm\); got 'slrum'"):
            read_profile("slrum")


MISTAKES: list[tuple[object, str]] = [
    ("kind: [", "is not YAML"),
    ("", "kind must be one of local, address, slurm, kubernetes; got None"),
    ({"kind": "pbs"}, "kind must be one of local, address, slurm, kubernetes; got 'pbs'"),
    ({"kind": "local", "worker": 2}, "unknown key 'worker': did you mean 'workers'?"),
    ({"kind": "local", "workers": "2"}, "workers: Input should be a valid integer; got '2'"),
    ({"kind": "local", "workers": -1}, "workers: Input should be greater than or equal to 0; got -1"),
    (
        {"kind": "local", "memory_limit": "8"},
        "memory_limit: memory must be 1GiB or more for each of 1 workers; got '8'",
    ),
    ({"kind": "local", "memory_limit": "much"}, "memory_limit: memory must be a size such as \"4GiB\"; got 'much'"),
    ({"kind": "address"}, "address is missing: add it"),
    (
        {"kind": "address", "address": "tcp://h:1", "tls": {"ca_file": "a", "cert_file": "b", "key_file": "c"}},
        "with tls files the address must begin with tls://; got 'tcp://h:1'",
    ),
    (
        {"kind": "address", "address": "tls://h:1", "tls": {"ca_file": "a", "cert_file": "b", "key_file": "c"}},
        "tls.ca_file must be a file that can be read; got",
    ),
    ({"kind": "address", "address": "tls://h:1", "tls": {"ca_file": "a"}}, "tls.cert_file is missing: add it"),
    (SLURM | {"jobs": None}, "give either jobs or adaptive"),
    (SLURM | {"adaptive": {"maximum": 3}}, "give either jobs or adaptive"),
    (
        SLURM | {"jobs": None, "adaptive": {"minimum": 4, "maximum": 3}},
        "adaptive: maximum must be minimum (4) or more; got 3",
    ),
    (SLURM | {"memory": "2GB"}, "memory must be 1GiB or more for each of 2 workers; got '2GB'"),
    (SLURM | {"walltime": 43200}, 'walltime: must be text in quotes, such as "04:00:00"; got 43200'),
    (SLURM | {"walltime": "4h"}, 'walltime must be "[days-]hours:minutes:seconds"; got "4h"'),
    (SLURM | {"walltime": "00:04:00"}, "walltime must be 5 minutes or more"),
    (KUBERNETES | {"workers": None}, "give either workers or adaptive"),
    (KUBERNETES | {"worker": {"memory": "2 GiB"}}, "worker.memory: String should match pattern"),
    (KUBERNETES | {"worker": {"cpus": "2"}}, "unknown key 'worker.cpus': did you mean 'cpu'?"),
    (KUBERNETES | {"env": {"A": 1}}, "env.A: Input should be a valid string; got 1"),
    (KUBERNETES | {"namespace": "My Space"}, "namespace: String should match pattern"),
]


class TestMistakes:
    @pytest.mark.parametrize(("content", "message"), MISTAKES)
    def test_it_is_one_line_with_file_key_and_rule(self, content: object, message: str, tmp_path: Path) -> None:
        path = write(tmp_path, content)
        with pytest.raises(ParameterError) as caught:
            read_profile(path)
        line = str(caught.value)
        assert path in line
        assert message in line
        assert "\n" not in line

    def test_all_of_a_profiles_mistakes_are_told_at_once(self, tmp_path: Path) -> None:
        wrong = {"kind": "slurm", "coers": 2, "memory": "4GiB", "walltime": 7200, "jobs": 0}
        with pytest.raises(ParameterError) as caught:
            read_profile(write(tmp_path, wrong))
        for key in ("'coers': did you mean 'cores'?", "cores is missing", "walltime: ", "jobs: "):
            assert key in str(caught.value)

    def test_a_file_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ParameterError, match=r"cannot read the cluster profile .*none\.yml: No such file"):
            read_profile(str(tmp_path / "none.yml"))

    @pytest.mark.parametrize(("content", "extra"), [(SLURM, "slurm"), (KUBERNETES, "kubernetes")])
    def test_what_is_not_installed_is_told_with_the_command(
        self, content: object, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write(tmp_path, content)
        assert read_profile(path).kind == extra
        without = [folder for folder in sys.path if not (Path(folder) / f"dask_{_package(extra)}").is_dir()]
        monkeypatch.setattr(sys, "path", without)
        for name in [name for name in sys.modules if name.startswith(f"dask_{_package(extra)}")]:
            monkeypatch.delitem(sys.modules, name)
        with pytest.raises(ParameterError, match=rf"install it with pip install 'gunshot\[{extra}\]'"):
            read_profile(path)


def _package(extra: str) -> str:
    return "jobqueue" if extra == "slurm" else extra


class TestCommandLine:
    def test_a_mistake_is_told_without_loading_a_flow(self, tmp_path: Path) -> None:
        code = (
            "import sys; from flows.cli import main\n"
            "try: main()\n"
            "finally: print(*(name for name in ('prefect', 'distributed', 'tensorflow') if name in sys.modules))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code, "preprocess", "x", "--store", "y", "--cluster", write(tmp_path, "kind: pbs")],
            capture_output=True, text=True, check=False, cwd=SHIPPED.parents[1],
        )  # fmt: skip
        assert ended.returncode == 2
        assert ended.stderr.startswith("gunshot: cluster profile ")
        assert len(ended.stderr.splitlines()) == 1
        assert ended.stdout.strip() == ""


class TestSlurmOptions:
    @pytest.mark.parametrize(
        ("walltime", "seconds"),
        [("00:30:00", 1800), ("04:00:00", 14_400), ("2-00:00:01", 172_801), ("100:00:00", 360_000)],
    )
    def test_workers_leave_before_the_walltime(self, walltime: str, seconds: float) -> None:
        profile = SlurmProfile.model_validate(SLURM | {"walltime": walltime})
        assert profile.walltime_s == seconds
        words = slurm_options(profile)["worker_extra_args"]
        given = {words[i]: float(words[i + 1].removesuffix("s")) for i in (0, 2)}
        lifetime, stagger = given["--lifetime"], given["--lifetime-stagger"]
        assert stagger > 0
        assert lifetime - stagger >= seconds / 2  # a job is worth its wait in the queue
        assert lifetime + stagger <= seconds - 60  # and hands over in time

    def test_a_worker_a_core_each_held_to_one_thread_after_the_users_lines(self) -> None:
        options = slurm_options(SlurmProfile.model_validate(SLURM | {"prologue": ["export OMP_NUM_THREADS=8"]}))
        assert options["cores"] == options["processes"] == 2
        assert options["job_script_prologue"][0] == "export OMP_NUM_THREADS=8"
        assert "export OMP_NUM_THREADS=1" in options["job_script_prologue"][1:]
        assert "export TF_NUM_INTRAOP_THREADS=1" in options["job_script_prologue"]

    def test_files_are_relative_to_the_profile(self, tmp_path: Path) -> None:
        names = {"ca_file": "ca.pem", "cert_file": "me.pem", "key_file": str(tmp_path / "key.pem")}
        for name in names.values():
            (tmp_path / name).touch()
        profile = read_profile(write(tmp_path, SLURM | {"tls": names, "log_directory": "logs"}))
        assert isinstance(profile, SlurmProfile)
        assert profile.log_directory == tmp_path / "logs"
        assert profile.tls is not None
        assert profile.tls.ca_file == tmp_path / "ca.pem"
        assert profile.tls.key_file == tmp_path / "key.pem"
