"""`gunshot review` as a process of its own, and a client of the page that it serves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

OURS = {"X-Gunshot": "1"}
"""What the page sends with a change."""


@dataclass
class Page:
    """A review under way."""

    process: subprocess.Popen[str]
    client: httpx.Client
    said: list[str]
    """What the command printed before it served."""

    def start(self) -> dict[str, Any]:
        """What the page asks for first."""
        return dict(self.client.get("/api/start").raise_for_status().json())

    def decide(self, version: str, number: int, label: str, **more: str) -> httpx.Response:
        """Decide on an item, as a key on the page does."""
        body = {"version": version, "number": number, "label": label, **more}
        return self.client.post("/api/decide", json=body, headers=OURS)

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> tuple[int, str]:
        """Ctrl+C: how it ended, and what it said from then on at either stream."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out + err


def ran(*words: str | Path) -> str:
    """What another command prints, which must end well."""
    command = [str(word) for word in (Path(sys.executable).with_name("gunshot"), *words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def reviewing(results: str | Path, *words: str | Path, cwd: Path | None = None) -> Iterator[Page]:
    """The command on a port of its own, as a user's shell starts it; killed at the end if it still runs."""
    command = [Path(sys.executable).with_name("gunshot"), "review", results, "--port", "0", "--no-browser", *words]
    with subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            said = []
            for line in process.stdout:
                said.append(line.rstrip("\n"))
                if line.startswith("review: "):
                    break
            else:
                raise AssertionError(f"the review ended: {process.stderr.read()}")
            with httpx.Client(base_url=said[-1].split(" ")[1], timeout=300) as client:
                yield Page(process, client, said)
        finally:
            process.kill()
