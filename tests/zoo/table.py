"""The table of kinds in docs/files.md.

Run by hand where `test_zoo_docs.py` says so, from the project's folder::

    python -m tests.zoo.table
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.zoo.kinds import Kind
from tests.zoo.zoo import GROUPS, ZOO

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "files.md"
_BEGIN = "<!-- kinds: made by tests/zoo/table.py -->"
_END = "<!-- end of kinds -->"

_TOLD_BY = {"listing": "name", "header": "header", "samples": "sound"}


def kinds_table() -> str:
    """A table of each group, and how many kinds end in which state."""
    counts = Counter(kind.state for kind in ZOO)
    total = ", ".join(f"{state} {count}" for state, count in sorted(counts.items()))
    lines = [f"{len(ZOO)} kinds: {total}.", ""]
    for group, kinds in GROUPS.items():
        lines += [f"### {group}", "", "| kind | how it is made | state | told by | reason |", "|---|---|---|---|---|"]
        lines += [_row(kind) for kind in kinds]
        lines.append("")
    return "\n".join(lines)


def _row(kind: Kind) -> str:
    state = f"{kind.state} ({kind.scored} when scored)" if kind.scored else kind.state
    reason = f"... {kind.reason} ..." if kind.reason else ""
    told = "" if kind.state == "ok" else _TOLD_BY[kind.decided]
    cells = (kind.name, kind.made, state, told, reason)
    return "| " + " | ".join(re.sub(r"([|*<`])", r"\\\1", cell) for cell in cells) + " |"


def with_table(document: str) -> str:
    """The document with the table as it must be."""
    before, _, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    assert end, f"{DOCUMENT.name} lacks the lines {_BEGIN} and {_END}"
    return f"{before}{_BEGIN}\n{kinds_table()}\n{_END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{DOCUMENT} written: {len(ZOO)} kinds")
