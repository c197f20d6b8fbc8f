"""Label tables: what is written is read back, and what is no label table is refused with its reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gunshot.datasets.labels import COLUMNS, LabelRow, read_label_paths, read_labels, write_labels
from gunshot.errors import DatasetError

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f\x85"), max_size=12)
NAMES = st.text(st.sampled_from('abc .,"é-'), min_size=1, max_size=8).map(lambda name: f"{name}x.wav")
TIMES = st.none() | st.integers(0, 10**10).map(lambda n: n / 1e6)  # microseconds are what a table holds


@st.composite
def label_rows(draw: st.DrawFn) -> LabelRow:
    """Rows that a data set may give, files below the root of the file system."""
    return LabelRow(
        path=Path("/sounds", draw(NAMES)), label=draw(st.integers(0, 1)), sound=draw(TEXT), source=draw(TEXT),
        group=draw(TEXT), license=draw(TEXT), device=draw(TEXT), start_s=draw(TIMES), end_s=draw(TIMES),
    )  # fmt: skip


@pytest.fixture
def row(tmp_path: Path) -> LabelRow:
    """A row of a file beside the table."""
    return LabelRow(path=tmp_path / "a.wav", label=1, sound="shot", source="s", group="g", license="l")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(label_rows(), min_size=1, max_size=5), st.booleans())
def test_rows_come_back_as_they_were(tmp_path: Path, rows: list[LabelRow], below: bool) -> None:
    rows = [dataclasses.replace(it, path=tmp_path / "in" / it.path.name) for it in rows] if below else rows
    target = tmp_path / "labels.csv"
    assert write_labels(rows, target) == len(rows)
    assert read_labels(target) == rows
    assert read_label_paths(target) == list(dict.fromkeys(it.path for it in rows))


def test_a_table_may_move_with_its_sounds(tmp_path: Path, row: LabelRow) -> None:
    outside = dataclasses.replace(row, path=Path("/elsewhere/b.wav"))
    write_labels([row, outside], tmp_path / "labels.csv")
    moved = tmp_path / "moved" / "labels.csv"
    moved.parent.mkdir()
    moved.write_bytes((tmp_path / "labels.csv").read_bytes())
    assert [it.path for it in read_labels(moved)] == [moved.parent / "a.wav", Path("/elsewhere/b.wav")]


def test_more_columns_and_another_order_do_no_harm(tmp_path: Path, row: LabelRow) -> None:
    table = tmp_path / "labels.csv"
    values = {"path": "a.wav", "start_s": "", "end_s": "1.5", "label": "1", "sound": "shot", "source": "s",
              "group": "g", "device": "various", "license": "l", "more": "x"}  # fmt: skip
    names = sorted(values)
    table.write_text(",".join(names) + "\n" + ",".join(values[name] for name in names) + "\n")
    assert read_labels(table) == [dataclasses.replace(row, end_s=1.5)]


HEADER = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got the columns of an empty file"),
        (b"path,label\n", "got the columns path, label; write it again"),
        (b"path,label\na.wav,1\n", "got the columns path, label"),
        (f"{HEADER}\na.wav,,,gun,s,s,g,d,l\n".encode(), "invalid literal for int.* 'gun'"),
        (f"{HEADER}\na.wav,soon,,1,s,s,g,d,l\n".encode(), "could not convert string to float: 'soon'"),
        (f"{HEADER}\na.wav,,,1,s\n".encode(), "a row that breaks off after a.wav"),
        (f"{HEADER}\n\x00\n".encode(), "breaks off|NUL"),
        (b"\xff\xfe" + HEADER.encode("utf-16-le"), "codec can't decode"),
    ],
)
def test_what_is_no_label_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_bytes(content)
    with pytest.raises(DatasetError, match=f"label table .*labels.csv must have the columns path, .*{message}"):
        read_labels(table)


def test_a_table_of_no_row_is_one(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"{HEADER}\n")
    assert read_labels(tmp_path / "labels.csv") == []


def test_a_missing_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"label table .*labels.csv cannot be read: .*; check its path"):
        read_labels(tmp_path / "labels.csv")


def test_rows_that_fail_half_way_leave_nothing(tmp_path: Path, row: LabelRow) -> None:
    def rows() -> Iterator[LabelRow]:
        yield row
        raise DatasetError("broken")

    with pytest.raises(DatasetError, match="broken"):
        write_labels(rows(), tmp_path / "labels.csv")
    assert list(tmp_path.iterdir()) == []
