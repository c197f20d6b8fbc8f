"""Render the report: content in, one self-contained HTML page out.

Conventions: the page needs no network and no other file, and says everything without a script. One script of this
package moves the threshold (`gunshot.report.slider`); the page's policy names its digest, and lets no other run.
Everything that comes from the content is escaped by the template engine; only SVG drawn by this package is inserted as
it is. The same content gives the same page, byte for byte: no clock, no random ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from gunshot.evaluation.metrics import ClassificationMetrics
from gunshot.evaluation.rates import alarm_rate
from gunshot.report import words
from gunshot.report.archive import RecordingTimeline, ScoringSummary
from gunshot.report.card import card_html
from gunshot.report.clip_plots import db_limits, spectrogram_svg, timeline_svg, waveform_svg
from gunshot.report.content import ModelResult, ReportContent, ScoredSplit
from gunshot.report.gallery import galleries
from gunshot.report.pictures import DistortionExample
from gunshot.report.plots import curve_svg, epochs_svg, score_histogram_svg
from gunshot.report.slider import script, script_digest, threshold_sliders
from gunshot.report.sounds import flac_address, playing_gain
from gunshot.report.svg import N_SERIES, dash_pattern

__all__ = ["render_report"]

MAX_DETECTIONS = 50
MAX_TIMELINES = 24
MAX_FAILURES = 100
MAX_GROUPS = 12
MAX_SOURCES = 30


@dataclass(frozen=True)
class Legend:
    """One entry of a legend: a line in the colour and dash of its series."""

    text: str
    colour: str
    dash: str


@dataclass(frozen=True)
class Plot:
    """One figure with its heading, its legend and a caption."""

    svg: Markup
    heading: str
    caption: str = ""
    legend: Sequence[Legend] = ()


def render_report(content: ReportContent) -> str:
    """Render the report.

    Parameters
    ----------
    content : ReportContent
        The whole page, as data.

    Returns
    -------
    str
        A complete HTML document; write it as UTF-8.

    Notes
    -----
    A report of three models with a gallery of 60 clips to look at and to hear is some 2 MB. Drawing takes most of
    the time, about 0.1 s a figure.
    """
    model = content.key_model
    split = model.main_split if model else None
    sliders = threshold_sliders(content)
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            content=content,
            model=model,
            split=split,
            key_figures=_key_figures(content),
            table=_table(content),
            before=[(section.id, section.name, True) for section in content.sections],
            sliders=sliders,
            slider_content=[slider.content() for slider in sliders],
            curves=_curves(content.models),
            histograms=_histograms(content),
            epochs=_epochs(content.models),
            sources=_limited(_by_size(model.by_source if model else {}), MAX_SOURCES),
            groups=_limited(content.dataset.by_group if content.dataset else (), MAX_GROUPS),
            distortion=_distortion(content.distortion) if content.distortion else (),
            galleries=galleries(content),
            card=card_html(content.card),
            overview=_overview(content.scoring),
            detections=_limited(content.scoring.detections if content.scoring else (), MAX_DETECTIONS),
            failures=_limited(content.failures, MAX_FAILURES),
        )
    )


@cache
def _environment() -> jinja2.Environment:
    """Return the template engine: everything is escaped, and a missing name is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gunshot.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: tuple[Callable[..., str], ...] = (words.count, words.percent, words.figure, words.duration)
    environment.filters.update({function.__name__: function for function in filters})
    environment.globals.update(
        threshold_words=words.threshold_words,
        reconciliation=words.reconciliation,
        slider_script=script,
        slider_digest=script_digest,
    )
    return environment


@dataclass(frozen=True)
class Limited:
    """The first entries of a list, and how many more there are."""

    shown: Sequence[Any]
    n_more: int


def _limited(entries: Sequence[Any], limit: int) -> Limited:
    """Keep the first entries."""
    return Limited(entries[:limit], max(0, len(entries) - limit))


def _by_size(parts: Mapping[str, ClassificationMetrics]) -> list[tuple[str, ClassificationMetrics]]:
    """Order a breakdown by its number of rows, the largest first."""
    return sorted(parts.items(), key=lambda part: (-part[1].n, part[0]))


def _key_figures(content: ReportContent) -> list[words.KeyFigure]:
    """Return the key sentences of the default model, also for a day, and of recordings where the truth is known."""
    split = content.key_model.main_split if content.key_model else None
    figures = words.class_key_figures(split.metrics, split.split) if split else []
    if split and content.candidates_per_hour is not None:
        day = words.recorder_day_figure(alarm_rate(split.metrics, content.candidates_per_hour, ()))
        figures += [] if day is None else [day]
    if content.scoring and content.scoring.truth:
        figures += words.truth_key_figures(content.scoring.truth)
    return figures


def _table(content: ReportContent) -> list[tuple[ModelResult, ScoredSplit]]:
    """Return the rows of the table of models: each split of each model."""
    return [(model, split) for model in content.models for split in model.splits]


def _model_legend(index: int, text: str) -> Legend:
    """Return the legend of a model's curve."""
    dash = " ".join(f"{2 * length:g}" for length in dash_pattern(index))
    return Legend(text, f"var(--series-{index % N_SERIES})", dash)


