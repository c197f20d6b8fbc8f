"""Stages of the reproduction: one task a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task

from gunshot.reproduction.cells import Cell, run_cell
from tasks.artifacts import say, stage
from tasks.retries import TRANSIENT

if TYPE_CHECKING:
    from gunshot.models.fit import Epoch

__all__ = ["train_cell"]


@task(name="train-cell", task_run_name="{cell.name}", **TRANSIENT)
def train_cell(store: str, out: str, cell: Cell, number: int, total: int) -> float:
    """Train one cell; see `gunshot.reproduction.cells.run_cell`.

    Parameters
    ----------
    store, out : str
        The committed store and the reproduction's folder.
    cell : Cell
        What to train.
    number, total : int
        Which training of how many, for who watches.

    Returns
    -------
    float
        Its accuracy on the test rows.
    """
    with stage(f"train-{cell.model}", cell.epochs or 1, "epochs" if cell.epochs else "fits") as advance:

        def on_epoch(epoch: Epoch) -> None:
            advance(1, note=f"{number} of {total}, loss {epoch.loss:.3f}")

        figures = run_cell(store, out, cell, on_epoch)
        if cell.epochs is None:
            advance()
    accuracy = float(figures["metrics"]["accuracy"])
    missed = figures["metrics"]["confusion"]["fn"]
    say(f"reproduce    {number} of {total} trainings  {cell.name}: accuracy {accuracy:.3f}, {missed} gunshots missed")
    return accuracy
