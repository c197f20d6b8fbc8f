"""One self-contained HTML page that says what was trained on what, how well it works and what it found.

Where do I go to ...?

- see what the page needs: `gunshot.report.content.ReportContent`, made of plain dataclasses from there,
  `gunshot.report.dataset`, `gunshot.report.pictures` and `gunshot.report.archive`
- turn figures of held-out rows into sentences and tables: `gunshot.report.held_out`, `gunshot.report.headline`,
  `gunshot.report.reliability_plot`, `gunshot.report.shortcuts`; what they are made of: `gunshot.report.blocks`
- pick the worst errors for the gallery: `gunshot.report.pictures.worst_errors`
- make the page: `gunshot.report.page.render_report`
- change a figure: `gunshot.report.plots`; its colours in light and dark: `gunshot.report.svg`
- change the wording of the key figures: `gunshot.report.words`
- change the layout: ``gunshot/report/templates/report.html.jinja``
"""

from gunshot.report.archive import DetectionRow, FailureRow, RecordingTimeline, ScoringSummary
from gunshot.report.blocks import Block, Section, Table
from gunshot.report.champion import champion_section
from gunshot.report.content import (
    ModelResult,
    Provenance,
    ReportContent,
    ScoredSplit,
    StageTime,
    TrainingHistory,
)
from gunshot.report.dataset import DatasetRow, DatasetSummary, GroupCount
from gunshot.report.held_out import held_out_sections
from gunshot.report.page import render_report
from gunshot.report.pictures import ClipPicture, DistortionExample, ErrorExample, worst_errors
from gunshot.report.shortcuts import audit_section

__all__ = [
    "Block",
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
    "Section",
    "StageTime",
    "Table",
    "TrainingHistory",
    "audit_section",
    "champion_section",
    "held_out_sections",
    "render_report",
    "worst_errors",
]
