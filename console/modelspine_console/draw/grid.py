"""A small table inside a document: aligned columns, those left out named for which there is no room.

Pure. For lists of unbounded length there is ``widgets.table``.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from modelspine_console.draw.format import left_out
from modelspine_console.draw.sanitize import Line, cells, cut, row, safe


class Head(msgspec.Struct, frozen=True):
    """One column: its title, the side it stands on, and when it gives way."""

    title: str
    right: bool = False
    rank: int = 0
    """Where there is no room, the highest rank goes first; columns of rank 0 are cut instead."""
    least: int | None = None
    """Cells the column may be cut to before another one goes; None where others go first."""


def grid(heads: Sequence[Head], rows: Sequence[Sequence[Line]], width: int, *, note: bool = True) -> list[Line]:
    """The head and the rows, as wide as what is in them, within ``width``; ``note`` names what is left out."""
    wide = {n: max([cells(head.title), *(each[n].cell_length for each in rows)]) for n, head in enumerate(heads)}
    full = dict(wide)
    for n, head in enumerate(heads):
        wide[n] = wide[n] if head.least is None else min(wide[n], max(head.least, cells(head.title)))
    while _needed(wide) > width and any(heads[n].rank for n in wide):
        del wide[max(wide, key=lambda n: heads[n].rank)]
    while _needed(wide) > width and max(wide.values()) > 4:
        widest = max(wide, key=lambda n: wide[n])
        wide[widest] -= min(_needed(wide) - width, wide[widest] - 4)
    for n in (n for n in wide if heads[n].least is not None):
        wide[n] = min(full[n], max(wide[n], wide[n] + width - _needed(wide)))
    lines = [_line([safe(head.title, "head") for head in heads], heads, wide)]
    lines += [_line(each, heads, wide) for each in rows]
    left = [head.title for n, head in enumerate(heads) if n not in wide and head.title]
    if left and note:
        lines.append(left_out(left))
    return lines


def _needed(wide: dict[int, int]) -> int:
    return sum(wide.values()) + 2 * len(wide) - 1


def _line(values: Sequence[Line], heads: Sequence[Head], wide: dict[int, int]) -> Line:
    return row(safe(" "), row(*(cut(values[n], room, right=heads[n].right) for n, room in wide.items()), gap=2))
