"""One self-contained HTML page that says what was trained on what, how well it works and what it found.

Where do I go to ...?

- see what the page needs: `gunshot.report.content.ReportContent`, made of plain dataclasses from there,
  `gunshot.report.dataset`, `gunshot.report.pictures` and `gunshot.report.archive`
- pick the worst errors for the gallery: `gunshot.report.pictures.worst_errors`
- make the page: `gunshot.report.page.render_report`
- change a figure: `gunshot.report.plots`; its colours in light and dark: `gunshot.report.svg`
- change the wording of the key figures: `gunshot.report.words`
- change the layout: ``gunshot/report/templates/report.html.jinja``
"""

from gunshot.report.archive import DetectionRow, FailureRow, RecordingTimeline, ScoringSummary
from gunshot.report.content import (
    ModelResult,
    Provenance,
    ReportContent,
    ScoredSplit,
    StageTime,
    TrainingHistory,
)
from gunshot.report.dataset import DatasetRow, DatasetSummary, GroupCount
from gunshot.report.page import render_report
from gunshot.report.pictures import ClipPicture, DistortionExample, ErrorExample, worst_errors

__all__ = [
    "ClipPicture",
    "DatasetRow",
    "DatasetSummary",
    "DetectionRow",
    "DistortionExample",
    "ErrorExample",
    "FailureRow",
    "GroupCount",
    "ModelResult",
    "Provenance",
    "RecordingTimeline",
    "ReportContent",
    "ScoredSplit",
    "ScoringSummary",
    "StageTime",
    "TrainingHistory",
    "render_report",
    "worst_errors",
]
