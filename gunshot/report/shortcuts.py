"""What an audit of shortcuts found, as a section of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gunshot.evaluation.audit_report import audit_lines
from gunshot.report.blocks import Block, Section, Table

__all__ = ["audit_section"]


def audit_section(audit: Mapping[str, Any] | None) -> Section | None:
    """Write an audit.

    Parameters
    ----------
    audit : mapping or None
        What ``model.json`` holds under ``audit``; None where there was none.

    Returns
    -------
    Section or None
        None without an audit.
    """
    if audit is None:
        return None
    sentences, rows = audit_lines(audit)
    return Section(
        id="shortcuts",
        name="Shortcuts",
        blocks=[
            Block(
                sentences=sentences,
                table=Table(
                    header=("Read", "AUC", "Balanced accuracy", ""), rows=[[(cell,) for cell in row] for row in rows]
                ),
                note="How well the classes are told apart by what is not the sound: 0.5 is chance. Made at training, "
                "on rows of the store that the model was trained on.",
            )
        ],
    )
