"""Plots in characters: points, lines and crosses over two axes, drawn with plotext.

Everything is scaled into the unit square before plotext sees it, so neither a huge nor an infinite value reaches it.
Its output is cut into pieces whose colours become roles, and passes ``sanitize`` like all other text. It does not know
what is plotted; plotext is imported when the first plot is drawn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.draw.theme import Role

_ROLES: tuple[Role, ...] = ("faint", "bad", "good", "warn", "accent", "muted", "strong")
"""Role of each colour number that is passed to plotext."""
_SGR = re.compile(r"\x1b\[([0-9;]*)m")
LINE, RULE, UPRIGHT, ACROSS = "braille", "┄", "│", "─"
"""Markers of series whose points are joined: a curve, a dashed threshold, a vertical and a horizontal line."""
_LABEL = 20
"""Most characters of a label."""
_SHIFTS = (0, -1, 1, -2, 2)
"""Lines away from its point at which a label is tried, in this order."""
LEAST = (16, 5)
"""Fewest columns and lines of a plot."""

Point = tuple[float, float]


class Axis(msgspec.Struct, frozen=True):
    """The range of one axis, and its tick labels by value."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()

    def place(self, value: float) -> float:
        """The position of a value between the ends, 0 to 1; values beyond an end are placed on it."""
        span = self.high - self.low
        if not math.isfinite(span) or span <= 0:
            return 0.5
        return min(1.0, max(0.0, (value - self.low) / span))


class Series(msgspec.Struct, frozen=True):
    """Points in one colour: joined by a line, or each drawn as a sign."""

    points: tuple[Point, ...]
    role: Role
    mark: str = LINE


class PointName(msgspec.Struct, frozen=True):
    """The name of a point, and where it is drawn."""

    at: Point
    text: str
    role: Role


def plot(
    series: Sequence[Series], x: Axis, y: Axis, width: int, height: int, labels: Sequence[PointName] = ()
) -> list[Line]:
    """The series drawn over each other, the last one on top, and then the labels, each where it covers no other one.

    Labels are placed in their order. A label is left out if there is no room for it next to its point.
    """
    if width < LEAST[0] or height < LEAST[1]:
        return [safe(" no room for the plot: zoom (z) or widen the window", "faint")]
    figure = load()
    figure.clear_figure()
    figure.theme("clear")
    figure.limit_size(False, False)
    figure.plotsize(width - 2, height)  # a scroll bar may take the last column
    figure.xlim(0, 1)
    figure.ylim(0, 1)
    for each in series:
        drawn = [(x.place(a), y.place(b)) for a, b in each.points if math.isfinite(a) and math.isfinite(b)]
        if drawn:
            draw = figure.plot if each.mark in (LINE, RULE, UPRIGHT, ACROSS) else figure.scatter
            draw(*map(list, zip(*drawn, strict=True)), marker=each.mark, color=_ROLES.index(each.role))
    figure.xticks([x.place(value) for value, _ in x.ticks], [label for _, label in x.ticks])
    figure.yticks([y.place(value) for value, _ in y.ticks], [label for _, label in y.ticks])
    lines = [row(safe(" "), *_pieces(line)) for line in figure.build().splitlines()[:height]]
    return _labelled(lines, [(x.place(each.at[0]), y.place(each.at[1]), each) for each in labels])


def _labelled(lines: list[Line], labels: Sequence[tuple[float, float, PointName]]) -> list[Line]:
    """The lines of a plot with labels written over them; a label's place is relative, from 0 to 1 on both axes."""
    frame = next((n for n, line in enumerate(lines) if "┌" in line.plain), None)
    floor = next((n for n, line in enumerate(lines) if "└" in line.plain), None)
    if frame is None or floor is None:
        return lines
    left, right = lines[frame].plain.index("┌") + 1, lines[frame].plain.rindex("┐")
    spots = [
        (left + round(across * (right - left - 1)), floor - 1 - round(up * (floor - frame - 2)), each)
        for across, up, each in labels
    ]
    taken = {(column, line) for column, line, _ in spots}
    found = list(lines)
    for column, line, each in spots:
        text = safe(each.text, each.role, limit=_LABEL)
        wide = text.cell_length
        for at, over in _places(column, line, wide):
            inside = left <= at and at + wide <= right and frame < over < floor
            if inside and taken.isdisjoint((at + n, over) for n in range(-1, wide + 1)):
                taken |= {(at + n, over) for n in range(wide)}
                found[over] = row(found[over][:at], text, found[over][at + wide :])
                break
    return found


def _places(column: int, line: int, wide: int) -> Iterator[tuple[int, int]]:
    """Where a label of this width may begin: right and left of its point, then a line or two above and below it."""
    for shift in _SHIFTS:
        yield column + 2, line + shift
        yield column - 1 - wide, line + shift


def level(value: float, x: Axis, role: Role) -> Series:
    """A dashed horizontal line at one value."""
    return Series(((x.low, value), (x.high, value)), role, RULE)


def upright(value: float, y: Axis, role: Role) -> Series:
    """A vertical line at one place."""
    return Series(((value, y.low), (value, y.high)), role, UPRIGHT)


def runs(points: Sequence[tuple[float, float | None]]) -> Iterator[tuple[Point, ...]]:
    """The points as unbroken stretches, split where a value is missing or not finite."""
    stretch: list[Point] = []
    for at, value in points:
        if value is None or not math.isfinite(value):
            if stretch:
                yield tuple(stretch)
            stretch = []
        else:
            stretch.append((at, value))
    if stretch:
        yield tuple(stretch)


def thinned(points: Sequence[tuple[float, float | None]], most: int) -> list[tuple[float, float | None]]:
    """At most ``most`` points: the highest of each group of neighbours, so that no peak is lost."""
    each = max(1, -(-len(points) // max(1, most)))
    return [
        max(points[start : start + each], key=lambda point: -1.0 if point[1] is None else point[1])
        for start in range(0, len(points), each)
    ]


def load() -> Any:
    """Import plotext; screens call this in a background thread, so that their first plot does not block the keys."""
    import plotext

    return plotext


def _pieces(line: str) -> Iterator[Line]:
    """A line that plotext drew, cut where its colour changes."""
    at, role = 0, "faint"
    for found in _SGR.finditer(line):
        if found.start() > at:
            yield safe(line[at : found.start()], _role(role))
        role, at = found[1], found.end()
    if at < len(line):
        yield safe(line[at:], _role(role))


def _role(code: str) -> Role:
    number = code.rpartition(";")[2]
    return _ROLES[int(number)] if code.startswith("38;5;") and int(number) < len(_ROLES) else "faint"
