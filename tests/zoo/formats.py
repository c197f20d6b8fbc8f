"""Whole recordings in every format that recorders and archives use, and under names that say something else."""

from __future__ import annotations

import struct

import numpy as np

from tests.zoo.build import DURATION_S, chunk, encoded, flipped, fmt, id3, pcm, riff, rifx, sound, wav
from tests.zoo.kinds import Kind, content


def _whole(
    name: str, file: str, made: str, container: str, subtype: str, *, sr: int = 12_000, n_channels: int = 1
) -> Kind:
    make = content(lambda rng: encoded(sound(rng, sr=sr, n_channels=n_channels), container, subtype, sr=sr))
    # codecs of blocks fill the last one
    exact = subtype.startswith("PCM") or subtype in {"FLOAT", "DOUBLE", "ULAW", "ALAW", "VORBIS"}
    return Kind(name=name, file=file, made=made, make=make, read_s=DURATION_S if exact else None)


CODINGS = (
    _whole("8-bit WAV", "a.wav", "unsigned 8-bit integers", "WAV", "PCM_U8"),
    _whole("16-bit WAV", "a.wav", "16-bit integers", "WAV", "PCM_16"),
    _whole("24-bit WAV", "a.wav", "24-bit integers", "WAV", "PCM_24"),
    _whole("32-bit WAV", "a.wav", "32-bit integers", "WAV", "PCM_32"),
    _whole("32-bit float WAV", "a.wav", "32-bit floats, with a PEAK chunk", "WAV", "FLOAT"),
    _whole("64-bit float WAV", "a.wav", "64-bit floats", "WAV", "DOUBLE"),
    _whole("IMA ADPCM WAV", "a.wav", "4 bits a sample, in blocks", "WAV", "IMA_ADPCM"),
    _whole("MS ADPCM WAV", "a.wav", "4 bits a sample, in blocks, two channels", "WAV", "MS_ADPCM", n_channels=2),
    _whole("mu-law WAV", "a.wav", "telephone coding of America", "WAV", "ULAW", sr=8_000),
    _whole("A-law WAV", "a.wav", "telephone coding of Europe", "WAV", "ALAW", sr=8_000),
    _whole("GSM WAV", "a.wav", "GSM 06.10, 1.6 bits a sample", "WAV", "GSM610", sr=8_000),
    _whole("G.721 WAV", "a.wav", "G.721 ADPCM", "WAV", "G721_32", sr=8_000),
    _whole("W64", "a.w64", "Sony Wave64", "W64", "PCM_24"),
    _whole("RF64", "a.rf64", "RF64, WAV for more than 4 GB", "RF64", "PCM_16"),
    _whole("AIFF", "a.aiff", "AIFF, big-endian 16-bit integers", "AIFF", "PCM_16"),
    _whole("AIFC", "a.aifc", "AIFF-C with 32-bit floats", "AIFF", "FLOAT"),
    _whole("AIFC mu-law", "a.aif", "AIFF-C with mu-law", "AIFF", "ULAW", sr=8_000),
    _whole("CAF", "a.caf", "Core Audio with 24-bit integers", "CAF", "PCM_24"),
    _whole("CAF ALAC", "a.caf", "Core Audio with Apple Lossless", "CAF", "ALAC_16"),
    _whole("AU", "a.au", "Sun audio", "AU", "PCM_16"),
    _whole("SND mu-law", "a.snd", "Sun audio with mu-law", "AU", "ULAW", sr=8_000),
    _whole("WVE", "a.wve", "Psion A-law", "WVE", "ALAW", sr=8_000),
    _whole("FLAC", "a.flac", "FLAC, 16 bits", "FLAC", "PCM_16"),
    _whole("FLAC 24-bit", "a.flac", "FLAC, 24 bits, two channels at 96 kHz", "FLAC", "PCM_24", sr=96_000, n_channels=2),
    _whole("Vorbis", "a.ogg", "Vorbis in Ogg", "OGG", "VORBIS", sr=16_000),
    _whole("Opus", "a.opus", "Opus in Ogg", "OGG", "OPUS", sr=48_000),
    _whole("MP3", "a.mp3", "MPEG layer III", "MP3", "MPEG_LAYER_III", sr=22_050),
    _whole("MP3 stereo", "a.mp3", "MPEG layer III, two channels", "MP3", "MPEG_LAYER_III", sr=44_100, n_channels=2),
    _whole("3 channels", "a.wav", "WAV with 3 channels", "WAV", "PCM_16", n_channels=3),
    _whole("16 channels", "a.wav", "WAV with 16 channels", "WAV", "PCM_16", n_channels=16),
    _whole("8 kHz", "a.wav", "below the recipe's rate", "WAV", "PCM_16", sr=8_000),
    _whole("11025 Hz", "a.wav", "a rate that is no fraction of the recipe's", "WAV", "PCM_16", sr=11_025),
    _whole("192 kHz", "a.wav", "a bat recorder's rate", "WAV", "PCM_16", sr=192_000),
    _whole("384 kHz", "a.wav", "the highest rate of bat recorders", "WAV", "PCM_16", sr=384_000),
)

