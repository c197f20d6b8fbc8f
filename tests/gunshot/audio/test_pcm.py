"""Plain WAV by arithmetic: libsndfile's header and samples to the last bit, or left to libsndfile."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from gunshot.audio.decode import Recording
from gunshot.audio.pcm import PlainSamples, plain_header
from gunshot.audio.probe import AudioHeader, wav_data

BYTES = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4}
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def wav(
    subtype: str, n_channels: int, samples: bytes, *, extensible: bool = False, before: bytes = b"", sr: int = 44_100
) -> bytes:
    """A WAV made by hand, with other chunks before its data."""
    width = BYTES[subtype]
    tag = 3 if subtype == "FLOAT" else 1
    frame_bytes = n_channels * width
    form = struct.pack("<HIIHH", n_channels, sr, sr * frame_bytes, frame_bytes, 8 * width)
    if extensible:
        form = struct.pack("<H", 0xFFFE) + form + struct.pack("<HHIH", 22, 8 * width, 0, tag) + GUID_TAIL
    else:
        form = struct.pack("<H", tag) + form
    content = b"WAVEfmt " + struct.pack("<I", len(form)) + form + before
    content += b"data" + struct.pack("<I", len(samples)) + samples + b"\0" * (len(samples) % 2)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def plain(content: bytes) -> tuple[AudioHeader, PlainSamples] | None:
    data = wav_data(io.BytesIO(content), len(content))
    header = plain_header(data, len(content))
    if data is None or header is None:
        return None
    return header, PlainSamples(io.BytesIO(content), data.offset_bytes, header)


def by_libsndfile(content: bytes) -> tuple[AudioHeader, np.ndarray] | None:
    try:
        with sf.SoundFile(io.BytesIO(content)) as file:
            header = AudioHeader(file.samplerate, file.channels, file.frames, file.format, file.subtype)
            return header, file.read(dtype="float32", always_2d=True)
    except sf.LibsndfileError:
        return None


@settings(deadline=None)
@given(
    subtype=st.sampled_from(["PCM_16", "PCM_24", "PCM_32"]),
    n_channels=st.integers(1, 9),
    n_frames=st.integers(1, 300),
    extensible=st.booleans(),
    n_before=st.integers(0, 3),
    start=st.integers(0, 310),
    length=st.integers(0, 310),
    seed=st.integers(0, 99),
)
def test_any_integers_are_libsndfiles_to_the_bit(
    subtype: str, n_channels: int, n_frames: int, extensible: bool, n_before: int, start: int, length: int, seed: int
) -> None:
    samples = np.random.default_rng(seed).bytes(n_frames * n_channels * BYTES[subtype])
    before = b"LIST" + struct.pack("<I", 2 * n_before) + b"ab" * n_before
    content = wav(subtype, n_channels, samples, extensible=extensible, before=before if n_before else b"")
    ours, theirs = plain(content), by_libsndfile(content)
    assert ours is not None
    assert theirs is not None
    assert ours[0] == theirs[0]
    assert ours[0].container == ("WAVEX" if extensible else "WAV")
    np.testing.assert_array_equal(ours[1].read(0, n_frames), theirs[1])
    np.testing.assert_array_equal(ours[1].read(start, length), theirs[1][start : start + length])


@pytest.mark.parametrize("extensible", [False, True])
def test_floats_are_what_was_written(extensible: bool) -> None:
    y = np.array([0.0, -0.0, 1e-42, 1.0, -3.4e38, np.nan, np.inf, 0.1], dtype="<f4")
    content = wav("FLOAT", 2, y.tobytes(), extensible=extensible)
    ours, theirs = plain(content), by_libsndfile(content)
    assert ours is not None
    assert theirs is not None
    assert ours[0] == theirs[0]
    np.testing.assert_array_equal(ours[1].read(0, 4), y.reshape(4, 2))


@settings(deadline=None, max_examples=400)
@given(
    subtype=st.sampled_from(sorted(BYTES)),
    extensible=st.booleans(),
    damage=st.lists(st.tuples(st.integers(0, 75), st.integers(0, 255)), min_size=1, max_size=3),
    cut=st.integers(0, 40),
)
def test_what_is_taken_for_plain_in_spite_of_damage_is_what_libsndfile_takes_it_for(
    subtype: str, extensible: bool, damage: list[tuple[int, int]], cut: int
) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 60).astype("<f4").tobytes()
    content = bytearray(wav(subtype, 1, samples, extensible=extensible))
    for place, value in damage:
        content[place] = value
    content = content[: len(content) - cut]
    ours = plain(bytes(content))
    if ours is None or ours[0].sr < 1000:  # refused by whoever opens it
        return
    theirs = by_libsndfile(bytes(content))
    assert theirs is not None
    # what was never finalised is read to its end here; libsndfile believes a 0
    if theirs[0].n_frames == 0:
        return
    assert ours[0] == theirs[0]
    np.testing.assert_array_equal(ours[1].read(0, ours[0].n_frames), theirs[1])


@pytest.mark.parametrize(
    ("place", "value"),
    [(20, 6), (22, 0), (28, 7), (32, 5), (34, 12), (0, ord("X"))],
    ids=["format", "no channels", "byte rate", "frame size", "bits", "form"],
)
def test_a_header_that_does_not_agree_with_itself_is_not_plain(place: int, value: int) -> None:
    content = bytearray(wav("PCM_16", 1, bytes(100)))
    assert plain(bytes(content)) is not None
    content[place] = value
    assert plain(bytes(content)) is None


def test_a_cut_file_or_an_odd_length_is_not_plain() -> None:
    whole = wav("PCM_16", 2, bytes(400))
    assert plain(whole[:-1]) is None
    assert plain(wav("PCM_16", 2, bytes(399))) is None
    assert plain_header(None, 0) is None


def test_a_file_that_became_shorter_gives_what_is_left(tmp_path: Path) -> None:
    y = np.random.default_rng(0).uniform(-0.5, 0.5, 5000)
    sf.write(tmp_path / "shrinks.wav", y, 12_000)
    whole = sf.read(tmp_path / "shrinks.wav", dtype="float32")[0]
    with Recording(str(tmp_path / "shrinks.wav")) as recording:
        with (tmp_path / "shrinks.wav").open("r+b") as file:
            file.truncate(44 + 2 * 3000)
        np.testing.assert_array_equal(recording.read(1000), whole[1000:3000])
        assert recording.defect == "breaks off after 0.250 s: the data ends"
        np.testing.assert_array_equal(recording.read(0, 2000), whole[:2000])
