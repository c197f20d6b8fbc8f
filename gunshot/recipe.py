"""The recipe: the frozen configuration of a clip and its features, and its digest.

A recipe says everything that decides the numbers in a clip: sample rate, onset rule, length, mel
spectrogram, and the version of the code. Its digest is written into every store, bundle and detection;
two things with different digests are never mixed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gunshot.dsp.spectral import frame_count
from gunshot.errors import RecipeError

__all__ = ["CODE_VERSION", "ClipRule", "MelRule", "OnsetRule", "Recipe", "read_recipe"]

CODE_VERSION = 1
"""Raised by hand whenever the code behind a clip changes its numbers (`tests/golden` notices)."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(gt=0)]
FloorDb = Annotated[float, Field(ge=-300, le=0)]  # below, its power would be zero in single precision


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OnsetRule(_Section):
    """How an onset is found (measured in docs/decisions.md, decision 7).

    Attributes
    ----------
    n_fft, hop_length : int
        Frame length and step of the spectral flux [samples].
    n_mels : int
        Mel bands of the spectral flux.
    fmin_hz, fmax_hz : float
        Their range [Hz].
    reach_s : float
        An onset is the strongest within this time on each side [s].
    average_s : float
        Time on each side over which the local mean is taken [s].
    delta_db : float
        Excess over the local mean that makes an onset [dB].
    rise : float
        Fraction of the frame's peak at which the sound has begun, in (0, 1].
    strong : float
        In a labelled segment the sound is the first onset of at least this fraction of the strongest one, in (0, 1].
    already_on_db : float
        A recording begins with its sound (it was trimmed to it) if its first frame exceeds the median level of the
        first clip's length by this [dB]: there is no rise to find.
    floor_db : float
        Lower bound of levels [dB].
    """

    n_fft: PositiveInt = 256
    hop_length: PositiveInt = 64
    n_mels: PositiveInt = 24
    fmin_hz: Annotated[float, Field(ge=0)] = 100.0
    fmax_hz: Positive = 5000.0
    reach_s: Positive = 0.05
    average_s: Positive = 0.1
    delta_db: Positive = 1.5
    rise: Annotated[float, Field(gt=0, le=1)] = 0.3
    strong: Annotated[float, Field(gt=0, le=1)] = 0.5
    already_on_db: Positive = 6.0
    floor_db: FloorDb = -80.0


class ClipRule(_Section):
    """How a clip is cut.

    Attributes
    ----------
    lead_s : float
        Time kept before the onset [s]; the paper cuts at the onset (0).
    length_s : float
        Length of the clip, lead included [s].
    """

    lead_s: Annotated[float, Field(ge=0)] = 0.05
    length_s: Positive = 0.5


class MelRule(_Section):
    """The mel spectrogram of a clip.

    Attributes
    ----------
    n_fft, hop_length : int
        Frame length and step [samples].
    n_mels : int
        Number of mel bands.
    fmin_hz, fmax_hz : float
        Their range [Hz].
    floor_db : float
        Lower bound of levels [dB].
    """

    n_fft: PositiveInt = 512
    hop_length: PositiveInt = 128
    n_mels: PositiveInt = 40
    fmin_hz: Annotated[float, Field(ge=0)] = 50.0
    fmax_hz: Positive = 5000.0
    floor_db: FloorDb = -80.0


class Recipe(_Section):
    """Everything that decides the numbers in a clip.

    Attributes
    ----------
    sr_hz : int
        The one sample rate [Hz].
    onset : OnsetRule
        How an onset is found.
    clip : ClipRule
        How a clip is cut.
    mel : MelRule
        The mel spectrogram of a clip.

    Examples
    --------
    >>> Recipe().n_samples, Recipe().mel_shape
    (6000, (40, 43))
    """

    sr_hz: Annotated[int, Field(ge=2000, le=384_000)] = 12_000
    onset: OnsetRule = OnsetRule()
    clip: ClipRule = ClipRule()
    mel: MelRule = MelRule()

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        nyquist_hz = self.sr_hz / 2
        for name, rule in (("onset", self.onset), ("mel", self.mel)):
            if not rule.fmin_hz < rule.fmax_hz <= nyquist_hz:
                raise ValueError(
                    f"[{name}] needs fmin_hz < fmax_hz <= sr_hz / 2 = {nyquist_hz:g}; "
                    f"got fmin_hz = {rule.fmin_hz:g}, fmax_hz = {rule.fmax_hz:g}"
                )
            if rule.hop_length > rule.n_fft:
                raise ValueError(f"[{name}] needs hop_length <= n_fft = {rule.n_fft}; got {rule.hop_length}")
        if self.clip.lead_s >= self.clip.length_s:
            raise ValueError(f"[clip] needs lead_s < length_s = {self.clip.length_s:g}; got {self.clip.lead_s:g}")
        if self.n_samples < self.mel.n_fft:
            raise ValueError(
                f"[clip] length_s must hold one mel frame ({self.mel.n_fft} samples); got {self.n_samples}"
            )
        return self

    @property
    def n_samples(self) -> int:
        """Length of a clip [samples]."""
        return round(self.clip.length_s * self.sr_hz)

    @property
    def lead_samples(self) -> int:
        """Part of a clip before the onset [samples]."""
        return round(self.clip.lead_s * self.sr_hz)

    @property
    def mel_shape(self) -> tuple[int, int]:
        """Shape of a clip's mel spectrogram: (n_mels, n_frames)."""
        return self.mel.n_mels, frame_count(self.n_samples, self.mel.n_fft, self.mel.hop_length)

    @property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the canonical JSON and the code version."""
        canonical = json.dumps(
            {"code_version": CODE_VERSION, "recipe": self.model_dump(mode="json")},
            sort_keys=True,
            separators=(",", ":"),
        )
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _describe(error: ValidationError) -> str:
    """All problems of a recipe in one line, with a guess at misspelt keys."""
    problems = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            section, _, key = place.rpartition(".")
            sections: dict[str, type[BaseModel]] = {"": Recipe, "onset": OnsetRule, "clip": ClipRule, "mel": MelRule}
            known = list(sections[section].model_fields) if section in sections else []
            guess = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {guess[0]!r}?" if guess else f"known keys: {', '.join(known)}"
            problems.append(f"unknown key {place!r}: {hint}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            problems.append(f"{place}: {message}; got {item['input']!r}" if place else message)
    return "; ".join(problems)


def read_recipe(path: str | Path | None) -> Recipe:
    """Read a recipe from a TOML file.

    Parameters
    ----------
    path : path or None
        The file; ``None`` is the default recipe.

    Returns
    -------
    Recipe
        Checked and frozen.

    Raises
    ------
    RecipeError
        If the file cannot be read, is not TOML, or has an unknown key or a value out of range; all problems in one
        line.
    """
    if path is None:
        return Recipe()
    try:
        values: dict[str, Any] = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"recipe {path}: cannot be read ({error.strerror or error})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path}: not valid TOML: {error}") from error
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"recipe {path}: {_describe(error)}") from error
