"""When a recording began, from the names that recorders give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.scoring.timestamps import start_from_name

prefixes = st.sampled_from(["", "SITE7_", "SMM01234_", "24F319055FDF0A5E_", "north field_", "a_b_", "2_"])
suffixes = st.sampled_from(["", "_REC", "_000", "_2", "_left channel"])


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("20261122_213000", "2026-11-22T21:30:00+00:00"),  # AudioMoth
        ("24F319055FDF0A5E_20240229_235959", "2024-02-29T23:59:59+00:00"),  # AudioMoth with its number
        ("SMM01234_20250101_000000", "2025-01-01T00:00:00+00:00"),  # Song Meter
        ("SM4_0+1_20250630_120000", "2025-06-30T12:00:00+00:00"),
        ("20200426T020000_REC", "2020-04-26T02:00:00+00:00"),  # ISO's T between date and time
        ("SITE7_20261122_213000_003", "2026-11-22T21:30:00+00:00"),  # split afterwards
    ],
)
def test_usual_names_tell_the_start(stem: str, expected: str) -> None:
    start = start_from_name(stem)
    assert start.utc is not None
    assert start.utc.isoformat() == expected
    assert start.source == "file name, taken as UTC"


@pytest.mark.parametrize(
    "stem",
    ["", "gunshot", "test_001.SCP-00-BNG-5567", "5-203128-A-0", "20261122", "20261122_2130", "2026-11-22_21-30-00",
     "120261122_213000", "20261122_2130001", "x20261122_213000", "20261122-213000", "21300020261122"],
)  # fmt: skip
def test_names_without_a_stamp_tell_nothing(stem: str) -> None:
    start = start_from_name(stem)
    assert (start.utc, start.source) == (None, "not known")


@pytest.mark.parametrize(
    "stem", ["20261322_213000", "20260230_120000", "20250229_000000", "20261122_243000", "20261122_216000",
             "20261122_213060", "00000000_000000", "99999999_999999"],
)  # fmt: skip
def test_a_stamp_that_cannot_be_is_told(stem: str) -> None:
    start = start_from_name(stem)
    assert (start.utc, start.source) == (None, "file name holds no possible time")


@pytest.mark.parametrize("year", [1, 1970, 1999, 2100, 9999])
def test_a_clock_that_was_not_set_is_told(year: int) -> None:
    start = start_from_name(f"{year:04d}1231_235959")
    assert (start.utc, start.source) == (None, f"file name says {year}: the clock was not set")


@settings(deadline=None)
@given(
    time=st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31, 23, 59, 59)),
    prefix=prefixes,
    suffix=suffixes,
    between=st.sampled_from("_T"),
)
def test_what_was_written_is_read(time: datetime, prefix: str, suffix: str, between: str) -> None:
    start = start_from_name(f"{prefix}{time:%Y%m%d}{between}{time:%H%M%S}{suffix}")
    assert start.utc == time.replace(microsecond=0, tzinfo=UTC)
    assert start.utc.tzinfo is UTC
    assert start.utc + timedelta(days=400) > start.utc  # room for the times of detections


@settings(deadline=None)
@given(
    stem=st.one_of(
        st.text(max_size=60),
        st.from_regex(r"(.*_)?\d{8}[_T]\d{6}(_.*)?", fullmatch=True),
        st.text("0123456789_T", max_size=40),
    )
)
def test_no_name_is_an_error(stem: str) -> None:
    start = start_from_name(stem)
    assert (start.utc is not None) == (start.source == "file name, taken as UTC")
    assert start.utc is None or 2000 <= start.utc.year < 2100
