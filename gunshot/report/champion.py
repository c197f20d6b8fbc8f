"""What a model won and lost against the one it may replace, as a section of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gunshot.report.blocks import Block, Cell, Section, Table
from gunshot.report.words import count, percent
from gunshot.review.service import ServiceFigures

__all__ = ["champion_section"]

_MOST_LOST = 10


def champion_section(found: Mapping[str, Any] | None) -> Section | None:
    """Write what was found against the champion.

    Parameters
    ----------
    found : mapping or None
        What ``model.json`` holds under ``champion``; None where the model was trained without one.

    Returns
    -------
    Section or None
        None without a champion.
    """
    if found is None:
        return None
    comparison = found["comparison"]
    blocks = [_compared(comparison)]
    if comparison["lost_shots"]:
        blocks.append(_lost(comparison["lost_shots"]))
    if found["service"] is not None:
        blocks.append(_service(ServiceFigures.from_dict(found["service"])))
    return Section(id="champion", name="Against the champion", blocks=blocks)


def _compared(comparison: Mapping[str, Any]) -> Block:
    shots, alarms = comparison["shots"], comparison["alarms"]
    champion = comparison["models"][0]
    every = [*comparison["by_source"].items(), ("all sources", comparison)]
    header = ("Source", "Shots", "Won", "Lost", "Both find", "Other sounds", "Alarms won", "Alarms lost")
    return Block(
        heading="Shots won and lost",
        sentences=[
            f"The champion is {champion['uri']} ({champion['digest']}). Of {count(shots['n'])} shots that neither was "
            f"trained on, this model finds {count(shots['won'])} that the champion misses, and misses "
            f"{count(shots['lost'])} that the champion finds.",
            f"Of {count(alarms['n'])} other sounds it no longer takes {count(alarms['won'])} for shots, and newly "
            f"takes {count(alarms['lost'])}.",
        ],
        table=Table(header=header, rows=[_row(name, of["shots"], of["alarms"]) for name, of in every]),
        note=f"McNemar's exact p: shots {shots['p']:.3g}, false alarms {alarms['p']:.3g}. Each model calls at its own "
        "threshold; measured at training.",
    )


def _row(name: str, shots: Mapping[str, Any], alarms: Mapping[str, Any]) -> list[Cell]:
    figures = (
        *(shots[key] for key in ("n", "won", "lost", "both")),
        *(alarms[key] for key in ("n", "won", "lost")),
    )
    return [(name,), *((count(figure),) for figure in figures)]


def _lost(shots: list[dict[str, Any]]) -> Block:
    return Block(
        heading="Shots lost",
        sentences=["Listen to these before this model takes the champion's place."],
        table=Table(
            header=("Recording", "At", "Champion's score", "This model's score"),
            rows=[
                [(shot["path"], f"{shot['source']}: {shot['sound']}"), (f"{shot['onset_s']:.3f} s",),
                 *((f"{score:.3f}",) for score in shot["scores"])]
                for shot in shots[:_MOST_LOST]
            ],
            n_more=max(0, len(shots) - _MOST_LOST),
        ),
    )  # fmt: skip


def _service(figures: ServiceFigures) -> Block:
    rows: list[list[Cell]] = []
    for band in figures.bands:
        share = percent(band.n_gunshots / band.n_reviewed if band.n_reviewed else None)
        interval = (f"{percent(band.interval[0])} to {percent(band.interval[1])}",) if band.interval else ()
        counts = (count(number) for number in (band.n_detections, band.n_reviewed, band.n_gunshots))
        rows.append([(f"{band.low:.3f} to {band.high:.3f}",), *((text,) for text in counts), (share, *interval)])
    header = ("Score", "Detections", "Reviewed", "Gunshots", "Precision")
    return Block(
        heading="In service",
        sentences=[f"{line[:1].upper()}{line[1:]}." for line in figures.lines() if not line.startswith(" ")],
        table=Table(header=header, rows=rows) if rows else None,
        note=f"By what people decided on the detections in {figures.results}, of the model named here: the new one has "
        "not scored there yet.",
    )
