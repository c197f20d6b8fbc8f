"""A SLURM cluster of one node: Debian's own daemons, in the foreground, below a folder that goes with them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.packages import install

PROGRAMS = {"slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "sbatch": "slurm-wlm", "munged": "munge"}

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}({address})
SlurmctldPort={ctld_port}
SlurmdPort={d_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=3
SchedulerParameters=sched_interval=5,bf_interval=5
DefMemPerCPU=512
NodeName={host} NodeAddr={address} {resources} State=UNKNOWN
PartitionName=short Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def install_slurm() -> None:
    """Its daemons, when they are not there; skips where they cannot be had."""
    if os.geteuid() != 0:
        pytest.skip("SLURM's daemons need root")
    install(PROGRAMS)


def run(*command: str) -> str:
    """What a command of SLURM prints."""
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def daemon(folder: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon in the foreground, ended with the block."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"SLURM_CONF": f"{folder}/slurm.conf"}
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def one_node(folder: Path) -> Iterator[Path]:
    """The cluster; gives its configuration, which SLURM_CONF must name."""
    install_slurm()
    folder.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    found = re.search(r"NodeName=(\S+) (.*)", run("slurmd", "-C"))
    assert found, "slurmd -C tells the node's resources"
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(
            host=found[1],
            address="127.0.0.1",
            resources=found[2],
            folder=folder,
            ctld_port=free_port(),
            d_port=free_port(),
        )
    )
    # control groups hold no job here, but slurmd loads the plugin all the same; "disabled" came with 23.11
    release = tuple(int(part) for part in re.findall(r"\d+", run("slurmd", "-V"))[:2])
    plugin = "disabled" if release >= (23, 11) else "cgroup/v1"
    (folder / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\n")
    with ExitStack() as daemons:
        daemons.enter_context(
            daemon(
                folder, "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket",
                f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed",
            )
        )  # fmt: skip
        wait_until(lambda: (folder / "munge.socket").exists(), 10, folder)
        for program in ("slurmctld", "slurmd"):
            daemons.enter_context(daemon(folder, program, "-D", "-f", str(configuration)))
        before = os.environ.get("SLURM_CONF")
        os.environ["SLURM_CONF"] = str(configuration)
        try:
            wait_until(is_idle, 60, folder)
            yield configuration
            subprocess.run(["scancel", "--me"], check=False, timeout=30)
            wait_until(lambda: not run("squeue", "--noheader"), 60, folder)
        finally:
            os.environ.pop("SLURM_CONF") if before is None else os.environ.update(SLURM_CONF=before)


def is_idle() -> bool:
    answer = subprocess.run(
        ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, timeout=30, check=False
    )
    return answer.stdout.strip() == "idle"


def wait_until(is_so: Callable[[], bool], within_s: float, folder: Path) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            logs = {path.name: path.read_text(errors="replace")[-1500:] for path in folder.glob("*.log")}
            raise TimeoutError(f"not within {within_s} s: {logs}")
        time.sleep(0.2)
