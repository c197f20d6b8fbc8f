"""When and where a recording began: which source is believed, what is said of it, and how far it may be off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.scoring.timestamps import Deployment, Deployments, RecorderMetadata, recording_start
from gunshot.scoring.timestamps.start import LONGEST_TRIGGERED_S, NO_ZONE_S
from gunshot.scoring.timestamps.written import WrittenTime

NOW = datetime(2026, 11, 28, tzinfo=UTC)
LOCAL = datetime(2026, 6, 1, 12)
EAST = timezone(timedelta(hours=2))


def head(*times: tuple[datetime | None, str], **rest: object) -> RecorderMetadata:
    return RecorderMetadata(tuple(WrittenTime(time, source, "raw") for time, source in times), **rest)


def table(**columns: object) -> Deployments:
    return Deployments((Deployment(**{"path": "*"} | columns),))


def test_guano_with_an_offset_goes_before_all() -> None:
    start = recording_start(
        "x_20260601_080000.wav",
        head((LOCAL.replace(tzinfo=EAST), "GUANO"), (LOCAL.replace(tzinfo=UTC), "AudioMoth header")),
        table(time_zone="Asia/Tokyo"),
        now=NOW,
    )
    assert start.utc == datetime(2026, 6, 1, 10, tzinfo=UTC)
    assert (start.source, start.raw) == ("GUANO, UTC+2", "raw")
    assert (start.uncertainty_s, start.reason) == (1, "written to 1 s")


def test_an_offset_goes_before_its_absence() -> None:
    start = recording_start(
        "x.wav", head((LOCAL, "GUANO"), (LOCAL.replace(tzinfo=EAST), "AudioMoth header")), now=NOW
    )  # fmt: skip
    assert start.source == "AudioMoth header, UTC+2"
    named = recording_start("20260601T120000-0330_Rec.flac", head((LOCAL, "GUANO")), now=NOW)
    assert (named.utc, named.source) == (datetime(2026, 6, 1, 15, 30, tzinfo=UTC), "file name, UTC-3:30")


def test_the_zone_of_the_table() -> None:
    start = recording_start("20260601_120000.wav", deployments=table(time_zone="Africa/Douala"), now=NOW)
    assert start.utc == datetime(2026, 6, 1, 11, tzinfo=UTC)
    assert start.source == "file name, time zone Africa/Douala of the deployments table"
    assert start.uncertainty_s == 1


def test_no_zone_is_said_and_is_in_the_uncertainty() -> None:
    start = recording_start("20260601_120000.wav", deployments=table(site="North"), now=NOW)
    assert (start.utc, start.source) == (LOCAL.replace(tzinfo=UTC), "file name, taken as UTC")
    assert (start.uncertainty_s, start.reason) == (1 + NO_ZONE_S, "the time zone is not known")
    assert start.site == "North"


@pytest.mark.parametrize(("hour", "day"), [("013000", "20261025"), ("013000", "20260329")])
def test_an_hour_that_is_twice_or_never(hour: str, day: str) -> None:
    start = recording_start(f"{day}_{hour}.wav", deployments=table(time_zone="Europe/London"), now=NOW)
    assert start.uncertainty_s == 3601
    assert "clocks of the zone change" in start.reason


def test_the_clock_offset_is_added_and_said() -> None:
    start = recording_start(
        "x.wav", head((LOCAL.replace(tzinfo=UTC), "GUANO")), table(clock_offset_s=-2.5), now=NOW
    )  # fmt: skip
    assert start.utc == datetime(2026, 6, 1, 11, 59, 57, 500_000, tzinfo=UTC)
    assert start.source == "GUANO, UTC, clock offset -2.5 s of the deployments table"


@pytest.mark.parametrize(
    ("stem", "said"),
    [
        ("19700101_000004", "file name says 1970: the clock was not set"),
        ("00010101_000004", "file name says 1: the clock was not set"),
        ("20261130_000000", "file name says 2026, which is yet to come: the clock was not set"),
        ("99991231_235959", "file name says 9999, which is yet to come: the clock was not set"),
        ("20260230_000000", "file name holds no possible time"),
        ("gunshot", "not known"),
    ],
)
@pytest.mark.parametrize("zone", ["", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_no_start_says_why(stem: str, said: str, zone: str) -> None:
    start = recording_start(f"a/{stem}.wav", deployments=table(time_zone=zone), now=NOW)
    assert (start.utc, start.source, start.uncertainty_s) == (None, said, None)
    assert start.at(3.0) is None


def test_a_clock_that_was_not_set_is_passed_over() -> None:
    reset = (datetime(1970, 1, 1, tzinfo=UTC), "AudioMoth header")
    assert recording_start("20260601_120000.wav", head(reset), now=NOW).source == "file name, taken as UTC"
    start = recording_start("x.wav", head(reset), now=NOW)
    assert (start.utc, start.source) == (None, "AudioMoth header says 1970: the clock was not set")


def test_a_recorder_that_was_moved() -> None:
    moved = datetime(2026, 6, 1, 11, tzinfo=UTC)
    rows = [
        Deployment(recorder="AM1", site="before", time_zone="Africa/Douala", end=moved),
        Deployment(recorder="am1", site="after", time_zone="Africa/Douala", start=moved, latitude=1.0, longitude=2.0),
    ]
    sites = {
        name: recording_start(f"{name}.wav", deployments=Deployments(tuple(rows)), now=NOW).site
        for name in ("AM1_20260601_115959", "AM1_20260601_120000", "AM2_20260601_120000", "AM1")
    }
    assert list(sites.values()) == ["before", "after", "", ""]


def test_the_recorder_is_found_by_what_its_header_says() -> None:
    found = head(
        (LOCAL.replace(tzinfo=UTC), "GUANO"), recorder="AudioMoth 77", serial="77", latitude=1.0, longitude=2.0
    )
    table_ = Deployments((Deployment(recorder="77", site="North"),))
    start = recording_start("x.wav", found, table_, now=NOW)
    assert (start.site, start.recorder, start.latitude, start.longitude) == ("North", "77", 1.0, 2.0)
    alone = recording_start("x.wav", found, now=NOW)
    assert (alone.site, alone.recorder) == ("", "AudioMoth 77")
    assert recording_start("SMM01234_20260601_120000.wav", now=NOW).recorder == "SMM01234"


def test_triggered_recordings_leave_out_time() -> None:
    start = recording_start("20260601_120000T.WAV", head((LOCAL.replace(tzinfo=UTC), "AudioMoth header")), now=NOW)
    assert "triggered" in start.source
    assert start.uncertainty_s == LONGEST_TRIGGERED_S + 1


def test_expanded_time_runs_slower() -> None:
    start = recording_start("x.wav", head((LOCAL.replace(tzinfo=UTC), "GUANO"), time_expansion=10.0), now=NOW)
    assert start.at(20.0) == datetime(2026, 6, 1, 12, 0, 2, tzinfo=UTC)
    assert start.source.endswith("stored 10 times slower than life")


zones = st.sampled_from(["Africa/Douala", "Europe/London", "Pacific/Auckland", "America/St_Johns", "UTC"])


@given(
    utc=st.datetimes(datetime(2000, 1, 2), datetime(2026, 11, 27)).map(lambda time: time.replace(microsecond=0)),
    zone=zones,
    offset_s=st.integers(-100_000, 100_000),
)
def test_the_true_time_is_within_the_uncertainty(utc: datetime, zone: str, offset_s: int) -> None:
    """A clock in a zone that ran ahead, whatever is known of it, is off by no more than is told."""
    utc = utc.replace(tzinfo=UTC)
    clock = (utc - timedelta(seconds=offset_s)).astimezone(ZoneInfo(zone))
    name = f"{clock:%Y%m%d_%H%M%S}.wav"
    known = table(time_zone=zone, clock_offset_s=float(offset_s))
    unknown = table(clock_offset_s=float(offset_s))
    later = NOW + timedelta(days=9)
    for deployments in (known, unknown):
        start = recording_start(name, deployments=deployments, now=later)
        if start.utc is not None:
            assert start.uncertainty_s is not None
            assert abs((start.utc - utc).total_seconds()) <= start.uncertainty_s
    assert recording_start(name, deployments=known, now=later) == recording_start(name, deployments=known, now=later)
