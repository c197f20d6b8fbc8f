"""Files that are whole, with samples that are odd."""

from __future__ import annotations

import numpy as np

from tests.zoo.build import DURATION_S, SR, Samples, encoded, sound, wav
from tests.zoo.kinds import Kind, content


def _with_value(value: float, subtype: str, n_channels: int = 1) -> Kind:
    def make(rng: np.random.Generator) -> bytes:
        y = sound(rng, n_channels=n_channels)
        y[5000, -1] = value
        with np.errstate(over="ignore"):  # 1e300 as a 32-bit float
            return encoded(y, "WAV", subtype)

    named = {"nan": "NaN", "inf": "infinity", "-inf": "minus infinity"}.get(str(value), f"{value:g}")
    where = " in one of two channels" if n_channels == 2 else ""
    return Kind(
        name=f"{named} in {subtype.lower()}{where}",
        file="a.wav",
        made=f"one sample of {named}{where}",
        make=content(make),
        state="unreadable",
        reason="not finite" if abs(value) > 1e38 or value != value else "no recorder writes",
    )


def _sound_of(name: str, made: str, y: Samples, subtype: str = "PCM_16", **expected: str) -> Kind:
    make = content(lambda _: encoded(y, "WAV", subtype))
    return Kind(name=name, file="a.wav", made=made, make=make, read_s=len(y) / SR, **expected)


def _antiphase(rng: np.random.Generator) -> bytes:
    return encoded(sound(rng, n_channels=2) * [1, -1], "WAV", "FLOAT")


VALUES = (
    _with_value(np.nan, "FLOAT"),
    _with_value(np.inf, "FLOAT"),
    _with_value(-np.inf, "DOUBLE", 2),
    _with_value(1e30, "FLOAT"),
    _with_value(1e300, "DOUBLE"),
    _sound_of("zeros", "a second of zeros", np.zeros((SR, 1)), state="silent", reason="only digital zeros"),
    _sound_of(
        "floating-point zeros", "a second of zeros, two channels, floats", np.zeros((SR, 2)), "FLOAT",
        state="silent", reason="only digital zeros",
    ),
    Kind(
        name="channels in antiphase", file="a.wav", made="the second channel is the first, inverted: the mix is zero",
        make=content(_antiphase), state="silent", reason="only digital zeros", read_s=DURATION_S,
    ),
    _sound_of("almost silent", "one sample of the least value among zeros", np.eye(SR, 1, -5000) / 32_767),
    _sound_of("DC offset", "a constant of a quarter of full scale", np.full((SR, 1), 0.25)),
    Kind(
        name="DC offset with sound", file="a.wav", made="a burst on a constant of a quarter of full scale",
        make=content(lambda rng: encoded(np.clip(sound(rng) + 0.25, -1, 1), "WAV", "PCM_16")), read_s=DURATION_S,
    ),
    Kind(
        name="clipped", file="a.wav", made="a burst of a hundred times full scale, clipped",
        make=content(lambda rng: encoded(np.clip(sound(rng) * 100, -1, 1), "WAV", "PCM_16")), read_s=DURATION_S,
    ),
    Kind(
        name="integers written as floats", file="a.wav", made="floats of up to 32,767",
        make=content(lambda rng: encoded(np.round(sound(rng) * 32_767), "WAV", "FLOAT")), read_s=DURATION_S,
    ),
    Kind(
        name="denormal floats", file="a.wav", made="a burst of at most 1e-40", read_s=DURATION_S,
        make=content(lambda rng: encoded(sound(rng) * 1e-40, "WAV", "FLOAT")),
    ),
    _sound_of("one sample", "a WAV of one sample", np.full((1, 1), 0.5)),
    _sound_of("two samples", "a WAV of two samples", np.full((2, 1), 0.5)),
    Kind(
        name="one sample at 96 kHz", file="a.wav", made="a WAV of one sample, which is none at the recipe's rate",
        make=content(lambda _: wav(np.full((1, 1), 0.5), sr=96_000)), state="empty", reason="fewer samples than one",
        scored="ok", read_s=1 / 96_000,
    ),
    _sound_of("one zero", "a WAV of one sample, zero", np.zeros((1, 1)), state="silent", reason="only digital zeros"),
    Kind(
        name="shorter than a clip", file="a.wav", made="0.1 s of sound; the rest of the clip is zeros",
        make=content(lambda rng: wav(sound(rng, duration_s=0.1))), read_s=0.1,
    ),
    Kind(
        name="shorter than a window", file="a.wav", made="100 samples", read_s=100 / SR,
        make=content(lambda rng: wav(sound(rng, duration_s=100 / SR))),
    ),
    Kind(
        name="Vorbis shorter than a block", file="a.ogg", made="10 samples of Vorbis",
        make=content(lambda rng: encoded(sound(rng, duration_s=10 / SR), "OGG", "VORBIS")),
    ),
    Kind(
        name="MP3 shorter than a frame", file="a.mp3", made="10 samples of MPEG layer III",
        make=content(lambda rng: encoded(sound(rng, duration_s=10 / SR), "MP3", "MPEG_LAYER_III")),
    ),
)  # fmt: skip
