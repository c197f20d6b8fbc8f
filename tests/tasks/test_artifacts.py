"""What people see while a stage runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks import artifacts
from tasks.artifacts import link, markdown, say, stage, table
from tests.tasks.conftest import Clock

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Inside a flow run: what would reach the Prefect UI, in order."""
    calls: list[tuple[str, Any]] = []

    def note(name: str, result: Any = None) -> Callable[..., Any]:
        def call(*values: Any, **options: Any) -> Any:
            calls.append((name, (values, options)))
            return result

        return call

    monkeypatch.setattr(artifacts, "in_run", lambda: True)
    monkeypatch.setattr(artifacts, "create_progress_artifact", note("progress", "an artifact"))
    monkeypatch.setattr(artifacts, "update_progress_artifact", note("update"))
    monkeypatch.setattr(artifacts, "create_table_artifact", note("table"))
    monkeypatch.setattr(artifacts, "create_markdown_artifact", note("markdown"))
    monkeypatch.setattr(artifacts, "create_link_artifact", note("link"))
    return calls


def test_progress_leaves_the_output_to_results(capsys: Capture) -> None:
    say("a line")
    with stage("score", 3, "recordings") as advance:
        advance(3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("a line\n")


def test_a_stage_is_one_line_where_there_is_no_terminal(capsys: Capture, clock: Clock) -> None:
    with stage("preprocess", 5, "clips") as advance:
        advance(2, note="two")
        advance()
        clock.now_s += 1.26
        advance(2)
    assert capsys.readouterr().err == "preprocess   5 clips in 1.3 s\n"


def test_a_stage_of_nothing_says_nothing(capsys: Capture) -> None:
    with stage("preprocess", 0, "clips"):
        pass
    assert capsys.readouterr().err == ""


def test_a_long_stage_says_how_far_it_is(capsys: Capture, clock: Clock) -> None:
    with stage("preprocess", 100, "clips") as advance:
        for _ in range(100):
            clock.now_s += 1.0
            advance(note="3 detections")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "preprocess   31 of 100 clips after 31 s, 1.0/s, about 69 s left  3 detections",
        "preprocess   62 of 100 clips after 62 s, 1.0/s, about 38 s left  3 detections",
        "preprocess   93 of 100 clips after 93 s, 1.0/s, about 7 s left  3 detections",
        "preprocess   100 clips in 100.0 s",
    ]


def test_a_total_may_become_known_on_the_way(capsys: Capture, clock: Clock) -> None:
    with stage("manifest", None, "files") as advance:
        advance()
        clock.now_s += 40
        advance(total=7)
        advance(5, total=7)
    assert capsys.readouterr().err.splitlines() == [
        "manifest     2 of 7 files after 40 s, 20 s each, about 2 min left",
        "manifest     7 files in 40.0 s",
    ]


def test_a_stage_that_fails_does_not_say_that_it_is_done(capsys: Capture) -> None:
    def fail() -> None:
        with stage("train", 2, "epochs") as advance:
            advance()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert "train" not in capsys.readouterr().err


def test_progress_follows_in_the_ui_but_not_too_often(
    shown: list[tuple[str, Any]], clock: Clock, capsys: Capture
) -> None:
    with stage("score", 1000, "recordings") as advance:
        for _ in range(1000):
            clock.now_s += 0.01  # ten seconds in all
            advance()
    assert shown[0] == ("progress", ((0.0,), {"key": "score-progress", "description": "How far score is"}))
    updates = [values[1] for name, (values, _) in shown[1:] if name == "update"]
    assert {values[0] for _, (values, _) in shown[1:]} == {"an artifact"}
    assert 4 <= len(updates) <= 6
    assert updates == sorted(updates)
    assert updates[-1] == 100.0


def test_more_units_than_foreseen_are_no_more_than_all(
    shown: list[tuple[str, Any]], clock: Clock, capsys: Capture
) -> None:
    with stage("score", 2, "recordings") as advance:
        clock.now_s += 10
        advance(5)
    assert [values[1] for name, (values, _) in shown if name == "update"] == [100.0, 100.0]


@pytest.mark.parametrize("total", [0, None])
def test_nothing_to_show_makes_no_artifact(shown: list[tuple[str, Any]], total: int | None) -> None:
    with stage("manifest", total, "files") as advance:
        advance(3, total=3)
    assert shown == []


def test_keys_are_what_prefect_takes(shown: list[tuple[str, Any]]) -> None:
    """Lower case, digits and hyphens; it refuses a run for anything else."""
    for name in ("train-small-cnn", "preprocess"):
        with stage(name, 1, "x") as advance:
            advance()
    keys = [options["key"] for name, (_, options) in shown if name == "progress"]
    assert all(re.fullmatch(r"[a-z0-9-]+", key) for key in keys)


class TestTables:
    def test_rows_are_shown_as_text_with_their_number(self, shown: list[tuple[str, Any]]) -> None:
        table("failures", [{"path": "a.wav", "size": 3, "time": None}], "Rows that failed")
        ((name, (values, options)),) = shown
        assert name == "table"
        assert values == ([{"path": "a.wav", "size": "3", "time": "None"}],)
        assert options == {"key": "failures", "description": "Rows that failed (1 rows)"}

    def test_a_long_table_is_cut_and_says_so(self, shown: list[tuple[str, Any]]) -> None:
        table("failures", [{"path": str(i)} for i in range(1234)], "Rows")
        ((_, (values, options)),) = shown
        assert [row["path"] for row in values[0]] == [str(i) for i in range(500)]
        assert options["description"] == "Rows (1234 rows)"

    def test_a_page_is_led_to_by_an_address_that_holds_anywhere(
        self, shown: list[tuple[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for uri, where in (
            ("out/a page.html", f"file://{tmp_path}/out/a%20page.html"),
            (f"file://{tmp_path}/report.html", f"file://{tmp_path}/report.html"),
            ("s3://bucket/report.html", "s3://bucket/report.html"),
        ):
            link("report", uri, "The report")
            (_, (values, options)) = shown.pop()
            assert values == (where,)
            assert options == {"link_text": where, "key": "report", "description": "The report"}

    def test_a_text_is_shown_as_it_is(self, shown: list[tuple[str, Any]]) -> None:
        markdown("evaluation", "**bold**", "Figures")
        assert shown == [("markdown", (("**bold**",), {"key": "evaluation", "description": "Figures"}))]


def test_outside_a_run_nothing_reaches_for_a_server(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def refuse(*values: Any, **options: Any) -> None:
        raise AssertionError("a server was asked")

    for name in (
        "create_progress_artifact", "update_progress_artifact", "create_table_artifact", "create_markdown_artifact",
        "create_link_artifact",
    ):  # fmt: skip
        monkeypatch.setattr(artifacts, name, refuse)
    with stage("score", 2, "recordings") as advance:
        advance(2)
    table("failures", [{"path": "a.wav"}], "Rows")
    markdown("evaluation", "text", "Figures")
    link("report", "report.html", "The report")
    assert capsys.readouterr().err.startswith("score ")


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.delenv("NO_COLOR", raising=False)
    with stage("preprocess", 2, "clips") as advance:
        advance(2)
    error = capsys.readouterr().err
    assert "2/2" in error
    assert "clips in" not in error