_GUANO = b"GUANO|Version: 1.0\nTimestamp: 2026-11-22T18:00:00Z\nSamplerate: 12000\n"
_LIST = b"INFOICMT" + struct.pack("<I", 26) + b"Recorded at 18:00 (UTC)\0\0\0"
_PCM_GUID = b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"


def _with_chunks(name: str, made: str, before: bytes, after: bytes = b"") -> Kind:
    make = content(lambda rng: riff(fmt(), before, chunk(b"data", pcm(sound(rng))), after))
    return Kind(name=name, file="a.wav", made=made, make=make, read_s=DURATION_S)


def _extensible(rng: np.random.Generator) -> bytes:
    """20 bits in 24, two channels, as the extensible format says them."""
    words = np.round(sound(rng, n_channels=2) * (2**19 - 1)).astype("<i4") << 12
    body = words.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    plain = fmt(n_channels=2, bits=24, tag=0xFFFE)[8:]
    return riff(chunk(b"fmt ", plain + struct.pack("<HHI", 22, 20, 3) + _PCM_GUID), chunk(b"data", body))


def _au_of_unknown_size(rng: np.random.Generator) -> bytes:
    return b".snd" + struct.pack(">IIIII", 24, 0xFFFFFFFF, 3, 12_000, 1) + pcm(sound(rng), order=">")


def _little_endian_aifc(rng: np.random.Generator) -> bytes:
    rate = b"\x40\x0c\xbb\x80" + bytes(6)  # 12,000 as an 80-bit float
    common = struct.pack(">hIh", 1, 12_000, 16) + rate + b"sowt\0\0"
    body = b"AIFC" + chunk(b"FVER", b"\xa2\x80\x51\x40", order=">") + chunk(b"COMM", common, order=">")
    return chunk(b"FORM", body + chunk(b"SSND", bytes(8) + pcm(sound(rng)), order=">"), order=">")


def _mp3(rng: np.random.Generator) -> bytes:
    return encoded(sound(rng, sr=22_050), "MP3", "MPEG_LAYER_III", sr=22_050)


def _mp3_in_wav(rng: np.random.Generator) -> bytes:
    """MPEG layer III as a coding of WAV, with the numbers that its format asks for."""
    plain = fmt(22_050, bits=0, tag=0x55, frame_bytes=1)[8:]
    more = struct.pack("<HHIHHH", 12, 1, 2, 417, 1, 1393)
    return riff(chunk(b"fmt ", plain + more), chunk(b"fact", struct.pack("<I", 22_050)), chunk(b"data", _mp3(rng)))


def _named(name: str, file: str, made: str, container: str, subtype: str) -> Kind:
    make = content(lambda rng: encoded(sound(rng, sr=16_000), container, subtype, sr=16_000))
    return Kind(name=name, file=file, made=made, make=make)


