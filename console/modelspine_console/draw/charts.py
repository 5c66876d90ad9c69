"""Counts drawn as bars, heat maps and sparklines in characters; colour never carries information alone.

Pure functions. They take counts by name and do not know what the names mean.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from modelspine_console.draw.format import count, hidden_columns
from modelspine_console.draw.sanitize import Line, cells, cut, row, safe
from modelspine_console.draw.theme import Role

Ratio = tuple[float, int | None, int | None]
"""A share of right answers, with k and n where they are known."""
Cells = dict[tuple[str, str], Ratio]
"""The cells of a two-way table by the names of row and column."""
_STEPS: tuple[tuple[float, Role], ...] = ((0.5, "heat0"), (0.8, "heat1"), (0.95, "heat2"), (0.995, "heat3"))
_LABEL, _BAR = 20, 24
_BARS = "▁▂▃▄▅▆▇█"
_MIN_COLUMN, _MAX_COLUMN = 8, 16
"""Terminal cells of a column of a heat map."""


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """A two-way table of ratios."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Cells


def tables(buckets: Mapping[str, Any], views: Mapping[str, Any]) -> tuple[list[Grid], set[str]]:
    """Every two-way table in a report, and the bucket groups that are shown as one.

    A bucket ``group/a/b`` is a cell of its group; a view is a table if it maps names to mappings.
    """
    groups: dict[str, Cells] = {}
    for name, value in buckets.items():
        parts = name.split("/")
        if len(parts) == 3 and value.n:
            groups.setdefault(parts[0], {})[parts[1], parts[2]] = (value.k / value.n, value.k, value.n)
    tables_of_views = {name.replace("_", " "): _two_way(view) for name, view in views.items()}
    grids = [_grid(name, found) for name, found in [*groups.items(), *tables_of_views.items()] if found]
    return grids, set(groups)


def heat(grid: Grid, width: int) -> list[Line]:
    """A table of percentages, coloured from bad to good, with the range of n below it."""
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
    least: int = _MIN_COLUMN,
) -> list[Line]:
    """Rows by columns, each cell drawn by ``draw(row, column, width)`` in ``least`` or more terminal cells.

    The note is written below, and under it the names of the columns there is no room for.
    """
    label = min(_LABEL, 2 + max((cells(name) for name in rows), default=0))
    room = max(1, (width - label - 1) // least)
    shown, hidden = columns[:room], columns[room:]
    cell = max(least, min(_MAX_COLUMN, (width - label - 1) // max(1, len(shown))))
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
    if hidden:
        lines.append(hidden_columns(hidden))
    return lines


def _head(name: str, room: int) -> list[str]:
    """A column's name wrapped to ``room`` cells, on at most four lines."""
    return [name] if cells(name) <= room else textwrap.wrap(name[:80].replace("_", " "), room)[:4] or [""]


def bars(counts: Mapping[str, Any], width: int) -> list[Line]:
    """One line for each bucket: name, bar, k/n and share, the weakest first."""
    long = max(6, min(_BAR, width - _LABEL - 24))
    ordered = sorted(counts.items(), key=lambda item: (item[1].ratio if item[1].ratio is not None else 2, item[0]))
    return [
        row(cut(safe(f" {name}"), _LABEL + 1), _bar(value.ratio, long), safe(" "), count(value))
        for name, value in ordered
    ]


def spark(values: Sequence[int], width: int) -> str:
    """Counts over time as a row of bars, the newest at the right, scaled to the highest sum."""
    step = max(1, -(-len(values) // max(1, width)))
    sums = [sum(values[max(0, end - step) : end]) for end in range(len(values), 0, -step)][::-1]
    most = max(sums, default=0)
    # The division rounds up, so that a single request among thousands still shows.
    return "".join(_BARS[-(-value * (len(_BARS) - 1) // most) if most else 0] for value in sums)


def tone(ratio: float) -> Role:
    """The colour of a share of right answers."""
    return next((role for edge, role in _STEPS if ratio < edge), "heat4")


def progress_bar(share: float, width: int) -> Line:
    """How much of something is there, as a bar of exactly ``width`` cells; a full one has the colour of success."""
    full = share >= 1
    # Rounded down, so that only what is complete looks complete.
    halves = 2 * width if full else int(max(0.0, share) * width * 2)
    done = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return row(safe(done, "good" if full else "accent"), safe("─" * (width - len(done)), "faint"))


def _bar(ratio: float | None, long: int) -> Line:
    if ratio is None:
        return cut(safe(""), long)
    halves = round(max(0.0, min(1.0, ratio)) * long * 2)
    text = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    role: Role = "good" if ratio >= 0.95 else "warn" if ratio >= 0.8 else "bad"
    return cut(safe(text, role), long)


def _cell(value: Ratio | None, wide: int) -> Line:
    if value is None:
        return cut(safe("·", "faint"), wide, right=True)
    return row(safe(" "), safe(f"{100 * value[0]:.1f} ".rjust(wide - 1), tone(value[0])))


def _grid(title: str, cells: Cells) -> Grid:
    rows = tuple(dict.fromkeys(name for name, _ in cells))
    columns = tuple(dict.fromkeys(name for _, name in cells))
    return Grid(title=title, rows=rows, columns=columns, cells=cells)


def _two_way(view: Any) -> Cells:
    """The cells of a view that is a mapping of mappings; none where it is not, or where the inner ones are counts."""
    if not isinstance(view, dict) or not all(isinstance(inner, dict) for inner in view.values()):
        return {}
    if all(inner.keys() == {"k", "n"} for inner in view.values()):
        return {}
    ratios = {(str(name), str(column)): _ratio(v) for name, inner in view.items() for column, v in inner.items()}
    return {place: found for place, found in ratios.items() if found is not None}


def _ratio(value: Any) -> Ratio | None:
    """A share from ``{"k", "n"}``, ``[k, n]`` or a number from 0 to 1; None for anything else."""
    if isinstance(value, dict) and isinstance(value.get("k"), int) and isinstance(value.get("n"), int) and value["n"]:
        return value["k"] / value["n"], value["k"], value["n"]
    if isinstance(value, list) and len(value) == 2 and all(isinstance(v, int) for v in value) and value[1]:
        return value[0] / value[1], value[0], value[1]
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value), None, None
    return None
