"""Label tables: what is read, and every mistake told by file, line and remedy."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.errors import ManifestError
from gunshot.manifest import labels as labels_module
from gunshot.manifest.labels import COLUMNS, LabelRow, read_labels

WriteTable = Callable[..., str]


def mistake(uri: str) -> str:
    """The message of the error, which must name the table in a single line."""
    with pytest.raises(ManifestError) as caught:
        read_labels(uri)
    message = str(caught.value)
    assert uri in message
    assert "\n" not in message
    return message


def test_all_columns_are_read_in_the_order_of_the_table(write_table: WriteTable) -> None:
    uri = write_table(
        "license,device,group,source,sound,label,end_s,start_s,path",
        "CC0,sm4,site 1,field,rifle,1,2.5,1.5,b.wav",
        "CC0,sm4,site 1,field,wind,0,,,a.wav",
    )
    assert read_labels(uri) == [
        LabelRow(2, "b.wav", 1.5, 2.5, 1, "rifle", "field", "site 1", "sm4", "CC0"),
        LabelRow(3, "a.wav", None, None, 0, "wind", "field", "site 1", "sm4", "CC0"),
    ]


def test_two_columns_are_enough_and_names_say_the_rest(write_table: WriteTable) -> None:
    rows = read_labels(write_table("path,label", "IP_162A_S01.wav,1", "x/50901-0-0-12.wav,0"))
    assert [(row.sound, row.source, row.group, row.device) for row in rows] == [
        ("gunshot", "labels", "162A", "IP"),
        ("other", "labels", "50901", ""),
    ]


def test_the_users_own_columns_are_not_read(write_table: WriteTable) -> None:
    rows = read_labels(write_table("x_note,path,label,x_", "maybe,a.wav,1,?"))
    assert [row.path for row in rows] == ["a.wav"]


def test_spaces_around_values_and_short_lines_are_forgiven(write_table: WriteTable) -> None:
    rows = read_labels(write_table("path,label,start_s,sound", " a.wav , 1 , 0.5 ", "b.wav,0"))
    assert [(row.path, row.label, row.start_s, row.sound) for row in rows] == [
        ("a.wav", 1, 0.5, "gunshot"),
        ("b.wav", 0, None, "other"),
    ]


def test_a_byte_order_mark_and_line_ends_of_windows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes("\ufeffpath,label\r\na.wav,1\r\n\r\nb.wav,0\r\n".encode())
    assert [(row.line, row.path) for row in read_labels(path)] == [(2, "a.wav"), (4, "b.wav")]


@given(
    paths=st.lists(
        st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1, max_size=200).filter(
            lambda text: text.strip()
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_path_that_csv_can_hold_is_read_as_written(paths: list[str]) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(["path", "label"])
    writer.writerows([path, 1] for path in paths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels_module, "read_bytes", lambda _: buffer.getvalue().encode())
        assert [row.path for row in read_labels("table")] == [path.strip() for path in paths]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (",1,,", "path is empty"),
        ("a.wav,yes,,", "label must be 1 (gunshot) or 0 (other); got 'yes'"),
        ("a.wav,,,", "label must be 1 (gunshot) or 0 (other); got ''"),
        ("a.wav,2,,", "label must be 1 (gunshot) or 0 (other); got '2'"),
        ("a.wav,1.0,,", "label must be 1 (gunshot) or 0 (other); got '1.0'"),
        ("a.wav,1,0:30,", "start_s must be a number of seconds; got '0:30'"),
        ('a.wav,1,,"1,5"', "end_s must be a number of seconds; got '1,5'"),
        ("a.wav,1,-1,", "start_s must be a number of seconds from 0 on; got '-1'"),
        ("a.wav,1,nan,", "start_s must be a number of seconds from 0 on; got 'nan'"),
        ("a.wav,1,,inf", "end_s must be a number of seconds from 0 on; got 'inf'"),
        ("a.wav,1,2,1.5", "end_s must be after start_s = 2; got 1.5"),
        ("a.wav,1,2,2", "end_s must be after start_s = 2; got 2"),
        ("a.wav,1,1,2,3", "more fields than the header has columns; quote fields that hold commas"),
        ("a, b.wav,1,,,", "more fields than the header has columns; quote fields that hold commas"),
    ],
)
def test_a_wrong_value_is_told_with_its_line(write_table: WriteTable, line: str, told: str) -> None:
    message = mistake(write_table("path,label,start_s,end_s", "good.wav,0,,", line))
    assert message.endswith(f"line 3: {told}")


def test_lines_are_counted_as_editors_count_them(write_table: WriteTable) -> None:
    message = mistake(write_table("path,label", '"a', 'b.wav",1', "", "c.wav,x"))
    assert re.search(r": line 5: label must be", message)


def test_many_mistakes_are_told_at_once_the_first_three_by_line(write_table: WriteTable) -> None:
    message = mistake(write_table("path,label", *(f"{n}.wav,{n}" for n in range(8))))
    assert re.findall(r"line (\d+):", message) == ["4", "5", "6"]
    assert message.endswith("; and 3 more")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("path,lable", ["unknown column 'lable': did you mean 'label'?", "column 'label' is missing"]),
        ("Path,Label", ["unknown column 'Path': did you mean 'path'?", "did you mean 'label'?"]),
        ("path,label,start", ["unknown column 'start': did you mean 'start_s'?"]),
        ("path,label,zz", ["unknown column 'zz': remove it, or begin its name with 'x_'"]),
        ("path,label,", ["unknown column '': remove it"]),
        ("path;label", ["unknown column 'path;label'", "column 'path' is missing", "column 'label' is missing"]),
        ("path", ["column 'label' is missing"]),
        ("label", ["column 'path' is missing"]),
        ("path,label,label", ["column 'label' is there 2 times"]),
    ],
)
def test_a_wrong_header_is_told_whole_with_the_columns_that_are_read(
    write_table: WriteTable, header: str, told: list[str]
) -> None:
    message = mistake(write_table(header, "a.wav,1"))
    assert all(part in message for part in told)
    assert message.endswith(f"(columns read: {', '.join(COLUMNS)})")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_told_with_the_remedy(write_table: WriteTable, encoding: str) -> None:
    message = mistake(write_table("path,label", "schüsse.wav,1", encoding=encoding))
    assert re.search(r"not UTF-8 text \(.* at byte \d+\); save it as UTF-8$", message)


def test_a_quote_left_open_is_told_with_its_line(write_table: WriteTable) -> None:
    # csv gathers all that follows into one field, until it is too long for one
    message = mistake(write_table("path,label", "a.wav,1", '"b.wav,1', *["c.wav,0"] * 20_000))
    assert "line 3 or later is not CSV" in message
    assert "close the quote" in message


def test_a_table_without_rows_is_told(write_table: WriteTable) -> None:
    assert "no rows; give at least one line below the header" in mistake(write_table("path,label"))


def test_an_empty_table_lacks_its_columns(write_table: WriteTable) -> None:
    assert "column 'path' is missing; column 'label' is missing" in mistake(write_table())


def test_a_missing_table_is_told(tmp_path: Path) -> None:
    assert "it does not exist; check the address" in mistake(str(tmp_path / "no.csv"))
    assert "label table" in mistake(str(tmp_path))


def test_every_column_that_is_read_has_a_field() -> None:
    fields: dict[str, Any] = LabelRow.__dataclass_fields__
    assert set(fields) == {"line", *COLUMNS}