VARIANTS = (
    _with_chunks("LIST before the sound", "a LIST chunk ahead of the data", chunk(b"LIST", _LIST)),
    _with_chunks("LIST after the sound", "a LIST chunk behind the data", b"", chunk(b"LIST", _LIST)),
    _with_chunks("GUANO before the sound", "metadata of a bat recorder ahead of the data", chunk(b"guan", _GUANO)),
    _with_chunks("GUANO after the sound", "metadata of a bat recorder behind the data", b"", chunk(b"guan", _GUANO)),
    _with_chunks("broadcast WAV", "bext and JUNK chunks", chunk(b"bext", bytes(602)) + chunk(b"JUNK", bytes(28))),
    _with_chunks("odd chunk, padded", "a chunk of 3 bytes and its padding", chunk(b"note", b"abc")),
    _with_chunks("garbage after the sound", "500 bytes that are no chunk", b"", b"\xa5" * 500),
    Kind(
        name="extensible WAV", file="a.wav", made="WAVE_FORMAT_EXTENSIBLE, 20 bits in 24, two channels",
        make=content(_extensible), read_s=DURATION_S,
    ),
    Kind(
        name="RIFX", file="a.wav", made="WAV with big-endian numbers", make=content(rifx), read_s=DURATION_S,
    ),
    Kind(
        name="AU of unknown size", file="a.au", made="the size is 0xFFFFFFFF, as pipes leave it",
        make=content(_au_of_unknown_size), read_s=DURATION_S,
    ),
    Kind(
        name="AIFC sowt", file="a.aifc", made="AIFF-C with little-endian integers", make=content(_little_endian_aifc),
        read_s=DURATION_S,
    ),
    Kind(name="MP3 in WAV", file="a.wav", made="WAV with MPEG layer III in it", make=content(_mp3_in_wav)),
    Kind(
        name="two WAV files in one", file="a.wav", made="a second file behind the first; it is not read",
        make=content(lambda rng: wav(sound(rng)) * 2), read_s=DURATION_S,
    ),
    Kind(
        name="two FLAC files in one", file="a.flac", made="a second file behind the first; it is not read",
        make=content(lambda rng: encoded(sound(rng), "FLAC", "PCM_16") * 2), read_s=DURATION_S,
    ),
    Kind(
        name="MP3 with ID3", file="a.mp3", made="an ID3v2 tag of 5 kB in front",
        make=content(lambda rng: id3(5000) + _mp3(rng)),
    ),
    Kind(
        name="MP3 with ID3v1", file="a.mp3", made="an ID3v1 tag of 128 bytes at the end",
        make=content(lambda rng: _mp3(rng) + b"TAG".ljust(128, b"\0")),
    ),
    Kind(
        name="FLAC with ID3", file="a.flac", made="an ID3v2 tag in front",
        make=content(lambda rng: id3(100) + encoded(sound(rng), "FLAC", "PCM_16")), read_s=DURATION_S,
    ),
    Kind(
        name="FLAC with a wrong checksum of the sound", file="a.flac", made="a bit of the MD5 sum flipped",
        make=content(lambda rng: flipped(encoded(sound(rng), "FLAC", "PCM_16"), 8 * 30)), read_s=DURATION_S,
    ),
    _named("MP3 named WAV", "a.wav", "an MP3 with the ending .wav", "MP3", "MPEG_LAYER_III"),
    _named("WAV named FLAC", "a.flac", "a WAV with the ending .flac", "WAV", "PCM_16"),
    _named("FLAC named WAV", "a.wav", "a FLAC with the ending .wav", "FLAC", "PCM_16"),
    _named("WAV named MP3", "a.mp3", "a WAV with the ending .mp3", "WAV", "PCM_16"),
    _named("Vorbis named WAV", "a.wav", "Vorbis with the ending .wav", "OGG", "VORBIS"),
    _named("upper-case ending", "A.WAV", "a WAV with the ending .WAV", "WAV", "PCM_16"),
)  # fmt: skip
