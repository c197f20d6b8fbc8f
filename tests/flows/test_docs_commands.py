"""The commands in the pages on schedules and operations do what the pages say: blocks marked ``sh test`` are run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```sh test\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = ("schedule.md", "operations.md")


def commands() -> list[str]:
    return [line for page in PAGES for block in BLOCK.findall((DOCS / page).read_text()) for line in block.splitlines()]


def test_each_page_has_commands_that_are_run() -> None:
    assert all(BLOCK.search((DOCS / page).read_text()) for page in PAGES)
    assert all(command.startswith("gunshot ") for command in commands())


def test_every_command_in_the_pages_exists(gunshot: Callable[..., Any]) -> None:
    """Those that are not run, for they need a server or a network, are at least commands."""
    named = {
        tuple(line.split("|")[-1].split()[1:2])
        for page in PAGES
        for block in re.findall(r"^```\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
        if line.startswith("gunshot ")
    }
    assert named
    for words in sorted(named):
        assert gunshot(*words, "--help").code == 0, words


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_the_commands_work_in_their_order(
    gunshot: Callable[..., Any], write_noise: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_noise(tmp_path / "recordings" / "20261122_190000.wav")
    monkeypatch.chdir(tmp_path)
    for command in commands():
        ended = gunshot(*shlex.split(command)[1:])
        assert ended.code == 0, f"{command}: {ended.out} {ended.err}"
    assert (tmp_path / "results" / "recordings.csv").exists()
