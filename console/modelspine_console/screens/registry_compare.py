"""The comparison of two entries as aligned rows, section by section, as ``spine diff`` prints it.

Pure drawing of the rows that core makes.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelspine.registry import diff_rows
from modelspine.registry.diff import Comparison
from modelspine.registry.diff_rows import Row, Section
from modelspine_console.draw.format import heading
from modelspine_console.draw.grid import Head, grid
from modelspine_console.draw.sanitize import Line, cells, row, safe
from modelspine_console.draw.theme import Role

_MOST_ROWS = 200
"""Rows of a section that are listed; a large model has thousands of tensors."""
_LEAST_NAME = 12
_LEAST_SIDE = 10
"""Cells to which the columns may be narrowed."""


def comparison(found: Comparison, names: Sequence[str], width: int, *, everything: bool) -> list[Line]:
    """What differs from the first entry to the second, which are called ``names``; or ``everything`` about both."""
    hint = "u hides what is unchanged" if everything else "u lists what is unchanged too"
    lines = [
        row(safe(f" {names[0]}", "accent"), safe(" → ", "faint"), safe(names[1], "accent"), safe(f"   {hint}", "faint"))
    ]
    found_sections = diff_rows.sections(found, everything=everything)
    for section in diff_rows.shown(found_sections):
        if section.note:
            lines += [safe(""), safe(f" {section.note}", "warn")]
        else:
            # The same widths in all sections of one unit, so that their sides stand under each other.
            rows = [each for other in found_sections if other.unit == section.unit for each in other.rows[:_MOST_ROWS]]
            widths = [max((cells(text) for text in column), default=0) for column in _columns(rows)]
            lines += [*heading(diff_rows.heading(section)), *_aligned(section, names, widths, width)]
    same = diff_rows.unchanged(found_sections)
    return [*lines, *([safe(""), safe(f" {same}", "muted", limit=1000)] if same else [])]


def _columns(rows: Sequence[Row]) -> tuple[list[str], ...]:
    return [each.name for each in rows], [each.a for each in rows], [each.b for each in rows]


def _aligned(section: Section, names: Sequence[str], widths: Sequence[int], width: int) -> list[Line]:
    listed, more = diff_rows.cut_rows(section.rows, _MOST_ROWS)
    heads = (
        Head("", least=_LEAST_NAME), Head(names[0], least=_LEAST_SIDE), Head(names[1], least=_LEAST_SIDE),
        Head(section.unit, right=True),
    )  # fmt: skip
    drawn = [[_padded(text, room) for text, room in zip((each.name, each.a, each.b), widths, strict=True)]
             for each in listed]  # fmt: skip
    lines = grid(heads, [[*texts, _change(each)] for texts, each in zip(drawn, listed, strict=True)], width)
    return [*lines, *([safe(f" {more}", "muted")] if more else [])]


def _padded(text: str, room: int) -> Line:
    return safe(f"{text}{' ' * (room - cells(text))}", "muted" if text == diff_rows.ABSENT else "")


def _change(each: Row) -> Line:
    roles: dict[bool | None, Role] = {True: "good", False: "bad", None: "warn"}
    return safe(each.change, roles[each.better]) if each.change else safe(diff_rows.UNCHANGED, "faint")
