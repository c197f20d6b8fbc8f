"""The table of deployments: read as it is meant, and every mistake in it told at once."""

from __future__ import annotations

import contextlib
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.errors import ParameterError, StorageError
from gunshot.scoring.timestamps import Deployment, Deployments, load_deployments
from gunshot.scoring.timestamps.deployments import COLUMNS

TABLE = """\
path,site,recorder,time_zone,clock_offset_s,latitude,longitude,start,end
north/*,North,AM1,Africa/Douala,+2.5,5.06,8.86,2026-01-01,2026-02-01T12:00
north/*,North 2,AM1,Africa/Douala,,,,2026-02-01T12:00,

,West,24F319055FDF0A5E,,,,,,
"""


def write(folder: Path, text: str) -> str:
    path = folder / "deployments.csv"
    path.write_bytes(text.encode())
    return str(path)


def test_a_table_is_read(tmp_path: Path) -> None:
    table = load_deployments(write(tmp_path, TABLE))
    assert table.rows == (
        Deployment(
            "north/*", "AM1", "North", "Africa/Douala", 2.5, 5.06, 8.86,
            datetime(2025, 12, 31, 23, tzinfo=UTC), datetime(2026, 2, 1, 11, tzinfo=UTC),
        ),
        Deployment("north/*", "AM1", "North 2", "Africa/Douala", start=datetime(2026, 2, 1, 11, tzinfo=UTC)),
        Deployment(recorder="24F319055FDF0A5E", site="West"),
    )  # fmt: skip
    assert table.time_zones() == {"North": "Africa/Douala", "North 2": "Africa/Douala"}
    assert pickle.loads(pickle.dumps(table)) == table


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_spreadsheets_write_it_too(tmp_path: Path, newline: str) -> None:
    assert load_deployments(write(tmp_path, "\ufeff" + TABLE.replace("\n", newline))).rows == load_deployments(
        write(tmp_path, TABLE)
    ).rows  # fmt: skip


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = """\
path,recorder,time_zone,clock_offset_s,latitude,longitude,start,end
a/*,,Africa/Duala,soon,91,,2026-13-01,
,,UTC,1,2,3,,
b/*,,,,,,2026-02-01,2026-01-01
"""
    with pytest.raises(ParameterError) as caught:
        load_deployments(write(tmp_path, text))
    for part in (
        "line 2: time_zone must be one of IANA's names, such as Africa/Douala; got 'Africa/Duala'",
        "line 2: clock_offset_s must be a number; got 'soon'",
        "line 2: latitude must be a number in [-90, 90]; got '91'",
        "line 2: start must be a date or time",
        "line 3: neither path nor recorder",
        "line 4: start must be before end",
    ):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no column 'path' or 'recorder'"),
        ("site,time_zone\nx,UTC\n", "no column 'path' or 'recorder'"),
        ("path,zone\na,UTC\n", "unknown column 'zone'"),
        ("path,path\na,b\n", "column 'path' twice"),
        ("path,latitude\na,1\n", "latitude and longitude go together"),
        ("recorder,site\nA,x\na,y\n", "lines 2 and 3 are for the same recordings at the same time"),
        ("path,start,end\na,2026-01-01,2026-03-01\na,2026-02-01,\n", "lines 2 and 3"),
        ("path,time_zone\na,/etc\n", "time_zone"),
        ("path,time_zone\na,Africa\n", "time_zone"),
        ("path,time_zone\na,../x\n", "time_zone"),
        ("path,clock_offset_s\na,inf\n", "clock_offset_s must be a number"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ParameterError, match=r"--deployments .*deployments\.csv: ") as caught:
        load_deployments(write(tmp_path, text))
    assert problem in str(caught.value)


def test_not_there_and_not_text(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        load_deployments(str(tmp_path / "none.csv"))
    (tmp_path / "odd.csv").write_bytes(b"path\n\xff\xfe\n")
    with pytest.raises(ParameterError, match="UTF-8"):
        load_deployments(str(tmp_path / "odd.csv"))


cells = st.sampled_from(
    ["", "x", "north/*", "UTC", "1", "-3.5", "nan", "2026-01-01", "0001-01-01T00:00+14:00", '"', "a,b"]
)


@given(header=st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=9), rows=st.lists(st.lists(cells, max_size=10)))
def test_any_table_is_a_table_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, header: list[str], rows: list[list[str]]
) -> None:
    text = "\n".join(",".join(row) for row in [header, *rows])
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(text)
    with contextlib.suppress(ParameterError):  # anything else is our bug
        assert isinstance(load_deployments(str(path)), Deployments)
