"""A small table inside a document: aligned columns; the columns there is no room for are named below it.

Pure functions. Lists of unbounded length are shown by ``widgets.table``.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from modelspine_console.draw.format import hidden_columns
from modelspine_console.draw.sanitize import Line, cells, cut, row, safe

_MIN_CUT = 4
"""Cells below which no column is cut."""


class Head(msgspec.Struct, frozen=True):
    """One column: its title, its alignment, and when it is left out."""

    title: str
    right: bool = False
    rank: int = 0
    """Where there is no room, the highest rank is left out first; columns of rank 0 are cut instead."""
    least: int | None = None
    """Cells the column may be cut to before another one is left out; None where others are left out first."""


def grid(heads: Sequence[Head], rows: Sequence[Sequence[Line]], width: int, *, note: bool = True) -> list[Line]:
    """The head and the rows, within ``width`` cells; ``note`` names the columns that are left out."""
    wanted = {n: max([cells(head.title), *(each[n].cell_length for each in rows)]) for n, head in enumerate(heads)}
    flexible = [n for n, head in enumerate(heads) if head.least is not None]
    widths = dict(wanted)
    for n in flexible:
        widths[n] = min(wanted[n], max(heads[n].least or 0, cells(heads[n].title)))
    while _needed(widths) > width and any(heads[n].rank for n in widths):
        del widths[max(widths, key=lambda n: heads[n].rank)]
    while _needed(widths) > width and max(widths.values()) > _MIN_CUT:
        widest = max(widths, key=lambda n: widths[n])
        widths[widest] -= min(_needed(widths) - width, widths[widest] - _MIN_CUT)
    for n in flexible:  # a column that was narrowed to keep others takes the room that is left after all
        if n in widths:
            widths[n] = min(wanted[n], max(widths[n], widths[n] + width - _needed(widths)))
    lines = [_line([safe(head.title, "head") for head in heads], heads, widths)]
    lines += [_line(each, heads, widths) for each in rows]
    hidden = [head.title for n, head in enumerate(heads) if n not in widths and head.title]
    return [*lines, hidden_columns(hidden)] if hidden and note else lines


def _needed(widths: dict[int, int]) -> int:
    return sum(widths.values()) + 2 * len(widths) - 1


def _line(values: Sequence[Line], heads: Sequence[Head], widths: dict[int, int]) -> Line:
    return row(safe(" "), row(*(cut(values[n], room, right=heads[n].right) for n, room in widths.items()), gap=2))
