"""Hosts on one machine: network namespaces on a bridge, each with an address and a link to cut, to mend and to slow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.packages import install

NETWORK = "10.213.77"


@dataclass(frozen=True)
class Host:
    """A namespace, and its link on the switch."""

    namespace: str
    switch: str
    link: str
    address: str

    def cut(self) -> None:
        """Nothing goes in or out any more; nobody is told."""
        ip("-n", self.switch, "link", "set", self.link, "down")

    def mend(self) -> None:
        """The link is as it was."""
        ip("-n", self.switch, "link", "set", self.link, "up")

    def slow_down(self, rate: str) -> None:
        """Let no more through in either direction than ``tc`` means by a rate, such as ``128kbit``."""
        for namespace, link in ((self.switch, self.link), (self.namespace, "eth0")):
            bucket = ["tbf", "rate", rate, "burst", "4kb", "latency", "20s"]
            command = ["ip", "netns", "exec", namespace, "tc", "qdisc", "add", "dev", link, "root", *bucket]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            if "qdisc kind is unknown" in done.stderr:
                pytest.skip("this kernel cannot slow a link down: it has no tbf")
            assert done.returncode == 0, done.stderr

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """No worker on this host runs, as in a virtual machine that is suspended, until the block ends."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    @contextmanager
    def crawling(self) -> Iterator[None]:
        """Workers on this host have a thirtieth of the time, but never stand still for long, until the block ends."""
        over = threading.Event()

        def crawl() -> None:
            while not over.is_set():
                self._signal(signal.SIGSTOP)
                over.wait(1.5)
                self._signal(signal.SIGCONT)
                over.wait(0.05)

        with ThreadPoolExecutor(1) as pool:
            pool.submit(crawl)
            try:
                yield
            finally:
                over.set()

    def _signal(self, number: int) -> None:
        """To all processes of workers: a scheduler on the same host goes on."""
        found = subprocess.run(["ip", "netns", "pids", self.namespace], capture_output=True, text=True, check=True)
        for pid in found.stdout.split():
            with suppress(ProcessLookupError, FileNotFoundError):
                if b"dask_scheduler" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(int(pid), number)

    @contextmanager
    def process(self, log: Path, *command: str, again: bool = False, **environment: str) -> Iterator[None]:
        """A Python module run on this host until the block ends; begun again when it ends, as systemd would, or not."""
        with log.open("wb") as output:
            start = partial(
                subprocess.Popen,
                ["ip", "netns", "exec", self.namespace, sys.executable, "-m", *command],
                env=os.environ | environment,
                stdout=output,
                stderr=output,
            )
            process, over = start(), threading.Event()

            def look_after() -> None:
                nonlocal process
                while not over.wait(0.5):
                    if process.poll() is not None:
                        process = start()

            keeper = threading.Thread(target=look_after)
            if again:
                keeper.start()
            try:
                yield
            finally:
                over.set()
                if again:
                    keeper.join()
                process.terminate()  # `ip netns exec` becomes the command: there is no other process to end
                try:
                    process.wait(timeout=15)
                except subprocess.TimeoutExpired:  # a worker that cannot say goodbye
                    process.kill()
                    process.wait()


def ip(*arguments: str) -> None:
    """Change links or namespaces."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def needs_namespaces() -> None:
    """Skips where network namespaces cannot be had."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    install({"ip": "iproute2"})
    probe = subprocess.run(["ip", "netns", "add", f"gs{os.getpid()}x"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"no network namespaces here: {probe.stderr.strip()}")
    ip("netns", "delete", f"gs{os.getpid()}x")


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts that reach each other and this process; all links and namespaces go with the block."""
    needs_namespaces()
    name = f"gs{os.getpid()}"
    # the bridge is in a namespace of its own, for this machine's firewall may drop what it forwards
    switch = f"{name}s"
    with ExitStack() as undo:
        ip("netns", "add", switch)
        undo.callback(ip, "netns", "delete", switch)  # and with a namespace go its links
        ip("-n", switch, "link", "add", "br0", "type", "bridge")
        ip("-n", switch, "link", "set", "br0", "up")
        ip("-n", switch, "link", "add", "here", "type", "veth", "peer", "name", name, "netns", str(os.getpid()))
        undo.callback(ip, "link", "delete", name)  # a namespace that is deleted takes it along, but only later
        ip("-n", switch, "link", "set", "here", "master", "br0", "up")
        ip("addr", "add", f"{NETWORK}.1/24", "dev", name)
        ip("link", "set", name, "up")
        hosts = []
        for number, letter in ((2, "a"), (3, "b")):
            host = Host(f"{name}{letter}", switch, f"port-{letter}", f"{NETWORK}.{number}")
            ip("netns", "add", host.namespace)
            undo.callback(ip, "netns", "delete", host.namespace)
            ip("-n", switch, "link", "add", host.link, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
            ip("-n", switch, "link", "set", host.link, "master", "br0", "up")
            ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", "eth0")
            ip("-n", host.namespace, "link", "set", "eth0", "up")
            ip("-n", host.namespace, "link", "set", "lo", "up")
            hosts.append(host)
        yield hosts[0], hosts[1]


def existing() -> set[str]:
    """Names of links and namespaces that are there."""
    found = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
    spaces = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[0] for line in [*found, *spaces] if line.startswith("gs")}
