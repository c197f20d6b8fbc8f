"""Sounds of the page are the clips, the card is its model's, and a page of sixty examples stays small."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from gunshot.augment.chain import AugmentRule, distorted_copy
from gunshot.augment.field import FieldRule
from gunshot.models.bundle import load_bundle
from gunshot.models.card import model_card
from gunshot.models.registry import resolve_model
from gunshot.report import ErrorExample, ReportContent, render_report
from gunshot.report.card import card_html
from gunshot.report.sounds import flac_address, playing_gain
from gunshot.report.store_pictures import row_pictures, trained_example
from gunshot.store.read import open_store
from tests.gunshot.report.conftest import SR, picture, shot


def heard(address: str) -> tuple[NDArray[np.float64], int]:
    y, sr = sf.read(io.BytesIO(base64.b64decode(address.removeprefix("data:audio/flac;base64,"))))
    return y, sr


@pytest.mark.parametrize(("peak", "gain"), [(0.45, 2.0), (0.9, 1.0), (1.0, 0.9), (1e-4, 30.0), (0.0, 1.0)])
def test_a_sound_is_raised_to_its_peak_and_no_more_than_thirty_times(peak: float, gain: float) -> None:
    y = peak * np.sin(np.arange(4000) / 5)
    y[0] = peak
    assert playing_gain(y) == pytest.approx(gain)
    played, sr = heard(flac_address(y, 8000))
    assert sr == 8000
    np.testing.assert_allclose(played, gain * y, atol=2 / 32768)


def test_compared_sounds_keep_their_levels(content: ReportContent, page: str) -> None:
    section = page[page.index('id="distortion"') : page.index('id="errors"')]
    (original, sr), (distorted, _) = (heard(address) for address in re.findall(r'<audio [^>]*src="([^"]+)"', section))
    assert sr == SR
    assert content.distortion is not None
    expected = content.distortion.original.waveform, content.distortion.distorted.waveform
    gain = playing_gain(*(y for y in expected if y is not None))
    for played, y in zip((original, distorted), expected, strict=True):
        assert y is not None
        np.testing.assert_allclose(played, gain * y, atol=2 / 32768)


def test_every_error_is_heard(content: ReportContent, page: str) -> None:
    section = page[page.index('id="errors"') : page.index('id="recordings"')]
    examples = [*content.misses, *content.false_alarms]
    addresses = re.findall(r'<audio [^>]*src="([^"]+)"', section)
    assert len(addresses) == len(examples) > 0
    for address, example in zip(addresses, examples, strict=True):
        assert example.picture is not None
        assert example.picture.waveform is not None
        assert address == flac_address(example.picture.waveform, SR)


def test_sixty_examples_are_small_enough_to_mail(content: ReportContent) -> None:
    rng = np.random.default_rng(0)
    many = [ErrorExample(file_name=f"{i}.wav", score=0.5, picture=picture(shot(rng, noise=0.1))) for i in range(30)]
    page = render_report(replace(content, misses=many, false_alarms=many, models=(), default_model=None, scoring=None))
    assert page.count("<audio ") == 62
    assert len(page.encode()) < 5_000_000  # 15 MB are what was promised


def test_the_card_says_all_that_the_models_own_does() -> None:
    markdown = model_card(load_bundle(resolve_model("field")))
    html = card_html(markdown)
    said = " ".join(unescape(re.sub(r"<[^>]*>", " ", re.sub(r"</?(code|strong)>", "", html))).split())
    for line in markdown.splitlines():
        for cell in line.strip("| ").split(" | "):
            told = re.sub(r"^(#+|-) |\*\*|`", "", cell)
            if not set(told) <= set("-|"):
                assert " ".join(told.split()) in said
    assert html.count("<table") == markdown.count("\n|---") == html.count('class="scroll"')


def test_what_a_source_is_called_is_text_in_the_card() -> None:
    evil = "<script>1</script> <img src=x> [a](http://b.c) <http://b.c> ![d](http://e)"
    html = card_html(f"# {evil}\n\n- {evil}\n\n| {evil} | n |\n|---|---|\n| {evil} | 1 |\n")
    assert not re.search(r"<(script|img|a)\b|href|src=\"", html)
    assert unescape(re.sub(r"<[^>]*>", "", html)).count(evil) == 4
    assert 'aria-label="&lt;script' in html


@pytest.fixture
def store(tmp_path: Path, store_of_clips: Callable[..., str]) -> str:
    y = np.random.default_rng(1).standard_normal((14, 6000)).astype(np.float32) * 0.1
    return store_of_clips(tmp_path / "s", y, [0, 1] * 7)


def test_a_copy_is_the_one_that_training_makes(store: str) -> None:
    opened = open_store(store)
    example = trained_example(opened, {"copies": 7, "field": None, "seed": 5})
    assert example is not None
    y = opened.waveforms([1])[0]
    np.testing.assert_array_equal(example.original.waveform, y)
    np.testing.assert_array_equal(example.distorted.waveform, distorted_copy(y, 1, AugmentRule(seed=5)))
    np.testing.assert_allclose(example.original.log_mel_db, row_pictures(opened, [1])[0].log_mel_db, atol=1e-3)
    assert "20 dB below" in example.distortion


def test_a_network_for_the_field_has_its_own_distortion(store: str) -> None:
    training = {"copies": 0, "field": FieldRule(seed=2).model_dump(mode="json"), "seed": 2}
    first, again = (trained_example(open_store(store), training) for _ in range(2))
    assert first is not None
    assert again is not None
    np.testing.assert_array_equal(first.distorted.waveform, again.distorted.waveform)
    assert not np.array_equal(first.distorted.waveform, first.original.waveform)
    assert "anew in each epoch" in first.distortion


def test_nothing_distorted_is_no_example(store: str) -> None:
    assert trained_example(open_store(store), {"copies": 0, "field": None, "seed": 0}) is None
    assert trained_example(open_store(store), {}) is None
