"""Decoding: the same sound from every container, whole, in spans and in blocks; and files that are damaged."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gunshot.audio.decode import Recording
from gunshot.errors import AudioError

Float32 = NDArray[np.float32]

by_file = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Kind:
    """A container and subtype, and what it may do to a sound."""

    container: str
    subtype: str
    error_db: float  # rms of the error over rms of the sound, at most
    rates: tuple[int, ...] = (8_000, 44_100, 192_000)
    channels: tuple[int, ...] = (1, 2, 4)
    padding: int = 0  # frames that may be added at the end
    atol: float = 0.0  # between reading at once and in parts

    def __str__(self) -> str:
        return f"{self.container}-{self.subtype}"


# The bounds are what quantisation to so many bits gives for a sound of rms 0.1, and for lossy codecs half again what
# was measured; a wrong channel, gain, offset or byte order gives more than -10 dB in any of them.
LOSSLESS = [
    *(Kind(c, "PCM_16", -60.0) for c in ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC")),
    *(Kind(c, "PCM_24", -108.0) for c in ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC")),
    *(Kind(c, "PCM_32", -140.0) for c in ("WAV", "RF64", "AIFF", "AU", "CAF")),
    *(Kind(c, "FLOAT", -200.0) for c in ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF")),
    *(Kind(c, "DOUBLE", -200.0) for c in ("WAV", "AIFF", "AU", "CAF")),
    Kind("WAV", "PCM_U8", -14.0),
    Kind("FLAC", "PCM_S8", -18.0),
    Kind("AIFF", "PCM_S8", -14.0, padding=1),
    Kind("CAF", "ALAC_16", -60.0),
    Kind("CAF", "ALAC_24", -108.0),
]
LOSSY = [
    *(Kind("WAV", law, -30.0) for law in ("ULAW", "ALAW")),
    *(Kind(c, "ULAW", -30.0) for c in ("AU", "CAF")),
    Kind("AIFF", "ALAW", -30.0, padding=1),
    Kind("WVE", "ALAW", -30.0, rates=(8_000,), channels=(1,)),
    Kind("WAV", "IMA_ADPCM", -20.0, channels=(1, 2), padding=8192),
    Kind("WAV", "MS_ADPCM", -20.0, channels=(1, 2), padding=8192),
    Kind("W64", "IMA_ADPCM", -20.0, channels=(1, 2), padding=8192),
    Kind("WAV", "G721_32", -20.0, rates=(8_000, 44_100), channels=(1,), padding=120),
    Kind("WAV", "GSM610", -6.0, rates=(8_000,), channels=(1,), padding=640),
    Kind("OGG", "VORBIS", -20.0),
    Kind("OGG", "OPUS", -15.0, rates=(8_000, 12_000, 48_000)),
    Kind("MP3", "MPEG_LAYER_III", -20.0, rates=(8_000, 22_050, 48_000), channels=(1, 2), atol=1e-6),
]
# Each way of finding a place in a file: by arithmetic, by a table, by blocks, by frames that know each other, or none.
PLACES = [
    Kind("WAV", "PCM_16", 0.0),
    Kind("AIFF", "PCM_24", 0.0),
    Kind("FLAC", "PCM_16", 0.0),
    Kind("CAF", "ALAC_16", 0.0),
    Kind("WAV", "IMA_ADPCM", 0.0),
    Kind("WAV", "G721_32", 0.0),
    Kind("OGG", "VORBIS", 0.0),
    Kind("OGG", "OPUS", 0.0),
    Kind("MP3", "MPEG_LAYER_III", 0.0, atol=1e-6),
]


FRAME_BYTES = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4}


def sound(sr: int, n_frames: int, n_channels: int = 1) -> Float32:
    """A low tone and a burst of band-limited noise that any codec keeps; the channels differ."""
    t = np.arange(n_frames) / sr
    rng = np.random.default_rng(0)
    y = 0.1 * np.sin(2 * np.pi * 440.0 * t)
    for frequency_hz in rng.uniform(300.0, 1500.0, 12):
        y += 0.05 * np.sin(2 * np.pi * frequency_hz * t + rng.uniform(0, 6)) * np.exp(-(((t - 0.2) / 0.05) ** 2))
    return np.stack([y * (1.0 - 0.2 * channel) for channel in range(n_channels)], axis=1).astype(np.float32)


def write(path: Path, y: Float32, sr: int, kind: Kind) -> Path:
    """Write in pieces: some encoders of libsndfile keep all of what they are given at once on the stack."""
    with sf.SoundFile(
        path, "w", sr, y.shape[1] if y.ndim == 2 else 1, format=kind.container, subtype=kind.subtype
    ) as file:
        for start in range(0, len(y), 8192):
            file.write(y[start : start + 8192])
    return path


def noise(n_frames: int, seed: int = 0) -> Float32:
    return (0.1 * np.random.default_rng(seed).standard_normal(n_frames)).astype(np.float32)


def read(path: Path) -> Float32:
    with Recording(str(path)) as recording:
        return recording.read()


def read_or_error(path: Path) -> Float32 | AudioError:
    try:
        return read(path)
    except AudioError as error:
        return error


def error_of(path: Path) -> AudioError:
    with pytest.raises(AudioError) as caught, Recording(str(path)) as recording:
        recording.read()
    return caught.value


# ---- the same sound from every container


@pytest.mark.parametrize("kind", LOSSLESS + LOSSY, ids=str)
def test_every_container_gives_the_sound_that_was_written(tmp_path: Path, kind: Kind) -> None:
    for sr in kind.rates:
        for n_channels in kind.channels:
            y = sound(sr, round(0.4 * sr) + 37, n_channels)
            path = write(tmp_path / f"{sr}-{n_channels}", y, sr, kind)
            with Recording(str(path)) as recording:
                header = recording.header
                assert (header.sr, header.n_channels) == (sr, n_channels)
                assert (header.container, header.subtype) == (kind.container, kind.subtype)
                result = recording.read()
                assert recording.defect is None
            assert result.dtype == np.float32
            assert result.flags.c_contiguous
            assert header.n_frames == result.size
            assert 0 <= result.size - len(y) <= kind.padding, (sr, n_channels)
            expected = y.mean(axis=1)
            error = result[: len(y)] - expected
            error_db = 20 * np.log10(np.sqrt(np.mean(error**2) / np.mean(expected**2)) + 1e-12)
            assert error_db <= kind.error_db, (sr, n_channels, error_db)
            # soundfile decodes in one read: the reference for all that follows
            np.testing.assert_allclose(result, sf.read(path, always_2d=True)[0].mean(axis=1), rtol=0.0, atol=1e-6)


def test_the_mix_is_the_mean_of_the_channels(tmp_path: Path) -> None:
    y = np.random.default_rng(0).uniform(-1, 1, (5000, 4)).astype(np.float32)
    path = write(tmp_path / "four.wav", y, 12_000, Kind("WAV", "FLOAT", 0.0))
    np.testing.assert_array_equal(read(path), y.mean(axis=1, dtype=np.float32))


# ---- places in a file


@pytest.fixture(scope="module", params=PLACES, ids=str)
def placed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Float32, Kind]:
    """A file, all its samples, and its kind; noise, so that no two places look alike."""
    kind = request.param
    path = write(
        tmp_path_factory.mktemp("placed") / "noise", noise(70_001), 16_000 if kind.subtype != "OPUS" else 12_000, kind
    )
    return path, read(path), kind


spans = st.lists(st.tuples(st.integers(-10, 75_000), st.integers(-10, 75_000)), min_size=1, max_size=6)


@by_file
@given(spans=spans)
def test_a_span_is_the_slice_of_the_whole_in_any_order(
    placed: tuple[Path, Float32, Kind], spans: list[tuple[int, int]]
) -> None:
    path, whole, kind = placed
    with Recording(str(path)) as recording:
        for start, stop in spans:
            expected = whole[max(0, start) : max(0, stop)]
            np.testing.assert_allclose(recording.read(start, stop), expected, rtol=0.0, atol=kind.atol)
        assert recording.defect is None


@by_file
@given(starts=st.lists(st.integers(0, 70_000), min_size=2, max_size=12).map(sorted), length=st.integers(1, 9000))
def test_segments_that_overlap_are_slices_of_the_whole(
    placed: tuple[Path, Float32, Kind], starts: list[int], length: int
) -> None:
    path, whole, kind = placed
    with Recording(str(path)) as recording:
        for start in starts:
            expected = whole[start : start + length]
            np.testing.assert_allclose(recording.read(start, start + length), expected, rtol=0.0, atol=kind.atol)


@by_file
@given(block_frames=st.one_of(st.integers(500, 5000), st.integers(5000, 100_000)), first=st.booleans())
def test_blocks_of_any_size_join_to_the_whole(
    placed: tuple[Path, Float32, Kind], block_frames: int, first: bool
) -> None:
    path, whole, kind = placed
    with Recording(str(path)) as recording:
        if first:
            recording.read(12_345, 23_456)
        blocks = list(recording.blocks(block_frames))
    assert [block.size for block in blocks[:-1]] == [block_frames] * (len(blocks) - 1)
    assert 1 <= blocks[-1].size <= block_frames
    np.testing.assert_allclose(np.concatenate(blocks), whole, rtol=0.0, atol=kind.atol)


def test_the_end_of_a_vorbis_file_is_found_as_exactly_as_its_beginning(tmp_path: Path) -> None:
    # libsndfile's own seek lands up to 4,500 samples away in the last page
    for n_channels in (1, 2):
        y = sound(44_100, 6 * 44_100, n_channels) + noise(6 * 44_100)[:, None]
        path = write(tmp_path / f"{n_channels}.ogg", y, 44_100, Kind("OGG", "VORBIS", 0.0))
        whole = read(path)
        for start in range(whole.size - 30_000, whole.size, 3_700):
            with Recording(str(path)) as recording:
                np.testing.assert_array_equal(recording.read(start), whole[start:])


# ---- samples that cannot be


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_sample_that_is_no_number_makes_a_recording_unreadable(
    tmp_path: Path, value: float, subtype: str, n_channels: int
) -> None:
    y = np.zeros((5000, n_channels))
    y[4321, -1] = value
    y[4321, 0] = -value if n_channels == 2 else value  # infinities of both signs have no mean
    path = tmp_path / "bad.wav"
    sf.write(path, y, 12_000, subtype=subtype)
    error = error_of(path)
    assert error.state == "unreadable"
    assert "not finite" in error.reason
    with Recording(str(path)) as recording:
        assert recording.read(0, 4321).size == 4321  # what lies elsewhere is sound
        with pytest.raises(AudioError, match="not finite"):
            list(recording.blocks(1000))


@pytest.mark.parametrize(("value", "subtype"), [(1e30, "FLOAT"), (-3e38, "FLOAT"), (1e300, "DOUBLE")])
@pytest.mark.parametrize("n_channels", [1, 4])
def test_noise_read_as_floats_is_unreadable(tmp_path: Path, value: float, subtype: str, n_channels: int) -> None:
    y = np.zeros((5000, n_channels))
    y[77] = value
    sf.write(tmp_path / "huge.wav", y, 12_000, subtype=subtype)
    error = error_of(tmp_path / "huge.wav")
    assert error.state == "unreadable"
    assert "samples" in error.reason


def test_integers_written_as_floats_are_sound(tmp_path: Path) -> None:
    y = np.array([0.0, 32_767.0, -(2.0**31)], dtype=np.float32)
    sf.write(tmp_path / "loud.wav", y, 12_000, subtype="FLOAT")
    np.testing.assert_array_equal(read(tmp_path / "loud.wav"), y)


# ---- files without sound


@pytest.mark.parametrize("name", ["zero.wav", "zero.flac", "zero.raw", "zero"])
def test_no_bytes_are_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    error = error_of(tmp_path / name)
    assert (error.state, error.reason) == ("empty", "the file has 0 bytes")


@pytest.mark.parametrize(
    "kind", [Kind(c, "PCM_16", 0.0) for c in ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF")], ids=str
)
def test_a_header_alone_is_empty(tmp_path: Path, kind: Kind) -> None:
    error = error_of(write(tmp_path / "header", np.empty((0, 1), np.float32), 12_000, kind))
    assert error.state == "empty"
    assert "no samples" in error.reason


@pytest.mark.parametrize("declared", [0xFFFFFFFF, 0xFFFFFFF0])
def test_a_wav_that_was_never_finalised_is_read_to_its_end(tmp_path: Path, declared: int) -> None:
    y = noise(3000)
    path = write(tmp_path / "live.wav", y, 12_000, Kind("WAV", "FLOAT", 0.0))
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"data") + 4, declared)
    path.write_bytes(content)
    with Recording(str(path)) as recording:
        np.testing.assert_array_equal(recording.read()[:3000], y)
        # only the mark for "unknown" is taken for one
        assert (recording.defect is None) == (declared == 0xFFFFFFFF)


# ---- files that are damaged


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".aiff", ".raw", ".txt", ""])
def test_other_files_are_unreadable(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"notes{suffix}"
    path.write_text("The microphone stood by the river.\n" * 50)
    error = error_of(path)
    assert error.state == "unreadable"
    assert "no decoder takes it" in error.reason


MAGIC = [
    b"", b"RIFF\xff\0\0\0WAVEfmt ", b"RF64\xff\xff\xff\xffWAVEds64", b"fLaC\0\0\0\x22", b"FORM\0\0\1\0AIFF",
    b".snd\0\0\0\x20", b"caff\0\1\0\0", b"riff\x2e\x91\xcf\x11", b"OggS\0\2",
]  # fmt: skip
HEADERS = [
    *(Kind(c, "PCM_16", 0.0) for c in ("WAV", "FLAC", "AIFF", "W64", "CAF", "AU")),
    Kind("RF64", "FLOAT", 0.0),
    Kind("OGG", "VORBIS", 0.0),
    Kind("WAV", "IMA_ADPCM", 0.0),
]


@by_file
@given(head=st.sampled_from(MAGIC), rest=st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(tmp_path: Path, head: bytes, rest: bytes) -> None:
    path = tmp_path / "any.wav"
    path.write_bytes(head + rest)
    outcome = read_or_error(path)
    if isinstance(outcome, AudioError):
        assert outcome.state in {"unreadable", "empty"}
        assert outcome.reason
        assert "\n" not in outcome.reason
    else:
        assert np.isfinite(outcome).all()


@by_file
@given(
    kind=st.sampled_from(HEADERS),
    damage=st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_a_damaged_header_is_read_or_refused(tmp_path: Path, kind: Kind, damage: list[tuple[int, int]]) -> None:
    path = write(tmp_path / "damaged", noise(2000), 12_000, kind)
    content = bytearray(path.read_bytes())
    for place, value in damage:
        content[place] = value
    path.write_bytes(content)
    outcome = read_or_error(path)
    if isinstance(outcome, AudioError):
        assert outcome.state in {"unreadable", "empty"}
        assert outcome.reason
        return
    with Recording(str(path)) as recording:
        assert recording.header.sr >= 1000
        assert 0 < outcome.size <= recording.header.n_frames < 1 << 40


@pytest.mark.parametrize("sr", [1, 8, 999])
def test_a_sample_rate_that_no_recorder_has_is_unreadable(tmp_path: Path, sr: int) -> None:
    # taken for true, a second of sound at 1 Hz would become twelve thousand samples
    sf.write(tmp_path / "slow.wav", noise(1000), sr)
    error = error_of(tmp_path / "slow.wav")
    assert error.state == "unreadable"
    assert f"{sr} Hz" in error.reason


@by_file
@given(
    kind=st.sampled_from([k for k in LOSSLESS if k.container in {"WAV", "WAVEX", "RF64"} and k.subtype in FRAME_BYTES]),
    cut=st.floats(0.0, 1.0),
)
def test_a_wav_cut_at_any_byte_is_read_as_far_as_it_goes(tmp_path: Path, kind: Kind, cut: float) -> None:
    path = write(tmp_path / "cut.wav", noise(800).reshape(400, 2), 12_000, kind)
    content = path.read_bytes()
    whole = read(path)
    first = content.index(b"data") + 8
    frame_bytes = 2 * FRAME_BYTES[kind.subtype]
    end = first + 400 * frame_bytes
    length = round(cut * (end - 1))
    path.write_bytes(content[:length])
    n_frames = (length - first) // frame_bytes
    if n_frames <= 0:
        assert error_of(path).state in {"empty", "unreadable"}
        return
    with Recording(str(path)) as recording:
        assert recording.defect == f"truncated: {end - length} bytes fewer than the header declares"
        np.testing.assert_array_equal(recording.read(), whole[:n_frames])
        np.testing.assert_array_equal(np.concatenate(list(recording.blocks(97))), whole[:n_frames])


@pytest.fixture(scope="module")
def flac(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Float32]:
    """A FLAC of 18 frames and its samples."""
    path = write(tmp_path_factory.mktemp("flac") / "whole.flac", noise(70_001), 16_000, Kind("FLAC", "PCM_16", 0.0))
    return path.read_bytes(), read(path)


@by_file
@given(cut=st.floats(0.0, 0.9999), block_frames=st.integers(300, 80_000))
def test_a_flac_cut_at_any_byte_is_read_as_far_as_it_goes(
    tmp_path: Path, flac: tuple[bytes, Float32], cut: float, block_frames: int
) -> None:
    content, whole = flac
    path = tmp_path / "cut.flac"
    path.write_bytes(content[: round(cut * len(content))])
    result = read_or_error(path)
    if isinstance(result, AudioError):
        assert result.state in {"unreadable", "empty"}
        assert cut < 0.08  # not one frame is whole
        return
    assert result.size >= cut * whole.size - 2 * 4096  # libsndfile's encoder makes frames of 4,096 samples
    np.testing.assert_array_equal(result, whole[: result.size])
    with Recording(str(path)) as recording:
        blocks = np.concatenate(list(recording.blocks(block_frames)))
        np.testing.assert_array_equal(blocks, result)
        assert recording.defect is not None
        assert recording.defect.startswith(f"breaks off after {result.size / 16_000:.3f} s")


def test_after_a_span_behind_the_break_the_sound_before_it_can_still_be_read(
    tmp_path: Path, flac: tuple[bytes, Float32]
) -> None:
    content, whole = flac
    path = tmp_path / "cut.flac"
    path.write_bytes(content[: len(content) // 2])
    with Recording(str(path)) as recording:
        n_frames = recording.read().size
        for _ in range(2):
            with pytest.raises(AudioError, match=f"breaks off after {n_frames / 16_000:.3f} s"):
                recording.read(n_frames + 5000, n_frames + 9000)
            np.testing.assert_array_equal(recording.read(1000, 9000), whole[1000:9000])
            # a span over the break gives what is there of it
            np.testing.assert_array_equal(
                recording.read(n_frames - 700, n_frames + 700), whole[n_frames - 700 : n_frames]
            )


@by_file
@given(cut=st.floats(0.2, 1.0))
def test_a_flac_that_was_never_finalised_is_read_as_far_as_it_goes(
    tmp_path: Path, flac: tuple[bytes, Float32], cut: float
) -> None:
    # the total of samples in STREAMINFO is written last; a recorder that lost its power leaves zero there
    content, whole = bytearray(flac[0]), flac[1]
    content[8 + 13] &= 0xF0
    content[8 + 14 : 8 + 18] = bytes(4)
    path = tmp_path / "live.flac"
    path.write_bytes(content[: round(cut * len(content))])
    with Recording(str(path)) as recording:
        result = recording.read()
        assert recording.header.n_frames == result.size
        assert result.size >= cut * whole.size - 2 * 4096
        np.testing.assert_array_equal(result, whole[: result.size])
        np.testing.assert_array_equal(recording.read(4000, 5000), whole[4000:5000])
    if cut == 1.0:
        assert result.size == whole.size


@pytest.mark.parametrize(
    "kind", [Kind("OGG", "VORBIS", 0.0), Kind("OGG", "OPUS", 0.0), Kind("MP3", "MPEG_LAYER_III", 0.0)], ids=str
)
@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
def test_a_lossy_file_that_is_cut_gives_its_first_samples(tmp_path: Path, kind: Kind, cut: float) -> None:
    path = write(tmp_path / "cut", noise(96_000), 16_000 if kind.subtype != "OPUS" else 12_000, kind)
    whole, content = read(path), path.read_bytes()
    path.write_bytes(content[: round(cut * len(content))])
    with Recording(str(path)) as recording:
        result = recording.read()
        # an MP3 tells its length at its beginning; an Ogg file only at its end, so what is missing is not known
        assert (recording.defect is not None) == (kind.container == "MP3")
    assert 0.4 * cut * whole.size < result.size < whole.size
    # the last frame may want for the one after it
    sure = result.size - 4096
    np.testing.assert_allclose(result[:sure], whole[:sure], rtol=0.0, atol=1e-6)


# ---- recordings held decoded


@settings(by_file, max_examples=15)
@given(spans=spans, before=st.booleans())
def test_spans_of_a_held_recording_are_those_of_one_that_is_not(
    placed: tuple[Path, Float32, Kind], spans: list[tuple[int, int]], before: bool
) -> None:
    path, whole, kind = placed
    with Recording(str(path)) as recording:
        if before:
            recording.read(*spans[0])
        recording.hold()
        for start, stop in spans:
            expected = whole[max(0, start) : max(0, stop)]
            np.testing.assert_allclose(recording.read(start, stop), expected, rtol=0.0, atol=kind.atol)
        np.testing.assert_allclose(np.concatenate(list(recording.blocks(9000))), whole, rtol=0.0, atol=kind.atol)
        assert recording.defect is None


@pytest.mark.parametrize(
    ("kind", "is_held"),
    [(Kind("FLAC", "PCM_16", 0.0), True), (Kind("OGG", "VORBIS", 0.0), True), (Kind("WAV", "PCM_16", 0.0), False)],
    ids=str,
)
def test_a_held_recording_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, is_held: bool
) -> None:
    path = write(tmp_path / "held", noise(40_000), 16_000, kind)
    with Recording(str(path)) as recording:
        recording.hold()
        n_decoded: list[int] = []
        decode = Recording._decode
        monkeypatch.setattr(Recording, "_decode", lambda *a: (n_decoded.append(1), decode(*a))[1])
        for start in (30_000, 100, 12_345):
            recording.read(start, start + 5000)
        assert len(n_decoded) == (0 if is_held else 3)  # where a place is found by arithmetic nothing is held


@by_file
@given(cut=st.floats(0.1, 0.9), spans=st.lists(st.tuples(st.integers(0, 70_000), st.integers(1, 9000)), max_size=5))
def test_holding_a_recording_that_breaks_off_changes_neither_spans_nor_what_is_said_of_it(
    tmp_path: Path, flac: tuple[bytes, Float32], cut: float, spans: list[tuple[int, int]]
) -> None:
    path = tmp_path / "cut.flac"
    path.write_bytes(flac[0][: round(cut * len(flac[0]))])
    found = []
    for is_held in (False, True):
        with Recording(str(path)) as recording:
            if is_held:
                recording.hold()
                assert recording.defect is None  # it is nothing to the spans before the break
            outcome: list[object] = []
            for start, length in spans:
                try:
                    outcome += [recording.read(start, start + length).tobytes(), recording.defect]
                except AudioError as error:
                    outcome += [error.state, error.reason]
            found.append(outcome)
    assert found[0] == found[1]


def test_holding_a_recording_with_a_sample_that_is_no_number_spoils_only_the_spans_that_have_it(tmp_path: Path) -> None:
    y = noise(5000)
    y[4000] = np.nan
    sf.write(tmp_path / "bad.caf", y, 12_000, format="CAF", subtype="FLOAT")
    with Recording(str(tmp_path / "bad.caf")) as recording:
        recording.hold()
        np.testing.assert_array_equal(recording.read(0, 4000), y[:4000])
        with pytest.raises(AudioError, match="not finite"):
            recording.read(3000, 5000)


def test_a_break_that_cannot_be_found_again_ends_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # whatever a decoder does, reading ends: each failure leaves less to read
    path = write(tmp_path / "fickle.flac", noise(40_000), 16_000, Kind("FLAC", "PCM_16", 0.0))
    next_frames = Recording._next_frames

    def fickle(recording: Recording, n_frames: int) -> Float32:
        if n_frames > 512:
            raise sf.LibsndfileError(2)
        return next_frames(recording, n_frames)

    monkeypatch.setattr(Recording, "_next_frames", fickle)
    with Recording(str(path)) as recording:
        with pytest.raises(AudioError, match="breaks off after"):
            recording.read()
        assert recording.read(0, 0).size == 0


# ---- what is no file


@pytest.mark.timeout(20)
def test_what_is_no_regular_file_is_unreadable_at_once(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.wav"
    os.mkfifo(fifo)  # opening it would wait for a writer
    (tmp_path / "folder.wav").mkdir()
    for path in (fifo, tmp_path / "folder.wav", Path(os.devnull)):
        error = error_of(path)
        assert (error.state, error.reason) == ("unreadable", "not a regular file")


@pytest.mark.parametrize("name", ["missing.wav", "no/folder/missing.wav", "x" * 300 + ".wav"])
def test_a_missing_file_is_unreadable(tmp_path: Path, name: str) -> None:
    error = error_of(tmp_path / name)
    assert error.state == "unreadable"
    assert error.reason


def test_a_link_to_nothing_is_unreadable_and_a_link_to_a_file_is_the_file(tmp_path: Path) -> None:
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "missing.wav")
    assert error_of(tmp_path / "dangling.wav").state == "unreadable"
    path = write(tmp_path / "sound.wav", noise(100), 12_000, Kind("WAV", "FLOAT", 0.0))
    (tmp_path / "link.wav").symlink_to(path)
    np.testing.assert_array_equal(read(tmp_path / "link.wav"), noise(100))


@pytest.mark.parametrize(
    "name", ["späte Schüsse.wav", "with space.wav", "#1%20?.wav", "noending", "sound.xyz", "SOUND.WAV"]
)
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, noise(100), 12_000, Kind("WAV", "FLOAT", 0.0))
    np.testing.assert_array_equal(read(path), noise(100))


def test_an_object_is_read_like_a_file(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for kind in (Kind("WAV", "PCM_16", 0.0), Kind("FLAC", "PCM_16", 0.0), Kind("OGG", "VORBIS", 0.0)):
        path = write(tmp_path / "local", noise(20_000), 12_000, kind)
        name = f"/bucket-{kind}/sound"
        memory.pipe_file(name, path.read_bytes())
        with Recording(f"memory:/{name}") as recording, Recording(f"file://{path}") as local:
            assert recording.header == local.header
            np.testing.assert_array_equal(recording.read(500, 9000), local.read(500, 9000))
        memory.rm(name)
        with pytest.raises(AudioError, match="does not exist") as caught:
            Recording(f"memory:/{name}")
        assert caught.value.state == "unreadable"


def test_nothing_is_left_open(tmp_path: Path) -> None:
    good = write(tmp_path / "good.ogg", noise(9000), 12_000, Kind("OGG", "VORBIS", 0.0))
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    slow = tmp_path / "slow.wav"
    sf.write(slow, noise(100), 10)
    before = sorted(Path("/dev/fd").iterdir())
    for _ in range(3):
        with Recording(str(good)) as recording:
            recording.read(5000)
            recording.read(0, 100)  # begins again
        for path in (bad, slow):
            error_of(path)
    assert sorted(Path("/dev/fd").iterdir()) == before
