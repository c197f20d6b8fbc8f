"""What recorders write into their files: read where it is, and no damage is ever an error."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunshot.scoring.timestamps import NO_METADATA, RecorderMetadata, read_metadata

Make = Callable[..., bytes]
SERIAL = "24F319055FDF0A5E"


def read(content: bytes) -> RecorderMetadata:
    file = io.BytesIO(content)
    file.seek(7)
    found = read_metadata(file, len(content))
    assert file.tell() == 7  # a decoder shares the file
    return found


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        (f"Recorded at 19:17:30 30/09/2020 by AudioMoth {SERIAL} at gain setting 2 while battery state was 4.05V",
         "2020-09-30T19:17:30+00:00"),  # 1.0
        (f"Recorded at 19:17:30 30/09/2020 (UTC) by AudioMoth {SERIAL} at gain setting 2 while battery state was"
         " < 3.6V",
         "2020-09-30T19:17:30+00:00"),
        (f"Recorded at 19:17:30 30/09/2020 (UTC-3) by AudioMoth {SERIAL} at gain setting 2 while battery state "
         "was > 5.0V.",
         "2020-09-30T19:17:30-03:00"),  # 1.2
        (f"Recorded at 19:17:30 30/09/2020 (UTC+5:30) by AudioMoth {SERIAL} at medium gain setting while battery state "
         "was greater than 4.9V and temperature was 21.5C.", "2020-09-30T19:17:30+05:30"),  # 1.4
        (f"Recorded at 19:17:30 30/09/2020 (UTC+12:45) by AudioMoth {SERIAL} at medium-high gain while battery was "
         "4.2V and temperature was -1.5C. Recording stopped due to low voltage.", "2020-09-30T19:17:30+12:45"),
        ("Recorded at 19:17:30 30/09/2020 (UTC+2) during deployment 0123456789ABCDEF at low gain while battery was "
         "4.2V and temperature was 1.5C.", "2020-09-30T19:17:30+02:00"),
    ],
)  # fmt: skip
def test_comments_of_all_audiomoth_firmware(make_wav: Make, make_info: Make, comment: str, expected: str) -> None:
    found = read(make_wav(make_info(ICMT=comment, IART=f"AudioMoth {SERIAL}")))
    (written,) = found.times
    assert written.time == datetime.fromisoformat(expected)
    assert written.source == "AudioMoth header"
    assert written.raw in comment
    assert found.recorder == f"AudioMoth {SERIAL}"
    assert found.serial == ("0123456789ABCDEF" if "deployment" in comment else SERIAL)


@pytest.mark.parametrize("comment", ["", "Recorded at 19:17:30", "a day at the sea", "Recorded at 99:99 by AudioMoth"])
def test_other_comments_say_nothing(make_wav: Make, make_info: Make, comment: str) -> None:
    assert read(make_wav(make_info(ICMT=comment))) == NO_METADATA


def test_a_time_that_cannot_be_is_kept_as_text(make_wav: Make, make_info: Make) -> None:
    comment = f"Recorded at 24:17:30 31/02/2020 (UTC) by AudioMoth {SERIAL}"
    (written,) = read(make_wav(make_info(ICMT=comment))).times
    assert (written.time, written.raw) == (None, comment)


@pytest.mark.parametrize("is_last", [False, True])
def test_guano_before_or_after_the_sound(make_wav: Make, make_guano: Make, is_last: bool) -> None:
    block = make_guano(
        Timestamp="2026-03-01T21:00:00.250+13:00", Make="Titley", Model="Chorus", Serial="77",
        Loc_Position="-36.85 174.76", TE="10",
    )  # fmt: skip
    found = read(make_wav(after=(block,)) if is_last else make_wav(block))
    (written,) = found.times
    assert written.time == datetime(2026, 3, 1, 8, 0, 0, 250_000, tzinfo=UTC)
    assert (written.source, written.resolution_s) == ("GUANO", 0.001)
    assert (found.recorder, found.serial) == ("Titley Chorus 77", "77")
    assert (found.latitude, found.longitude, found.time_expansion) == (-36.85, 174.76, 10)


@given(
    time=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),
    minutes=st.one_of(st.none(), st.integers(-14 * 60, 14 * 60)),
    style=st.sampled_from(["colon", "plain"]),
)
def test_what_guano_writes_is_read(
    make_wav: Make, make_guano: Make, time: datetime, minutes: int | None, style: str
) -> None:
    if minutes is not None:
        time = time.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    text = time.isoformat()
    if minutes is not None and style == "plain":
        text = text[:-3] + text[-2:]
    (written,) = read(make_wav(after=(make_guano(Timestamp=text),))).times
    assert written.time == time
    assert written.time.utcoffset() == time.utcoffset()


def test_guano_after_an_odd_chunk_without_its_filling_byte(make_wav: Make, make_guano: Make, make_chunk: Make) -> None:
    odd = make_chunk(b"junk", b"abc", is_padded=False)
    (written,) = read(make_wav(after=(odd, make_guano(Timestamp="2026-03-01T21:00:00Z")))).times
    assert written.time == datetime(2026, 3, 1, 21, tzinfo=UTC)


def test_wildlife_acoustics(make_wav: Make, make_wamd: Make) -> None:
    fields = {
        0: b"\1\0", 1: b"SM4", 2: b"S4A02641", 5: b"2025-02-20 17:00:00-06:00", 6: b"WGS84, 29.5, N, 98.25, W, 200",
        0x0D: b"\0" * 5000, 0xFFFF: b"",
    }  # fmt: skip
    found = read(make_wav(after=(make_wamd(fields),)))
    (written,) = found.times
    assert written.time == datetime(2025, 2, 20, 23, tzinfo=UTC)
    assert (found.recorder, found.serial) == ("SM4 S4A02641", "S4A02641")
    assert (found.latitude, found.longitude) == (29.5, -98.25)
    local = read(make_wav(make_wamd({5: b"2014-04-02 22:59:14.000", 6: b"WGS84,-29.5,98.25"})))
    assert local.times[0].time == datetime(2014, 4, 2, 22, 59, 14)
    assert (local.latitude, local.longitude) == (-29.5, 98.25)


@pytest.mark.parametrize("text", ["0 0", "91 10", "10 181", "north", "nan nan", "1e400 0", ""])
def test_places_that_are_none(make_wav: Make, make_guano: Make, text: str) -> None:
    found = read(make_wav(make_guano(Loc_Position=text, Serial="1")))
    assert (found.latitude, found.longitude) == (None, None)


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "ten", ""])
def test_time_expansions_that_are_none(make_wav: Make, make_guano: Make, text: str) -> None:
    assert read(make_wav(make_guano(TE=text, Serial="1"))).time_expansion == 1


def test_guano_goes_before_the_comment(make_wav: Make, make_guano: Make, make_info: Make) -> None:
    comment = make_info(ICMT=f"Recorded at 19:17:30 30/09/2020 (UTC) by AudioMoth {SERIAL}")
    found = read(make_wav(comment, after=(make_guano(Timestamp="2020-09-30T19:17:31Z", Serial="x"),)))
    assert [written.source for written in found.times] == ["GUANO", "AudioMoth header"]
    assert found.serial == "x"


def test_flac_keeps_it_as_tags_or_as_chunks(make_wav: Make, make_guano: Make) -> None:
    tag = f"comment=Recorded at 19:17:30 30/09/2020 (UTC) by AudioMoth {SERIAL}".encode()
    tags = struct.pack("<I", 4) + b"test" + struct.pack("<II", 1, len(tag)) + tag
    riff = b"riff" + make_guano(Timestamp="2020-09-30T19:17:31Z")
    blocks = [(0, b"\0" * 34), (2, riff), (4, tags)]
    content = b"fLaC" + b"".join(
        bytes([kind | (0x80 if kind == 4 else 0)]) + len(block).to_bytes(3, "big") + block for kind, block in blocks
    )
    assert [written.source for written in read(content).times] == ["GUANO", "AudioMoth header"]


def test_a_long_file_costs_few_reads(make_guano: Make, make_chunk: Make) -> None:
    class Counting(io.BytesIO):
        n_bytes = 0

        def read(self, size: int | None = -1, /) -> bytes:
            content = super().read(size)
            self.n_bytes += len(content)
            return content

    fmt = make_chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16))
    body = b"WAVE" + fmt + make_chunk(b"data", bytes(10_000_000)) + make_guano(Timestamp="2020-09-30T19:17:31Z")
    file = Counting(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert read_metadata(file, len(body) + 8).times
    assert file.n_bytes < 1000


damage = st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=8)), max_size=6)


@given(
    content=st.binary(max_size=400),
    head=st.sampled_from([b"", b"RIFF\0\0\0\0WAVE", b"RF64\xff\xff\xff\xffWAVE", b"fLaC"]),
)
def test_any_bytes_give_metadata_or_none(content: bytes, head: bytes) -> None:
    assert isinstance(read(head + content), RecorderMetadata)


@given(
    content=st.binary(max_size=200),
    name=st.sampled_from([b"guan", b"wamd", b"LIST"]),
    text=st.text("0123456789-:+TZ. \n\0é", max_size=80),
)
def test_any_content_of_a_chunk(make_wav: Make, make_chunk: Make, content: bytes, name: bytes, text: str) -> None:
    start = {b"guan": b"GUANO|Version: 1.0\nTimestamp:", b"LIST": b"INFOICMT", b"wamd": b""}[name]
    read(make_wav(make_chunk(name, start + content)))
    read(make_wav(make_chunk(name, start + text.encode("utf-8", "replace"))))


@given(damage=damage, cut=st.integers(0, 3000))
def test_damage_anywhere(
    make_wav: Make, make_guano: Make, make_info: Make, make_wamd: Make, damage: list[tuple[int, bytes]], cut: int
) -> None:
    whole = make_wav(
        make_info(ICMT=f"Recorded at 19:17:30 30/09/2020 (UTC) by AudioMoth {SERIAL}"),
        make_wamd({5: b"2014-04-02 22:59:14", 6: b"WGS84,1,2"}),
        after=(make_guano(Timestamp="2020-09-30T19:17:31Z"),),
    )
    content = bytearray(whole)
    for place, what in damage:
        content[place : place + len(what)] = what
    read(bytes(content))
    read(whole[:cut])