def _drawable(models: Sequence[ModelResult]) -> list[tuple[ModelResult, ScoredSplit]]:
    """Return the models with rows of both classes on their main split."""
    mains = [(model, model.main_split) for model in models]
    return [(m, s) for m, s in mains if s and s.rows and s.metrics.n_gunshots and s.metrics.n_others]


def _curves(models: Sequence[ModelResult]) -> list[Plot]:
    """Draw ROC, DET and precision-recall curves of all models that have rows."""
    drawable = _drawable(models)
    if not drawable:
        return []
    rows = [split.rows for _, split in drawable if split.rows]
    points = [(split.metrics.recall or 0.0, split.metrics.fpr or 0.0) for _, split in drawable]

    def legend(note: Callable[[ClassificationMetrics], str]) -> list[Legend]:
        return [_model_legend(i, f"{m.name}{note(s.metrics)}") for i, (m, s) in enumerate(drawable)]

    return [
        Plot(
            curve_svg("roc", rows, points, name="roc"),
            "ROC: found against false alarms",
            "Up and left is better; the dotted line is a coin toss.",
            legend(lambda m: f" (AUC {words.figure(m.roc_auc, 4)})"),
        ),
        Plot(
            curve_svg("det", rows, points, name="det"),
            "DET: misses against false alarms",
            "Down and left is better; the scales spread out small rates.",
            legend(lambda m: ""),
        ),
        Plot(
            curve_svg("precision-recall", rows, points, name="precision-recall"),
            "Precision against recall",
            "Up and right is better; precision depends on the mix of the two classes.",
            legend(lambda m: f" (average {words.figure(m.average_precision, 4)})"),
        ),
    ]


def _class_legend(content: ReportContent) -> list[Legend]:
    """Return the legend of the two classes and the threshold."""
    other, gunshot = content.class_names
    return [
        Legend(gunshot, "var(--gunshot)", ""),
        Legend(other, "var(--other)", ""),
        Legend("threshold", "var(--alarm)", "6 3"),
    ]


def _histograms(content: ReportContent) -> list[Plot]:
    """Draw the scores of each model that has rows."""
    plots = []
    for index, model in enumerate(content.models):
        split = model.main_split
        if split and split.rows:
            svg = score_histogram_svg(*split.rows, split.metrics.threshold, name=f"scores-{index}")
            caption = f"{words.count(split.metrics.n)} {split.split} clips."
            plots.append(Plot(svg, model.name, caption, _class_legend(content)))
    return plots


def _epochs(models: Sequence[ModelResult]) -> list[Plot]:
    """Draw loss and accuracy of each model that was trained in epochs."""
    plots = []
    for index, model in enumerate(models):
        history = model.history
        if history is None:
            continue
        for what, training, validation in (
            ("Loss", history.loss, history.validation_loss),
            ("Accuracy", history.accuracy, history.validation_accuracy),
        ):
            named = ((0, "training", training), (1, "validation", validation))
            legend = [_model_legend(i, text) for i, text, values in named if len(values)]
            if legend:
                svg = epochs_svg(training, validation, what, name=f"{what.lower()}-{index}")
                plots.append(Plot(svg, f"{model.name}: {what.lower()}", legend=legend))
    return plots


@dataclass(frozen=True)
class Compared:
    """A clip that stands beside another: its pictures, and the address of its sound where there is one."""

    heading: str
    plots: Sequence[Plot]
    sound: str | None


def _distortion(example: DistortionExample) -> list[Compared]:
    """Draw the clip and its distorted copy on the same scales, and let both be heard equally loud."""
    pair = (("original", "Original", example.original), ("distorted", "Distorted copy", example.distorted))
    limits_db = db_limits([example.original, example.distorted])
    waveforms = [picture.waveform for _, _, picture in pair if picture.waveform is not None]
    peak = max((float(np.abs(waveform).max(initial=0.0)) for waveform in waveforms), default=0.0)
    gain = playing_gain(*waveforms)
    columns = []
    for name, heading, picture in pair:
        plots, sound = [], None
        if picture.waveform is not None:
            svg = waveform_svg(picture.waveform, picture.sr, name=f"{name}-waveform", limit=peak)
            plots.append(Plot(svg, "Waveform"))
            sound = flac_address(picture.waveform, picture.sr, gain)
        svg = spectrogram_svg(picture, name=f"{name}-spectrogram", limits_db=limits_db)
        plots.append(Plot(svg, "Spectrogram"))
        columns.append(Compared(heading, plots, sound))
    return columns


def _overview(scoring: ScoringSummary | None) -> Plot | None:
    """Draw the recordings with the most detections, by name."""
    if scoring is None or not scoring.timelines:
        return None

    def rank(timeline: RecordingTimeline) -> tuple[int, str]:
        return -np.size(timeline.detection_s), timeline.recording

    chosen = sorted(scoring.timelines, key=rank)[:MAX_TIMELINES]
    legend = [Legend("detection", "var(--gunshot)", "")]
    if any(timeline.event_s is not None for timeline in chosen):
        legend.append(Legend("true event", "var(--other)", ""))
    n_more = len(scoring.timelines) - len(chosen)
    caption = "In brackets: detections in the recording."
    if n_more:
        caption += f" These {len(chosen)} have the most detections; {words.count(n_more)} more are not drawn."
    return Plot(timeline_svg(chosen, name="overview"), "Detections over time", caption, legend)
