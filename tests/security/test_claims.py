"""The page on security names for each claim a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()


def claims() -> list[tuple[str, str]]:
    """What is claimed, and what is said to hold it."""
    _, _, section = PAGE.partition("## Claims and their tests")
    rows = [
        line.strip("| ").split(" | ") for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")
    ]
    return [(row[0], row[1]) for row in rows[1:]]


def test_each_claim_names_a_test_that_is_there_and_asserts_something() -> None:
    assert len(claims()) > 12
    for claim, held_by in claims():
        names = re.findall(r"`((?:tests/[\w/]+/)?test_\w+\.py)`", held_by)
        assert names, claim
        for name in names:
            place = ROOT / name if "/" in name else ROOT / "tests" / "security" / name
            tree = ast.parse(place.read_text())  # raises where there is none
            tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and "test_" in node.name]
            assert any(isinstance(node, ast.Assert) for test in tests for node in ast.walk(test)), name


def test_what_is_asked_of_the_running_stack_is_in_its_test() -> None:
    asked = [claim for claim, held_by in claims() if "*stack*" in held_by]
    assert len(asked) >= 5
    source = (ROOT / "tests" / "stack" / "test_stack.py").read_text()
    for name in (
        "test_prefect_asks_for_the_login_and_for_a_token", "test_only_loopback_is_published",
        "test_dask_does_not_hear_who_speaks_in_clear_or_has_no_certificate", "test_no_password_is_in_the_logs",
        "test_nothing_of_the_projects_runs_as_root",
    ):  # fmt: skip
        assert f"def {name}(" in source
