"""A section of the page as plain data: sentences, tables and drawings, in an order.

Conventions: cells are text as shown, escaped by the page. The first line of a cell is its figure, the others are
ranges and are shown smaller. A table is cut by who makes it, and says how much was left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gunshot.errors import ParameterError

__all__ = ["Block", "Cell", "Section", "Table"]

Cell = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; the first column names the rows.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : sequence of sequence of tuple of str
        Cells of each row.
    n_more : int
        Rows that were left out.
    n_text : int
        Columns from the left that hold text; the others hold figures, and stand to the right.

    Raises
    ------
    ParameterError
        If a row has another number of cells than the header.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    n_more: int = 0
    n_text: int = 1

    def __post_init__(self) -> None:
        """Refuse rows that do not fit, so that the error names the table and not the page."""
        wrong = next((row for row in self.rows if len(row) != len(self.header)), None)
        if wrong is not None:
            raise ParameterError(f"a row needs a cell for each of {list(self.header)}; got {wrong}")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One part of a section: what it says in words comes first.

    Parameters
    ----------
    sentences : sequence of str
        At least one.
    heading : str
        Empty for none.
    table : Table, optional
        The figures.
    svg : Markup, optional
        A drawing of this package.
    note : str
        How to read it.

    Raises
    ------
    ParameterError
        If nothing is said in words.
    """

    sentences: Sequence[str]
    heading: str = ""
    table: Table | None = None
    svg: Markup | None = None
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse figures without words."""
        if not self.sentences:
            raise ParameterError(f"block {self.heading!r} must say in words what it shows; got no sentence")


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of the page.

    Parameters
    ----------
    id : str
        Unique in the page: letters and hyphens.
    name : str
        Its heading.
    blocks : sequence of Block
        In the order to show.
    """

    id: str
    name: str
    blocks: Sequence[Block]
