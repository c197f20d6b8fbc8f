"""Every figure is well-formed, themed, deterministic SVG that draws what it is given."""

from __future__ import annotations

import ast
import base64
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image

from gunshot import report
from gunshot.errors import ParameterError, TrainingError
from gunshot.report import ClipPicture, RecordingTimeline
from gunshot.report.clip_plots import db_limits, spectrogram_svg, timeline_svg, waveform_svg
from gunshot.report.plots import curve_svg, epochs_svg, score_histogram_svg
from gunshot.report.svg import INK, N_SERIES, inline_svg, plain_figure, series_colour

SVG = "{http://www.w3.org/2000/svg}"
LABEL = np.tile([0, 1], 100)
SCORE = np.clip(0.5 + 0.3 * (LABEL - 0.5) + 0.2 * np.sin(np.arange(200)), 0.0, 1.0)
LINES = [
    RecordingTimeline(recording="a <b> $x^2$ & c.wav", duration_s=3600.0, detection_s=[1.0, 50.0], event_s=[1.0]),
    RecordingTimeline(recording="long " * 30, duration_s=60.0, detection_s=[]),
]
FIGURES: dict[str, Callable[[ClipPicture], str]] = {
    "roc": lambda _: curve_svg("roc", [(LABEL, SCORE)], [(0.8, 0.2)], name="roc"),
    "det": lambda _: curve_svg("det", [(LABEL, SCORE)] * 9, [(0.8, 0.2)] * 9, name="det"),
    "pr": lambda _: curve_svg("precision-recall", [(LABEL, SCORE)], [(0.0, 0.0)], name="pr"),
    "histogram": lambda _: score_histogram_svg(LABEL, SCORE, 0.5, name="histogram"),
    "epochs": lambda _: epochs_svg([0.5, 0.3], [0.6, 0.4], "Loss", name="epochs"),
    "one-epoch": lambda _: epochs_svg([0.5], [], "Accuracy", name="one-epoch"),
    "waveform": lambda clip: waveform_svg(clip.waveform if clip.waveform is not None else [], clip.sr, name="waveform"),
    "spectrogram": lambda clip: spectrogram_svg(clip, name="spectrogram"),
    "timeline": lambda _: timeline_svg(LINES, name="timeline"),
}


def texts(svg: str) -> list[str]:
    """Return the words in a figure."""
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("kind", FIGURES)
def test_every_figure(kind: str, clip: ClipPicture) -> None:
    """Well-formed, themed, self-contained, the same every time, and small."""
    svg = FIGURES[kind](clip)
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert root.get("width") is None
    assert svg == FIGURES[kind](clip)
    assert "currentColor" in svg
    assert not re.search("#01[0-9a-f]{4}", svg), "a stand-in colour was left"
    links = re.findall(r'href="([^"]*)"', svg)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert len(ids) == len(set(ids))
    assert set(ids) == {link[1:] for link in links if link[0] == "#"} | set(re.findall(r"url\(#([^)]*)\)", svg))
    assert all(re.fullmatch(rf"{kind}-\d+", one) for one in ids)
    assert len(svg) < 100_000


class TestCurves:
    """Curves of models."""

    @pytest.mark.parametrize("curve", ["roc", "det", "precision-recall"])
    def test_a_perfect_model_and_a_constant_one(self, curve: str) -> None:
        """The ends of the scales can be drawn."""
        rows = [(LABEL, LABEL.astype(float)), (LABEL, np.full(200, 0.5))]
        svg = curve_svg(curve, rows, [(1.0, 0.0), (1.0, 1.0)], name="x")
        assert "var(--series-1)" in svg
        assert "nan" not in svg.lower()

    def test_many_rows_stay_small(self) -> None:
        """100,000 clips give a figure as small as 1,000 do."""
        rng = np.random.default_rng(0)
        label = rng.integers(0, 2, 100_000)
        score = np.clip(rng.normal(0.4 + 0.2 * label, 0.15), 0.0, 1.0)
        assert len(curve_svg("roc", [(label, score)], [(0.5, 0.5)], name="x")) < 60_000

    def test_rows_of_one_class(self) -> None:
        """There is no curve to draw."""
        with pytest.raises(TrainingError, match="both classes"):
            curve_svg("roc", [([1, 1], [0.5, 0.6])], [(1.0, 0.0)], name="x")

    def test_series_have_a_colour_each(self) -> None:
        """Eight colours that no other stand-in has."""
        colours = {series_colour(index) for index in range(N_SERIES)}
        assert len(colours) == N_SERIES
        assert INK not in colours


