"""The start in the names that recorders give."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.scoring.timestamps.names import NO_NAME, read_name

prefixes = st.sampled_from(["", "SITE7_", "SMM01234_", "24F319055FDF0A5E_", "north field_", "a_b_", "2_"])
suffixes = st.sampled_from(["", "_REC", "_000", "_2", "_left channel"])


@pytest.mark.parametrize(
    ("stem", "expected", "prefix"),
    [
        ("20261122_213000", "2026-11-22T21:30:00", ""),  # AudioMoth
        ("24F319055FDF0A5E_20240229_235959", "2024-02-29T23:59:59", "24F319055FDF0A5E"),  # AudioMoth with its number
        ("SMM01234_20250101_000000", "2025-01-01T00:00:00", "SMM01234"),  # Song Meter
        ("SM4_0+1_20250630_120000", "2025-06-30T12:00:00", "SM4"),
        ("SM3_0_20250630_120000", "2025-06-30T12:00:00", "SM3"),
        ("SM3_1_20250630$120000", "2025-06-30T12:00:00", "SM3"),
        ("S4A02641_20250630_120000_250001", "2025-06-30T12:00:00.250001", "S4A02641"),  # SMART
        ("swift_20250630_120000", "2025-06-30T12:00:00", "swift"),
        ("20200426T020000_REC", "2020-04-26T02:00:00", ""),  # ISO's T between date and time
        ("20210428T100000+1000_Rec", "2021-04-28T10:00:00+10:00", ""),  # BAR
        ("S20240815T095156.839639+1000_E20240815T105156.1+1000_-12.3+78.9", "2024-08-15T09:51:56.839639+10:00", ""),
        ("20210428T100000Z", "2021-04-28T10:00:00+00:00", ""),
        ("2021-04-28T10:00:00+05:30", "2021-04-28T10:00:00+05:30", ""),
        ("SOLO7_2017-08-22_06-22-54_000", "2017-08-22T06:22:54", "SOLO7"),
        ("SITE7_20261122_213000_003", "2026-11-22T21:30:00", "SITE7"),  # split afterwards
        ("5E90A4D4", "2020-04-10T16:54:44+00:00", ""),  # the first AudioMoths
    ],
)
def test_usual_names_tell_the_start(stem: str, expected: str, prefix: str) -> None:
    stamp = read_name(stem)
    assert stamp.time is not None
    assert stamp.time.time is not None
    assert stamp.time.time.isoformat() == expected
    assert stamp.time.raw in stem
    assert stamp.time.resolution_s == (1e-6 if "." in expected else 1)
    assert stamp.prefix == prefix
    assert not stamp.is_triggered


def test_what_the_signs_of_a_name_mean() -> None:
    assert read_name("20261122_213000T").is_triggered
    by_gps = read_name("SM3_0+1_20250630$120000").time
    assert by_gps is not None
    assert by_gps.source == "file name, clock set by GPS"


@pytest.mark.parametrize(
    "stem",
    ["", "gunshot", "test_001.SCP-00-BNG-5567", "5-203128-A-0", "20261122", "20261122_2130", "59000000",
     "120261122_213000", "20261122_2130001", "x20261122_213000", "20261122-213000", "21300020261122", "5E90A4D",
     "1E90A4D4", "DEADBEEF", "5e90a4d4"],
)  # fmt: skip
def test_names_without_a_stamp_tell_nothing(stem: str) -> None:
    assert read_name(stem) == NO_NAME


@pytest.mark.parametrize(
    "stem", ["20261322_213000", "20260230_120000", "20250229_000000", "20261122_243000", "20261122_216000",
             "20261122_213060", "00000000_000000", "99999999_999999", "20210428T100000+9900"],
)  # fmt: skip
def test_a_stamp_that_cannot_be_is_kept_as_text(stem: str) -> None:
    stamp = read_name(stem)
    assert stamp.time is not None
    assert (stamp.time.time, stamp.time.raw) == (None, stem)


@given(
    time=st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)),
    prefix=prefixes,
    suffix=suffixes,
    between=st.sampled_from("_T$"),
    minutes=st.one_of(st.none(), st.integers(-14 * 60, 14 * 60)),
)
def test_what_was_written_is_read(time: datetime, prefix: str, suffix: str, between: str, minutes: int | None) -> None:
    time = time.replace(microsecond=0, tzinfo=None if minutes is None else timezone(timedelta(minutes=minutes)))
    day = f"{time.year:04d}{time:%m%d}"
    stamp = read_name(f"{prefix}{day}{between}{time:%H%M%S%z}{suffix}")
    assert stamp.time is not None
    assert stamp.time.time == time
    assert stamp.prefix == prefix[:-1]


@given(
    stem=st.one_of(
        st.binary(max_size=60).map(lambda some: some.decode("latin-1")),
        st.from_regex(r"([ -~]*_)?[0-9]{8}[_T][0-9]{6}(_[ -~]*)?", fullmatch=True),
        st.text("0123456789_TZ$+-.:SE", max_size=40),
    )
)
def test_no_name_is_an_error(stem: str) -> None:
    stamp = read_name(stem)
    assert stamp.time is None or stamp.time.raw in stem
