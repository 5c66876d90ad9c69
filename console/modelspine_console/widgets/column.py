"""The columns of a table: what one shows, and which of them there is room for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from modelspine_console.draw.sanitize import Line

GUTTER = 2
"""Cells in front of each row: the cursor and the mark."""


class Column(msgspec.Struct, frozen=True):
    """One column: its title, its width, what its cells show, and what it is sorted by."""

    title: str
    width: int
    cell: Callable[[Any], Line]
    sort: Callable[[Any], Any] | None = None
    right: bool = False
    grow: bool = False
    """Takes the room that is left over."""
    rank: int = 0
    """Columns get room in the order of their ranks; one that does not fit is skipped, and the next one is tried.
    The column that the rows are sorted by comes before them all."""
    only_sorted: bool = False
    """Shown only while the rows are sorted by it."""
    fitted: Callable[[Any, int], Line] | None = None
    """Makes the cell for a number of cells, where it is to say more than the beginning of what ``cell`` returns."""


def widths(
    columns: Sequence[Column], width: int, *, chosen: Column | None, hidden: Collection[str]
) -> list[tuple[Column, int]]:
    """The columns there is room for, each with its width in cells.

    Args:
        columns: all of them, in order.
        width: cells of the table.
        chosen: the column that the rows are sorted by, which is always shown.
        hidden: titles of the columns that the operator does not want to see, or to see though they are ``only_sorted``.
    """
    able = [column for column in columns if column is chosen or not column.only_sorted or column.title in hidden]
    first, *rest = sorted(able, key=lambda column: (column is not chosen, column.rank))
    fitting = [first]
    for column in rest:
        if (column.title not in hidden or column.only_sorted) and _needed([*fitting, column]) <= width:
            fitting.append(column)
    kept = [column for column in columns if column in fitting]
    spare = max(0, width - _needed(kept))
    return [(column, column.width + (spare if column.grow else 0)) for column in kept]


def cell_of(column: Column, item: Any, room: int) -> Line:
    """The cell of one row."""
    return column.cell(item) if column.fitted is None else column.fitted(item, room)


def _needed(columns: Sequence[Column]) -> int:
    return GUTTER + sum(column.width for column in columns) + 2 * (len(columns) - 1) + 1
