"""Commands as the pages of the documentation have them: tests run these, so what the pages say is what works.

A block that is marked ``sh test`` is run in the order of the pages by `tests/flows/test_docs_commands.py`, on a folder
of recordings. One that needs more names who runs it: ``sh test server`` is what `run_by("server")` gives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = ("tutorial.md", "schedule.md", "operations.md", "stack.md", "clusters.md")
"""Those that a reader works through, in this order."""

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """What stands between two fences, and what the first of them says of it."""

    page: str
    about: str
    text: str


def blocks() -> list[Block]:
    return [Block(page, *found) for page in PAGES for found in _FENCE.findall((DOCS / page).read_text())]


def run_by(name: str = "", *pages: str) -> list[str]:
    """Commands that a test runs, without remarks; of some pages, or of all."""
    about = f"sh test {name}".strip()
    wanted = [block for block in blocks() if block.about == about and block.page in (pages or PAGES)]
    lines = [line for block in wanted for line in block.text.splitlines()]
    return [re.sub(r"\s+#.*", "", line) for line in lines]


def command(begins: str, name: str = "") -> str:
    """The one command that begins with some words."""
    (found,) = [line for line in run_by(name) if line.startswith(begins)]
    return found
