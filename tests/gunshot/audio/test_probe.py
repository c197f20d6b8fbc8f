"""What the headers of WAV files declare, on files made by hand."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.audio.probe import AUDIO_SUFFIXES, AudioHeader, missing_wav_bytes

FORMAT = struct.pack("<HHIIHH", 1, 1, 12_000, 24_000, 2, 16)

names = st.text("abcdefghijklmnopqrstuvwxyz XYZ", min_size=4, max_size=4).filter(lambda name: name != "ds64")


def chunk(name: str, content: bytes, declared: int | None = None) -> bytes:
    """A RIFF chunk, padded to an even length."""
    length = len(content) if declared is None else declared
    return struct.pack("<4sI", name.encode(), length) + content + b"\0" * (len(content) % 2)


def wave(*chunks: bytes, kind: str = "RIFF") -> bytes:
    content = b"WAVE" + b"".join(chunks)
    return struct.pack("<4sI", kind.encode(), len(content) if kind == "RIFF" else 0xFFFFFFFF) + content


def missing(content: bytes) -> int:
    return missing_wav_bytes(io.BytesIO(content), len(content))


def sizes_64(data_size: int) -> bytes:
    return chunk("ds64", struct.pack("<QQQI", 1 << 40, data_size, data_size // 2, 0))


class CountedReads(io.BytesIO):
    """A file that counts how often it is read."""

    n_reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.n_reads += 1
        return super().read(size)


@settings(deadline=None)
@given(
    before=st.lists(st.tuples(names.filter(lambda name: name != "data"), st.binary(max_size=21)), max_size=5),
    n_bytes=st.integers(1, 200),
    after=st.binary(max_size=9),
    data=st.data(),
)
def test_missing_bytes_are_those_between_the_end_of_the_file_and_of_the_sound(
    before: list[tuple[str, bytes]], n_bytes: int, after: bytes, data: st.DataObject
) -> None:
    head = wave(chunk("fmt ", FORMAT), *(chunk(name, content) for name, content in before))
    whole = head + chunk("data", b"\1" * n_bytes) + chunk("LIST", after)
    assert missing(whole) == 0
    end_of_sound = len(head) + 8 + n_bytes
    cut = data.draw(st.integers(0, len(whole)))
    expected = max(0, end_of_sound - cut) if cut >= len(head) + 8 else 0
    assert missing(whole[:cut]) == expected


def test_the_size_of_a_chunk_of_odd_length_is_rounded_up() -> None:
    content = wave(chunk("fmt ", FORMAT), chunk("note", b"abc"), chunk("data", b"\1" * 10, declared=110))
    assert missing(content) == 100


@pytest.mark.parametrize("declared", [0, 0xFFFFFFFF])
def test_a_size_that_was_never_written_misses_nothing(declared: int) -> None:
    assert missing(wave(chunk("fmt ", FORMAT), chunk("data", b"\1" * 100, declared=declared))) == 0


@pytest.mark.parametrize("kind", ["RF64", "BW64"])
@pytest.mark.parametrize("more", [0, 1, 5_000_000_000])
def test_the_size_of_a_long_file_is_in_its_ds64_chunk(kind: str, more: int) -> None:
    head = (sizes_64(100 + more), chunk("fmt ", FORMAT))
    assert missing(wave(*head, chunk("data", b"\1" * 100, declared=0xFFFFFFFF), kind=kind)) == more


@pytest.mark.parametrize("kind", ["RF64", "BW64"])
def test_a_long_file_whose_size_was_never_written_misses_nothing(kind: str) -> None:
    data = chunk("data", b"\1" * 100, declared=0xFFFFFFFF)
    assert missing(wave(chunk("fmt ", FORMAT), data, kind=kind)) == 0
    assert missing(wave(sizes_64(0), chunk("fmt ", FORMAT), data, kind=kind)) == 0


def test_a_long_file_with_a_short_size_in_its_place_is_read_by_that() -> None:
    data = chunk("data", b"\1" * 100, declared=150)
    assert missing(wave(sizes_64(1 << 40), chunk("fmt ", FORMAT), data, kind="RF64")) == 50


def test_a_header_cut_anywhere_misses_nothing_that_is_known() -> None:
    head = wave(sizes_64(1 << 40), chunk("fmt ", FORMAT), kind="RF64")
    for cut in range(len(head) + 1):
        assert missing(head[:cut]) == 0, cut


@pytest.mark.parametrize("kind", [b"RIFX", b"FORM", b"fLaC", b"OggS", b"RIFF"])
def test_other_containers_miss_nothing(kind: bytes) -> None:
    other = kind + wave(chunk("fmt ", FORMAT), chunk("data", b"\1" * 10, declared=1000))[4:]
    if kind == b"RIFF":
        other = other.replace(b"WAVE", b"AVI ")
    assert missing(other) == 0


def test_zeros_after_the_header_are_not_walked_through() -> None:
    # a card that failed: read as chunks of no length, a gigabyte of zeros would take minutes
    file = CountedReads(wave(chunk("fmt ", FORMAT)) + bytes(1 << 16))
    assert missing_wav_bytes(file, len(file.getvalue())) == 0
    assert file.n_reads < 10


@settings(deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_after_a_wave_header_give_a_number(content: bytes) -> None:
    assert missing(wave(content)) >= 0
    assert missing(wave(content, kind="RF64")) >= 0


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
def test_what_libsndfile_writes_is_whole_and_misses_what_is_cut_off(
    tmp_path: Path, container: str, subtype: str
) -> None:
    path = tmp_path / "sound.wav"
    sf.write(path, np.zeros((1001, 3)), 12_000, format=container, subtype=subtype)
    content = path.read_bytes()
    sound_ends = content.index(b"data") + 8 + 1001 * 3 * {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "FLOAT": 4}[subtype]
    assert missing(content) == 0
    assert missing(content[: sound_ends - 777]) == 777


def test_duration_is_frames_over_rate() -> None:
    assert AudioHeader(sr=8000, n_channels=2, n_frames=12_000, container="WAV", subtype="PCM_16").duration_s == 1.5


def test_suffixes_can_be_compared_with_a_lower_case_ending() -> None:
    assert len(set(AUDIO_SUFFIXES)) == len(AUDIO_SUFFIXES)
    for suffix in AUDIO_SUFFIXES:
        assert suffix.startswith(".")
        assert suffix == suffix.lower()
