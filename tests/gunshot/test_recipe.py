"""The recipe: what it refuses, what its digest tells apart, and what its file may look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gunshot import recipe as recipe_module
from gunshot.clips import cut, features
from gunshot.errors import RecipeError
from gunshot.recipe import ClipRule, MelRule, OnsetRule, Recipe, read_recipe

# One other value for every key, each a recipe of its own.
OTHERS: dict[str, dict[str, Any]] = {
    "onset": {
        "n_fft": 512, "hop_length": 32, "n_mels": 20, "fmin_hz": 150.0, "fmax_hz": 4000.0, "reach_s": 0.06,
        "average_s": 0.2, "delta_db": 2.0, "rise": 0.5, "strong": 0.6, "already_on_db": 9.0, "floor_db": -90.0,
    },
    "clip": {"lead_s": 0.0, "length_s": 0.6},
    "mel": {"n_fft": 256, "hop_length": 64, "n_mels": 32, "fmin_hz": 60.0, "fmax_hz": 4000.0, "floor_db": -90.0},
}  # fmt: skip


def changed(section: str, key: str) -> Recipe:
    return Recipe.model_validate({section: {key: OTHERS[section][key]}})


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path, text: str) -> str:
    """The message, which is one line and names the file."""
    with pytest.raises(RecipeError) as caught:
        read_recipe(write(path, text))
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_every_key_is_told_apart_by_the_digest() -> None:
    for section, rule in (("onset", OnsetRule), ("clip", ClipRule), ("mel", MelRule)):
        assert set(OTHERS[section]) == set(rule.model_fields)
    recipes = [changed(section, key) for section, keys in OTHERS.items() for key in keys]
    digests = {recipe.digest for recipe in [Recipe(), Recipe(sr_hz=16_000), *recipes]}
    assert len(digests) == len(recipes) + 2


def test_the_digest_is_that_of_the_values_not_of_their_spelling(tmp_path: Path) -> None:
    spelt = "sr_hz = 12000\n[mel]\nfmax_hz = 5000\nn_mels = 40\n[clip]\nlength_s = 0.50\nlead_s = 5e-2\n"
    assert read_recipe(write(tmp_path / "a.toml", spelt)).digest == Recipe().digest
    assert read_recipe(write(tmp_path / "b.toml", "")).digest == Recipe().digest
    assert read_recipe(None) == Recipe()
    assert Recipe.model_validate_json(Recipe().model_dump_json()).digest == Recipe().digest


def test_the_digest_is_sixteen_hexadecimal_digits() -> None:
    digest = Recipe().digest
    assert len(digest) == 16
    assert set(digest) <= set("0123456789abcdef")


def test_another_code_version_is_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Recipe().digest
    monkeypatch.setattr(recipe_module, "CODE_VERSION", recipe_module.CODE_VERSION + 1)
    assert Recipe().digest != before


def test_a_recipe_cannot_be_changed() -> None:
    recipe = Recipe()
    with pytest.raises(ValidationError, match="frozen"):
        recipe.sr_hz = 8000
    with pytest.raises(ValidationError, match="frozen"):
        recipe.mel.n_mels = 3
    assert hash(recipe) == hash(Recipe())


recipes = st.builds(
    lambda sr_hz, lead, length_s, n_fft, hop, n_mels: Recipe(
        sr_hz=sr_hz,
        onset=OnsetRule(fmax_hz=min(5000.0, sr_hz / 2)),
        clip=ClipRule(lead_s=lead * length_s, length_s=length_s),
        mel=MelRule(n_fft=n_fft, hop_length=max(1, int(hop * n_fft)), n_mels=n_mels, fmax_hz=min(5000.0, sr_hz / 2)),
    ),
    st.integers(2000, 16_000),
    st.floats(0.0, 0.95),
    st.floats(0.3, 2.0),
    st.sampled_from([256, 300, 512]),
    st.floats(0.0, 1.0),
    st.integers(4, 16),
)


@settings(deadline=None, max_examples=50)
@given(recipe=recipes)
def test_clips_and_features_have_the_shapes_that_the_recipe_tells(recipe: Recipe) -> None:
    clip = cut(np.ones(100, np.float32), 0, recipe)
    assert clip.shape == (recipe.n_samples,)
    assert features(clip[None], recipe).shape == (1, *recipe.mel_shape)
    assert 0 <= recipe.lead_samples < recipe.n_samples
    assert abs(recipe.n_samples - recipe.clip.length_s * recipe.sr_hz) <= 0.5


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"sr_hz": 1999}, "greater than or equal to 2000"),
        ({"sr_hz": 400_000}, "less than or equal to 384000"),
        ({"sr_hz": 12_000.5}, "valid integer"),
        ({"mel": {"fmax_hz": 6000.1}}, "fmin_hz < fmax_hz <= sr_hz / 2 = 6000"),
        ({"onset": {"fmin_hz": 5000.0}}, "fmin_hz < fmax_hz"),
        ({"sr_hz": 8000}, "fmax_hz <= sr_hz / 2 = 4000"),
        ({"mel": {"hop_length": 513}}, "hop_length <= n_fft = 512; got 513"),
        ({"onset": {"hop_length": 0}}, "greater than 0"),
        ({"clip": {"lead_s": 0.5}}, "lead_s < length_s = 0.5"),
        ({"clip": {"length_s": 0.02, "lead_s": 0.0}}, "hold one mel frame"),
        ({"clip": {"length_s": float("inf")}}, "finite number"),
        ({"onset": {"rise": 0.0}}, "greater than 0"),
        ({"onset": {"strong": 1.5}}, "less than or equal to 1"),
        ({"onset": {"delta_db": float("nan")}}, "finite number"),
        ({"onset": {"fmin_hz": -1.0}}, "greater than or equal to 0"),
        ({"onset": {"fmin_hz": float("nan")}}, "greater than or equal to 0"),
        *(({name: {"floor_db": value}}, "floor_db") for name in ("mel", "onset") for value in
          (float("nan"), float("inf"), float("-inf"), -400.0, 1.0)),
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate(values)
    assert problem in str(caught.value)


def test_the_lowest_floor_is_still_a_number() -> None:
    recipe = Recipe(mel=MelRule(floor_db=-300.0))
    np.testing.assert_allclose(features(np.zeros((1, 6000), np.float32), recipe), -300.0, rtol=1e-6)


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path / "long.toml", "[clip]\nlength_s = 2.0\n"))
    assert recipe == Recipe(clip=ClipRule(length_s=2.0))
    assert recipe.mel_shape == (40, 184)
    assert read_recipe(str(tmp_path / "long.toml")) == recipe


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[mel]\nn_mel = 40\n", "unknown key 'mel.n_mel': did you mean 'n_mels'?"),
        ("[clips]\nlength_s = 1.0\n", "unknown key 'clips': did you mean 'clip'?"),
        ("sr = 12000\n", "unknown key 'sr': known keys: sr_hz, onset, clip, mel"),
        (
            "[mel]\nzzz = 1\n",
            "unknown key 'mel.zzz': known keys: n_fft, hop_length, n_mels, fmin_hz, fmax_hz, floor_db",
        ),
        ("sr_hz = 'high'\n", "sr_hz: Input should be a valid integer"),
        ("mel = 3\n", "mel: Input should be"),
        (
            "[mel]\nfmax_hz = 7000\n",
            "[mel] needs fmin_hz < fmax_hz <= sr_hz / 2 = 6000; got fmin_hz = 50, fmax_hz = 7000",
        ),
        ("[onset]\nfloor_db = nan\n", "onset.floor_db: "),
        ("sr_hz = \n", "not valid TOML"),
        ("[mel]\nn_mels = 1\nn_mels = 2\n", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_what_to_do(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in refused(tmp_path / "recipe.toml", text)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    message = refused(tmp_path / "recipe.toml", "sr_hz = 3\nrate = 3\n[mel]\nn_fft = -1\n[onset]\nhops = 2\n")
    for problem in ("sr_hz: ", "mel.n_fft: ", "'onset.hops'", "'rate'"):
        assert problem in message
    assert message.count("unknown key") == 2


def test_a_value_that_is_refused_is_shown(tmp_path: Path) -> None:
    assert "got -77" in refused(tmp_path / "recipe.toml", "[mel]\nn_fft = -77\n")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"missing\.toml: cannot be read \(No such file"):
        read_recipe(tmp_path / "missing.toml")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path)
    (tmp_path / "latin.toml").write_bytes("# Schüsse".encode("latin-1"))
    with pytest.raises(RecipeError, match="not valid TOML"):
        read_recipe(tmp_path / "latin.toml")


@settings(deadline=None)
@given(content=st.binary(max_size=60))
def test_any_bytes_are_a_recipe_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    try:
        recipe = read_recipe(path)
    except RecipeError:
        return
    assert recipe == Recipe()  # comments and white space
