"""The flow that does the paper's experiment again and sets its table beside ours."""

from __future__ import annotations

from typing import Any

from flows.forms import FlowParameters, checked_flow, field, run_name
from gunshot.reproduction.cells import EPOCHS, SEEDS, held_out_rows, plan_cells
from gunshot.reproduction.likeset import draw_rows
from gunshot.reproduction.page import markdown_page
from gunshot.reproduction.table import missing_cells, write_table
from gunshot.storage import join
from gunshot.store.read import open_store
from tasks import artifacts
from tasks.reproduce import train_cell

__all__ = ["ReproduceParameters", "reproduce"]


class ReproduceParameters(FlowParameters):
    """Parameters of `reproduce`."""

    store: str = field("The committed feature store.", min_length=1)
    out: str = field(
        "Where table.json, table.md, table.html and a file a training go; finished trainings in it are kept.",
        min_length=1,
    )
    seeds: list[int] | None = field("One run each, 0 or more; 0, 1 and 2 if empty.", default=None)
    epochs: list[int] | None = field(
        "Of the network, 1 or more each; 14 and 30, as in the paper, if empty.", default=None
    )


@checked_flow(name="reproduce", flow_run_name=run_name("reproduce", "out"))
def reproduce(given: ReproduceParameters) -> dict[str, Any]:
    """Train the paper's models on a set like its own and write its table beside ours.

    Parameters
    ----------
    given : ReproduceParameters
        The flow's parameters.

    Returns
    -------
    dict
        The content of ``table.json``.
    """
    store, out, seeds, epochs = given.store, given.out, given.seeds, given.epochs
    cells = plan_cells(SEEDS if seeds is None else seeds, EPOCHS if epochs is None else epochs)
    opened = open_store(store)
    for seed in sorted({cell.seed for cell in cells}):  # a store that cannot be divided is an error before any work
        drawn = draw_rows(opened, seed)
        for split in sorted({cell.split for cell in cells}):
            held_out_rows(drawn, split, seed)
    missing = missing_cells(opened, out, cells)
    if len(missing) < len(cells):
        artifacts.say(f"reproduce    {len(cells) - len(missing)} of {len(cells)} trainings are there already")
    for number, cell in enumerate(missing, len(cells) - len(missing) + 1):
        train_cell(store, out, cell, number, len(cells))
    table = write_table(store, out, cells)
    artifacts.link("reproduction-page", join(out, "table.html"), "The same as a page")
    artifacts.markdown("reproduction", markdown_page(table), "The paper's table beside ours")
    return table