class TestSpectrogram:
    """Image, axes and scale."""

    def test_the_image_has_a_pixel_a_band_and_frame(self, clip: ClipPicture) -> None:
        """The first embedded PNG is the log-mel array, highest band on top."""
        levels = np.full((4, 3), -60.0)
        levels[3, 0] = -20.0
        small = replace(clip, log_mel_db=levels, mel_hz=[100.0, 300.0, 900.0, 2700.0])
        svg = spectrogram_svg(small, name="x", limits_db=(-60.0, -20.0))
        encoded = re.search(r'base64,([^"]*)"[^>]*?transform="matrix\(([^)]*)\)', svg)
        assert encoded is not None
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded[1]))).convert("RGB")).astype(int)
        is_upside_down = float(encoded[2].split()[3]) < 0
        image = image[::-1] if is_upside_down else image
        low, high = (np.array(matplotlib.colormaps["magma"](level)[:3]) * 255 for level in (0.0, 1.0))
        rows, columns = image.shape[:2]
        assert np.abs(image[0, 0] - high).max() <= 1
        is_high = np.abs(image - high).max(axis=2) <= 1
        is_low = np.abs(image - low).max(axis=2) <= 1
        assert (is_high | is_low).all()
        assert is_high.mean() == pytest.approx(1 / 12, abs=1 / min(rows, columns) ** 2)

    def test_axes_are_seconds_and_hz(self, clip: ClipPicture) -> None:
        """Units, bands and the scale of levels are written out."""
        words = texts(spectrogram_svg(clip, name="x"))
        assert "Time (s)" in words
        assert "Frequency (Hz), 64 mel bands" in words
        assert "Level (dB)" in words
        assert {"250", "1,000", "8,000"} <= set(words)

    def test_silence_can_be_drawn(self, clip: ClipPicture) -> None:
        """A constant picture has a scale of its own."""
        silent = replace(clip, log_mel_db=np.full((64, 5), -80.0))
        assert db_limits([silent]) == (-80.0, -79.0)
        ElementTree.fromstring(spectrogram_svg(silent, name="x"))

    def test_compared_pictures_share_a_scale(self, clip: ClipPicture) -> None:
        """From the least to the greatest level of both."""
        louder = replace(clip, log_mel_db=clip.log_mel_db + 10.0)
        low, high = db_limits([clip, louder])
        assert low == pytest.approx(clip.log_mel_db.min())
        assert high == pytest.approx(clip.log_mel_db.max() + 10.0)


class TestWaveform:
    """The band of the samples."""

    def test_one_click_in_a_long_silence_is_drawn(self) -> None:
        """No sample is skipped: the extreme of each column counts."""
        y = np.zeros(100_000)
        y[77_777] = 1.0
        silent = waveform_svg(np.zeros(100_000), 22050, name="x", limit=1.0)
        assert waveform_svg(y, 22050, name="x", limit=1.0).count("\nL ") == silent.count("\nL ")
        assert waveform_svg(y, 22050, name="x", limit=1.0) != silent

    def test_fewer_samples_than_columns(self) -> None:
        """A very short clip."""
        ElementTree.fromstring(waveform_svg([0.5, -0.5, 0.1], 8000, name="x"))

    @pytest.mark.parametrize("waveform", [[], [[0.1, 0.2]]])
    def test_refusals(self, waveform: list[float]) -> None:
        """Nothing to draw, or more than one channel."""
        with pytest.raises(ParameterError, match="mix to mono"):
            waveform_svg(waveform, 8000, name="x")


class TestTimeline:
    """Detections over time."""

    def test_names_are_drawn_as_they_are(self) -> None:
        """No mathematics, no markup, long names shortened in the middle."""
        words = texts(timeline_svg(LINES, name="x"))
        assert "a <b> $x^2$ & c.wav (2)" in [re.sub(r"\s+", " ", word) for word in words]
        assert any("…" in word and len(word) < 60 for word in words)

    @pytest.mark.parametrize(("duration_s", "unit"), [(30.0, "(s)"), (600.0, "(min)"), (86400.0, "(h)")])
    def test_unit_of_the_axis(self, duration_s: float, unit: str) -> None:
        """Seconds, minutes or hours, as the longest recording needs."""
        line = RecordingTimeline(recording="a", duration_s=duration_s, detection_s=[1.0])
        assert any(unit in word for word in texts(timeline_svg([line], name="x")))

    def test_a_storm_of_detections_stays_small(self) -> None:
        """100,000 detections are at most as many ticks as there are columns."""
        times = np.random.default_rng(0).uniform(0, 3600, 100_000)
        line = RecordingTimeline(recording="a", duration_s=3600.0, detection_s=times)
        assert len(timeline_svg([line], name="x")) < 150_000


class TestState:
    """No global state."""

    def test_pyplot_is_not_used(self) -> None:
        """No module of the report imports it."""
        modules = sorted(Path(report.__file__).parent.glob("*.py"))
        assert len(modules) > 5
        for module in modules:
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
                    assert not any("pyplot" in name for name in names), module.name

    def test_settings_are_put_back(self) -> None:
        """The settings of Matplotlib are as before."""
        before = dict(matplotlib.rcParams)
        figure, axes = plain_figure()
        axes.text(0.5, 0.5, "<tag>", color=INK)
        svg = inline_svg(figure, "x", 'a "quoted" <description>')
        assert dict(matplotlib.rcParams) == before
        assert ElementTree.fromstring(svg).get("aria-label") == 'a "quoted" <description>'
        assert "<tag>" in texts(svg)
