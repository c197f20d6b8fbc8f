"""The table that users read is the table that is tested."""

from __future__ import annotations

from tests.zoo.table import DOCUMENT, kinds_table, with_table
from tests.zoo.zoo import ZOO


def test_the_document_has_the_kinds_as_they_are() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert document == with_table(document), "docs/files.md is not up to date: run python -m tests.zoo.table"


def test_each_kind_is_one_row() -> None:
    rows = [line for line in kinds_table().splitlines() if line.startswith("| ") and not line.startswith("| kind ")]
    assert len(rows) == len(ZOO)
    assert all(line.replace("\\|", "").count("|") == 6 for line in rows)
