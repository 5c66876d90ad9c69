"""Counts as bars and as heat maps, in characters: glyph, number and colour say the same.

Pure. It takes counts by name and does not know what the names mean.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from modelspine_console.draw.format import count, left_out
from modelspine_console.draw.sanitize import Line, cells, cut, row, safe
from modelspine_console.draw.theme import Role

_STEPS: tuple[tuple[float, Role], ...] = ((0.5, "heat0"), (0.8, "heat1"), (0.95, "heat2"), (0.995, "heat3"))
_LABEL, _BAR = 20, 24
_BARS = "▁▂▃▄▅▆▇█"
_LEAST, _MOST = 8, 16
"""Cells of a column of a heat map."""


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """A two-way table of ratios, with k and n where they are known."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: dict[tuple[str, str], tuple[float, int | None, int | None]]


def tables(buckets: Mapping[str, Any], views: Mapping[str, Any]) -> tuple[list[Grid], set[str]]:
    """Every two-way table in a report, and the bucket groups that went into one.

    A bucket ``group/a/b`` is a cell of its group; a view is a table where it maps names to mappings.
    """
    grids: list[Grid] = []
    groups: dict[str, dict[tuple[str, str], tuple[float, int | None, int | None]]] = {}
    for name, value in buckets.items():
        parts = name.split("/")
        if len(parts) == 3 and value.n:
            groups.setdefault(parts[0], {})[parts[1], parts[2]] = (value.k / value.n, value.k, value.n)
    grids += [_grid(name, cells) for name, cells in groups.items()]
    for name, view in views.items():
        found = _two_way(view)
        if found:
            grids.append(_grid(name.replace("_", " "), found))
    return grids, set(groups)


def heat(grid: Grid, width: int) -> list[Line]:
    """A table of percentages, coloured from bad to good."""
    counts = [n for _, _, n in grid.cells.values() if n]
    least, most = min(counts, default=0), max(counts, default=0)
    note = f"percentages, n = {least:,}{f' to {most:,}' if most > least else ''} a cell" if counts else ""
    return matrix(grid.rows, grid.columns, width, lambda *at: _cell(grid.cells.get(at[:2]), at[2]), note=note)


def matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    width: int,
    draw: Callable[[str, str, int], Line],
    *,
    note: str,
    least: int = _LEAST,
) -> list[Line]:
    """Rows by columns; ``draw`` is given a row, a column and the width of its cell, which is ``least`` or more.

    The note stands below, and under it the names of columns there is no room for.
    """
    label = min(_LABEL, 2 + max((cells(name) for name in rows), default=0))
    room = max(1, (width - label - 1) // least)
    shown, left = columns[:room], columns[room:]
    cell = max(least, min(_MOST, (width - label - 1) // max(1, len(shown))))
    cell = min(cell, max(least, 2 + max(cells(name) for name in shown)))
    heads = [_head(name, cell - 1) for name in shown]
    lines = []
    for number in range(max(len(head) for head in heads)):
        words = [head[number] if number < len(head) else "" for head in heads]
        lines.append(
            row(safe(" " * (label + 1)), *(cut(safe(f"{word} ", "muted"), cell, right=True) for word in words))
        )
    lines += [row(cut(safe(f" {name}"), label + 1), *(draw(name, column, cell) for column in shown)) for name in rows]
    if note:
        lines.append(safe(f" {note}", "faint"))
    if left:
        lines.append(left_out(left))
    return lines


def _head(name: str, room: int) -> list[str]:
    """A column's name on as many lines as its words need, a long word broken, up to four."""
    return [name] if cells(name) <= room else textwrap.wrap(name[:80].replace("_", " "), room)[:4] or [""]


def bars(counts: Mapping[str, Any], width: int) -> list[Line]:
    """One line a bucket: name, bar, k/n and share; the weakest first."""
    long = max(6, min(_BAR, width - _LABEL - 24))
    ordered = sorted(counts.items(), key=lambda item: (item[1].ratio if item[1].ratio is not None else 2, item[0]))
    return [
        row(cut(safe(f" {name}"), _LABEL + 1), _bar(value.ratio, long), safe(" "), count(value))
        for name, value in ordered
    ]


def spark(values: Sequence[int], width: int) -> str:
    """Counts over time as a row of bars, the newest at the right; the highest is the highest there is."""
    step = max(1, -(-len(values) // max(1, width)))
    sums = [sum(values[max(0, end - step) : end]) for end in range(len(values), 0, -step)][::-1]
    most = max(sums, default=0)
    return "".join(_BARS[-(-value * (len(_BARS) - 1) // most) if most else 0] for value in sums)


def tone(ratio: float) -> Role:
    """The colour of a share of right answers."""
    return next((role for edge, role in _STEPS if ratio < edge), "heat4")


def _bar(ratio: float | None, long: int) -> Line:
    if ratio is None:
        return cut(safe(""), long)
    halves = round(max(0.0, min(1.0, ratio)) * long * 2)
    text = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    role: Role = "good" if ratio >= 0.95 else "warn" if ratio >= 0.8 else "bad"
    return cut(safe(text, role), long)


def _cell(value: tuple[float, int | None, int | None] | None, wide: int) -> Line:
    if value is None:
        return cut(safe("·", "faint"), wide, right=True)
    return row(safe(" "), safe(f"{100 * value[0]:.1f} ".rjust(wide - 1), tone(value[0])))


def _grid(title: str, cells: dict[tuple[str, str], tuple[float, int | None, int | None]]) -> Grid:
    rows = tuple(dict.fromkeys(name for name, _ in cells))
    columns = tuple(dict.fromkeys(name for _, name in cells))
    return Grid(title=title, rows=rows, columns=columns, cells=cells)


def _two_way(view: Any) -> dict[tuple[str, str], tuple[float, int | None, int | None]]:
    if not isinstance(view, dict) or not view or not all(isinstance(inner, dict) for inner in view.values()):
        return {}
    if all(inner.keys() == {"k", "n"} for inner in view.values()):
        return {}
    cells = {}
    for name, inner in view.items():
        for column, value in inner.items():
            found = _ratio(value)
            if found is not None:
                cells[str(name), str(column)] = found
    return cells


def _ratio(value: Any) -> tuple[float, int | None, int | None] | None:
    if isinstance(value, dict) and isinstance(value.get("k"), int) and isinstance(value.get("n"), int) and value["n"]:
        return value["k"] / value["n"], value["k"], value["n"]
    if isinstance(value, list) and len(value) == 2 and all(isinstance(v, int) for v in value) and value[1]:
        return value[0] / value[1], value[0], value[1]
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value), None, None
    return None
