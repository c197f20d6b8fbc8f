"""Audio files: their bytes, their comments, their checks."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from gunshot.errors import ParameterError
from gunshot.synthetic.audiofiles import (
    COMMENT,
    DEFAULT_FORMATS,
    AudioFormat,
    encoded,
    write_audio,
    write_readme,
)


def tone(audio_format: AudioFormat) -> np.ndarray:
    t_s = np.arange(audio_format.sr // 4) / audio_format.sr
    y = 0.5 * np.sin(2 * np.pi * 440 * t_s)
    return np.repeat(y[:, None], audio_format.n_channels, axis=1).astype(np.float32)


@pytest.mark.parametrize("audio_format", DEFAULT_FORMATS, ids=str)
def test_files_read_back_with_their_format_comment_and_samples(audio_format: AudioFormat, tmp_path: Path) -> None:
    path = tmp_path / f"tone.{audio_format.extension}"
    write_audio(path, tone(audio_format), audio_format)
    with sf.SoundFile(path) as file:
        assert (file.format, file.subtype) == (audio_format.container, audio_format.subtype)
        assert (file.samplerate, file.channels) == (audio_format.sr, audio_format.n_channels)
        assert file.comment == COMMENT
        y = file.read(always_2d=True)
    assert y.shape == tone(audio_format).shape
    tolerance = 0.08 if audio_format.container == "OGG" else 1e-4
    np.testing.assert_allclose(y, tone(audio_format), atol=tolerance)


@pytest.mark.parametrize("audio_format", DEFAULT_FORMATS, ids=str)
def test_same_samples_give_the_same_bytes(audio_format: AudioFormat) -> None:
    assert encoded(tone(audio_format), audio_format) == encoded(tone(audio_format), audio_format)


def test_floating_point_wav_carries_no_time_of_writing() -> None:
    data = encoded(tone(AudioFormat("WAV", "FLOAT", 8000)), AudioFormat("WAV", "FLOAT", 8000))
    at = data.index(b"PEAK")
    version, written = struct.unpack("<II", data[at + 8 : at + 16])
    assert version == 1
    assert written == 0


def test_ogg_pages_have_one_serial_number_and_right_checksums() -> None:
    audio_format = AudioFormat("OGG", "VORBIS", 16_000)
    data = bytearray(encoded(tone(audio_format), audio_format))
    n_pages = at = 0
    while at < len(data):
        assert data[at : at + 4] == b"OggS"
        n_segments = data[at + 26]
        end = at + 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])
        assert data[at + 14 : at + 18] == b"\x01\x00\x00\x00"
        stated = int.from_bytes(data[at + 22 : at + 26], "little")
        page = bytes(data[at : at + 22]) + bytes(4) + bytes(data[at + 26 : end])
        assert stated == bitwise_crc(page)
        n_pages, at = n_pages + 1, end
    assert n_pages >= 3


def bitwise_crc(page: bytes) -> int:
    """Checksum of RFC 3533, bit by bit."""
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = ((crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc


def test_full_scale_survives_integer_coding() -> None:
    audio_format = AudioFormat("WAV", "PCM_16", 8000)
    y = np.array([[1.0], [-1.0], [0.0]], np.float32)
    back, _ = sf.read(io.BytesIO(encoded(y, audio_format)))
    np.testing.assert_allclose(back, y[:, 0], atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("MP3", "PCM_16", 44_100), "container must be one of WAV, FLAC, OGG; got 'MP3'"),
        (("FLAC", "FLOAT", 44_100), "subtype must be one of FLAC; got 'FLOAT'"),
        (("WAV", "PCM_16", 44), "sr must be at least 8000 Hz"),
        (("WAV", "PCM_16", 44_100, 6), "n_channels 1 or 2"),
    ],
)
def test_formats_that_do_not_exist_are_refused(arguments: tuple[str, str, int], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        AudioFormat(*arguments)


def test_readme_says_that_figures_are_not_accuracy_on_real_sound(tmp_path: Path) -> None:
    write_readme(tmp_path)
    text = (tmp_path / "README.txt").read_text(encoding="utf-8")
    assert "synthetic" in text
    assert "No figure obtained on them is accuracy on real sound" in text
