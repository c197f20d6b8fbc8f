"""The figures about sound: spectrogram, waveform, and detections over time.

Conventions: times in seconds, frequencies in Hz, levels in dB. Spectrograms are embedded as PNG at their own
resolution; everything around them is SVG. Recording names are the only text given by a user; they are drawn
as they are, never as mathematical notation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from gunshot.errors import ParameterError
from gunshot.report.archive import RecordingTimeline
from gunshot.report.pictures import ClipPicture
from gunshot.report.svg import FAINT, GUNSHOT, INK, OTHER, inline_svg, label_axes, plain_figure

__all__ = ["db_limits", "spectrogram_svg", "timeline_svg", "waveform_svg"]

COLOUR_MAP = "magma"
"""Perceptually uniform, and legible to the colour-blind."""

_HZ_TICKS = np.array([63, 125, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000])
_N_COLUMNS = 600


def db_limits(pictures: Sequence[ClipPicture]) -> tuple[float, float]:
    """Return one colour scale for pictures that are compared.

    Parameters
    ----------
    pictures : sequence of ClipPicture
        At least one.

    Returns
    -------
    low, high : float
        Least and greatest level in any of them, at least 1 dB apart [dB].
    """
    low = min(float(np.min(picture.log_mel_db)) for picture in pictures)
    high = max(float(np.max(picture.log_mel_db)) for picture in pictures)
    return low, max(high, low + 1.0)


def spectrogram_svg(picture: ClipPicture, *, name: str, limits_db: tuple[float, float] | None = None) -> Markup:
    """Draw a log-mel spectrogram with axes in seconds and Hz and a colour bar in dB.

    Parameters
    ----------
    picture : ClipPicture
        The clip.
    name : str
        Unique in the page.
    limits_db : (float, float), optional
        Ends of the colour scale [dB]; those of the clip where not given.

    Returns
    -------
    Markup
        An ``<svg>`` element with the image embedded as PNG. Each mel band is one row of the image, so the
        frequency axis is that of the mel scale.
    """
    low, high = limits_db or db_limits([picture])
    levels = np.asarray(picture.log_mel_db, dtype=np.float64)
    n_mels, n_frames = levels.shape
    frame_s = picture.hop_length / picture.sr
    figure, axes = plain_figure(height_in=2.5)
    axes.grid(visible=False)
    extent = (-0.5 * frame_s, (n_frames - 0.5) * frame_s, -0.5, n_mels - 0.5)
    image = axes.imshow(
        levels,
        cmap=COLOUR_MAP,
        vmin=low,
        vmax=high,
        origin="lower",
        aspect="auto",
        extent=extent,
        interpolation="none",
    )
    axes.set_xlim(0.0, extent[1])
    mel_hz = np.asarray(picture.mel_hz, dtype=np.float64)
    ticks = _HZ_TICKS[(mel_hz[0] <= _HZ_TICKS) & (mel_hz[-1] >= _HZ_TICKS)]
    axes.set_yticks(np.interp(ticks, mel_hz, np.arange(n_mels)), [f"{tick:,}" for tick in ticks])
    label_axes(axes, "Time (s)", f"Frequency (Hz), {n_mels} mel bands")
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=18)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelcolor=INK, labelsize=8, width=0.6, length=3)
    bar.set_label("Level (dB)", color=INK, fontsize=9)
    return inline_svg(figure, name, f"Spectrogram, {n_frames * frame_s:.2f} s, {low:.0f} to {high:.0f} dB")


def waveform_svg(waveform: ArrayLike, sr: int, *, name: str, limit: float | None = None) -> Markup:
    """Draw a waveform as the band between its least and greatest sample in each column.

    Parameters
    ----------
    waveform : array_like of shape (n_samples,)
        Samples in [-1, 1], at least one.
    sr : int
        Sample rate [Hz].
    name : str
        Unique in the page.
    limit : float, optional
        Amplitude at the ends of the axis, to compare waveforms; that of the waveform where not given.

    Returns
    -------
    Markup
        An ``<svg>`` element.

    Raises
    ------
    ParameterError
        If there are no samples or they are not (n_samples,).
    """
    y = np.asarray(waveform, dtype=np.float64)
    if y.ndim != 1 or y.size == 0:
        raise ParameterError(f"waveform must have shape (n_samples,) with samples; got shape {y.shape}: mix to mono")
    edges = np.unique(np.linspace(0, y.size, _N_COLUMNS + 1).astype(int))[:-1]
    top, bottom = np.maximum.reduceat(y, edges), np.minimum.reduceat(y, edges)
    reach = limit or float(np.abs(y).max()) or 1.0
    figure, axes = plain_figure(height_in=1.6)
    # One column's thickness at least, or a quiet stretch would vanish.
    axes.fill_between(edges / sr, bottom - 0.004 * reach, top + 0.004 * reach, color=OTHER, linewidth=0)
    axes.set(xlim=(0.0, y.size / sr), ylim=(-1.05 * reach, 1.05 * reach))
    axes.yaxis.set_major_locator(MaxNLocator(3, symmetric=True))
    label_axes(axes, "Time (s)", "Amplitude")
    return inline_svg(figure, name, f"Waveform, {y.size / sr:.2f} s, peak {np.abs(y).max():.3f}")


def timeline_svg(timelines: Sequence[RecordingTimeline], *, name: str) -> Markup:
    """Draw detections over time, one row a recording, with the true events where they are known.

    Parameters
    ----------
    timelines : sequence of RecordingTimeline
        Recordings from top to bottom, at least one.
    name : str
        Unique in the page.

    Returns
    -------
    Markup
        An ``<svg>`` element: a bar as long as each recording, a tick for each detection above it, a tick for
        each true event below it.
    """
    longest_s = max(timeline.duration_s for timeline in timelines)
    unit_s, unit = (3600.0, "h") if longest_s > 5400 else (60.0, "min") if longest_s > 90 else (1.0, "s")
    figure, axes = plain_figure(width_in=4.6, height_in=0.7 + 0.44 * len(timelines))
    axes.grid(visible=False, axis="y")
    for row, timeline in enumerate(timelines):
        axes.barh(row, timeline.duration_s / unit_s, left=0.0, height=0.09, color=FAINT)
        axes.vlines(_spots(timeline.detection_s, longest_s) / unit_s, row - 0.26, row - 0.04, GUNSHOT, linewidth=1.3)
        if timeline.event_s is not None:
            axes.vlines(_spots(timeline.event_s, longest_s) / unit_s, row + 0.04, row + 0.2, OTHER, linewidth=1.3)
        n_detections = np.size(timeline.detection_s)
        text = f"{_shortened(timeline.recording)}  ({n_detections:,})"
        axes.text(0.0, row - 0.32, text, color=INK, fontsize=9, va="bottom", parse_math=False)
    axes.set(xlim=(-0.004 * longest_s / unit_s, 1.01 * longest_s / unit_s), ylim=(len(timelines) - 0.6, -0.85))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    label_axes(axes, f"Time from the start of the recording ({unit})", "")
    return inline_svg(figure, name, f"Detections over time in {len(timelines)} recordings")


def _spots(times_s: ArrayLike, longest_s: float) -> NDArray[np.float64]:
    """Return times on a grid of columns, each column once, so that a storm of detections stays small."""
    column_s = longest_s / _N_COLUMNS
    return np.unique(np.round(np.asarray(times_s, dtype=np.float64) / column_s)) * column_s


def _shortened(name: str, n_characters: int = 48) -> str:
    """Return a name that fits, its middle left out where it is too long."""
    if len(name) <= n_characters:
        return name
    return f"{name[: n_characters // 2 - 1]}…{name[-n_characters // 2 :]}"
